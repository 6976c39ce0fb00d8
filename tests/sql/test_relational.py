"""Relational SQL in PostgreSQL's spelling: what it means there, as data."""

from collections.abc import Iterator
from typing import Any

import pytest

import vsql
from tests import postgresql
from vsql.driver.connection import Connection

SETUP = (
    "CREATE TABLE t (id INT PRIMARY KEY, g TEXT, n INT, a INT[], e VECTOR(2))",
    "INSERT INTO t VALUES (1, 'a', 1, ARRAY[1, 2], '[1, 0]'), (2, 'a', 2, ARRAY[3], '[0, 1]'),"
    " (3, 'b', 3, NULL, '[1, 1]'), (4, 'b', NULL, ARRAY[]::INT[], NULL)",
    "CREATE TABLE u (id INT, w TEXT)",
    "INSERT INTO u VALUES (1, 'x'), (2, 'y'), (5, 'z')",
)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with vsql.connect(":memory:", autocommit=True) as connection:
        for statement in SETUP:
            connection.execute(statement)
        yield connection


Rows = list[tuple[Any, ...]]

QUERIES: tuple[tuple[str, Rows], ...] = (
    ("SELECT id FROM t ORDER BY id FETCH FIRST 2 ROWS ONLY", [(1,), (2,)]),
    ("SELECT id FROM t ORDER BY id OFFSET 1 ROW FETCH NEXT ROW ONLY", [(2,)]),
    ("SELECT g FROM t ORDER BY g FETCH FIRST 1 ROW WITH TIES", [("a",), ("a",)]),
    ("SELECT g, id FROM t ORDER BY 1 DESC FETCH FIRST 1 ROW WITH TIES", [("b", 3), ("b", 4)]),
    ("SELECT DISTINCT ON (g) g, id FROM t ORDER BY g, id DESC", [("a", 2), ("b", 4)]),
    (
        "SELECT g, id FROM t QUALIFY row_number() OVER (PARTITION BY g ORDER BY id) = 1 ORDER BY g",
        [("a", 1), ("b", 3)],
    ),
    (
        "SELECT g, count(*) FROM t GROUP BY ROLLUP (g) ORDER BY g NULLS LAST",
        [("a", 2), ("b", 2), (None, 4)],
    ),
    (
        "SELECT g, n, grouping(g, n), count(*) FROM t WHERE n < 3 GROUP BY CUBE (g, n)"
        " ORDER BY 3, 1, 2",
        [
            ("a", 1, 0, 1),
            ("a", 2, 0, 1),
            ("a", None, 1, 2),
            (None, 1, 2, 1),
            (None, 2, 2, 1),
            (None, None, 3, 2),
        ],
    ),
    (
        "SELECT g, sum(n) FROM t GROUP BY GROUPING SETS ((g), ()) ORDER BY g NULLS FIRST",
        [(None, 6), ("a", 3), ("b", 3)],
    ),
    ("SELECT i FROM generate_series(1, 10, 4) AS s(i)", [(1,), (5,), (9,)]),
    ("SELECT generate_series(2, 3)", [(2,), (3,)]),
    (
        "SELECT count(*) FROM generate_series(timestamp '2024-01-01', timestamp '2024-01-03',"
        " interval '1 day') AS g(d)",
        [(3,)],
    ),
    ("SELECT * FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS x(v, n)", [("a", 1), ("b", 2)]),
    ("SELECT id, v FROM t, unnest(a) AS x(v) ORDER BY 1, 2", [(1, 1), (1, 2), (2, 3)]),
    (
        "WITH RECURSIVE f(a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM f WHERE b < 9)"
        " SELECT a FROM f",
        [(0,), (1,), (1,), (2,), (3,), (5,), (8,)],
    ),
    (
        "WITH RECURSIVE p AS (SELECT id FROM t WHERE id = 1"
        " UNION SELECT t.id FROM t JOIN p ON t.id = p.id + 1) SELECT count(*) FROM p",
        [(4,)],
    ),
    (
        "SELECT t.id, l.m FROM t, LATERAL (SELECT max(u.id) AS m FROM u WHERE u.id <= t.id) l"
        " ORDER BY 1",
        [(1, 1), (2, 2), (3, 2), (4, 2)],
    ),
    (
        "SELECT t.id, l.w FROM t LEFT JOIN LATERAL"
        " (SELECT w FROM u WHERE u.id = t.id LIMIT 1) l ON true WHERE t.id > 1 ORDER BY 1",
        [(2, "y"), (3, None), (4, None)],
    ),
    ("VALUES (1, 'a'), (2, 'b')", [(1, "a"), (2, "b")]),
    ("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(x, y) WHERE x > 1", [(2, "b")]),
    ("TABLE u ORDER BY id LIMIT 1", [(1, "x")]),
    ("SELECT y.i FROM u AS y(i, x) WHERE y.i > 2", [(5,)]),
    ("SELECT w + 1 FROM u AS y(w, id) WHERE id = 'z'", [(6,)]),
    ("SELECT max(i), min(w) FROM u AS y(i) JOIN t AS s(k) ON k = i", [(2, "x")]),
    ("SELECT count(*) FROM t TABLESAMPLE BERNOULLI (100)", [(4,)]),
    ("SELECT count(*) FROM t TABLESAMPLE SYSTEM (0) REPEATABLE (7)", [(0,)]),
    ("SELECT t.id, u.id FROM t FULL JOIN u USING (id) WHERE t.id IS NULL", [(None, 5)]),
    ("SELECT u.w FROM t RIGHT JOIN u ON u.id = t.id WHERE t.id IS NULL", [("z",)]),
    ("SELECT count(*) FROM t NATURAL JOIN u", [(2,)]),
    (
        "SELECT id FROM t WHERE NOT EXISTS (SELECT FROM u WHERE u.id = t.id) ORDER BY 1",
        [(3,), (4,)],
    ),
    ("SELECT id FROM t WHERE id > ALL (SELECT id FROM u WHERE id < 3)", [(3,), (4,)]),
    ("SELECT id FROM t WHERE (g, id) IN (SELECT g, max(id) FROM t GROUP BY g)", [(2,), (4,)]),
    ("SELECT id, (SELECT count(*) FROM u WHERE u.id < t.id) FROM t WHERE id > 2", [(3, 2), (4, 2)]),
    ("SELECT id FROM t EXCEPT ALL SELECT id FROM u ORDER BY 1", [(3,), (4,)]),
    ("SELECT id FROM t INTERSECT SELECT id FROM u ORDER BY 1", [(1,), (2,)]),
    (
        "SELECT g, string_agg(id::text, ',' ORDER BY id DESC), every(n > 0) FROM t"
        " GROUP BY g ORDER BY g",
        [("a", "2,1", True), ("b", "4,3", True)],
    ),
    ("SELECT count(*) FILTER (WHERE n > 1), sum(n) FILTER (WHERE n > 99) FROM t", [(2, None)]),
    ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM t", [(2.0,)]),
    ("SELECT mode() WITHIN GROUP (ORDER BY g DESC) FROM t WHERE id < 4", [("a",)]),
    (
        "SELECT id, sum(n) OVER w, lag(n, 1, 0) OVER w FROM t"
        " WINDOW w AS (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY 1",
        [(1, 1, 0), (2, 3, 1), (3, 5, 2), (4, 3, 3)],
    ),
    ("SELECT id FROM t ORDER BY n DESC", [(4,), (3,), (2,), (1,)]),
    ("SELECT id FROM t ORDER BY n DESC NULLS LAST, id LIMIT 2 OFFSET 1", [(2,), (1,)]),
    ("SELECT g AS k, count(*) FROM t GROUP BY k HAVING count(n) > 1", [("a", 2)]),
    ("SELECT (t).id FROM t ORDER BY 1 LIMIT 1", [(1,)]),
    (
        "WITH a AS MATERIALIZED (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a)"
        " SELECT * FROM a, b",
        [(1, 2)],
    ),
    ("SELECT 1 WHERE 1 = 2", []),
    (
        "SELECT u.w FROM t JOIN u USING (id) ORDER BY t.e <-> '[0, 1]' LIMIT 1",
        [("y",)],
    ),
    ("SELECT array_replace(ARRAY[1, 2], 2, x) FROM (VALUES (5)) AS v(x)", [([1, 5],)]),
    ("SELECT array_positions(ARRAY[1, 5], x) FROM (VALUES (5)) AS v(x)", [([2],)]),
    ("SELECT array_fill(x, ARRAY[2]) FROM (VALUES (5)) AS v(x)", [([5, 5],)]),
    ("SELECT regexp_matches('abc', 'x(.)')", []),
    ("SELECT regexp_matches('foobarbequebaz', 'ba.', 'g')", [(["bar"],), (["baz"],)]),
    (
        "SELECT regexp_matches('barbaz', '(ba)(r)?(z*)', 'g')",
        [(["ba", "r", ""],), (["ba", None, "z"],)],
    ),
    ("SELECT regexp_matches('FOO', 'o', 'gi')", [(["O"],), (["O"],)]),
    ("SELECT regexp_matches('FOO', 'o', 'i')", [(["O"],)]),
    ("SELECT regexp_matches('abc', 'x', 'g')", []),
    ("SELECT regexp_match('ba', '(ba)(r)?')", [(["ba", None],)]),
    ("SELECT (regexp_match('FOO', 'o', 'i'))[1]", [("O",)]),
    ("SELECT max(clock_timestamp()) > now() FROM generate_series(1, 50000)", [(True,)]),
    ("SELECT id FROM t WHERE id > 2 AND 't'::regclass > 0 ORDER BY id", [(3,), (4,)]),
    ("SELECT count(*) FROM t WHERE 't'::regclass > 0", [(4,)]),
    # Stars show neither what orders a search nor what the planner adds, and keep what they say.
    ("SELECT *, id + 1 FROM u ORDER BY id LIMIT 1", [(1, "x", 2)]),
    ("SELECT * EXCLUDE (a, e) FROM t ORDER BY e <-> '[0, 1]' LIMIT 1", [(2, "a", 2)]),
    ("SELECT t.* EXCLUDE (g, a, e), 7 FROM t ORDER BY e <-> '[0, 1]' LIMIT 1", [(2, 2, 7)]),
    (
        "SELECT * EXCLUDE (a, e) REPLACE (n + 5 AS n) FROM t ORDER BY e <-> '[0, 1]' LIMIT 1",
        [(2, "a", 7)],
    ),
    (
        "SELECT * EXCLUDE (a, e), e <-> '[0, 1]' FROM t WHERE n + 1 = 3",
        [(2, "a", 2, 0.0)],
    ),
    (
        "SELECT t.* EXCLUDE (a, e), u.* FROM t JOIN u ON u.id = t.id WHERE e <-> '[0, 1]' < 1",
        [(2, "a", 2, 2, "y")],
    ),
    (
        "SELECT x.* EXCLUDE (a, e), l.* FROM t x,"
        " LATERAL (SELECT * EXCLUDE (a, e, g) FROM t ORDER BY t.e <-> x.e LIMIT 1) l"
        " WHERE x.id < 3 ORDER BY x.id",
        [(1, "a", 1, 1, 1), (2, "a", 2, 2, 2)],
    ),
)


@pytest.mark.parametrize(("sql", "rows"), QUERIES, ids=[sql[:60] for sql, _ in QUERIES])
def test_query(connection: Connection, sql: str, rows: Rows) -> None:
    assert connection.execute(sql).fetchall() == rows


# An expression, and what PostgreSQL 18 gives for it.
EXPRESSIONS: tuple[tuple[str, Any], ...] = (
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 % -3", 1),
    ("-7 % 3", -1),
    ("7.0 / 2", 3.5),
    ("2 ^ 10", 1024),
    ("5 # 3", 6),
    ("'a' || NULL", None),
    ("'a' || 1", "a1"),
    ("concat('a', NULL, 1)", "a1"),
    ("concat_ws('-', 'a', NULL, 'b')", "a-b"),
    ("(date '2024-02-29' + 1)::text", "2024-03-01"),
    ("date '2024-03-01' - date '2024-02-01'", 29),
    ("(date '2024-01-31' + interval '1 month')::text", "2024-02-29 00:00:00"),
    ("(date '2024-02-29' - interval '1 day')::text", "2024-02-28 00:00:00"),
    ("(timestamp '2024-01-31 10:00' + interval '26 hours')::text", "2024-02-01 12:00:00"),
    ("interval '1 day' / 2 = interval '12 hours'", True),
    ("interval '1 hour' * 2 = interval '120 minutes'", True),
    ("extract(dow FROM date '2024-02-29')", 4),
    ("extract(epoch FROM timestamp '1970-01-02')", 86400),
    ("date_trunc('month', timestamp '2024-02-29 10:00')::text", "2024-02-01 00:00:00"),
    ("to_char(timestamp '2024-02-29 13:05:06', 'YYYY-MM-DD HH24:MI:SS')", "2024-02-29 13:05:06"),
    ("to_date('29/02/2024', 'DD/MM/YYYY')::text", "2024-02-29"),
    ("clock_timestamp() >= now() - interval '1 day'", True),
    ("pg_postmaster_start_time() < now()", True),
    ("statement_timestamp() = now()", True),
    ("substring('hello' FROM 2 FOR 3)", "ell"),
    ("substring('foo42bar', '[0-9]+')", "42"),
    ("substring('foobar' FROM 'o(.)b')", "o"),
    ("substring('foobar' FROM '(o)(.)b') || substring('foobar', 'o(?:.)b')", "ooob"),
    ("substring('foobar' FROM 'x(.)')", None),
    ("left('hello', -2)", "hel"),
    ("position('l' IN 'hello')", 3),
    ("trim(BOTH 'x' FROM 'xax')", "a"),
    ("initcap('hello world')", "Hello World"),
    ("octet_length('é')", 2),
    ("overlay('abcdef' PLACING 'XX' FROM 2 FOR 3)", "aXXef"),
    ("split_part('a,b,c', ',', 2)", "b"),
    ("format('%s is %s%%, %I, %L', 'a', 1, 'Q q', 'it''s')", "a is 1%, \"Q q\", 'it''s'"),
    ("format('%s%L', NULL, NULL)", "NULL"),
    ("quote_ident('a b') || quote_ident('ab') || quote_literal('it''s')", "\"a b\"ab'it''s'"),
    ("quote_nullable(NULL)", "NULL"),
    ("to_hex(255)", "ff"),
    ("DATE '2026-01-02'::text", "2026-01-02"),
    ("TIMESTAMP '2026-01-02 03:04:05' :: text || '!'", "2026-01-02 03:04:05!"),
    ("timestamp without time zone\n'2026-01-02 03:04:05'::date::text", "2026-01-02"),
    ("TIME '03:04:05'::varchar(5)", "03:04"),
    ("extract(day FROM TIMESTAMPTZ '2026-01-02 03:04:05+00'::timestamp)", 2),
    ("0x1F + 0o17 + 0b1_01 + 1_000", 1051),
    ("1_000.2_5 + 1_0e-1", 1001.25),
    ("'1_0,' || $$0x1,$$", "1_0,0x1,"),
    ("encode('abc'::bytea, 'hex')", "616263"),
    ("encode(decode('616263', 'hex'), 'base64')", "YWJj"),
    ("'abc'::varchar(2)", "ab"),
    ("'abc' ~ '^a'", True),
    ("'ABC' ~ '^a'", False),
    ("'ABC' ~* '^a'", True),
    ("'abc' !~ 'b'", False),
    ("'abc' SIMILAR TO '(a|b)%'", True),
    ("'abc' SIMILAR TO 'b'", False),
    ("'a.c' SIMILAR TO 'a.c'", True),
    ("'abc' SIMILAR TO 'a.c'", False),
    ("'abc' SIMILAR TO 'a_[a-c]'", True),
    ("'a%' SIMILAR TO 'a\\%'", True),
    ("'abc' NOT SIMILAR TO 'a%'", False),
    ("'abc' SIMILAR TO lower('A%')", True),
    ("'a%c' LIKE 'a\\%c'", True),
    ("regexp_replace('aaa', 'a', 'b')", "baa"),
    ("regexp_replace('aaa', 'a', 'b', 'g')", "bbb"),
    ("regexp_match('abc123', '[0-9]+')", ["123"]),
    ("regexp_match('abc123', '([a-z])([0-9])')", ["c", "1"]),
    ("regexp_match('abc', '[0-9]')", None),
    ("regexp_matches('abc', 'b')", ["b"]),
    ("regexp_matches('foobarbequebaz', '(bar)(beque)')", ["bar", "beque"]),
    ("regexp_substr('abc12', '[0-9]+')", "12"),
    ("regexp_substr('abc', '[0-9]+')", None),
    ("regexp_substr('foobar', 'b(.)r')", "bar"),
    ("regexp_count('abab', 'a')", 2),
    ("regexp_like('abc', 'B', 'i')", True),
    ("regexp_split_to_array('a1b2c', '[0-9]')", ["a", "b", "c"]),
    ("string_to_array('a,b', ',')", ["a", "b"]),
    ("ARRAY[1, 2] || ARRAY[3]", [1, 2, 3]),
    ("ARRAY[1, 2] || 3", [1, 2, 3]),
    ("0 || ARRAY[1]", [0, 1]),
    ("array_length(ARRAY[]::INT[], 1)", None),
    ("array_length(ARRAY[1, 2], 1) + cardinality(ARRAY[]::INT[])", 2),
    ("array_upper(ARRAY[5, 6], 1) + array_lower(ARRAY[5, 6], 1)", 3),
    ("array_position(ARRAY['a', 'b'], 'b')", 2),
    ("array_positions(ARRAY[1, 2, 1], 1)", [1, 3]),
    ("array_remove(ARRAY[1, 2, 1], 1)", [2]),
    ("array_replace(ARRAY[1, 2, NULL], 1, 9)", [9, 2, None]),
    ("array_fill(7, ARRAY[2])", [7, 7]),
    ("trim_array(ARRAY[1, 2, 3], 1)", [1, 2]),
    ("'{1,NULL, 3}'::int[]", [1, None, 3]),
    ("'{}'::int[]", []),
    ("'{{1,2},{3,4}}'::int[][]", [[1, 2], [3, 4]]),
    ("""'{"a, b","{c}","q\\"x", d }'::text[]""", ["a, b", "{c}", 'q"x', "d"]),
    ("(ARRAY[1, 2, 3])[2:3]", [2, 3]),
    ("(ARRAY[1])[5]", None),
    ("NULL = ANY(ARRAY[1])", None),
    ("3 <> ALL(ARRAY[1, 2])", True),
    ("ARRAY[1, 2] @> ARRAY[1] AND ARRAY[1] <@ ARRAY[1, 2] AND ARRAY[1] && ARRAY[1, 3]", True),
    ("CAST(2.5 AS INT)", 3),
    ("CAST(-2.5 AS INT)", -3),
    ("round(2.567, 2)", 2.57),
    ("trunc(-2.567, 1)", -2.5),
    ("div(7, 2)", 3),
    ("width_bucket(5, 0, 10, 5)", 3),
    ("width_bucket(-1, 0, 10, 5) + width_bucket(10, 0, 10, 5)", 6),
    ("greatest(1, 2, NULL)", 2),
    ("num_nulls(1, NULL, 2) + num_nonnulls(1, NULL)", 2),
    ("num_nulls(NOT NULL::boolean)", 1),
    ("num_nulls(1 BETWEEN 0 AND NULL) + num_nonnulls(1 IN (2, NULL))", 1),
    ("NULL IS DISTINCT FROM 1", True),
    ("2 NOT BETWEEN SYMMETRIC 3 AND 1", False),
    ("(1, 2) < (1, 3)", True),
    ("2 NOT IN (1, NULL)", None),
    ("false AND NULL", False),
    ("normalize('a')", "a"),
)


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS, ids=[e for e, _ in EXPRESSIONS])
def test_expression(connection: Connection, expression: str, value: Any) -> None:
    found = connection.execute(f"SELECT {expression}").fetchall()
    assert len(found) == 1
    one = found[0][0]
    assert float(one) == value if hasattr(one, "as_tuple") else one == value


ERRORS: tuple[tuple[str, type[vsql.Error], str, str], ...] = (
    ("SELECT uper(g) FROM t", vsql.ProgrammingError, "42883", "uper .*upper"),
    ("SELECT id FROM t WHERE lengthh(g) = 1", vsql.ProgrammingError, "42883", "lengthh"),
    ("SELECT id FROM t JOIN u ON true", vsql.ProgrammingError, "42702", "mbiguous"),
    ("SELECT g, id FROM t GROUP BY g", vsql.ProgrammingError, "42803", '"id"'),
    ("SELECT id FROM t WHERE sum(n) > 1", vsql.ProgrammingError, "42803", "aggregate"),
    ("SELECT id FROM t WHERE rank() OVER () = 1", vsql.ProgrammingError, "42P20", "window"),
    ("DELETE FROM t WHERE max(id) = 4", vsql.ProgrammingError, "42803", "aggregate"),
    ("SELECT DISTINCT g FROM t ORDER BY n", vsql.ProgrammingError, "42P10", "DISTINCT"),
    ("SELECT TIMETZ '10:00:00+02'", vsql.NotSupportedError, "0A000", "TIME WITH TIME ZONE"),
    ("SELECT '10:00+02'::timetz::text", vsql.NotSupportedError, "0A000", "TIME WITH TIME ZONE"),
    ("SELECT 1e400", vsql.DataError, "22003", "1e400.*out of range"),
    ("SELECT id FROM t WHERE n < -1.5E+999", vsql.DataError, "22003", "out of range"),
    ("SELECT 1__0", vsql.ProgrammingError, "42601", "trailing junk.*1__0"),
    ("SELECT 1_", vsql.ProgrammingError, "42601", "trailing junk"),
    ("SELECT 123abc", vsql.ProgrammingError, "42601", "trailing junk"),
    ("SELECT 0b12", vsql.ProgrammingError, "42601", "trailing junk"),
    ("SELECT id, FROM t", vsql.ProgrammingError, "42601", 'near ","'),
    ("SELECT id FROM t ORDER BY id, -- nothing", vsql.ProgrammingError, "42601", 'near ","'),
    ("SELECT id FROM t WHERE id IN (1, /* 2 */)", vsql.ProgrammingError, "42601", 'near ","'),
    ("SELECT 1 / 0", vsql.DataError, "22012", "zero"),
    ("SELECT 2147483647::int + 1::int", vsql.DataError, "22003", "verflow"),
    ("SELECT 99999999999::int", vsql.DataError, "22003", "out of range"),
    ("SELECT 'x'::int", vsql.DataError, "22P02", "x"),
    ("SELECT '{1'::int[]", vsql.DataError, "22P02", "malformed array literal"),
    ("SELECT id FROM t WHERE a = '{1,,2}'", vsql.DataError, "22P02", "{1,,2}"),
    ("SELECT a = '{1,,2}' FROM t", vsql.DataError, "22P02", "malformed array literal.*'{1"),
    ("SELECT 'x 42P01:gone'::int", vsql.DataError, "22P02", "42P01"),
    ("SELECT '2024-02-30'::date", vsql.DataError, "22008", "2024-02-30"),
    ("SELECT (SELECT id FROM t)", vsql.ProgrammingError, "21000", "one row"),
    ("SELECT format('%d', 1)", vsql.ProgrammingError, "22023", "%d"),
    ("SELECT format('%s')", vsql.ProgrammingError, "22023", "too few"),
    ("SELECT regexp_match('a', 'a', 'g')", vsql.DataError, "22023", "g"),
    ("SELECT regexp_matches('a', 'a', 'gz')", vsql.DataError, "22023", "z"),
    ("SELECT encode('a'::bytea, 'rot13')", vsql.DataError, "22023", "hex"),
    (
        "SELECT id FROM t FETCH FIRST 1 ROW WITH TIES",
        vsql.ProgrammingError,
        "42601",
        "ORDER BY",
    ),
    (
        "WITH d AS (DELETE FROM u RETURNING id) SELECT * FROM d",
        vsql.NotSupportedError,
        "0A000",
        "WITH",
    ),
    ("SELECT 1 FROM t a JOIN t b", vsql.ProgrammingError, "42601", "ON or USING"),
    ('SELECT 1 FROM t a JOIN\n  "t" b', vsql.ProgrammingError, "42601", "ON or USING"),
    ("SELECT 1 FROM t a INNER JOIN t b", vsql.ProgrammingError, "42601", "ON or USING"),
    ("SELECT 1 FROM t LEFT JOIN (SELECT 1) b", vsql.ProgrammingError, "42601", "ON or USING"),
    ("SELECT 1 FROM (SELECT 2 FROM t a JOIN t b) c, t", vsql.ProgrammingError, "42601", "ON"),
    ("DELETE t WHERE id = 1", vsql.ProgrammingError, "42601", "DELETE FROM t"),
    ("UPDATE t SET", vsql.ProgrammingError, "42601", "SET needs"),
    ("UPDATE t SET WHERE id = 1", vsql.ProgrammingError, "42601", "SET needs"),
    ("SELECT " + "9" * 39, vsql.DataError, "22003", "more than 38 digits"),
    ("SELECT 1" + "+1" * 3_000, vsql.ProgrammingError, "54001", "nested too deeply"),
)


# What PostgreSQL does not have, or does.
OURS = (
    "QUALIFY",
    "TIMETZ",
    "timetz",
    "1e400",
    "E+999",
    "EXCLUDE",
    "WITH d AS (DELETE",
    "999999999999999",
    "+1+1+1",
)


@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")
def test_postgresql_agrees() -> None:
    """The rows, values and SQLSTATEs above are what a real PostgreSQL gives."""
    psycopg = pytest.importorskip("psycopg")

    def plain(value: Any) -> Any:
        return float(value) if hasattr(value, "as_tuple") else value

    with postgresql.connection() as postgres:
        for statement in SETUP:
            postgres.execute(statement)
        for expression, value in EXPRESSIONS:
            found = postgres.execute(f"SELECT {expression}").fetchone()
            assert (expression, plain(found[0])) == (expression, value)
        for sql, rows in QUERIES:
            if not any(word in sql for word in OURS):
                found = [tuple(map(plain, row)) for row in postgres.execute(sql)]
                assert (sql, found) == (sql, rows)
        for sql, _, code, _ in ERRORS:
            if not any(word in sql for word in OURS):
                with pytest.raises(psycopg.Error) as caught:
                    postgres.execute(sql)
                assert (sql, caught.value.sqlstate) == (sql, code)


@pytest.mark.parametrize(("sql", "kind", "code", "words"), ERRORS, ids=[e[0][:60] for e in ERRORS])
def test_error(
    connection: Connection, sql: str, kind: type[vsql.Error], code: str, words: str
) -> None:
    with pytest.raises(kind) as caught:
        connection.execute(sql)
    assert caught.value.sqlstate == code
    assert caught.match(f"(?s){words}")


@pytest.mark.parametrize(
    ("clock", "name", "kind"),
    [
        ("now()", "now", "TIMESTAMPTZ"),
        ("NOW ( )::date", "now", "DATE"),
        ("current_timestamp", "current_timestamp", "TIMESTAMPTZ"),
        ("current_date", "current_date", "DATE"),
        ("current_time", "current_time", "TIME"),
        ("localtime", "localtime", "TIME"),
        ("localtimestamp", "localtimestamp", "TIMESTAMP"),
        ("now() AS now", "now", "TIMESTAMPTZ"),
        ('current_date AS "CURRENT_DATE"', "CURRENT_DATE", "DATE"),
    ],
)
def test_a_clock_as_an_output(clock: str, name: str, kind: str) -> None:
    with vsql.connect() as connection:
        cursor = connection.execute(f"SELECT {clock}, 1 AS one")
        assert cursor.description is not None
        assert [(d[0], d[1]) for d in cursor.description] == [(name, kind), ("one", "INTEGER")]
        assert len(cursor.fetchall()) == 1
