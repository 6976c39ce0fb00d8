"""Runs SQLite's sqllogictest files against a connection, as PostgreSQL would be asked.

    python tests/conformance/sqllogictest.py FILE…

Prints a line per file, and each record that failed. Source:
https://www.sqlite.org/sqllogictest/doc/trunk/about.wiki
"""

import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vsql

DIALECT = "postgresql"
# Records that PostgreSQL refuses, as we do, though no flag of theirs says so.
EXCLUDED = {
    "SELECT x'303132' IN (SELECT * FROM t1)": "PostgreSQL compares no bytes with integers",
    "SELECT x'303132' NOT IN (SELECT * FROM t1)": "PostgreSQL compares no bytes with integers",
    "UPDATE t1 SET x=3, x=4, x=5": "PostgreSQL refuses to assign a column twice",
    "SELECT count(*) FROM t1 WHERE x=4": "follows an UPDATE that PostgreSQL refuses",
    "SELECT count(*) FROM t1 WHERE x=5": "follows an UPDATE that PostgreSQL refuses",
}


@dataclass(frozen=True, slots=True)
class Record:
    """A statement or a query with what it must give; `expected` lines, or None for a statement."""

    line: int
    sql: str
    fails: bool
    types: str
    sort: str
    expected: tuple[str, ...] | None
    threshold: int


def records(text: str) -> Iterator[Record]:
    """Yield the records that concern this dialect."""
    threshold = 0
    number = 1
    for block in text.replace("\r\n", "\n").split("\n\n"):
        first = number
        number += block.count("\n") + 2
        lines = [line for line in block.split("\n") if not line.startswith("#")]
        while lines and not lines[0].strip():
            lines.pop(0)
        skipped = False
        while lines and lines[0].split()[0] in ("skipif", "onlyif"):
            word, name = lines.pop(0).split()[:2]
            skipped |= (name == DIALECT) == (word == "skipif")
        if not lines:
            continue
        head = lines[0].split()
        if head[0] == "halt" and not skipped:
            return
        if head[0] == "hash-threshold":
            threshold = int(head[1])
        elif head[0] == "statement" and not skipped:
            sql = "\n".join(lines[1:])
            yield Record(first, sql, head[1] == "error", "", "nosort", None, threshold)
        elif head[0] == "query" and not skipped:
            yield _query(first, head, lines[1:], threshold)


def _query(first: int, head: list[str], body: list[str], threshold: int) -> Record:
    split = body.index("----") if "----" in body else len(body)
    expected = [line for line in body[split + 1 :] if line != ""]
    sort = head[2] if len(head) > 2 else "nosort"
    sql = "\n".join(body[:split])
    return Record(first, sql, False, head[1], sort, tuple(expected), threshold)


def shown(value: Any, kind: str) -> str:
    """Return a value as the files write it."""
    if value is None:
        return "NULL"
    if kind == "I":
        return str(int(value))
    if kind == "R":
        return f"{float(value):.3f}"
    return str(value) or "(empty)"


def failure(record: Record, connection: Any) -> str | None:
    """Run a record; returns what is wrong, None where nothing is."""
    try:
        cursor = connection.execute(record.sql)
    except vsql.Error as error:
        if record.fails:
            return None
        return f"{type(error).__name__} {error.sqlstate}: {error.message}"
    if record.fails:
        return "an error was expected"
    if record.expected is None:
        return None
    rows = [
        [shown(v, k) for v, k in zip(row, record.types, strict=True)] for row in cursor.fetchall()
    ]
    if record.sort == "rowsort":
        rows.sort()
    values = [value for row in rows for value in row]
    if record.sort == "valuesort":
        values.sort()
    if len(record.expected) == 1 and " values hashing to " in record.expected[0]:
        digest = hashlib.md5("".join(f"{value}\n" for value in values).encode()).hexdigest()
        values = [f"{len(values)} values hashing to {digest}"]
    if tuple(values) != record.expected:
        return f"got {values[:6]}, wanted {list(record.expected[:6])}"
    return None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a file gave: records that passed, what failed, and how many are excluded."""

    passed: int
    failures: tuple[str, ...]
    excluded: int


def run(path: Path) -> Outcome:
    """Run a file over a new database."""
    failures: list[str] = []
    count = excluded = 0
    with tempfile.TemporaryDirectory() as folder:
        connection = vsql.connect(f"{folder}/db", autocommit=True, background="off")
        for record in records(path.read_text(encoding="utf-8")):
            found = failure(record, connection)
            if found is not None and record.sql.strip() in EXCLUDED:
                excluded += 1
                continue
            count += 1
            if found is not None:
                failures.append(f"{path.name}:{record.line}: {found}\n    {record.sql[:300]}")
        connection.close()
    return Outcome(count - len(failures), tuple(failures), excluded)


def main() -> int:
    failed = 0
    for name in sys.argv[1:]:
        started = time.perf_counter()
        outcome = run(Path(name))
        spent = time.perf_counter() - started
        failed += len(outcome.failures)
        print(
            f"{Path(name).name}: {outcome.passed} passed, {len(outcome.failures)} failed, "
            f"{outcome.excluded} excluded in {spent:.1f} s",
            flush=True,
        )
        for line in outcome.failures[:20]:
            print("  " + line)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
