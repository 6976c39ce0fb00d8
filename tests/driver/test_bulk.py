"""Bulk in and out: adbc_ingest, Arrow, pandas, polars, DuckDB and ibis over what we return."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vsql
from vsql.driver.connection import Connection


@pytest.fixture
def connection() -> Any:
    with vsql.connect(autocommit=True) as opened:
        yield opened


def data(count: int = 5) -> pa.Table:
    vectors = pa.array(np.arange(2 * count, dtype=np.float32))
    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "a name": [f"n{n}" if n else None for n in range(count)],
            "tags": [["x", str(n)] for n in range(count)],
            "e": pa.FixedSizeListArray.from_arrays(vectors, 2),
        }
    )


def test_a_transaction_holds_it(tmp_path: Any) -> None:
    with vsql.connect(str(tmp_path / "db")) as connection:
        connection.cursor().adbc_ingest("t", data())
        connection.rollback()
        with pytest.raises(vsql.ProgrammingError):
            connection.execute("SELECT * FROM t")


def test_a_hundred_thousand_rows_are_one_batch(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (id INT PRIMARY KEY, m JSON)")
    rows = [(n, json.dumps({"n": n})) for n in range(100_000)]
    connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    assert connection.execute("SELECT count(*) FROM vsql_segments('t')").fetchone() == (1,)
    cursor = connection.cursor().executemany("UPSERT INTO t VALUES (?, ?)", rows)
    assert cursor.rowcount == 100_000
    live = connection.execute("SELECT sum(rows - deleted), count(*) FROM vsql_segments('t')")
    assert live.fetchone() == (100_000, 2)


def test_scroll_and_the_rest(connection: Connection) -> None:
    cursor = connection.cursor()
    assert cursor.rownumber is None
    assert cursor.lastrowid is None
    assert cursor.messages == []
    cursor.execute("SELECT * FROM generate_series(1, 5)")
    assert cursor.rownumber == 0
    cursor.scroll(2)
    assert cursor.fetchone() == (3,)
    cursor.scroll(-1)
    assert cursor.fetchone() == (3,)
    cursor.scroll(4, mode="absolute")
    assert cursor.rownumber == 4
    assert cursor.fetchall() == [(5,)]
    with pytest.raises(IndexError):
        cursor.scroll(1)
    with pytest.raises(vsql.ProgrammingError):
        cursor.scroll(1, mode="sideways")
    assert cursor.nextset() is None  # type: ignore[func-returns-value]  # PEP 249
    assert cursor.callproc("upper", ("kate",)) == ("kate",)
    assert cursor.fetchall() == [("KATE",)]
    for name in ("no_such_function", "upper(1); DROP TABLE t; --"):
        with pytest.raises(vsql.ProgrammingError) as caught:
            cursor.callproc(name, ("x",))
        assert caught.value.sqlstate == "42883"


def test_executemany_runs_every_set(connection: Connection) -> None:
    """Also where more than VALUES reads the parameters, and with RETURNING."""
    connection.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO t SELECT ?, 1", [(1,), (2,), (3,)])
    assert cursor.rowcount == 3
    upsert = "INSERT INTO t VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET n = t.n + ? RETURNING n"
    cursor.executemany(upsert, [(1, 10), (2, 20), (4, 30)])
    assert cursor.fetchall() == [(11,), (21,), (1,)]
    cursor.executemany("UPDATE t SET n = ? WHERE id = ? RETURNING id", [(0, 1), (0, 2)])
    assert cursor.fetchall() == [(1,), (2,)]


def _state(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT * FROM t ORDER BY id").fetchall()


@pytest.mark.parametrize(
    ("statement", "sets"),
    [
        ("UPDATE t SET n = ?, v = ? WHERE id = ?", [(5, "a", 1), (6, "b", 2), (7, "c", 99)]),
        ("UPDATE t SET n = ? WHERE id = ?", [(1, 3), (2, 3), (None, 4), (3, None)]),
        ("UPDATE t SET n = n + ? WHERE id = ?", [(1, 3), (2, 3)]),
        ("UPDATE t SET n = 3 WHERE ? = id", [(3,), (4,), (2500,)]),
        ("UPDATE t SET n = ? WHERE id = ? AND v = 'x'", [(1, 3), (2, 4)]),
        ("UPDATE t SET id = ? WHERE id = ?", [(9001, 1), (9002, 2)]),
        ("UPDATE t SET n = ? WHERE id = ?", [(1, 1.5), (2, "2")]),
        ("UPDATE t SET v = DEFAULT WHERE id = ?", [(1,), (2,)]),
        ("DELETE FROM t WHERE id = ?", [(1,), (1,), (2,), (99_999,), (None,)]),
        ("DELETE FROM t WHERE n = ?", [(1,), (2,)]),
    ],
)
def test_sets_by_key_are_one_batch_with_the_same_end(statement: str, sets: list[Any]) -> None:
    """Growing rows, sealed rows, and rows that the transaction changed before."""

    def filled() -> Connection:
        connection = vsql.connect(autocommit=True)
        connection.execute(
            "CREATE TABLE t (id INT PRIMARY KEY, n INT, v TEXT DEFAULT 'd', m INT"
            " GENERATED ALWAYS AS (n * 2))"
        )
        rows = [(n, n % 7, "x") for n in range(3_000)]
        connection.executemany("INSERT INTO t (id, n, v) VALUES (?, ?, ?)", rows)
        connection.execute("FLUSH")
        connection.executemany("INSERT INTO t (id, n, v) VALUES (?, ?, ?)", [(3_000, 1, "y")])
        connection.execute("DELETE FROM t WHERE id = 2")
        return connection

    with filled() as together, filled() as in_turn:
        found = together.cursor().executemany(statement, sets).rowcount
        expected = sum(in_turn.execute(statement, one).rowcount for one in sets)
        assert (found, _state(together)) == (expected, _state(in_turn))


def test_composite_keys_and_checks() -> None:
    with vsql.connect(autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE t (id INT, b TEXT, n INT CHECK (n > 0), PRIMARY KEY (id, b))"
        )
        connection.executemany("INSERT INTO t VALUES (?, ?, 1)", [(1, "x"), (1, "y"), (2, "x")])
        update = "UPDATE t SET n = ? WHERE b = ? AND id = ?"
        assert connection.executemany(update, [(5, "x", 1), (6, "y", 1)]).rowcount == 2
        assert _state(connection) == [(1, "x", 5), (1, "y", 6), (2, "x", 1)]
        with pytest.raises(vsql.IntegrityError):
            connection.executemany(update, [(7, "x", 1), (-1, "y", 1)])
        assert _state(connection) == [(1, "x", 5), (1, "y", 6), (2, "x", 1)]
        cursor = connection.executemany("DELETE FROM t WHERE id = ? AND b = ?", [(1, "x")] * 2)
        assert (cursor.rowcount, cursor.statusmessage) == (1, "DELETE 1")
