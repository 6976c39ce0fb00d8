"""SQL in, rows or an error out."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vsql

SETUP = (
    "CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT NOT NULL, n INT DEFAULT 7, price DOUBLE,"
    " tags TEXT[], meta JSON, e VECTOR(3))",
    "INSERT INTO item VALUES"
    " (1, 'ant', 1, 1.5, ARRAY['x', 'y'], '{\"a\": {\"b\": \"q\"}, \"k\": 5}', '[1, 0, 0]'),"
    " (2, 'bee', NULL, 2.5, NULL, NULL, [0, 1, 0]),"
    " (3, 'cat', 3, NULL, ARRAY['x'], '{\"k\": 9}', NULL),"
    " (4, 'dog', 4, 4.5, ARRAY['z'], '{\"k\": 1}', ARRAY[1, 1, 0])",
)


@pytest.fixture(params=["growing", "sealed", "on disk"])
def connection(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Any]:
    place = str(tmp_path / "items.vsql") if request.param == "on disk" else ":memory:"
    connection = vsql.connect(place, autocommit=True)
    for statement in SETUP:
        connection.execute(statement)
    if request.param != "growing":
        connection.execute("FLUSH item")
    if request.param == "on disk":
        connection.execute("CREATE INDEX ON item USING HNSW (e vector_l2_ops)")
        connection.execute("CREATE INDEX ON item USING BITMAP (name)")
        connection.execute("CREATE INDEX ON item USING BTREE (n)")
        connection.close()
        connection = vsql.connect(place, autocommit=True)
    yield connection
    connection.close()


QUERIES: tuple[tuple[str, list[tuple[Any, ...]]], ...] = (
    ("SELECT 6 * 7", [(42,)]),
    ("SELECT 7 / 2, -7 / 2, 7 % 3", [(3, -3, 1)]),
    ("SELECT name FROM item WHERE id = 2", [("bee",)]),
    ("SELECT name FROM item WHERE 2 = id", [("bee",)]),
    ("SELECT count(*) FROM item", [(4,)]),
    ("SELECT count(*) FROM item WHERE n > 1", [(2,)]),
    ("SELECT id FROM item WHERE n IS NULL", [(2,)]),
    ("SELECT id FROM item WHERE n IS NOT NULL AND NOT n < 3", [(3,), (4,)]),
    ("SELECT id FROM item WHERE n <> 1", [(3,), (4,)]),
    ("SELECT id FROM item WHERE name NOT LIKE '%t'", [(2,), (4,)]),
    ("SELECT id FROM item WHERE n BETWEEN 2 AND 3", [(3,)]),
    ("SELECT id FROM item WHERE name IN ('ant', 'dog', 'x')", [(1,), (4,)]),
    ("SELECT id FROM item WHERE name = 'ant' OR name = 'bee'", [(1,), (2,)]),
    ("SELECT id FROM item WHERE n NOT IN (1, NULL)", []),
    ("SELECT id FROM item WHERE name LIKE '_a%'", [(3,)]),
    ("SELECT id FROM item WHERE name ILIKE 'A%'", [(1,)]),
    ("SELECT id FROM item WHERE name LIKE 'a!%' ESCAPE '!'", []),
    ("SELECT id FROM item WHERE n * 2 + 1 = 7", [(3,)]),
    ("SELECT id FROM item WHERE price > 2", [(2,), (4,)]),
    ("SELECT id FROM item WHERE id = '3'", [(3,)]),
    ("SELECT id FROM item WHERE tags[1] = 'x'", [(1,), (3,)]),
    ("SELECT id FROM item WHERE 'x' = ANY(tags)", [(1,), (3,)]),
    ("SELECT id FROM item WHERE tags @> ARRAY['x', 'y']", [(1,)]),
    ("SELECT id FROM item WHERE tags && ARRAY['y', 'z']", [(1,), (4,)]),
    ("SELECT id FROM item WHERE meta->'a'->>'b' = 'q'", [(1,)]),
    ("SELECT id FROM item WHERE (meta->>'k')::bigint > 4", [(1,), (3,)]),
    ("SELECT id FROM item WHERE upper(name) = 'CAT'", [(3,)]),
    ("SELECT id FROM item WHERE e <-> '[1,0,0]' < 1.1", [(1,), (4,)]),
    ("SELECT id FROM item LIMIT 2 OFFSET 1", [(2,), (3,)]),
    ("SELECT id FROM item FETCH FIRST 1 ROW ONLY", [(1,)]),
    ("SELECT id FROM item ORDER BY name DESC LIMIT 2", [(4,), (3,)]),
    ("SELECT id, e <-> '[1,0,0]' AS d FROM item ORDER BY d LIMIT 2", [(1, 0.0), (4, 1.0)]),
    ("SELECT id FROM item ORDER BY e <-> '[1,0,0]' LIMIT 10", [(1,), (4,), (2,), (3,)]),
    ("SELECT id FROM item ORDER BY e <-> '[1,0,0]' LIMIT 1 OFFSET 1", [(4,)]),
    ("SELECT id FROM item WHERE n > 1 ORDER BY e <-> '[1,0,0]' LIMIT 5", [(4,), (3,)]),
    ("SELECT id FROM item ORDER BY e <#> '[1,2,0]' LIMIT 1", [(4,)]),
    ("SELECT id FROM item ORDER BY e <=> '[0,2,0]' LIMIT 1", [(2,)]),
    ("SELECT id FROM item ORDER BY e <+> '[1,0,0]' LIMIT 2", [(1,), (4,)]),
    ("SELECT upper(name) FROM item ORDER BY e <-> '[1,0,0]' LIMIT 2", [("ANT",), ("DOG",)]),
    ("SELECT id FROM item ORDER BY e <-> (SELECT e FROM item WHERE name = 'bee') LIMIT 1", [(2,)]),
    ("SELECT id FROM item WHERE id IN (SELECT id FROM item WHERE n > 2)", [(3,), (4,)]),
    (
        "SELECT count(*) FROM (SELECT id FROM item ORDER BY e <-> '[1,0,0]' LIMIT 2) s",
        [(2,)],
    ),
    (
        "WITH near AS (SELECT name, e <-> '[1,0,0]' AS d FROM item ORDER BY d LIMIT 2)"
        " SELECT max(d), min(name) FROM near",
        [(1.0, "ant")],
    ),
    ("SELECT a.id FROM item a JOIN item b ON a.id = b.n ORDER BY 1", [(1,), (3,), (4,)]),
    (
        "SELECT n IS NULL AS missing, count(*) FROM item GROUP BY 1 ORDER BY 2",
        [(True, 1), (False, 3)],
    ),
    (
        "SELECT id, row_number() OVER (ORDER BY id DESC) AS r FROM item ORDER BY id LIMIT 1",
        [(1, 4)],
    ),
    (
        "SELECT id FROM item WHERE id < 2 UNION ALL SELECT id FROM item WHERE id > 3 ORDER BY 1",
        [(1,), (4,)],
    ),
    (
        "SELECT cosine_distance(e, '[1,1,0]') FROM item WHERE id = 4",
        [(pytest.approx(0, abs=1e-6),)],
    ),
    ("SHOW target_recall", [("0.97",)]),
)


@pytest.mark.parametrize(("sql", "rows"), QUERIES, ids=[sql for sql, _ in QUERIES])
def test_query(connection: Any, sql: str, rows: list[tuple[Any, ...]]) -> None:
    assert connection.execute(sql).fetchall() == rows


ERRORS: tuple[tuple[str, type[vsql.Error], str, str], ...] = (
    ("SELECT 1 WHERE zz.id = 3", vsql.ProgrammingError, "42P01", "^^"),
    ("SELEC 1", vsql.ProgrammingError, "42601", 'did you mean "select"'),
    ("SELECT 1 FROM WHERE", vsql.ProgrammingError, "42601", "syntax error"),
    ("SELECT (1", vsql.ProgrammingError, "42601", "syntax error"),
    ("SELECT 'abc", vsql.ProgrammingError, "42601", "unterminated string"),
    ("CREATE TABEL t (a INT)", vsql.ProgrammingError, "42601", "TABLE"),
    ("SELECT nme FROM item", vsql.ProgrammingError, "42703", 'did you mean "name"'),
    ("SELECT id FROM itme", vsql.ProgrammingError, "42P01", 'did you mean "item"'),
    ("SELECT frobnicate(1)", vsql.ProgrammingError, "42883", "frobnicate"),
    ("SELECT 1/0", vsql.DataError, "22012", "division by zero"),
    ("SELECT id FROM item WHERE n / 0 = 1", vsql.DataError, "22012", "division by zero"),
    ("SELECT id FROM item WHERE name = 5", vsql.ProgrammingError, "42883", "cannot compare"),
    ("SELECT id FROM item WHERE n = 'five'", vsql.DataError, "22P02", "five"),
    ("SELECT id FROM item ORDER BY e <-> '[1,2]' LIMIT 1", vsql.DataError, "22000", "expected 3"),
    ("SELECT id FROM item LIMIT -1", vsql.DataError, "2201W", "negative"),
    ("SELECT id FROM item WHERE id = $1", vsql.ProgrammingError, "42P02", "1 parameters"),
    ("SELECT 1; DROP TABLE item", vsql.ProgrammingError, "42601", "one statement"),
    ("INSERT INTO item (id, name) VALUES (1, 'x')", vsql.IntegrityError, "23505", "item_pkey"),
    (
        "INSERT INTO item (id, name) VALUES (9, 'x'), (9, 'y')",
        vsql.IntegrityError,
        "23505",
        "row 2",
    ),
    ("INSERT INTO item (id, name) VALUES (9, NULL)", vsql.IntegrityError, "23502", '"name", row 1'),
    ("INSERT INTO item (id, nme) VALUES (9, 'x')", vsql.ProgrammingError, "42703", '"name"'),
    ("INSERT INTO item (id, name) VALUES (9)", vsql.ProgrammingError, "42601", "1 values"),
    (
        "INSERT INTO item (id, name, e) VALUES (9, 'x', '[1,2,3]'), (10, 'y', '[1]')",
        vsql.DataError,
        "22000",
        'column "e", row 2: expected 3 dimensions, got 1',
    ),
    ("INSERT INTO item (id, name, e) VALUES (9, 'x', '[1,nan,3]')", vsql.DataError, "22000", "NaN"),
    ("INSERT INTO item (id, name, meta) VALUES (9, 'x', '{')", vsql.DataError, "22P02", "JSON"),
    ("CREATE TABLE item (a INT)", vsql.ProgrammingError, "42P07", "already exists"),
    ("CREATE TABLE t (a VECTR(3))", vsql.ProgrammingError, "42704", 'did you mean "VECTOR"'),
    ("CREATE TABLE t (a VECTOR(0))", vsql.ProgrammingError, "22023", "1 to 32768"),
    ("CREATE INDEX ON item USING HNWS (e)", vsql.ProgrammingError, "42704", "HNSW"),
    ("CREATE INDEX ON item USING BTREE (e)", vsql.ProgrammingError, "42809", "AUTOINDEX"),
    ("DROP TABLE nothing", vsql.ProgrammingError, "42P01", "nothing"),
    ("DROP INDEX nothing", vsql.ProgrammingError, "42704", "nothing"),
    ("SET target_recall = 2", vsql.ProgrammingError, "22023", "0 to 1"),
    ("SET target_recal = 1", vsql.ProgrammingError, "42704", "target_recall"),
    ("COPY item FROM 'missing.parquet'", vsql.OperationalError, "58P01", "missing.parquet"),
    ("COPY item FROM 'missing.xyz'", vsql.ProgrammingError, "22023", "FORMAT"),
)


@pytest.mark.parametrize(("sql", "kind", "code", "words"), ERRORS, ids=[e[0] for e in ERRORS])
def test_error(connection: Any, sql: str, kind: type[vsql.Error], code: str, words: str) -> None:
    with pytest.raises(kind) as caught:
        connection.execute(sql)
    assert caught.value.sqlstate == code
    assert words in str(caught.value)
    assert connection.execute("SELECT count(*) FROM item").fetchone() == (4,)


def test_caret_stands_under_the_name() -> None:
    with vsql.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (a INT, e VECTOR(2))")
        with pytest.raises(vsql.ProgrammingError) as caught:
            connection.execute("SELECT a,\n  e <-> '[1,2]', b FROM t")
    line, caret = str(caught.value).splitlines()[1:3]
    assert line == "LINE 2:   e <-> '[1,2]', b FROM t"
    assert caret.index("^") == line.index("b")


def test_update_and_delete(connection: Any) -> None:
    assert connection.execute("UPDATE item SET n = n + 1 WHERE n >= 3").rowcount == 2
    assert connection.execute("SELECT n FROM item ORDER BY id").fetchall() == [
        (1,), (None,), (4,), (5,),
    ]  # fmt: skip
    assert connection.execute("DELETE FROM item WHERE name = 'ant'").rowcount == 1
    assert connection.execute("SELECT count(*) FROM item").fetchone() == (3,)
    assert connection.execute("SELECT id FROM item WHERE id = 1").fetchone() is None
    near = "SELECT id FROM item ORDER BY e <-> '[1,0,0]' LIMIT 2"
    assert connection.execute(near).fetchall() == [(4,), (2,)]
    connection.execute("INSERT INTO item (id, name) VALUES (1, 'again')")
    with pytest.raises(vsql.IntegrityError):
        connection.execute("UPDATE item SET id = 2 WHERE id = 1")
    assert connection.execute("UPDATE item SET id = 11 WHERE id = 1").rowcount == 1


def test_lateral_search_is_one_batch(connection: Any) -> None:
    queries = {"q": [10, 20], "v": np.array([[1, 0, 0], [0, 1, 0]], np.float32).tolist()}
    import pyarrow as pa

    table = pa.table({"q": queries["q"], "v": pa.array(queries["v"], pa.list_(pa.float32(), 3))})
    connection.register("queries", table)
    sql = (
        "SELECT q.q, n.id, n.d FROM queries q CROSS JOIN LATERAL"
        " (SELECT id, e <-> q.v AS d FROM item ORDER BY d LIMIT 2) n ORDER BY q.q, n.d"
    )
    assert connection.execute(sql).fetchall() == [
        (10, 1, 0.0), (10, 4, 1.0), (20, 2, 0.0), (20, 4, 1.0),
    ]  # fmt: skip
    plan = "\n".join(row[0] for row in connection.execute("EXPLAIN " + sql))
    assert "Batch of searches, one per row of queries" in plan


def test_bit_vectors() -> None:
    with vsql.connect(":memory:") as connection:
        connection.execute("CREATE TABLE b (id INT PRIMARY KEY, v BIT(8))")
        connection.execute("INSERT INTO b VALUES (1, '10101010'), (2, '11111111')")
        near = connection.execute("SELECT id, v <~> '10101011' AS d FROM b ORDER BY d").fetchall()
        assert near == [(1, 1.0), (2, 3.0)]
        near = connection.execute("SELECT id FROM b ORDER BY v <%> '11111110' LIMIT 1").fetchall()
        assert near == [(2,)]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "arrow"])
def test_copy_out_and_in(connection: Any, tmp_path: Any, ending: str) -> None:
    file = tmp_path / f"item.{ending}"
    written = connection.execute(f"COPY (SELECT id, name, n, price, e FROM item) TO '{file}'")
    assert written.rowcount == 4
    connection.execute(
        "CREATE TABLE twin (id BIGINT PRIMARY KEY, name TEXT, n INT, price DOUBLE, e VECTOR(3))"
    )
    assert connection.execute(f"COPY twin FROM '{file}'").rowcount == 4
    sql = "SELECT id, name, n, price FROM {} ORDER BY id"
    expected = connection.execute(sql.format("item")).fetchall()
    assert connection.execute(sql.format("twin")).fetchall() == expected
    near = "SELECT id FROM twin ORDER BY e <-> '[1,0,0]' LIMIT 3"
    assert connection.execute(near).fetchall() == [(1,), (4,), (2,)]
    with pytest.raises(vsql.IntegrityError):
        connection.execute(f"COPY twin FROM '{file}'")


def test_large_numbers_overflow_no_square() -> None:
    """Vectors whose squared length is no 32-bit, or 16-bit, float are stored and found."""
    with vsql.connect(":memory:") as connection:
        columns = {"e": "VECTOR", "h": "HALFVEC", "b": "BFLOATVEC"}
        values = {"e": "[3e38,1]", "h": "[65504,1]", "b": "[3e38,1]"}
        typed = ", ".join(f"{name} {type_}(2)" for name, type_ in columns.items())
        connection.execute(f"CREATE TABLE large (id INT, {typed})")
        connection.execute(f"INSERT INTO large VALUES (1, {str(tuple(values.values()))[1:-1]})")
        for metric in ("<=>", "<#>", "<->"):
            for column, value in values.items():
                search = f"SELECT id FROM large ORDER BY {column} {metric} '{value}' LIMIT 1"
                assert connection.execute(search).fetchall() == [(1,)]
        batch = (
            "SELECT n.id FROM large q CROSS JOIN LATERAL"
            " (SELECT id FROM large ORDER BY {0} <-> q.{0} LIMIT 1) n"
        )
        for column, type_ in columns.items():
            assert connection.execute(batch.format(column)).fetchall() == [(1,)]
            connection.execute(f"CREATE INDEX ON large USING hnsw ({column} {type_}_l2_ops)")


@pytest.mark.parametrize(
    ("name", "type_"), [("smallserial", "SMALLINT"), ("serial", "INTEGER"), ("BIGSERIAL", "BIGINT")]
)
def test_serial(name: str, type_: str) -> None:
    """PostgreSQL's serial types are identities, and refuse NULL."""
    with vsql.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE t (id {name} PRIMARY KEY, s TEXT)")
        connection.execute("INSERT INTO t (s) VALUES ('a'), ('b')")
        assert connection.execute("SELECT id FROM t ORDER BY id").fetchall() == [(1,), (2,)]
        shown = connection.execute("SHOW COLUMNS FROM t").fetchall()
        assert type_ in shown[0]
        with pytest.raises(vsql.IntegrityError):
            connection.execute("INSERT INTO t (id, s) VALUES (NULL, 'c')")


def test_lists_of_16_bit_floats_are_read() -> None:
    """A data frame of float16 arrays is a list column that DuckDB itself does not read."""
    lists = pa.array([[1.0, 2.0], None], pa.list_(pa.float16()))
    with vsql.connect(":memory:") as connection:
        connection.register("frame", pa.table({"v": lists}))
        connection.execute("CREATE TABLE t (v VECTOR(2))")
        connection.execute("INSERT INTO t SELECT v FROM frame")
        found = connection.execute("SELECT v::text FROM t").fetchall()
        assert sorted(found, key=str) == [("[1,2]",), (None,)]


def test_extension() -> None:
    with vsql.connect(":memory:") as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
        for statement, code in (
            ("CREATE EXTENSION IF NOT EXISTS postgis", "0A000"),
            ("DROP EXTENSION postgis", "0A000"),
        ):
            with pytest.raises(vsql.NotSupportedError) as caught:
                connection.execute(statement)
            assert caught.value.sqlstate == code
