"""Bulk in and out, with the real libraries: pyarrow, pandas, polars, DuckDB and ibis."""

import datetime
import threading
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import vsql
from vsql.driver.connection import Connection

TABLE = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "name": ["ant", None, "cat"],
        "price": [1.5, 2.5, None],
        "e": pa.array([[1, 0], [0, 1], [1, 1]], pa.list_(pa.float32(), 2)),
    }
)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with vsql.connect(":memory:") as connection:
        yield connection


SOURCES: dict[str, Callable[[], Any]] = {
    "table": lambda: TABLE,
    "batch": lambda: TABLE.to_batches()[0],
    "reader": TABLE.to_reader,
    "polars": lambda: pl.DataFrame(TABLE),
    "lazy categories": lambda: pl.DataFrame(TABLE).with_columns(
        pl.col("name").cast(pl.Categorical)
    ),
    "pandas": lambda: TABLE.select(["id", "name", "price"]).to_pandas(),
    "duckdb": lambda: duckdb.from_arrow(TABLE),
    "ibis": lambda: ibis.memtable(TABLE),
    "dict": lambda: {name: TABLE.column(name) for name in TABLE.column_names},
}


@pytest.mark.parametrize("source", SOURCES)
def test_sources(connection: Connection, source: str) -> None:
    cursor = connection.cursor()
    assert cursor.adbc_ingest("t", SOURCES[source]()) == 3
    assert cursor.rowcount == 3 and cursor.description is None
    rows = connection.execute("SELECT id, name, price FROM t ORDER BY id").fetchall()
    assert rows == [(1, "ant", 1.5), (2, None, 2.5), (3, "cat", None)]
    if source != "pandas":
        nearest = connection.execute("SELECT id FROM t ORDER BY e <-> '[0, 1]' LIMIT 1")
        assert nearest.fetchone() == (2,)


def test_a_cursor_is_a_source(connection: Connection) -> None:
    connection.cursor().adbc_ingest("t", TABLE)
    copied = connection.cursor()
    assert copied.adbc_ingest("u", connection.execute("SELECT * FROM t WHERE id > 1")) == 2
    assert connection.execute("SELECT sum(id) FROM u").fetchone() == (5,)


def test_modes(connection: Connection) -> None:
    cursor = connection.cursor()
    with pytest.raises(vsql.ProgrammingError) as caught:
        cursor.adbc_ingest("t", TABLE, "append")
    assert caught.value.sqlstate == "42P01"
    assert cursor.adbc_ingest("t", TABLE, "create_append") == 3
    with pytest.raises(vsql.ProgrammingError) as caught:
        cursor.adbc_ingest("t", TABLE)
    assert caught.value.sqlstate == "42P07"
    assert cursor.adbc_ingest("t", TABLE, "append") == 3
    assert cursor.adbc_ingest("t", TABLE, mode="create_append") == 3
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (9,)
    assert cursor.adbc_ingest("t", TABLE.select(["id"]), "replace") == 3
    cursor.execute("SELECT * FROM t")
    assert [column[0] for column in cursor.description or ()] == ["id"]
    connection.rollback()
    with pytest.raises(vsql.ProgrammingError, match="does not exist"):
        connection.execute("SELECT * FROM t")
    with pytest.raises(vsql.ProgrammingError, match='"crate"') as caught:
        cursor.adbc_ingest("t", TABLE, "crate")
    assert 'did you mean "create"' in str(caught.value)


def test_schemas_and_temporary_tables(connection: Connection) -> None:
    cursor = connection.cursor()
    connection.execute("CREATE SCHEMA s")
    assert cursor.adbc_ingest("t", TABLE, db_schema_name="s") == 3
    assert cursor.adbc_ingest("t", TABLE, db_schema_name="public", temporary=True) == 3
    assert connection.execute("SELECT count(*) FROM s.t JOIN t USING (id)").fetchone() == (3,)


@pytest.mark.parametrize(
    ("rows", "kind", "what"),
    [
        ({"id": [4, 4]}, vsql.IntegrityError, "23505"),
        ({"id": [4, 1]}, vsql.IntegrityError, "23505"),
        ({"id": [4, None]}, vsql.IntegrityError, "23502"),
        ({"id": ["four"]}, vsql.DataError, "22P02"),
        ({"id": [4], "e": [[1.0, 2.0, 3.0]]}, vsql.DataError, "22000"),
        ({"id": [4], "e": [[1.0, float("nan")]]}, vsql.DataError, "22000"),
        ({"id": [4], "n": [-1]}, vsql.IntegrityError, "23514"),
        ({"id": [4], "colour": ["red"]}, vsql.ProgrammingError, "42703"),
    ],
)
def test_rows_are_checked_and_loaded_all_or_none(
    connection: Connection, rows: dict[str, Any], kind: type[vsql.Error], what: str
) -> None:
    connection.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT CHECK (n > 0), e VECTOR(2))")
    connection.execute("INSERT INTO t (id) VALUES (1)")
    with pytest.raises(kind) as caught:
        connection.cursor().adbc_ingest("t", pa.table(rows), "append")
    assert caught.value.sqlstate == what
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_broken_stream_loads_nothing(connection: Connection) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield TABLE.to_batches()[0]
        raise ValueError("the source broke")

    reader = pa.RecordBatchReader.from_batches(TABLE.schema, batches())
    with pytest.raises(vsql.DataError, match="the source broke"):
        connection.cursor().adbc_ingest("t", reader)
    with pytest.raises(vsql.ProgrammingError, match="does not exist"):
        connection.execute("SELECT * FROM t")
    with pytest.raises(vsql.InterfaceError):
        connection.cursor().adbc_ingest("t", object())


def test_a_stream_is_read_in_batches(connection: Connection) -> None:
    """40 batches of 5,000 rows become segments; each batch is let go before the next is made."""
    ended = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal ended
        for number in range(40):
            first = number * 5_000
            ids = pa.array(range(first, first + 5_000), pa.int64())
            yield pa.RecordBatch.from_arrays([ids], names=["id"])
            ended += 1

    schema = pa.schema({"id": pa.int64()})
    connection.execute("SET segment_rows = 50000")
    reader = pa.RecordBatchReader.from_batches(schema, batches())
    assert connection.cursor().adbc_ingest("t", reader) == 200_000
    assert connection.execute("SELECT sum(id) FROM t").fetchone() == (sum(range(200_000)),)
    segments = connection.execute("SELECT count(*) FROM vsql_segments('t')").fetchone()
    assert segments == (4,) and ended == 40


def test_arrow_out(connection: Connection) -> None:
    connection.cursor().adbc_ingest("t", TABLE)
    query = "SELECT id, e FROM t ORDER BY id"
    whole = connection.execute(query).fetchallarrow()
    assert whole.to_pydict() == TABLE.select(["id", "e"]).to_pydict()
    reader = connection.execute(query).fetch_record_batch(2)
    assert [batch.num_rows for batch in reader] == [2, 1]
    cursor = connection.execute(query)
    assert cursor.fetchone() is not None
    assert pa.table(cursor).column("id").to_pylist() == [2, 3]
    assert cursor.fetch_arrow().read_all().num_rows == 2
    assert cursor.fetch_arrow_table().num_rows == 0
    with pytest.raises(vsql.InterfaceError):
        connection.execute("DELETE FROM t").fetch_record_batch()


def test_duckdb_ibis_polars_and_pandas_read_results(connection: Connection) -> None:
    connection.cursor().adbc_ingest("t", TABLE)
    cursor = connection.execute("SELECT id, e FROM t")
    assert duckdb.from_arrow(cursor).aggregate("count(*), max(id)").fetchall() == [(3, 3)]
    prices = connection.execute("SELECT id, price FROM t").fetch_arrow_table()
    assert duckdb.from_arrow(prices).sum("price").fetchall() == [(4.0,)]
    table: Any = ibis.memtable(connection.execute("SELECT * FROM t").fetch_arrow_table())
    assert table.filter(table.id > 1).id.sum().to_pyarrow().as_py() == 5
    frame = pl.DataFrame(connection.execute("SELECT id, e FROM t ORDER BY id"))
    assert frame.columns[0] in ("id", "column_0") and frame.height == 3
    frame = connection.execute("SELECT id, e FROM t ORDER BY id").fetch_polars()
    assert frame["id"].to_list() == [1, 2, 3] and frame["e"].dtype == pl.Array(pl.Float32, 2)
    assert connection.execute("SELECT id FROM t").fetch_df()["id"].sum() == 6


def test_pandas_read_sql(connection: Connection) -> None:
    connection.cursor().adbc_ingest("t", TABLE.select(["id", "name", "price"]))
    with pytest.warns(UserWarning, match="SQLAlchemy"):
        frame = pd.read_sql("SELECT * FROM t WHERE id > ? ORDER BY id", connection, params=(1,))
    assert frame["id"].tolist() == [2, 3] and frame["name"].tolist()[1] == "cat"
    with pytest.warns(UserWarning, match="SQLAlchemy"):
        sizes = [len(part) for part in pd.read_sql("SELECT id FROM t", connection, chunksize=2)]
    assert sizes == [2, 1]
    moments = pd.DataFrame({"at": pd.to_datetime(["2026-11-21 05:04:03.123456"])}, index=[7])
    connection.cursor().adbc_ingest("m", moments)
    assert connection.execute("SELECT * FROM m").fetchall() == [
        (datetime.datetime(2026, 11, 21, 5, 4, 3, 123456),)
    ]


def test_polars_read_database(connection: Connection) -> None:
    connection.cursor().adbc_ingest("t", TABLE)
    frame = pl.read_database("SELECT id, name FROM t ORDER BY id", connection)
    assert frame.rows() == [(1, "ant"), (2, None), (3, "cat")]
    options = {"parameters": (2,)}
    frame = pl.read_database(
        "SELECT id, e FROM t WHERE id = ?", connection.cursor(), execute_options=options
    )
    assert frame["e"].to_list() == [[0.0, 1.0]]
    parts = pl.read_database("SELECT id FROM t", connection, iter_batches=True, batch_size=2)
    assert sum(part.height for part in parts) == 3


def test_polars_write_database(tmp_path: Any) -> None:
    url = f"vsql:///{tmp_path / 'db'}"
    frame = pl.DataFrame({"id": [1, 2], "name": ["ant", None]})
    frame.write_database("t", url)
    frame.write_database("t", url, if_table_exists="append")
    with vsql.connect(tmp_path / "db") as connection:
        rows = connection.execute("SELECT * FROM t ORDER BY id").fetchall()
    assert rows == [(1, "ant"), (1, "ant"), (2, None), (2, None)]


def test_it_can_be_cancelled_from_another_thread(connection: Connection) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(100):
            if number == 1:
                canceller = threading.Thread(target=connection.interrupt)
                canceller.start()
                canceller.join()
            yield pa.RecordBatch.from_arrays([pa.array([number])], names=["id"])

    reader = pa.RecordBatchReader.from_batches(pa.schema({"id": pa.int64()}), batches())
    with pytest.raises(vsql.OperationalError) as caught:
        connection.cursor().adbc_ingest("t", reader)
    assert caught.value.sqlstate == "57014"
    with pytest.raises(vsql.ProgrammingError, match="does not exist"):
        connection.execute("SELECT * FROM t")
    assert connection.execute("SELECT 1").fetchone() == (1,)
