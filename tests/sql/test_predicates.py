"""What SQLite's test files, and random predicates, have shown; each case failed once."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse

import vsql
from vsql.driver.connection import Connection


@pytest.fixture(params=["growing", "sealed"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    connection = vsql.connect(":memory:", autocommit=True)
    connection.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c DOUBLE, d TEXT)")
    rows = [(n, n % 7, n * 3 % 11 or None, n / 2, f"d{n % 5}") for n in range(40)]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
    if request.param == "sealed":
        connection.execute("FLUSH t")
    yield connection
    connection.close()


CASES: tuple[tuple[str, list[tuple[Any, ...]]], ...] = (
    # A nested subquery's value must not replace its neighbour's.
    (
        "SELECT id FROM t WHERE id IN (SELECT id FROM t WHERE id > 38)"
        " OR id IN (SELECT id FROM t WHERE id IN (SELECT a FROM t WHERE a < 1)) ORDER BY id",
        [(0,), (39,)],
    ),
    (
        "SELECT id FROM t WHERE id = (SELECT max(id) FROM t)"
        " OR id = (SELECT min(id) FROM t WHERE a = (SELECT max(a) FROM t)) ORDER BY id",
        [(6,), (39,)],
    ),
    ("SELECT count(*) FROM t WHERE a IN (b)", [(3,)]),
    ("SELECT count(*) FROM t WHERE a IN (b, 0, a + 1)", [(9,)]),
    ("SELECT count(*) FROM t WHERE a NOT IN (b)", [(33,)]),
    ("SELECT count(*) FROM t WHERE a IN ()", [(0,)]),
    ("SELECT count(*) FROM t WHERE a NOT IN ()", [(40,)]),
    ("SELECT count(*) FROM t WHERE NULL NOT IN ()", [(40,)]),
    ("SELECT 1 IN (), NULL IN ()", [(False, False)]),
    ("SELECT x'30' IN (SELECT x'30'), x'3030' IN (SELECT x'30')", [(True, False)]),
    ("SELECT x'00ff' IN (SELECT x'00ff' UNION ALL SELECT NULL)", [(True,)]),
    ("SELECT x'30' IN (SELECT NULL::bytea)", [(None,)]),
    ("SELECT count(*) FROM t WHERE a < - CAST(NULL AS INT)", [(0,)]),
    ("SELECT count(*) FROM t WHERE NOT (a * 2147483647 * a = NULL)", [(0,)]),
    ("SELECT count(*) FROM t WHERE NULL NOT BETWEEN a AND b OR a = 3", [(6,)]),
    ("SELECT count(*) FROM t WHERE a BETWEEN 7 AND NULL", [(0,)]),
    ("SELECT count(*) FROM t WHERE NOT a BETWEEN 7 AND NULL", [(40,)]),
    ("SELECT count(*) FROM t WHERE - - a = + a AND NOT NOT a = 1", [(6,)]),
)


@pytest.mark.parametrize(("sql", "rows"), CASES, ids=[sql[:60] for sql, _ in CASES])
def test_predicate(connection: Connection, sql: str, rows: list[tuple[Any, ...]]) -> None:
    assert connection.execute(sql).fetchall() == rows


def test_an_index_over_several_columns_is_searched_by_the_first(connection: Connection) -> None:
    connection.execute("CREATE INDEX both ON t (a DESC, d ASC NULLS LAST)")
    plan = [line for (line,) in connection.execute("EXPLAIN SELECT id FROM t WHERE a = 1")]
    assert any("a = 1" in line and "index" in line for line in plan)
    query = "SELECT id FROM t WHERE a = 1 AND d = 'd3'"
    assert connection.execute(query).fetchall() == [(8,)]
    connection.execute("ALTER TABLE t RENAME COLUMN d TO e")
    shown = connection.execute("SHOW INDEXES FROM t").fetchall()
    assert ("both", "(a, e)") in [(row[0], row[3]) for row in shown]
    with pytest.raises(vsql.ProgrammingError, match='"z" does not exist'):
        connection.execute("CREATE INDEX ON t (a, z)")
    with pytest.raises(vsql.ProgrammingError, match="not over an expression"):
        connection.execute("CREATE UNIQUE INDEX ON t ((a + 1))")
    connection.execute("ALTER TABLE t DROP COLUMN e")
    assert "both" not in [row[0] for row in connection.execute("SHOW INDEXES FROM t")]


ZEROS = (
    ("f IN (0)", [1, 2]),
    ("f IN ('-0', 7)", [1, 2]),
    ("f NOT IN (0, 7)", [3, 4]),
    ("f = 0", [1, 2]),
    ("f IN ('NaN', 7)", [3, 4]),
    ("f = 'NaN'", [3, 4]),
    ("f > 7", [3, 4]),
)


@pytest.mark.parametrize("type_", ["REAL", "DOUBLE"])
@pytest.mark.parametrize("kind", [None, "stl_sort", "bitmap", "inverted"])
def test_there_is_one_zero_and_one_nan(type_: str, kind: str | None) -> None:
    """IEEE 754 has two zeros and many NaNs; a NaN's sign is one of its bits."""
    with vsql.connect(":memory:", autocommit=True) as connection:
        connection.execute(f"CREATE TABLE z (id INT PRIMARY KEY, f {type_})")
        values = np.array([0.0, -0.0, np.nan, np.copysign(np.nan, -1)])
        connection.cursor().adbc_ingest(
            "z", pa.table({"id": np.arange(1, 5), "f": values}), mode="append"
        )
        if kind is not None:
            connection.execute(f"CREATE INDEX z_f ON z USING {kind} (f)")
        found = [
            [row[0] for row in connection.execute(f"SELECT id FROM z WHERE {c} ORDER BY id")]
            for c, _ in ZEROS
        ]
        assert found == [rows for _, rows in ZEROS]


ONE_OF_EACH = (
    "CREATE TABLE one (i INT, n DECIMAL(5, 2), f DOUBLE, q BOOLEAN, x TEXT, d DATE, h TIME,"
    " z TIMESTAMPTZ, v INTERVAL, b BYTEA, t BIT(8), a INT[], e VECTOR(2), s SPARSEVEC(3))",
    "INSERT INTO one VALUES ('1', '1.5', '0.5', 'yes', 'x', '2024-01-01', '10:00', '2024-01-01',"
    " '1 day', '\\x61', '10101010', '{1}', '[1, 2]', '{1:1}/3')",
)


@pytest.fixture(params=["growing", "sealed"])
def one_of_each(request: pytest.FixtureRequest) -> Iterator[Connection]:
    with vsql.connect(":memory:", autocommit=True) as connection:
        for statement in ONE_OF_EACH:
            connection.execute(statement)
        if request.param == "sealed":
            connection.execute("FLUSH one")
        yield connection


@pytest.mark.parametrize(
    "condition",
    [
        "h = '10:00:00'",
        "h < '10:00:00.5'",
        "h IN ('10:00', '11:00')",
        "z = '2024-01-01'",
        "z BETWEEN '2024-01-01' AND '2024-01-02'",
        "q = 'yes' AND q <> ' off '",
        "n = ' 1.5 ' AND n < '1.505'",
        "b = '\\x61' AND b = 'a'",
        "v = '1 day' AND v = '24 hours' AND v > '1 hour' AND v IN ('24 hours')",
        "v BETWEEN '1 hour' AND '2 days'",
    ],
)
def test_text_says_what_it_says_where_it_is_stored(one_of_each: Connection, condition: str) -> None:
    assert one_of_each.execute(f"SELECT i FROM one WHERE {condition}").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("condition", "value", "count"),
    [
        ("i IN (?)", np.array([1, 2]), 1),
        ("i IN (?)", np.array(1), 1),
        ("i = ANY(?)", np.array([2, 1]), 1),
        ("i = ANY(?)", ["1"], 1),
        ("i = ANY(?)", [10**400], 0),
        ("i < ?", 10**400, 1),
        ("n < ?", Decimal("NaN"), "42883"),
        ("n < ?", 10**400, 1),
        ("f > ?", -(10**400), 1),
        ("i = ?", np.array([1, 2]), "42883"),
        ("i = ?", pa.array([1, 2]), "42883"),
        ("i = ?", pa.scalar(None), 0),
        ("i IN (?)", pa.scalar(None), 0),
        ("i = ?", memoryview(bytes(8)).cast("f"), "42883"),
        ("t = ?", 5, "22000"),
        ("t = ?", [[1], [0, 1]], "22000"),
    ],
)
def test_what_a_column_is_compared_with(
    one_of_each: Connection, condition: str, value: Any, count: int | str
) -> None:
    query = f"SELECT count(*) FROM one WHERE {condition}"
    if isinstance(count, int):
        assert one_of_each.execute(query, (value,)).fetchall() == [(count,)]
        return
    with pytest.raises(vsql.DatabaseError) as caught:
        one_of_each.execute(query, (value,))
    assert caught.value.sqlstate == count


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("i", pa.scalar(2**31 - 1, pa.date32()), "22P02"),
        ("i", Decimal("1e400000"), "22003"),
        ("n", float("inf"), "22003"),
        ("n", 1e30, "22003"),
        ("f", Decimal("sNaN"), "22003"),
        ("z", np.longdouble(1), "22P02"),
        ("a", scipy.sparse.csr_array([[0, 1.0]]), "22P02"),
        ("e", pa.scalar(2**31 - 1, pa.date32()), "42804"),
        ("s", 10**400, "42804"),
        ("s", pa.array(["a"]), "42804"),
        ("t", [[1], [2, 3]], "22000"),
    ],
)
def test_what_no_column_stores_is_refused(
    one_of_each: Connection, column: str, value: Any, code: str
) -> None:
    with pytest.raises(vsql.DataError) as caught:
        one_of_each.execute(f"INSERT INTO one ({column}) VALUES (?)", (value,))
    assert caught.value.sqlstate == code


def test_a_time_that_is_none_is_null(one_of_each: Connection) -> None:
    pandas = pytest.importorskip("pandas")
    one_of_each.execute("INSERT INTO one (z) VALUES (?)", (pandas.NaT,))
    assert one_of_each.execute("SELECT count(*) FROM one WHERE z IS NULL").fetchall() == [(1,)]


@pytest.mark.parametrize("condition", ["name = ?", "name IN (?, 'x')"])
def test_half_of_a_surrogate_pair_is_no_text(condition: str) -> None:
    with vsql.connect(autocommit=True) as opened:
        opened.execute("CREATE TABLE t (id INT PRIMARY KEY, name TEXT)")
        opened.execute("INSERT INTO t VALUES (1, 'a')")
        with pytest.raises(vsql.DataError, match="surrogate") as caught:
            opened.execute(f"SELECT id FROM t WHERE {condition}", ("\ud800",)).fetchall()
        assert caught.value.sqlstate == "22P02"
