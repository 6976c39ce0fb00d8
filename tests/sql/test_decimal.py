"""DECIMAL beside literals and parameters: exact, growing and sealed, with an index and without."""

from decimal import Decimal
from typing import Any

import pytest

import vsql

CASES = (
    ("x = 15.7563", [1]),
    ("x IN (15.7563, 2, '0.1')", [1, 2, 3]),
    ("x = 15.75631", []),
    ("x > 15.7562 AND x < 15.7564", [1]),
    ("x <= 0.1", [3]),
    ("x <> 2", [1, 3]),
    ("x IN (1.23456789, 2.0)", [2]),
)


@pytest.mark.parametrize("condition", CASES)
@pytest.mark.parametrize("flush", [False, True])
def test_conditions(condition: tuple[str, list[int]], flush: bool) -> None:
    text, ids = condition
    with vsql.connect(autocommit=True) as connection:
        run = connection.execute
        run("CREATE TABLE t (id INT, x NUMERIC(8, 4))")
        run("INSERT INTO t VALUES (1, 15.7563), (2, 2), (3, 0.1), (4, NULL)")
        if flush:
            run("FLUSH")
        for _ in range(2):
            found = run(f"SELECT id FROM t WHERE {text} ORDER BY id").fetchall()
            assert [row[0] for row in found] == ids
            run("CREATE INDEX IF NOT EXISTS i ON t (x)")


def test_parameters() -> None:
    with vsql.connect(autocommit=True) as connection:
        run: Any = connection.execute
        run("CREATE TABLE t (x NUMERIC(8, 4), d DOUBLE PRECISION)")
        run("INSERT INTO t VALUES (?, ?)", (15.7563, Decimal("1.25")))
        for value in (15.7563, Decimal("15.7563"), "15.7563"):
            assert run("SELECT d FROM t WHERE x = ?", (value,)).fetchall() == [(1.25,)]


def test_uuids_survive_relational_queries() -> None:
    with vsql.connect(autocommit=True) as connection:
        run = connection.execute
        run("CREATE TABLE t (id INT, u UUID)")
        text = "12345678-1234-5678-1234-567812345678"
        (made,) = run(f"INSERT INTO t VALUES (1, '{text}'), (2, NULL) RETURNING u").fetchall()[0]
        assert str(made) == text
        query = "SELECT coalesce(u, NULL), max(id) FROM t GROUP BY u ORDER BY 2"
        assert run(query).fetchall() == [(made, 1), (None, 2)]
        assert run(
            f"SELECT count(*) FROM t a JOIN t b ON a.u = b.u WHERE a.u = '{text}'"
        ).fetchone() == (1,)
