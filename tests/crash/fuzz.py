"""Feeds broken statements and filters to a database: only vsql's own errors may come out.

    python tests/crash/fuzz.py [--seconds S] [--seed N]

Statements and filters of the tests are mutated token by token; half of what runs is text that some
parser accepts. An InternalError, a foreign exception, or a statement that takes longer than a
minute is a failure, and is printed with the seed that made it.
"""

import argparse
import importlib.util
import random
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import vsql

TESTS = Path(__file__).parent.parent
TOKEN = re.compile(r"'[^']*'|\"[^\"]*\"|\w+|[^\s\w]")
NASTY = (
    *("NULL", "''", "1e400", "-1", "9223372036854775808", "'[nan, inf]'", '""', "?", "$1", ":x"),
    *("(", ")", ";", "--", "/*", "'", '"', "$$", "\\", "\0", "\u00e9", "\U0001f600", "0x1G"),
    *("('x' || repeat('y', 1000))", "ARRAY[]", "'{}'", "CURRENT_TIMESTAMP", "DEFAULT"),
)
EXTRA = (
    *("SHOW VERSIONS t", "RESTORE TABLE t TO VERSION 2", "UNDROP TABLE t", "VACUUM", "FLUSH"),
    *("SELECT * FROM vsql_changes('t', 1, 2)", "SELECT * FROM t FOR VERSION AS OF 3"),
    *("OPTIMIZE TABLE t FULL", "CHECK DATABASE", "BEGIN READ ONLY", "SAVEPOINT a", "ROLLBACK TO a"),
    *("COMMIT", "CREATE PARTITION p ON t VALUES ('a')", "ALTER TABLE t SET (ttl = '3 days')"),
    *("SELECT id FROM t ORDER BY e <-> '[1,0]' LIMIT 3", "SELECT * FROM vsql_segments('t')"),
    "EXPLAIN ANALYZE SELECT id FROM t WHERE matches('n > 3 and name like \"a%\"')",
    "SELECT name, count(*) FROM t WHERE n BETWEEN 1 AND 3 GROUP BY name HAVING count(*) > 0",
)
FILTERS = (
    *("n > 3 and name like 'a%'", "1 < n <= 5", "name in ['a', 'b']", "not (n == 2)"),
    *('j["a"]["b"] == 3', "exists j['k']", "json_contains(j['tags'], 'x')", "n % 3 == 1 or n ** 2"),
    *("array_length(tags) > 1", "array_contains(tags, 'x')", "name is not null", "{p} == n"),
    "random_sample(0.5) and n > 1",
)


class Hang(Exception):
    """A statement that does not end."""


def tests_of(path: str) -> Any:
    specification = importlib.util.spec_from_file_location(Path(path).stem, TESTS / path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def mutated(text: str, words: list[str], random_: random.Random) -> str:
    """Return a text with some tokens removed, repeated, replaced or added."""
    tokens = TOKEN.findall(text)
    for _ in range(random_.randint(0, 4)):
        place = random_.randrange(len(tokens) + 1)
        kind = random_.random()
        if kind < 0.35 and tokens:
            tokens.pop(min(place, len(tokens) - 1))
        elif kind < 0.65:
            tokens.insert(place, random_.choice(words))
        elif kind < 0.95 and tokens:
            tokens[min(place, len(tokens) - 1)] = random_.choice((*words, *NASTY))
        else:
            tokens[place:place] = random_.choice(("(", ")", "NOT", "-", "[")) * 300
    return " ".join(tokens)


def opened(setup: str) -> Any:
    connection = vsql.connect(autocommit=True)
    for statement in setup.strip().split(";\n"):
        connection.execute(statement.rstrip(";"))
    return connection


def fuzz(seconds: float, seed: int) -> tuple[int, list[str]]:
    """Return how many texts were tried, and what failed."""
    writes, schema = tests_of("sql/test_writes.py"), tests_of("sql/test_schema.py")
    statements = [case[0] for case in writes.CASES] + [s for case in schema.CASES for s in case[0]]
    statements += [*EXTRA, *(case[1] for case in schema.CASES if isinstance(case[1], str))]
    words = [word for text in (*statements, *FILTERS) for word in TOKEN.findall(text)]
    random_ = random.Random(seed)
    failures: dict[str, str] = {}
    tried = 0
    connection = opened(writes.SETUP)
    signal.signal(signal.SIGALRM, _hang)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        tried += 1
        is_filter = random_.random() < 0.3
        text = mutated(random_.choice(FILTERS if is_filter else statements), words, random_)
        signal.alarm(60)
        try:
            if is_filter:
                connection.parse_filter(text)
            else:
                connection.execute(text).fetchall()
        except vsql.InternalError as error:
            failures.setdefault(error.message[:60], text)
        except vsql.Error:
            pass
        except BaseException as error:
            failures.setdefault(f"{type(error).__name__}: {error}"[:60], text)
        finally:
            signal.alarm(0)
        if tried % 100 == 0:
            connection.close()
            connection = opened(writes.SETUP)
    connection.close()
    return tried, [f"{message}\n    {text}" for message, text in failures.items()]


def _hang(*_: Any) -> None:
    raise Hang("a minute")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=300)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    tried, failures = fuzz(given.seconds, given.seed)
    print(f"{tried} texts, {len(failures)} failures, seed {given.seed}")
    for failure in failures:
        print(failure)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
