"""The filter language inside SQL: matches(…), and the functions that it is made of."""

from collections.abc import Iterator
from typing import Any

import pytest

import vsql
from vsql.driver.connection import Connection


@pytest.fixture(scope="module", params=["growing", "sealed"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    connection = vsql.connect(":memory:")
    connection.execute(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, tag TEXT, price DOUBLE PRECISION, small SMALLINT,"
        ' weight REAL, sizes BIGINT[], meta JSON, "$meta" JSON, e VECTOR(2))'
    )
    rows = [
        (1, "red", 9.5, 7, 0.1, [1, 2], '{"a": 1, "l": [1, "x"]}', '{"color": "red"}', [0, 1]),
        (2, "blue", 19.5, -7, 0.2, [], '{"a": 1.0, "l": []}', '{"color": 5}', [1, 0]),
        (3, "100%", None, 32767, None, None, None, None, [1, 1]),
        (4, "12", 2.0, 0, 16777216.0, [2**63 - 1], '{"a": "1"}', "{}", [2, 2]),
    ]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    if request.param == "sealed":
        connection.execute("FLUSH")
    yield connection
    connection.close()


def _ids(connection: Connection, condition: str, parameters: Any = ()) -> list[int]:
    cursor = connection.execute(f"SELECT id FROM t WHERE {condition}", parameters)
    return sorted(row[0] for row in cursor)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("small % 2 == -1", [2]),
        ("small / 2 == 3", [1]),
        ("small * 9223372036854775807 > 0", [1, 3]),
        ("sizes[0] + 1 == -9223372036854775808", []),
        ("weight == 0.1", [1]),
        ("weight == 16777217", [4]),
        ("weight in [0.1, 0.2]", [1, 2]),
        ('tag == "12"', [4]),
        ('tag like "100\\\\%"', [3]),
        ('tag =~ "^[a-z]+$"', [1, 2]),
        ('meta["a"] == 1', [1, 2]),
        ('not (meta["a"] == 1)', []),
        ('meta["a"] != 2', [1, 2]),
        ('meta["a"] in [1, "1"]', [1, 2, 4]),
        ('meta["a"] * 2 == 2', [1, 2]),
        ('meta["l"][1] like "x%"', [1]),
        ('json_contains(meta["l"], 1.0)', [1]),
        ('array_length(meta["l"]) == 0', [2]),
        ('exists meta["l"]', [1]),
        ('meta["l"] is null', [2, 3, 4]),
        ("sizes == [1, 2]", [1]),
        ("sizes[1] == 2", [1]),
        ("array_contains_all(sizes, [])", [1, 2, 4]),
        ("array_contains_any(sizes, [2, 9])", [1]),
        ("match_all(sizes, $ < 3)", [1, 2]),
        ("match_exact(sizes, $ >= 2, threshold=1)", [1, 4]),
        ("sizes in []", []),
        ("sizes not in []", [1, 2, 4]),
        ('color == "red"', [1]),
        ("color > 4", [2]),
        ('color like "r%" or color in [5]', [1, 2]),
        ("color is null", [3, 4]),
        ('$meta["color"] != "blue"', [1]),
        ("id == 1 and random_sample(0.999999999)", [1]),
        ("", [1, 2, 3, 4]),
    ],
)
def test_a_filter_matches(connection: Connection, text: str, ids: list[int]) -> None:
    quoted = text.replace("'", "''")
    assert _ids(connection, f"matches('{quoted}')") == ids
    assert _ids(connection, connection.parse_filter(text)) == ids


@pytest.mark.parametrize(
    "text",
    [
        "small == 1.0", "small + 1.5 == 2", "small == '1'", "price == '9.5'", "price % 2 == 1",
        "tag > 1", "sizes > [1]", "sizes == []", "sizes == ['x']", "sizes[0] == 1.5",
        "sizes['0'] == 1", "small['a'] == 1", "sizes in [1]", "array_length(small) == 1",
        "array_contains(sizes, '1')", "json_contains(tag, 'x')", "exists meta", "exists sizes[0]",
        "color == tag", "match_any(meta, $ > 1)", "match_any(sizes, $ == 'x')", "e == 1",
        "e in []", "tag + 1 == 2", "meta['a'] + 1 == 2.5", "small like '1%'",
    ],
)  # fmt: skip
def test_types_are_checked(connection: Connection, text: str) -> None:
    with pytest.raises(vsql.DatabaseError) as caught:
        _ids(connection, connection.parse_filter(text))
    assert not isinstance(caught.value, vsql.InternalError)


@pytest.mark.parametrize(
    ("condition", "parameters", "ids"),
    [
        ("matches('tag in {tags}', tags => ?) AND price > ?", (["red", "blue"], 10), [2]),
        ("matches('tag in {tags}', tags => :tags)", {"tags": ["red", "12"]}, [1, 4]),
        ("matches('color == {c}', c => $1)", ("red",), [1]),
        ("matches('meta[\"a\"] in {l}', l => ARRAY[1, 5])", (), [1, 2]),
        ("matches('id == {x}', x => (SELECT max(id) FROM t))", (), [4]),
        ("matches('sizes[0] == {x} or small == {x}', x => 1) AND tag = 'red'", (), [1]),
        ("NOT matches('id == 1 or id == 2')", (), [3, 4]),
        ("matches('tag == ''red''')", (), [1]),
    ],
)
def test_values_are_bound(
    connection: Connection, condition: str, parameters: Any, ids: list[int]
) -> None:
    assert _ids(connection, condition, parameters) == ids


@pytest.mark.parametrize(
    ("condition", "value", "outcome"),
    [
        ("vsql_filter(small + $1 = 8)", 1, [1]),
        ("vsql_filter(small + $1 = 8)", None, []),
        ("vsql_filter(small + $1 = 8)", "1", "42804"),
        ("vsql_filter(small + $1 = 8)", True, "42804"),
        ("vsql_filter(small + $1 = 8)", 1.0, "42804"),
        ("vsql_filter(small + $1 = 8)", 2**70, "22003"),
        ("vsql_filter((meta -> 'a') + $1 = 2)", 1.0, [1, 2]),
        ("vsql_filter((meta -> 'a') + $1 = 2)", "1", "42804"),
        ("vsql_filter((meta -> 'a') + $1 = 2)", 2**70, "22003"),
        ("vsql_filter((meta -> 'a') % $1 = 0)", float("inf"), "42804"),
        ("vsql_filter((meta -> 'a') > $1)", -(2**70), [1, 2]),
    ],
)
def test_values_of_arithmetic_are_checked_when_it_runs(
    connection: Connection, condition: str, value: Any, outcome: Any
) -> None:
    if isinstance(outcome, list):
        assert _ids(connection, condition, (value,)) == outcome
        return
    with pytest.raises(vsql.DatabaseError) as caught:
        _ids(connection, condition, (value,))
    assert caught.value.sqlstate == outcome


@pytest.mark.parametrize(
    ("condition", "underlined"),
    [
        ("matches('tag = 1')", "="),
        ("matches('tag == ''a'' or )')", ")"),
        ("matches('text_match(tag, \"x\")')", "text_match"),
        ("matches('small == 1.5')", "small"),
        ("matches('id == 1 or json_contains(tag, 1)')", "tag"),
        ("matches(tag)", "matches"),
        ("matches('tag == {x}', 5)", "matches"),
    ],
)
def test_errors_are_placed_in_the_statement(
    connection: Connection, condition: str, underlined: str
) -> None:
    statement = f"SELECT id FROM t WHERE {condition}"
    with pytest.raises(vsql.DatabaseError) as caught:
        connection.execute(statement)
    assert caught.value.statement == statement
    assert caught.value.span is not None
    assert statement[caught.value.span.start : caught.value.span.end] == underlined


def test_a_filter_is_answered_by_an_index_and_within_searches(connection: Connection) -> None:
    plan = connection.execute(
        "EXPLAIN SELECT id FROM t WHERE matches('price > 9.0 and weight < 0.15')"
    ).fetchall()
    assert not any("vsql_filter" in str(line).lower() for line in plan)
    nearest = "ORDER BY e <-> '[0, 1]' LIMIT 2"
    found = connection.execute(f"SELECT id FROM t WHERE matches('meta[\"a\"] == 1') {nearest}")
    assert found.fetchall() == [(1,), (2,)]
    grouped = connection.execute(
        "SELECT tag, count(*) FROM t WHERE matches('color == \"red\"') GROUP BY tag"
    )
    assert grouped.fetchall() == [("red", 1)]


def test_a_filter_beside_a_join_is_refused_with_a_way_out(connection: Connection) -> None:
    with pytest.raises(vsql.NotSupportedError, match="subquery"):
        connection.execute(
            "SELECT t.id FROM t JOIN t AS u ON t.id = u.id WHERE matches('weight == 1.5')"
        )


def test_long_chains_run(connection: Connection) -> None:
    text = " or ".join(f"id == {number} and small > -9" for number in range(1_500))
    assert _ids(connection, f"matches('{text}')") == [1, 2, 3, 4]
