"""Distances to a constant inside of relational queries, against DuckDB's own arithmetic."""

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import vsql
from vsql.driver.connection import Connection

ROWS, WIDTH = 2_000, 4
RANDOM = np.random.default_rng(9)
TABLE = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int32()),
        "g": pa.array(RANDOM.integers(0, 7, ROWS), pa.int32()),
        "e": pa.array(
            [None if n % 30 == 4 else RANDOM.standard_normal(WIDTH).tolist() for n in range(ROWS)],
            pa.list_(pa.float32(), WIDTH),
        ),
    }
)
VECTOR = np.array([0.3, -1.0, 0.5, 2.0], np.float32)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("SET seal_rows = 700")
        connection.execute(f"CREATE TABLE t (id INT PRIMARY KEY, g INT, e VECTOR({WIDTH}))")
        connection.cursor().adbc_ingest("t", TABLE, "append")
        connection.execute("DELETE FROM t WHERE id % 97 = 3")
        connection.execute("INSERT INTO t VALUES (-1, 3, '[1, 1, 1, 1]')")
        connection.execute("CREATE TABLE names (g INT, name TEXT)")
        connection.execute("INSERT INTO names VALUES (0, 'zero'), (1, 'one'), (3, 'three')")
        yield connection


@pytest.fixture(scope="module")
def duck(connection: Connection) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as duck:
        for name in ("t", "names"):
            duck.register(name, connection.execute(f"SELECT * FROM {name}").fetch_arrow_table())
        yield duck


# {d} is a distance of t's vector, {x} that of the alias x.
QUERIES = (
    "SELECT g, min({d}), max({d}), count({d}) FROM t GROUP BY g ORDER BY g",
    "SELECT count(*) FROM t WHERE {d} < 2 AND g IN (SELECT g FROM names)",
    "SELECT id FROM t ORDER BY {d} DESC NULLS LAST LIMIT 5",
    "SELECT DISTINCT ON (g) g, id FROM t WHERE e IS NOT NULL ORDER BY g, {d}",
    "SELECT n.name, avg({x}) FROM t x JOIN names n USING (g) GROUP BY n.name ORDER BY 1",
    "SELECT n.name, (SELECT min({x}) FROM t x WHERE x.g = n.g) FROM names n ORDER BY 1",
    "SELECT a.id, b.id FROM t a JOIN t b ON b.id = a.id + 1 WHERE {a} < {b} AND a.id < 20"
    " ORDER BY 1",
    "SELECT max(id) FILTER (WHERE g = 1) FROM t WHERE {d} < 3",
    "SELECT round(sum(d)::numeric, 2) FROM (SELECT {d} AS d FROM t) AS s",
    "SELECT round({d}::numeric, 1) AS near, count(*) FROM t GROUP BY near ORDER BY near",
    "WITH t AS (SELECT 1 AS id, [1, 2, 3, 4]::FLOAT[4] AS e) SELECT round({d}::numeric, 3) FROM t",
    "SELECT id, rank() OVER (PARTITION BY g ORDER BY {d}) AS r FROM t WHERE id < 40 ORDER BY g, r,"
    " id",
)


def said(query: str, distance: str) -> str:
    return query.format(**{name: distance.format(name) for name in "xab"}, d=distance.format("t"))


@pytest.mark.parametrize("query", QUERIES)
def test_same_as_duckdb(
    connection: Connection, duck: duckdb.DuckDBPyConnection, query: str
) -> None:
    ours = said(query, "({}.e <-> $1)").replace("::FLOAT[4]", "::vector(4)")
    if "WITH t" in query:
        ours = ours.replace("[1, 2, 3, 4]", "'[1, 2, 3, 4]'")
    theirs = said(query, f"array_distance({{}}.e, {VECTOR.tolist()}::FLOAT[{WIDTH}])::DOUBLE")

    def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [tuple(round(float(c), 4) if _is_number(c) else c for c in row) for row in rows]

    found = connection.execute(ours, (VECTOR,)).fetchall()
    assert plain(found) == plain(duck.execute(theirs).fetchall())


def _is_number(cell: Any) -> bool:
    return not isinstance(cell, str | bool | type(None))


def test_no_vector_is_handed_over(connection: Connection) -> None:
    lines = connection.execute(
        "EXPLAIN SELECT g, min(e <-> $1) FROM t GROUP BY g", (VECTOR,)
    ).fetchall()
    assert any(line.strip().startswith("Scan t (g, e <-> ") for (line,) in lines)


def test_a_null_query_and_a_wrong_dimension(connection: Connection) -> None:
    query = "SELECT count(e <-> $1), count(*) FROM t"
    total = connection.execute("SELECT count(*) FROM t").fetchone()
    assert total is not None
    assert connection.execute(query, (None,)).fetchall() == [(0, total[0])]
    with pytest.raises(vsql.DataError) as caught:
        connection.execute(query, ([1, 2],))
    assert caught.value.sqlstate == "22000"
