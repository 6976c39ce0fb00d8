"""LATERAL searches: each outer row's nearest rows, as one batch, against DuckDB row by row."""

import re
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
from vsql.planner.volatile import VOLATILE_FUNCTIONS

ROWS, ASKING, WIDTH = 600, 40, 4
RANDOM = np.random.default_rng(11)


def _vectors(count: int, missing: int) -> pa.Array:
    vectors = RANDOM.standard_normal((count, WIDTH)).astype(np.float32)
    rows = [None if n % missing == 3 else v.tolist() for n, v in enumerate(vectors)]
    return pa.array(rows, pa.list_(pa.float32(), WIDTH))


DOCS = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int32()),
        "g": pa.array(RANDOM.integers(0, 8, ROWS), pa.int32()),
        "e": _vectors(ROWS, 4),
    }
)
ASKED = pa.table(
    {
        "n": pa.array(range(ASKING), pa.int32()),
        "h": pa.array(RANDOM.integers(0, 8, ASKING), pa.int32()),
        "v": _vectors(ASKING, 9),
    }
)
PICKS = pa.table({"asked": pa.array([3, 5, 12, 12, 30, 99], pa.int32())})
TABLES = {"docs": DOCS, "asked": ASKED, "picks": PICKS}

# {near} is the lateral search of docs by q.v.
QUERIES = (
    "SELECT q.n, x.* FROM asked q CROSS JOIN LATERAL {near} x",
    "SELECT q.n, x.id, x.d FROM asked q, LATERAL {near} x WHERE q.n % 7 = 3",
    "SELECT n, x.id FROM asked q CROSS JOIN LATERAL {near} x WHERE n < 9 AND x.id > 50",
    "SELECT q.n, x.id, x.d FROM asked q LEFT JOIN LATERAL {near} x ON true WHERE q.h = 2",
    "SELECT q.n, x.id FROM (SELECT * FROM asked WHERE h > 4) AS q CROSS JOIN LATERAL {near} x",
    "SELECT q.n, x.id FROM (SELECT n + 1 AS n, v FROM asked ORDER BY n LIMIT 5) AS q"
    " CROSS JOIN LATERAL {near} x WHERE q.n > 2",
    "SELECT q.a, x.id FROM (SELECT n, v FROM asked) AS q(a, v) CROSS JOIN LATERAL {near} x",
    "SELECT q.a, x.id FROM asked AS q(a, h, v) CROSS JOIN LATERAL {near} x WHERE q.a < 9",
    "WITH q AS (SELECT n, v FROM asked WHERE h < 3) SELECT q.n, x.id, x.d FROM q"
    " CROSS JOIN LATERAL {near} x",
    "WITH few AS (SELECT n, h, v FROM asked WHERE h < 5), more AS (SELECT * FROM few WHERE n > 4)"
    " SELECT q.n, x.id, (SELECT count(*) FROM few) FROM more q CROSS JOIN LATERAL {near} x",
    "SELECT q.n, p.asked, x.id FROM picks p JOIN asked q ON q.n = p.asked"
    " CROSS JOIN LATERAL {near} x",
    "SELECT q.n, p.asked, x.id FROM asked q LEFT JOIN picks p ON q.n = p.asked"
    " CROSS JOIN LATERAL {near} x WHERE q.n < 20",
    "SELECT q.n, x.id, y.id FROM asked q CROSS JOIN LATERAL {near} x"
    " CROSS JOIN LATERAL (SELECT id FROM docs ORDER BY l2(e, q.v) LIMIT 1) y WHERE q.n = 8",
    "SELECT q.n, avg(x.id) AS mean FROM asked q CROSS JOIN LATERAL {near} x GROUP BY q.n",
    "SELECT count(*) FROM (SELECT q.n FROM asked q CROSS JOIN LATERAL {near} x) AS all_of_them",
    "SELECT * FROM (SELECT n, h FROM asked) o JOIN (SELECT q.n, x.id FROM asked q"
    " CROSS JOIN LATERAL {near} x) AS near USING (n)",
    "SELECT q.n, x.id FROM docs q0 JOIN asked q ON q.n = q0.id CROSS JOIN LATERAL {near} x",
    "SELECT q.n, x.id FROM asked q CROSS JOIN LATERAL {near} x"
    " WHERE q.n IN (SELECT asked FROM picks)",
    "SELECT q.n, x.id FROM asked q CROSS JOIN LATERAL {near} x"
    " WHERE EXISTS (SELECT 1 FROM picks p WHERE p.asked = q.n)",
    "SELECT o.h, (SELECT max(x.id) FROM asked q CROSS JOIN LATERAL {near} x WHERE q.h = o.h)"
    " FROM asked o WHERE o.n < 6",
)
NEAR = (
    "(SELECT id, l2(e, q.v) AS d FROM docs ORDER BY d LIMIT {k})",
    "(SELECT id, l2(e, q.v) AS d FROM docs WHERE g < 3 ORDER BY d LIMIT {k} OFFSET 2)",
    "(SELECT id, l2(e, q.v) AS d FROM docs WHERE id IN (SELECT asked * 2 FROM picks)"
    " ORDER BY d LIMIT {k})",
    "(SELECT i.id, l2(q.v, i.e) AS d FROM docs AS i WHERE g = 1 ORDER BY l2(q.v, i.e) LIMIT {k})",
    # Another distance is not the one that orders, and WHERE is asked before there is one.
    "(SELECT id, l2(e, q.v) AS d, cosine(e, q.v) AS m FROM docs ORDER BY d LIMIT {k})",
    "(SELECT id, l2(e, q.v) > cosine(q.v, e) AS d FROM docs ORDER BY l2(e, q.v) LIMIT {k})",
    "(SELECT id, l2(e, q.v) - l2(q.v, e) AS d FROM docs ORDER BY l2(q.v, e) LIMIT {k})",
    "(SELECT id, l2(e, q.v) AS d FROM docs WHERE l2(e, q.v) < 1.5 ORDER BY d LIMIT {k})",
)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("SET seal_rows = 200")
        connection.execute(f"CREATE TABLE docs (id INT PRIMARY KEY, g INT, e VECTOR({WIDTH}))")
        connection.execute(f"CREATE TABLE asked (n INT, h INT, v VECTOR({WIDTH}))")
        for name in ("docs", "asked"):
            connection.cursor().adbc_ingest(name, TABLES[name], "append")
        connection.register("picks", PICKS)
        yield connection


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as duck:
        for name, table in TABLES.items():
            duck.register(name, table)
        duck.execute("CREATE MACRO l2(a, b) AS array_distance(a, b)")
        duck.execute("CREATE MACRO cosine(a, b) AS array_cosine_distance(a, b)")
        yield duck


def rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(round(v, 4) if isinstance(v, float) else v for v in row) for row in rows]


@pytest.mark.parametrize("query", QUERIES)
@given(near=st.sampled_from(NEAR), k=st.sampled_from(["2", "700"]))
def test_they_are_those_of_each_row_alone(
    connection: Connection, duck: duckdb.DuckDBPyConnection, query: str, near: str, k: str
) -> None:
    statement = query.format(near=near.format(k=k))
    ours = statement.replace("l2(", "l2_distance(").replace("cosine(", "cosine_distance(")
    found = connection.execute(ours).fetchall()
    # Rows without a distance come in the order of their keys.
    told = re.sub(r"ORDER BY (d|l2\(.*?\)) (?=LIMIT)", r"ORDER BY \1 NULLS LAST, id ", statement)
    expected = duck.execute(told).fetchall()
    assert sorted(map(repr, rounded(found))) == sorted(map(repr, rounded(expected)))


BATCHES = QUERIES[:-1]


@pytest.mark.parametrize("query", BATCHES)
def test_they_are_one_batch(connection: Connection, query: str) -> None:
    statement = query.format(near=NEAR[0].format(k=3)).replace("l2(", "l2_distance(")
    plan = "\n".join(line for (line,) in connection.execute("EXPLAIN " + statement))
    assert "Batch of searches, one per row of" in plan
    assert "ARRAY_DISTANCE" not in plan


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT q.n, x.id FROM asked q CROSS JOIN LATERAL {near} x WHERE q.n = 5",
        "SELECT q.n, x.id FROM asked q CROSS JOIN LATERAL {near} x WHERE n = 5",
        "SELECT q.n, x.id FROM (SELECT * FROM asked WHERE n = 5) q CROSS JOIN LATERAL {near} x",
        "WITH q AS (SELECT * FROM asked WHERE n = 5) SELECT n, id FROM q, LATERAL {near} x",
    ],
)
def test_only_rows_that_come_out_ask(connection: Connection, statement: str) -> None:
    statement = statement.format(near=NEAR[0].format(k=3)).replace("l2(", "l2_distance(")
    plan = connection.execute("EXPLAIN " + statement).fetchall()
    assert any("filter: n = 5" in line for (line,) in plan)


def test_columns_of_the_batch_do_not_show(connection: Connection) -> None:
    near = NEAR[0].format(k=2).replace("l2(", "l2_distance(")
    for columns, names in (
        ("*", ["n", "h", "v", "id", "d"]),
        ("q.*", ["n", "h", "v"]),
        ("x.*, q.n", ["id", "d", "n"]),
        ("* EXCLUDE (v)", ["n", "h", "id", "d"]),
    ):
        cursor = connection.execute(f"SELECT {columns} FROM asked q CROSS JOIN LATERAL {near} x")
        assert [column[0] for column in cursor.description or ()] == names
    unnamed = "(SELECT id, l2_distance(e, q.v) FROM docs ORDER BY l2_distance(e, q.v) LIMIT 2)"
    for columns in ("x.*", "*, 1"):
        cursor = connection.execute(f"SELECT {columns} FROM asked q CROSS JOIN LATERAL {unnamed} x")
        assert "l2_distance" in [column[0] for column in cursor.description or ()]


VOLATILE = ("random()", "uuidv7()", "clock_timestamp()", "now()", "current_timestamp", "uuid()")


@pytest.mark.parametrize("value", VOLATILE)
@pytest.mark.parametrize("known", ["(SELECT u FROM a)", "(q.u)"])
def test_what_is_volatile_is_read_once(connection: Connection, value: str, known: str) -> None:
    near = NEAR[0].format(k=3).replace("l2(", "l2_distance(")
    statement = (
        f"WITH a AS (SELECT n, v, {value} AS u FROM asked WHERE n < 5)"
        f" SELECT bool_and(q.u IN {known}) FROM a q CROSS JOIN LATERAL {near} x"
    )
    assert connection.execute(statement).fetchall() == [(True,)]
    plan = "\n".join(line for (line,) in connection.execute("EXPLAIN " + statement))
    assert ("Batch of searches" in plan) == (known == "(q.u)")


def test_the_functions_that_are_not_consistent_are_known(duck: duckdb.DuckDBPyConnection) -> None:
    found = duck.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions()"
        " WHERE function_type = 'scalar' AND stability <> 'CONSISTENT'"
    )
    assert {name for (name,) in found.fetchall()} <= VOLATILE_FUNCTIONS


def test_parameters_of_values_ask(connection: Connection) -> None:
    cursor = connection.execute(
        "SELECT q.n, x.id FROM (VALUES (1, ?::vector(4)), (2, ?::vector(4))) AS q(n, v)"
        " CROSS JOIN LATERAL (SELECT id FROM docs ORDER BY e <-> q.v LIMIT 1) x ORDER BY 1",
        (DOCS["e"][20].as_py(), DOCS["e"][41].as_py()),
    )
    assert cursor.fetchall() == [(1, 20), (2, 41)]


def test_zero_vectors_come_before_rows_without_one() -> None:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("SET seal_rows = 2")
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, e VECTOR(2))")
        for rows in ("(1, NULL), (2, '[0,0]')", "(3, '[1,1]'), (4, NULL)", "(5, '[0,0]')"):
            connection.execute(f"INSERT INTO t VALUES {rows}")
        near = "SELECT id FROM t ORDER BY e <=> {} LIMIT 4"
        alone = connection.execute(near.format("'[1,0]'")).fetchall()
        asked = "SELECT x.id FROM (VALUES ('[1,0]'::vector(2))) AS q(v) CROSS JOIN LATERAL ({}) x"
        assert connection.execute(asked.format(near.format("q.v"))).fetchall() == alone
        assert [row[0] for row in alone[:3]] == [3, 2, 5]


WHOLE_ROWS = (
    "SELECT x FROM asked q CROSS JOIN LATERAL {near} x",
    "SELECT Q AS q, x.id FROM asked q CROSS JOIN LATERAL {near} x ORDER BY q",
    "SELECT x AS found, (x).id FROM asked q LEFT JOIN LATERAL {near} x ON true",
    "SELECT q.h, max(x) FROM asked q CROSS JOIN LATERAL {near} x GROUP BY q.h",
    "SELECT d, min(l2(e, [1, 2, 3, 4])) FROM docs d WHERE id < 9 GROUP BY d",
    "SELECT d FROM docs d JOIN asked q ON q.n = d.id ORDER BY l2(d.e, [1, 2, 3, 4]) LIMIT 1",
    # A column of the name is nearer than the row.
    "SELECT d FROM asked q CROSS JOIN LATERAL {near} d",
)


@pytest.mark.parametrize("query", WHOLE_ROWS)
def test_whole_rows_show_no_columns_of_the_plan(
    connection: Connection, duck: duckdb.DuckDBPyConnection, query: str
) -> None:
    statement = query.format(near=NEAR[1].format(k=3))
    found = connection.execute(statement.replace("l2(", "l2_distance("))
    expected = duck.execute(statement.replace("[1, 2, 3, 4]", "[1, 2, 3, 4]::FLOAT[4]"))
    assert [c[0] for c in found.description][:1] == [c[0] for c in expected.description][:1]
    shown = [re.findall(r"'(\w+)':", repr(row)) for row in found]
    assert sorted(shown) == sorted(re.findall(r"'(\w+)':", repr(r)) for r in expected.fetchall())


@pytest.mark.parametrize(
    ("columns", "read"),
    [
        ("q.n, x.id, x.d", ["output: n, id, d", "output: id, d", "output: n, v"]),
        ("q.n + 1, x.id, x.d", ["output: id, vsql_distance"]),
    ],
)
def test_a_batch_reads_no_vectors_that_nobody_asks_for(
    connection: Connection, columns: str, read: list[str]
) -> None:
    near = NEAR[0].format(k=3).replace("l2(", "l2_distance(")
    statement = f"SELECT {columns} FROM asked q CROSS JOIN LATERAL {near} x"
    plan = [line.strip() for (line,) in connection.execute(f"EXPLAIN {statement}")]
    assert [line for line in plan if "output" in line] == read
