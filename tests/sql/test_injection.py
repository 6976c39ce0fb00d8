"""Hostile text in parameters, names and filters stays text."""

from collections.abc import Iterator
from typing import Any

import pytest

import vsql
from vsql.driver.connection import Connection

HOSTILE = (
    "'; DROP TABLE t; --",
    "x' OR '1'='1",
    '"; DROP TABLE t; --',
    "$$; DROP TABLE t; $$",
    "\\'; DROP TABLE t; --",
    "/* */ UNION SELECT * FROM t",
    "a\x00b",
    "{name} :name $1 ? %s",
    "vsql_input_1",
    "'''''''",
    "ünï\u202ecode \U0001f600",
    "",
)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, s TEXT, m JSON, e VECTOR(2))")
        connection.execute("INSERT INTO t VALUES (1, 'plain', '{\"k\": \"plain\"}', '[1, 0]')")
        yield connection
        assert connection.execute("SELECT count(*) FROM t WHERE id = 1").fetchall() == [(1,)]


@pytest.mark.parametrize("text", HOSTILE)
def test_parameters(connection: Connection, text: str) -> None:
    connection.execute("INSERT INTO t (id, s) VALUES (2, ?)", (text,))
    for query in (
        "SELECT s FROM t WHERE s = ?",
        "SELECT max(s) FROM t WHERE s = ? GROUP BY id",
        "SELECT s FROM t WHERE matches('s == {v}', v => ?)",
        "SELECT s FROM t WHERE s IN (SELECT s FROM t WHERE s = ?) ORDER BY id LIMIT 5",
    ):
        assert connection.execute(query, (text,)).fetchall() == [(text,)]
    assert connection.execute("UPDATE t SET s = ? WHERE s = ?", ("new", text)).rowcount == 1
    assert connection.execute("SELECT :v || 'x'", {"v": text}).fetchall() == [(text + "x",)]


@pytest.mark.parametrize("text", HOSTILE)
def test_filters(connection: Connection, text: str) -> None:
    condition = connection.parse_filter("s == {v}").replace("%", "%%")
    assert "DROP" not in condition
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''")
    try:
        found = connection.execute(f"SELECT id FROM t WHERE matches('s == \"{escaped}\"')")
        assert found.fetchall() == []
    except vsql.Error as error:
        assert not isinstance(error, vsql.InternalError)


@pytest.mark.parametrize("text", [text for text in HOSTILE if text and "\x00" not in text])
def test_names(connection: Connection, text: str) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    connection.execute(f"CREATE TABLE {quoted} (id INT PRIMARY KEY, {quoted} TEXT, e VECTOR(2))")
    connection.execute(f"INSERT INTO {quoted} VALUES (1, ?, '[1, 0]')", (text,))
    connection.execute(f"CREATE INDEX {quoted} ON {quoted} USING hnsw (e vector_l2_ops)")
    nearest = f"SELECT {quoted} FROM {quoted} ORDER BY e <-> '[1, 0]' LIMIT 1"
    assert connection.execute(nearest).fetchall() == [(text,)]
    grouped = f"SELECT x.{quoted}, count(*) FROM {quoted} AS x GROUP BY x.{quoted}"
    assert connection.execute(grouped).fetchall() == [(text, 1)]
    listed = "SELECT count(*) FROM information_schema.columns WHERE column_name = ?"
    assert connection.execute(listed, (text,)).fetchall() == [(1,)]
    connection.execute(f"DROP TABLE {quoted}")


def test_names_that_the_planner_uses(connection: Connection) -> None:
    found = connection.execute(
        "WITH vsql_input_1 AS (SELECT 7 AS id) SELECT t.id, v.id FROM t, vsql_input_1 AS v"
    )
    assert found.fetchall() == [(1, 7)]


@pytest.mark.parametrize(
    ("sql", "parameters", "kind", "code"),
    [
        ("SELECT id FROM t WHERE id = ?", (), vsql.ProgrammingError, "42P02"),
        ("SELECT id FROM t WHERE id = ?", (1, 2), vsql.ProgrammingError, "42P02"),
        ("SELECT id FROM t WHERE id = :a", {"b": 1}, vsql.ProgrammingError, "42P02"),
        ("SELECT id FROM t WHERE id = ?", ("x",), vsql.DataError, "22P02"),
        ("SELECT id FROM t ORDER BY e <-> ? LIMIT 1", ("x",), vsql.DataError, "22P02"),
        ("SELECT id FROM t ORDER BY e <-> ? LIMIT 1", (3,), vsql.DataError, "42804"),
        ("SELECT id FROM t LIMIT ?", ("x",), vsql.DataError, "22023"),
        ("SELECT ?", "text", vsql.InterfaceError, "22023"),
        ("SELECT id FROM t; DROP TABLE t", (), vsql.ProgrammingError, "42601"),
    ],
)
def test_parameters_that_do_not_fit(
    connection: Connection, sql: str, parameters: Any, kind: type[vsql.Error], code: str
) -> None:
    with pytest.raises(kind) as caught:
        connection.execute(sql, parameters)
    assert caught.value.sqlstate == code


def test_ten_megabytes_are_a_value_or_an_error(connection: Connection) -> None:
    huge = "x" * 10_000_000
    assert connection.execute("SELECT length(?)", (huge,)).fetchall() == [(len(huge),)]
    assert connection.execute(f"SELECT length('{huge}')").fetchall() == [(len(huge),)]
    deep = "(" * 5_000 + "1" + ")" * 5_000
    with pytest.raises(vsql.ProgrammingError) as caught:
        connection.execute(f"SELECT {deep}")
    assert caught.value.sqlstate == "54001"
