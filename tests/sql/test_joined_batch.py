"""LATERAL searches beside the rows that ask, without DuckDB, against the same statements in it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import vsql
from vsql.core.errors import Error
from vsql.driver.connection import Connection

ROWS, ASKING, WIDTH = 400, 30, 3
RANDOM = np.random.default_rng(5)
NATIVE = "Batch of searches, one per row of "


def _vectors(count: int) -> pa.Array:
    """Return vectors of which some are NULL, some zero, and some alike."""
    rows: list[Any] = RANDOM.standard_normal((count, WIDTH)).astype(np.float32).tolist()
    for number in range(count):
        if number % 7 == 3:
            rows[number] = (None, [0.0] * WIDTH, [1.0] * WIDTH)[number // 7 % 3]
    return pa.array(rows, pa.list_(pa.float32(), WIDTH))


def _missing(values: list[Any], every: int) -> list[Any]:
    return [None if number % every == 1 else value for number, value in enumerate(values)]


DOCS = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int32()),
        "g": pa.array(_missing([n % 8 for n in range(ROWS)], 11), pa.int16()),
        "name": pa.array(_missing([f"name {n % 40}" for n in range(ROWS)], 5)),
        "price": pa.array(_missing([n % 9 / 4 for n in range(ROWS)], 13)),
        "e": _vectors(ROWS),
    }
)
# Two rows ask by each number.
ASKED = pa.table(
    {
        "n": pa.array([n // 2 for n in range(ASKING)], pa.int64()),
        "name": pa.array(_missing([f"asks {n % 4}" for n in range(ASKING)], 6)),
        "v": _vectors(ASKING),
    }
)


def _filled(connection: Connection, kind: str) -> None:
    if kind == "segments":
        connection.execute("SET seal_rows = 60")
    connection.execute(
        f"CREATE TABLE docs (id INT PRIMARY KEY, g SMALLINT, name TEXT, price DOUBLE PRECISION,"
        f" e VECTOR({WIDTH}))"
    )
    connection.execute(f"CREATE TABLE asked (n BIGINT, name TEXT, v VECTOR({WIDTH}))")
    for at in range(0, ROWS, 50):
        connection.cursor().adbc_ingest("docs", DOCS.slice(at, 50), "append")
    connection.cursor().adbc_ingest("asked", ASKED, "append")
    if kind == "indexed":
        connection.execute("FLUSH")
        connection.execute("CREATE INDEX ON docs USING HNSW (e vector_l2_ops)")
        connection.execute("CREATE INDEX ON docs USING IVF_FLAT (e vector_cosine_ops)")
    if kind != "growing":
        connection.execute(
            "INSERT INTO docs VALUES (900, 2, 'new', 1, '[1,0,0]'), (901, 3, NULL, 2, NULL)"
        )
    connection.execute("DELETE FROM docs WHERE id % 10 = 4")
    connection.execute("DELETE FROM asked WHERE n = 3")
    connection.execute("CREATE VIEW seen AS SELECT v, n FROM asked WHERE n > 2")
    connection.execute(f"CREATE TABLE nobody (n BIGINT, name TEXT, v VECTOR({WIDTH}))")
    connection.execute("CREATE TABLE nothing (id INT, name TEXT, g INT, e VECTOR(3))")
    connection.register("given", ASKED)


@pytest.fixture(scope="module", params=["growing", "segments", "indexed", "written"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """Give a connection, in a transaction that wrote all of it where the rows are just written."""
    own = request.param == "written"
    with vsql.connect(autocommit=not own) as opened:
        _filled(opened, request.param)
        yield opened
        if own:
            opened.rollback()


ASKS = (
    *("asked q", "given q", "given AS q", "nobody q", "seen q", "public.asked q"),
    "(SELECT v, n FROM asked WHERE n > 4) q",
    "(SELECT n, v FROM asked ORDER BY n DESC LIMIT 7) AS q",
    "(SELECT id AS n, e AS v FROM docs WHERE id < :most ORDER BY e <-> '[1,1,1]' LIMIT 9) q",
)
# Conditions on the rows that ask; those of registered data are DuckDB's.
WHERES = ("", "", "WHERE q.n % 3 = 1", "WHERE q.n < :most AND q.name IS NOT NULL", "WHERE q.n = 5")
NEAR = (
    "SELECT id, e <-> q.v AS d FROM docs ORDER BY d LIMIT 4",
    "SELECT id, e <=> q.v AS d FROM docs ORDER BY d LIMIT :k",
    "SELECT * FROM docs ORDER BY q.v <-> e LIMIT 3 OFFSET 2",
    "SELECT d.id, d.name, e <#> q.v AS d FROM docs d WHERE g IN (1, 2) ORDER BY 3 LIMIT 5",
    "SELECT id, price, name, e <+> q.v AS d FROM docs WHERE g > :g AND name <> 'name 3'"
    " ORDER BY d LIMIT :k",
    "SELECT id, e <-> q.v AS d FROM docs WHERE id = 30 ORDER BY d LIMIT 4 OFFSET :skipped",
    "SELECT id, e <-> q.v AS d FROM docs WHERE g = 99 ORDER BY d LIMIT 3",
    "SELECT id, e <-> q.v AS d FROM docs ORDER BY d LIMIT 0",
    "SELECT id, e <-> q.v AS d FROM docs ORDER BY d LIMIT 1000",
    "SELECT id, e <-> q.v AS d, e FROM docs WHERE e IS NOT NULL ORDER BY e <-> q.v LIMIT 2",
    "SELECT id, g FROM nothing ORDER BY e <-> q.v LIMIT 2",
)
JOINS = (
    "{asks} CROSS JOIN LATERAL ({near}) x",
    "{asks}, LATERAL ({near}) AS x",
    "{asks} JOIN LATERAL ({near}) x ON true",
    "{asks} LEFT JOIN LATERAL ({near}) x ON true",
    "{asks} LEFT JOIN LATERAL ({near}) AS x(id) ON TRUE",
)
SHOWN = (
    "q.n, x.id",
    "x.*, q.*",
    "*",
    'x.id AS a, q.n AS "A", x.id, n AS a',
    "q.v, x.id AS near, q.n",
    "q.*",
    "n, id",
)
TAILS = (
    *("", "", "LIMIT 11", "LIMIT :k OFFSET 5", "LIMIT 0"),
    "ORDER BY q.n, x.id",
    "ORDER BY x.id DESC, q.n LIMIT 12",
    "ORDER BY q.n DESC NULLS LAST, id NULLS FIRST OFFSET 3",
)
GIVEN = {"most": 9, "k": 6, "g": 2, "skipped": 1}


def _in_duckdb(connection: Connection, select: str, where: str, tail: str) -> Any:
    # A condition on nothing is one that no scan takes.
    forced = f"{select} {where} AND true {tail}" if where else f"{select} WHERE true {tail}"
    (plan,) = connection.execute(f"EXPLAIN {forced}", GIVEN).fetchone() or ("",)
    assert plan == "DuckDB", forced
    return connection.execute(forced, GIVEN)


def _shown(rows: list[tuple[Any, ...]]) -> list[str]:
    return [repr(row) for row in rows]


@settings(max_examples=50)
@given(
    asks=some.sampled_from(ASKS),
    where=some.sampled_from(WHERES),
    near=some.sampled_from(NEAR),
    join=some.sampled_from(JOINS),
    shown=some.sampled_from(SHOWN),
    tail=some.sampled_from(TAILS),
)
def test_rows_are_those_of_duckdb(
    connection: Connection, asks: str, where: str, near: str, join: str, shown: str, tail: str
) -> None:
    if "SELECT" in asks or "seen" in asks:
        where = ""
    select = f"SELECT {shown} FROM {join.format(asks=asks, near=near)}"
    statement = f"{select} {where} {tail}"
    expected = _in_duckdb(connection, select, where, tail)
    found = connection.execute(statement, GIVEN)
    assert found.description == expected.description
    rows, wanted = _shown(found.fetchall()), _shown(expected.fetchall())
    if "LIMIT" in tail or "OFFSET" in tail:
        # Which of the rows that are alike in the keys come is left open.
        everything = _in_duckdb(connection, select, where, "").fetchall()
        assert len(rows) == len(wanted) and {*rows} <= {*_shown(everything)}
    else:
        assert sorted(rows) == sorted(wanted)
    if "ORDER" in tail and shown == SHOWN[0]:
        assert rows == wanted
    (plan,) = connection.execute(f"EXPLAIN {statement}", GIVEN).fetchone() or ("",)
    assert plan.startswith(NATIVE) != ("given" in asks and where != ""), statement


PLAIN = "(SELECT id, e <-> q.v AS d FROM docs ORDER BY d LIMIT 4) x"
# What DuckDB runs, since it is more than columns of both sides.
OTHERS = (
    f"SELECT q.n + 1, x.id FROM asked q CROSS JOIN LATERAL {PLAIN}",
    f"SELECT DISTINCT q.n FROM asked q CROSS JOIN LATERAL {PLAIN}",
    f"SELECT q.n, count(*) FROM asked q CROSS JOIN LATERAL {PLAIN} GROUP BY q.n",
    f"SELECT q.n, x.id FROM asked q CROSS JOIN LATERAL {PLAIN} WHERE x.d < 1",
    f"SELECT q.n, x.id FROM asked q CROSS JOIN LATERAL {PLAIN} ORDER BY q.n + x.id",
    f"SELECT q.n, x.id FROM asked q CROSS JOIN LATERAL {PLAIN} JOIN docs d ON d.id = x.id",
    f"SELECT q.a, x.id FROM asked AS q(a, name, v) CROSS JOIN LATERAL {PLAIN}",
    f"SELECT q, x.id FROM asked q CROSS JOIN LATERAL {PLAIN}",
    f"SELECT q.*, x.* EXCLUDE (d) FROM asked q CROSS JOIN LATERAL {PLAIN}",
    f"WITH q AS (SELECT * FROM asked) SELECT q.n, x.id FROM q CROSS JOIN LATERAL {PLAIN}",
    f"SELECT q.n, x.id FROM asked q CROSS JOIN LATERAL {PLAIN}"
    " ORDER BY q.n FETCH FIRST 3 ROWS WITH TIES",
    "SELECT q.n, x.* FROM asked q CROSS JOIN LATERAL"
    " (SELECT id, id, name FROM docs ORDER BY e <-> q.v LIMIT 2) x",
    "SELECT q.n, x.b FROM asked q CROSS JOIN LATERAL"
    " (SELECT id AS a, a AS b FROM docs ORDER BY e <-> q.v LIMIT 2) x",
    "SELECT q.n, x.m FROM asked q CROSS JOIN LATERAL"
    " (SELECT upper(name) AS m FROM docs ORDER BY e <-> q.v LIMIT 2) x",
    "SELECT q.n, x.id FROM asked q CROSS JOIN LATERAL"
    " (SELECT id FROM docs WHERE id IN (SELECT n FROM asked) ORDER BY e <-> q.v LIMIT 2) x",
)


@pytest.mark.parametrize("statement", OTHERS)
def test_more_than_columns_enters_duckdb(connection: Connection, statement: str) -> None:
    assert connection.execute(f"EXPLAIN {statement}").fetchone() == ("DuckDB",)
    assert connection.execute(statement).fetchall()


def test_rows_come_in_the_order_of_those_that_ask(connection: Connection) -> None:
    rows = connection.execute(f"SELECT * FROM given q LEFT JOIN LATERAL {PLAIN} ON true").fetchall()
    asked = [tuple(row.values()) for row in ASKED.select(["n", "name"]).to_pylist()]
    assert [row[:2] for row in rows] == [row for row in asked for _ in range(4)]
    for start in range(0, len(rows), 4):
        distances = [row[-1] for row in rows[start : start + 4] if row[-1] is not None]
        assert distances == sorted(distances)


@pytest.mark.parametrize(
    "order",
    [
        "d DESC, q.n, x.id, q.name",
        "3 DESC NULLS LAST, x.id DESC, n, 4 DESC",
        "x.d NULLS FIRST, q.n DESC, x.id, q.name",
        "q.name, x.d DESC, q.n, x.id",
        "q.name DESC NULLS LAST, q.n DESC, x.d, x.id",
    ],
)
def test_rows_are_ordered_as_duckdb_orders_them(connection: Connection, order: str) -> None:
    select = (
        "SELECT q.n, x.id, x.d, q.name FROM asked q LEFT JOIN LATERAL"
        " (SELECT id, e <=> q.v AS d FROM docs ORDER BY d LIMIT 390) x ON true"
    )
    found = connection.execute(f"{select} ORDER BY {order}").fetchall()
    expected = _in_duckdb(connection, select, "", f"ORDER BY {order}").fetchall()
    assert {"nan", "None"} <= {str(row[2]) for row in found}
    assert _shown(found) == _shown(expected)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT name FROM asked q CROSS JOIN LATERAL (SELECT name, e <-> q.v AS d FROM docs"
         " ORDER BY d LIMIT 1) x", "42702"),
        (f"SELECT x.nothing FROM asked q CROSS JOIN LATERAL {PLAIN}", "42703"),
        (f"SELECT z.id FROM asked q CROSS JOIN LATERAL {PLAIN}", "42P01"),
        (f"SELECT q.n FROM asked q CROSS JOIN LATERAL {PLAIN} WHERE nothing = 1", "42703"),
        (f"SELECT q.n FROM asked q CROSS JOIN LATERAL {PLAIN} LIMIT -1", "2201W"),
        (f"SELECT q.n FROM asked q CROSS JOIN LATERAL {PLAIN} LIMIT :missing", "42P02"),
        (f"SELECT q.n FROM asked q CROSS JOIN LATERAL {PLAIN}(a, b, c)", "42P10"),
    ],
)  # fmt: skip
def test_what_is_wrong_says_so(connection: Connection, statement: str, code: str) -> None:
    with pytest.raises(Error) as caught:
        connection.execute(statement, {"other": 1})
    assert caught.value.sqlstate == code


def test_registered_columns_are_as_those_of_duckdb() -> None:
    ones = {
        "u8": pa.array([2, 1], pa.uint8()),
        "u64": pa.array([2, 1], pa.uint64()),
        "f16": pa.array(np.array([1, 2], np.float16)),
        "large": pa.array(["b", "a"], pa.large_string()),
        "view": pa.array(["b", "a"], pa.string_view()),
        "few": pa.array(["b", "a"]).dictionary_encode(),
        "nothing": pa.array([None, None]),
        "bytes": pa.array([b"a" * 16] * 2, pa.binary(16)),
        "day": pa.array([0, 86_400_000], pa.date64()),
        "second": pa.array([1, 2], pa.time32("s")),
        "moment": pa.array([1, 2], pa.timestamp("ns")),
        "zoned": pa.array([1, 2], pa.timestamp("us", "Europe/Berlin")),
        "span": pa.array([1, 2], pa.duration("us")),
        "list": pa.array([[1], [2]], pa.large_list(pa.int64())),
        "pair": pa.array([{"a": 1}, {"a": 2}]),
        "v64": pa.array([[0.1, 0.0]] * 2, pa.list_(pa.float64(), 2)),
    }
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE docs (id INT PRIMARY KEY, e VECTOR(2))")
        connection.execute("INSERT INTO docs VALUES (1, '[1,0]'), (2, '[0,1]')")
        asks = pa.array([[1.0, 0.0], [0.0, 1.0]], pa.list_(pa.float32(), 2))
        connection.register("q", pa.table({**ones, "v": asks}))
        near = "(SELECT id FROM docs ORDER BY e <-> q.v LIMIT 2) x"
        for name in (*ones, "v"):
            select = f"SELECT q.{name}, x.id FROM q CROSS JOIN LATERAL {near}"
            for order in ("", f"ORDER BY q.{name}, x.id"):
                found = connection.execute(f"{select} {order}")
                expected = connection.execute(f"{select} WHERE true {order}")
                assert found.description == expected.description
                assert sorted(map(repr, found)) == sorted(map(repr, expected))


def test_a_kept_statement_reads_what_is_there_now() -> None:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE docs (id INT PRIMARY KEY, e VECTOR(2))")
        connection.execute("INSERT INTO docs VALUES (1, '[1,0]')")
        query = (
            "SELECT a.id, b.id FROM docs a CROSS JOIN LATERAL"
            " (SELECT id FROM docs i ORDER BY i.e <-> a.e LIMIT 1) b"
        )
        assert connection.execute(query).fetchall() == [(1, 1)]
        connection.execute("INSERT INTO docs VALUES (2, '[0,1]')")
        assert connection.execute(query).fetchall() == [(1, 1), (2, 2)]
        connection.execute("DELETE FROM docs WHERE id = 1")
        assert connection.execute(query).fetchall() == [(2, 2)]


def test_explain_tells_the_batch_and_the_way_it_went(connection: Connection) -> None:
    statement = (
        "SELECT q.n, x.id FROM asked q LEFT JOIN LATERAL (SELECT id FROM docs WHERE g < 5"
        " ORDER BY e <-> q.v LIMIT 4) x ON true WHERE q.n < 9 ORDER BY q.n DESC, x.id LIMIT 7"
    )
    lines = [line for (line,) in connection.execute(f"EXPLAIN ANALYZE {statement}")]
    assert lines[0] == "Batch of searches, one per row of asked, by v, limit 7"
    told = {line.strip().split("  ")[0] for line in lines}
    assert told >= {
        "output: n, id",
        "order: n descending, NULL first, id",
        "left join: rows that find nothing stay",
        "TopK 4 of docs by e <-> query",
        "filter: g < 5",
        "Scan asked",
        "output: n, v",
        "filter: n < 9",
    }
    assert any(" queries at once" in line for line in lines), lines


def test_rows_deleted_since_leave_the_batch_its_index() -> None:
    rows = 4_000
    vectors = RANDOM.standard_normal((rows, 16)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 16)
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE docs (id INT PRIMARY KEY, e VECTOR(16))")
        table = pa.table({"id": pa.array(range(rows), pa.int32()), "e": column})
        connection.cursor().adbc_ingest("docs", table, "append")
        connection.execute("FLUSH")
        connection.execute("CREATE INDEX ON docs USING HNSW (e vector_l2_ops)")
        connection.execute("SET target_recall = 0.8")
        connection.execute("DELETE FROM docs WHERE id = 5")
        query = (
            "SELECT q.id, x.id FROM (SELECT id, e FROM docs WHERE id < 20) q CROSS JOIN LATERAL"
            " (SELECT id FROM docs ORDER BY e <-> q.e LIMIT 1) x"
        )
        lines = [line for (line,) in connection.execute(f"EXPLAIN ANALYZE {query}")]
        assert any("index search on HNSW" in line and "at once" in line for line in lines), lines
        assert connection.execute(query).fetchall() == [(n, n) for n in range(20) if n != 5]
