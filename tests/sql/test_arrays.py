"""Arrays compared with arrays, in SQL and in the filter language."""

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vsql
from vsql.core.array_text import read_array
from vsql.driver.connection import Connection


@pytest.fixture(scope="module", params=["growing", "sealed"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    connection = vsql.connect(":memory:", autocommit=True)
    connection.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT[], s TEXT[], r REAL[], m NUMERIC(6, 2)[],"
        " n INT[][])"
    )
    connection.execute(
        "INSERT INTO t VALUES"
        " (1, ARRAY[1, 2], ARRAY['x', 'y'], ARRAY[0.1, 0.5], ARRAY[1.25],"
        " ARRAY[ARRAY[1], ARRAY[2]]),"
        " (2, ARRAY[2], ARRAY['x'], ARRAY[0.5], NULL, ARRAY[ARRAY[1]]),"
        " (3, NULL, NULL, NULL, NULL, NULL),"
        " (4, ARRAY[1, NULL], ARRAY['a', NULL], NULL, NULL, NULL),"
        " (5, ARRAY[]::INT[], NULL, NULL, NULL, NULL)"
    )
    if request.param == "sealed":
        connection.execute("FLUSH t")
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("condition", "parameters", "ids"),
    [
        ("a = ARRAY[1, 2]", (), [1]),
        ("ARRAY[1, 2] = a", (), [1]),
        ("a <> ARRAY[1, 2]", (), [2, 4, 5]),
        ("NOT a = ARRAY[1, 2]", (), [2, 4, 5]),
        ("a = ?", ([1, 2],), [1]),
        ("a = ?", ((1, 2),), [1]),
        ("a = ARRAY[1, NULL]", (), [4]),
        ("a = ARRAY[]::INT[]", (), [5]),
        ("a = NULL", (), []),
        ("a = a", (), [1, 2, 4, 5]),
        ("a < ARRAY[2]", (), [1, 4, 5]),
        ("a > ?", ([1],), [1, 2, 4]),
        ("a BETWEEN ARRAY[1] AND ARRAY[2]", (), [1, 2, 4]),
        ("a IN (ARRAY[1, 2], ARRAY[2])", (), [1, 2]),
        ("a NOT IN (ARRAY[1, 2], ARRAY[2])", (), [4, 5]),
        ("a IN (?, ?)", ([1, 2], [2]), [1, 2]),
        ("a = '{1,2}'", (), [1]),
        ("a = '{}'", (), [5]),
        ("a = ?", ("{1,2}",), [1]),
        ("? = a", ("{1,NULL}",), [4]),
        ("a <> ?", ("{1,2}",), [2, 4, 5]),
        ("a >= ?", ("{2}",), [2]),
        ("a IN (?, '{2}')", ("{1,2}",), [1, 2]),
        ("a BETWEEN ? AND '{2}'", ("{1}",), [1, 2, 4]),
        ("a IS DISTINCT FROM ?", ("{2}",), [1, 3, 4, 5]),
        ("a && '{2,3}'", (), [1, 2]),
        ("? && a", ("{2,3}",), [1, 2]),
        ("a @> ?", ("{1,2}",), [1]),
        ("a <@ ? AND id <> 4", ("{1,2}",), [1, 2, 5]),
        ("a && ?", (None,), []),
        ("a && NULL OR id = 1", (), [1]),
        ("a <@ '{2}'", (), [2, 5]),
        ("s = ?", ('{x,"y"}',), [1]),
        ("m = ?", ("{1.25}",), [1]),
        ("n = ?", ("{{1}}",), [2]),
        ("id IN (SELECT u.id FROM t u JOIN t v USING (id) WHERE u.a = ?)", ("{1,2}",), [1]),
        ("id IN (SELECT u.id FROM t u JOIN t v USING (id) WHERE u.a = '{1,2}')", (), [1]),
        ("s <> '{x, \"y\"}'", (), [2, 4]),
        ("a IS DISTINCT FROM ARRAY[2]", (), [1, 3, 4, 5]),
        ("s = ARRAY['x', 'y']", (), [1]),
        ("s = ?", (["x", "y"],), [1]),
        ("r = ARRAY[0.5]", (), [2]),
        ("r = ARRAY[0.1, 0.5]::REAL[]", (), [1]),
        ("m = ARRAY[1.25]", (), [1]),
        ("n = ARRAY[ARRAY[1]]", (), [2]),
        ("matches('a == [1, 2]')", (), [1]),
        ("matches('a != [1, 2]')", (), [2, 4, 5]),
        ("matches('n == [[1], [2]]')", (), [1]),
        ("matches('n[0] == [1]')", (), [1, 2]),
        ("matches($$s == ['x', 'y']$$)", (), [1]),
        ("matches($f$s != ['x']$f$)", (), [1, 4]),
        ("matches(E's == [\\'x\\']')", (), [2]),
    ],
)
def test_arrays_compare(
    connection: Connection, condition: str, parameters: Any, ids: list[int]
) -> None:
    found = connection.execute(f"SELECT id FROM t WHERE {condition} ORDER BY id", parameters)
    assert [row[0] for row in found] == ids


@pytest.mark.parametrize(
    "condition", ["a = ?", "a && ?", "id IN (SELECT max(id) FROM t WHERE a = ?)"]
)
@pytest.mark.parametrize("text", ["{1", "{x}", "1"])
def test_text_that_is_no_array_cannot_be_compared(
    connection: Connection, condition: str, text: str
) -> None:
    with pytest.raises(vsql.DataError) as caught:
        connection.execute(f"SELECT id FROM t WHERE {condition}", (text,))
    assert caught.value.sqlstate == "22P02"


LISTS = st.none() | st.lists(st.none() | st.integers(0, 2), max_size=3)


@given(rows=st.lists(LISTS, max_size=8), wanted=st.lists(st.integers(0, 2), min_size=1, max_size=3))
def test_a_filter_compares_lists_as_python_does(rows: list[Any], wanted: list[int]) -> None:
    with vsql.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT[])")
        connection.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(rows)))
        for operator, is_equal in (("==", True), ("!=", False)):
            condition = f"matches('a {operator} {wanted}')"
            found = connection.execute(f"SELECT id FROM t WHERE {condition} ORDER BY id").fetchall()
            expected = [n for n, row in enumerate(rows) if row is not None]
            assert found == [(n,) for n in expected if (rows[n] == wanted) is is_equal]


def test_an_error_in_a_dollar_quoted_filter_has_its_place(connection: Connection) -> None:
    with pytest.raises(vsql.ProgrammingError) as caught:
        connection.execute("SELECT id FROM t WHERE matches($$ nope == 1$$)")
    assert "LINE 1: SELECT id FROM t WHERE matches($$ nope == 1$$)" in str(caught.value)
    lines = str(caught.value).splitlines()
    assert lines[2].index("^") == lines[1].index("nope")


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("{1,2}", ["1", "2"]),
        ("{}", []),
        ("{ }", []),
        ("{{1,2},{3}}", [["1", "2"], ["3"]]),
        ("{{},{}}", [[], []]),
        ('{"a,b",NULL," c ", d e }', ["a,b", None, " c ", "d e"]),
        (r'{"q\"x",a\,b,c\ ,\\}', ['q"x', "a,b", "c ", "\\"]),
        ('{null,"NULL"}', [None, "NULL"]),
        ("[1, 2.5, null]", [1, 2.5, None]),
        ('["x"]', ["x"]),
    ],
)
def test_text_of_an_array_is_read(text: str, elements: list[Any]) -> None:
    assert read_array(text) == elements


NO_ARRAYS = (
    *("", "x", "5", '{"x": 1}', "{1,", "{1}x", "{,1}", "{1,}", "{1,,2}", "{1}{2}", "}", '{"a}'),
    *('{1 "b"}', "{a}}", "[1", "{{1}2}", "{1{2}}", "{\\", "{" * 100_000, "[" * 100_000),
)


@pytest.mark.parametrize("text", NO_ARRAYS, ids=range(len(NO_ARRAYS)))
def test_text_that_is_no_array_is_refused(connection: Connection, text: str) -> None:
    with pytest.raises(ValueError):
        read_array(text)
    for column in ("a", "s"):
        with pytest.raises(vsql.DataError) as caught:
            connection.execute(f"INSERT INTO t (id, {column}) VALUES (99, ?)", (text,))
        assert caught.value.sqlstate == "22P02"


def test_text_is_stored_as_an_array() -> None:
    with vsql.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (a INT[], s TEXT[], n INT[][], b BOOLEAN[], d DATE[])")
        connection.execute(
            "INSERT INTO t VALUES"
            " ('{1,NULL}', '{x,\"y z\"}', '{{1,2},{3}}', '{t,f}', '{2020-01-01}')"
        )
        assert connection.execute("SELECT * FROM t").fetchone() == (
            [1, None],
            ["x", "y z"],
            [[1, 2], [3]],
            [True, False],
            [datetime.date(2020, 1, 1)],
        )
