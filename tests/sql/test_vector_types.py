"""A name means the column of the query that it stands in, vector or not, as data."""

from collections.abc import Iterator

import pytest

import vsql
from vsql.driver.connection import Connection

SETUP = (
    "CREATE TABLE a (id INT PRIMARY KEY, v VECTOR(3), w INT)",
    "CREATE TABLE b (id INT PRIMARY KEY, v VECTOR(2), w VECTOR(2))",
    "INSERT INTO a VALUES (1, '[1, 2, 3]', 5)",
    "INSERT INTO b VALUES (1, '[1, 2]', '[3, 4]')",
)

QUERIES: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("SELECT (SELECT (v + v)::text FROM a), (SELECT (v + v)::text FROM b)", ("[2,4,6]", "[2,4]")),
    (
        "SELECT (SELECT (x.v + x.v)::text FROM a x), (SELECT (x.v + x.v)::text FROM b x)",
        ("[2,4,6]", "[2,4]"),
    ),
    (
        "SELECT p.s, q.s::text FROM (SELECT x.w + x.w AS s FROM a x) p,"
        " (SELECT x.w + x.w AS s FROM b x) q",
        (10, "[6,8]"),
    ),
    (
        "SELECT p.s, q.s::text FROM (SELECT w + w AS s FROM a) p, (SELECT w + w AS s FROM b) q",
        (10, "[6,8]"),
    ),
    (
        "SELECT p.v <-> '[1, 2, 4]', q.v <-> '[1, 3]'"
        " FROM (SELECT x.* FROM a x) p, (SELECT x.* FROM b x) q",
        (1.0, 1.0),
    ),
    ("WITH a AS (SELECT v FROM b) SELECT (v + v)::text FROM a", ("[2,4]",)),
    ("WITH a AS (SELECT v AS w FROM a) SELECT (w + w)::text FROM a", ("[2,4,6]",)),
    (
        "WITH s AS (WITH t AS (SELECT w FROM a) SELECT w + 1 AS w FROM t),"
        " u AS (WITH t AS (SELECT w FROM b) SELECT w + w AS w FROM t)"
        " SELECT s.w, u.w::text FROM s, u",
        (6, "[6,8]"),
    ),
    (
        "WITH RECURSIVE r(n, v) AS"
        " (SELECT 1, v FROM b UNION ALL SELECT n + 1, v + v FROM r WHERE n < 3)"
        " SELECT n, v::text FROM r WHERE n = 3",
        (3, "[4,8]"),
    ),
    ("SELECT (SELECT (b.v + b.v)::text FROM a x WHERE x.id = b.id) FROM b", ("[2,4]",)),
    ("SELECT (x.v + '[1, 1]')::text FROM b, LATERAL (SELECT b.v) AS x", ("[2,3]",)),
    ("SELECT u::text, (u + u)::text FROM b, LATERAL (SELECT b.v) AS x (u)", ("[1,2]", "[2,4]")),
    (
        "SELECT sum(u)::text FROM b CROSS JOIN LATERAL (SELECT b.v AS u UNION ALL SELECT b.v) AS x",
        ("[2,4]",),
    ),
    ("SELECT (SELECT (w + v)::text FROM (SELECT 1) x) FROM b", ("[4,6]",)),
)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with vsql.connect(":memory:", autocommit=True) as connection:
        for statement in SETUP:
            connection.execute(statement)
        yield connection


@pytest.mark.parametrize(("query", "row"), QUERIES)
def test_a_name_means_the_column_of_its_query(
    query: str, row: tuple[object, ...], connection: Connection
) -> None:
    assert connection.execute(query).fetchall() == [row]
