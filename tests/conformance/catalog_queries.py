"""The statements that real clients send to PostgreSQL to learn what is in a database.

Each must answer without error, and with PostgreSQL's column names, which a real one tells.
Parameters are NULL or made up: the statements were captured without their values. What the wire
protocol carries (COPY … TO STDOUT), or PostgreSQL 18 itself refuses, is left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vsql
from tests import postgresql
from vsql.driver.connection import Connection

SETUP = (
    "CREATE TABLE items (id bigserial PRIMARY KEY, e vector(3), name varchar(20) NOT NULL,"
    " arr int[], price numeric(10,2) DEFAULT 1.5, CHECK (price > 0))",
    "CREATE TABLE kid (id int PRIMARY KEY, item bigint, UNIQUE (item))",
    "CREATE TABLE stocks (id int)",
    "CREATE INDEX items_name ON items (name)",
    "CREATE VIEW v AS SELECT id, name FROM items",
    "COMMENT ON TABLE items IS 'things'",
)
_END = re.compile(r";+\s*\n\s*\n|;+\s*\Z")
_MARK = re.compile(r"\$(\d+)")
# What PostgreSQL's wire protocol carries, and no statement alone.
_WIRE = re.compile(r"(?i)^copy\b.*\b(stdout|stdin)\b")
_CONTROL = re.compile(r"(?i)^(begin|commit|rollback|savepoint|release|set|copy|insert)\b")


@dataclass(frozen=True, slots=True)
class Outcome:
    passed: int
    failures: tuple[str, ...]
    excluded: int


def statements(folder: Path) -> list[str]:
    """Return each statement once, in order."""
    found: dict[str, None] = {}
    for path in sorted(folder.glob("*.sql")):
        for text in _END.split(path.read_text(encoding="utf-8")):
            if text.strip():
                found[text.strip()] = None
    return list(found)


def run(texts: list[str], expected: Mapping[str, tuple[str, ...]]) -> Outcome:
    """Run the statements against vsql; `expected` are the names of PostgreSQL's columns.

    Where `expected` is empty, no real one was asked, and names are not compared.
    """
    passed, excluded = 0, 0
    failures: list[str] = []
    with vsql.connect(autocommit=True) as connection:
        for statement in SETUP:
            connection.execute(statement)
        for text in texts:
            if _WIRE.match(text) or (
                expected and text not in expected and not _CONTROL.match(text)
            ):
                excluded += 1
                continue
            reason = _answer(connection, text, expected.get(text))
            if reason is None:
                passed += 1
            else:
                failures.append(f"{' '.join(text.split())[:100]}: {reason}")
    return Outcome(passed, tuple(failures), excluded)


def _answer(connection: Connection, text: str, expected: tuple[str, ...] | None) -> str | None:
    count = max((int(number) for number in _MARK.findall(text)), default=0)
    if re.match("(?i)(release|rollback to)", text):
        connection.execute("BEGIN")
        connection.execute('SAVEPOINT "_pg3_1"')
    if re.match("(?i)savepoint", text):
        connection.execute("BEGIN")
    # Text where the statement says so, since JSON's keys cannot be NULL.
    values = [f"x{n}" if f"${n}::VARCHAR" in text else None for n in range(1, count + 1)]
    try:
        cursor = connection.execute(text, values)
        names = tuple(column[0] for column in cursor.description or ())
    except vsql.Error as error:
        return f"{error.sqlstate} {str(error).splitlines()[0]}"
    finally:
        connection.rollback()
    if expected is not None and names != expected:
        return f"columns {names}, not {expected}"
    return None


def expected_names(texts: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the column names that a real PostgreSQL gives, of the statements that it answers."""
    found: dict[str, tuple[str, ...]] = {}
    with postgresql.connection() as postgres:
        for statement in SETUP:
            postgres.execute(statement)
        for text in texts:
            names = None if _CONTROL.match(text) else _names(postgres, text)
            if names is not None:
                found[text] = names
    return found


def _names(postgres: Any, text: str) -> tuple[str, ...] | None:
    import psycopg

    # The server infers the types of parameters only where it sees them as such.
    described = postgres.pgconn.prepare(b"", text.encode())
    if described.status != psycopg.pq.ExecStatus.COMMAND_OK:
        return None
    result = postgres.pgconn.describe_prepared(b"")
    return tuple((result.fname(n) or b"").decode() for n in range(result.nfields))
