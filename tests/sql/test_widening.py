"""The top k of joins, correlated conditions and groups, against DuckDB over every row."""

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vsql
from vsql.driver.connection import Connection

ROWS, WIDTH = 4_000, 6
RANDOM = np.random.default_rng(5)
VECTORS = RANDOM.standard_normal((ROWS, WIDTH)).astype(np.float32)
ITEMS = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int32()),
        "g": pa.array(RANDOM.integers(0, 40, ROWS), pa.int32()),
        "e": pa.array(
            [None if n % 50 == 7 else v.tolist() for n, v in enumerate(VECTORS)],
            pa.list_(pa.float32(), WIDTH),
        ),
    }
)
ORDERS = pa.table(
    {
        "item": pa.array(RANDOM.integers(0, 2 * ROWS, 900), pa.int32()),
        "n": pa.array(RANDOM.integers(0, 9, 900), pa.int32()),
    }
)
LABELS = pa.table(
    {"g": pa.array(range(0, 40, 3), pa.int32()), "label": [f"l{n}" for n in range(14)]}
)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("SET seal_rows = 1000")
        connection.execute(f"CREATE TABLE items (id INT PRIMARY KEY, g INT, e VECTOR({WIDTH}))")
        connection.execute("CREATE TABLE orders (item INT, n INT)")
        connection.execute("CREATE TABLE labels (g INT, label TEXT)")
        for name, table in (("items", ITEMS), ("orders", ORDERS), ("labels", LABELS)):
            connection.cursor().adbc_ingest(name, table, "append")
        connection.execute("SET access_path = exact")
        yield connection


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as duck:
        for name, table in (("items", ITEMS), ("orders", ORDERS), ("labels", LABELS)):
            duck.register(name, table)
        yield duck


# {d} is the distance of items (i), {k} the limit; every query has one order only.
QUERIES = (
    "SELECT i.id, o.n, {d} AS d FROM items i JOIN orders o ON o.item = i.id ORDER BY {d} LIMIT {k}",
    "SELECT i.id, {d} AS d FROM orders o JOIN items i ON o.item = i.id WHERE o.n = 3"
    " ORDER BY d LIMIT {k} OFFSET 2",
    "SELECT i.id, l.label FROM items i JOIN labels l USING (g) WHERE i.g < 20"
    " ORDER BY {d} LIMIT {k}",
    "SELECT i.id, o.n, l.label FROM items i LEFT JOIN orders o ON o.item = i.id"
    " JOIN labels l ON l.g = i.g WHERE l.label > 'l2' ORDER BY {d} LIMIT {k}",
    "SELECT l.label, i.id FROM labels l LEFT JOIN items i ON i.g = l.g AND i.id < 50"
    " ORDER BY {d} LIMIT {k}",
    "SELECT i.id FROM items i, orders o WHERE o.item = i.id AND i.g = 5 ORDER BY {d} LIMIT {k}",
    "SELECT i.id FROM items i WHERE EXISTS (SELECT 1 FROM orders o WHERE o.item = i.id"
    " AND o.n < 4) ORDER BY {d} LIMIT {k}",
    "SELECT i.id FROM items i WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.item = i.id)"
    " ORDER BY {d} LIMIT {k}",
    "SELECT i.id FROM items i WHERE (SELECT count(*) FROM orders o WHERE o.item = i.id) = 2"
    " ORDER BY {d} LIMIT {k}",
    "SELECT i.id FROM items i WHERE g > 10 AND (SELECT max(n) FROM orders o"
    " WHERE o.item = i.id) > 2 AND id IN (SELECT item FROM orders) ORDER BY {d} LIMIT {k}",
    "SELECT x.id, x.g, x.place FROM (SELECT id, g, {d} AS d, row_number() OVER"
    " (PARTITION BY g ORDER BY {d}) AS place FROM items i) AS x WHERE place <= 2"
    " ORDER BY d LIMIT {k}",
    "SELECT g, id, d FROM (SELECT DISTINCT ON (g) g, id, {d} AS d FROM items i WHERE id % 3 = 1"
    " ORDER BY g, {d}) AS x ORDER BY d LIMIT {k}",
    "SELECT i.id, i.g, {d} AS d FROM items i WHERE id % 3 < 2"
    " QUALIFY row_number() OVER (PARTITION BY g ORDER BY {d}) <= 2 ORDER BY d LIMIT {k}",
    "SELECT i.*, rank() OVER (PARTITION BY g ORDER BY {d}) AS place FROM items i"
    " QUALIFY place = 2 OR place = 4 ORDER BY {d} LIMIT {k} OFFSET 1",
    "SELECT i.id, l.label, row_number() OVER (ORDER BY {d}) AS n FROM items i"
    " JOIN labels l ON l.g = i.g QUALIFY dense_rank() OVER (PARTITION BY l.label ORDER BY {d}) < 4"
    " ORDER BY {d} LIMIT {k}",
    "SELECT i.id, row_number() OVER (ORDER BY {d}) AS n FROM items i ORDER BY {d} LIMIT {k}",
    "SELECT count(*), min(x.id) FROM (SELECT i.id FROM items i JOIN orders o ON o.item = i.id"
    " ORDER BY {d} LIMIT {k}) AS x",
    "WITH few AS (SELECT item FROM orders WHERE n = 1) SELECT i.id FROM items i"
    " JOIN few ON few.item = i.id ORDER BY {d} LIMIT {k}",
    "SELECT i.*, o.n FROM items i JOIN orders o ON o.item = i.id ORDER BY {d} LIMIT {k}",
    "SELECT * FROM orders o JOIN items i ON o.item = i.id ORDER BY {d} LIMIT {k}",
    "SELECT i.id, j.id FROM items i JOIN items j ON j.g = i.g AND j.id = i.id + 40"
    " ORDER BY {d} LIMIT {k}",
)
AMBIGUOUS = (
    "SELECT i.id FROM items i JOIN items j ON j.id = i.id ORDER BY e <-> {q} LIMIT 3",
    "SELECT i.id FROM items i JOIN (SELECT id, e FROM items) AS j ON j.id = i.id"
    " ORDER BY e <-> {q} LIMIT 3",
    "WITH j AS (SELECT id, e FROM items) SELECT i.id FROM items i JOIN j ON j.id = i.id"
    " ORDER BY e <-> {q} LIMIT 3",
)
TOLD = [query for query in QUERIES if "LEFT JOIN items" not in query]


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    def value(cell: Any) -> Any:
        if isinstance(cell, np.ndarray | tuple | list):
            return tuple(round(float(number), 4) for number in cell)
        return round(cell, 4) if isinstance(cell, float) else cell

    return [tuple(value(cell) for cell in row) for row in rows]


@given(seed=st.integers(0, 10_000), query=st.sampled_from(QUERIES), k=st.integers(1, 200))
def test_they_are_those_of_the_whole_table(
    connection: Connection, duck: duckdb.DuckDBPyConnection, seed: int, query: str, k: int
) -> None:
    vector = np.random.default_rng(seed).standard_normal(WIDTH).astype(np.float32)
    found = connection.execute(query.format(d="(i.e <-> $1)", k=k), (vector,)).fetchall()
    literal = f"array_distance(i.e, {vector.tolist()}::FLOAT[{WIDTH}])"
    expected = duck.execute(query.format(d=literal, k=k)).fetchall()
    # A row joined twice has one distance: the order of its copies is nobody's.
    assert sorted(map(repr, plain(found))) == sorted(map(repr, plain(expected)))


@pytest.mark.parametrize("query", TOLD)
def test_the_plan_searches(connection: Connection, query: str) -> None:
    lines = connection.execute("EXPLAIN " + query.format(d="(i.e <-> $1)", k=3), (VECTORS[0],))
    assert any("TopK" in line for (line,) in lines.fetchall())


def test_few_keys_come_before_the_search(connection: Connection) -> None:
    plan = connection.execute(
        "EXPLAIN SELECT i.id FROM items i JOIN orders o ON o.item = i.id WHERE o.n = 3"
        " ORDER BY i.e <-> $1 LIMIT 3",
        (VECTORS[0],),
    )
    assert any("filter: id IN" in line for (line,) in plan.fetchall())


@pytest.mark.parametrize(
    "query",
    [
        "SELECT l.label FROM labels l LEFT JOIN items i ON i.g = l.g ORDER BY i.e <-> $1 LIMIT 3",
        "SELECT i.id FROM items i FULL JOIN labels l ON l.g = i.g ORDER BY i.e <-> $1 LIMIT 3",
        "SELECT i.id, sum(i.id) OVER () FROM items i JOIN labels l ON l.g = i.g"
        " ORDER BY i.e <-> $1 LIMIT 3",
        "SELECT i.id FROM items i QUALIFY row_number() OVER (PARTITION BY g ORDER BY id) = 1"
        " ORDER BY i.e <-> $1 LIMIT 3",
        "SELECT i.id FROM items i QUALIFY row_number() OVER (PARTITION BY g"
        " ORDER BY i.e <-> $1 DESC) = 1 ORDER BY i.e <-> $1 LIMIT 3",
        "SELECT i.id FROM items i QUALIFY count(*) OVER (PARTITION BY g ORDER BY i.e <-> $1) = 1"
        " ORDER BY i.e <-> $1 LIMIT 3",
        "SELECT DISTINCT i.g, i.e <-> $1 AS d FROM items i JOIN labels l ON l.g = i.g"
        " ORDER BY d LIMIT 3",
        "SELECT i.id FROM items i JOIN labels l ON l.g = i.g ORDER BY i.e <-> $1 DESC LIMIT 3",
    ],
)
def test_where_far_rows_count_all_are_read(connection: Connection, query: str) -> None:
    lines = connection.execute("EXPLAIN " + query, (VECTORS[0],)).fetchall()
    assert not any("TopK" in line for (line,) in lines)


def test_the_search_widens_and_says_so(connection: Connection) -> None:
    analyzed = connection.execute(
        "EXPLAIN ANALYZE SELECT i.id FROM items i WHERE"
        " (SELECT count(*) FROM orders o WHERE o.item = i.id) = 3 ORDER BY i.e <-> $1 LIMIT 20",
        (VECTORS[0],),
    ).fetchall()
    assert any("nearest rows gave" in line for (line,) in analyzed)


@pytest.mark.parametrize("query", AMBIGUOUS)
def test_a_name_of_two_relations_is_refused(connection: Connection, query: str) -> None:
    with pytest.raises(vsql.ProgrammingError, match=r"(?i)ambiguous reference to column"):
        connection.execute(query.format(q="'[1,2,3,4,5,6]'"))
