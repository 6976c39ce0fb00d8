"""Bulk in and out: adbc_ingest, Arrow, pandas, polars, DuckDB and ibis over what we return."""

import json
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas as pd
import polars as pl
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


SOURCES = (
    lambda: data(),
    lambda: data().to_batches()[0],
    lambda: data().to_reader(),
    lambda: pl.from_arrow(data()),
)


@pytest.mark.parametrize("source", SOURCES, ids=["table", "batch", "reader", "polars"])
def test_ingest_takes_whatever_exports_arrow(connection: Connection, source: Any) -> None:
    cursor = connection.cursor()
    assert cursor.adbc_ingest("t", source()) == 5
    assert connection.execute('SELECT "a name", tags FROM t WHERE id = 3').fetchall() == [
        ("n3", ["x", "3"])
    ]
    nearest = connection.execute("SELECT id FROM t ORDER BY e <-> '[4, 5]' LIMIT 1").fetchone()
    assert nearest == (2,)


def test_modes(connection: Connection) -> None:
    cursor = connection.cursor()
    with pytest.raises(vsql.ProgrammingError) as caught:
        cursor.adbc_ingest("t", data(), mode="append")
    assert caught.value.sqlstate == "42P01"
    cursor.adbc_ingest("t", data(), mode="create_append")
    cursor.adbc_ingest("t", data(), mode="create_append")
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (10,)
    with pytest.raises(vsql.ProgrammingError) as caught:
        cursor.adbc_ingest("t", data())
    assert caught.value.sqlstate == "42P07"
    assert cursor.adbc_ingest("t", data(3), mode="replace") == 3
    assert cursor.adbc_ingest("t", data(2), mode="append") == 2
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (5,)
    with pytest.raises(vsql.ProgrammingError):
        cursor.adbc_ingest("t", data(), mode="upsert")  # type: ignore[arg-type]


def test_ingest_checks_what_insert_checks(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, e VECTOR(3))")
    cursor = connection.cursor()
    with pytest.raises(vsql.DataError):
        cursor.adbc_ingest("t", data().select(["id", "e"]), mode="append")
    keys = pa.table({"id": pa.array([1, 1])})
    with pytest.raises(vsql.IntegrityError):
        cursor.adbc_ingest("t", keys, mode="append")
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_transaction_holds_it(tmp_path: Any) -> None:
    with vsql.connect(str(tmp_path / "db")) as connection:
        connection.cursor().adbc_ingest("t", data())
        connection.rollback()
        with pytest.raises(vsql.ProgrammingError):
            connection.execute("SELECT * FROM t")


def test_arrow_out(connection: Connection) -> None:
    connection.cursor().adbc_ingest("t", data(1_000))
    cursor = connection.execute("SELECT id, e FROM t ORDER BY id")
    reader = cursor.fetch_record_batch(256)
    assert [batch.num_rows for batch in reader] == [256, 256, 256, 232]
    arrow = connection.execute("SELECT id, e FROM t ORDER BY id").fetch_arrow_table()
    with duckdb.connect() as duck:
        duck.register("ours", arrow)
        assert duck.execute("SELECT sum(id) FROM ours").fetchone() == (499_500,)
    expression = ibis.memtable(arrow.select(["id"])).id.sum()
    assert ibis.duckdb.connect().to_pyarrow(expression).as_py() == 499_500
    frame = connection.execute("SELECT id, tags FROM t").fetch_polars()
    assert frame.shape == (1_000, 2)
    assert connection.execute("SELECT id FROM t").fetch_df()["id"].sum() == 499_500


def test_pandas_reads_through_the_connection(connection: Connection) -> None:
    connection.cursor().adbc_ingest("t", data())
    with pytest.warns(UserWarning, match="SQLAlchemy"):
        frame = pd.read_sql('SELECT id, "a name" FROM t ORDER BY id', connection)  # type: ignore[call-overload]
    assert frame["id"].tolist() == [0, 1, 2, 3, 4]


def test_polars_reads_through_the_connection(connection: Connection) -> None:
    connection.cursor().adbc_ingest("t", data())
    frame = pl.read_database("SELECT id, tags FROM t ORDER BY id", connection)
    assert frame["id"].to_list() == [0, 1, 2, 3, 4]
    assert frame["tags"].to_list()[1] == ["x", "1"]


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
    assert cursor.nextset() is None  # type: ignore[func-returns-value]
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
