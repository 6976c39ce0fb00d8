"""The filter language to SQL, and its errors."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from sqlglot import exp

import vsql
from vsql.core import sqlstate
from vsql.grammar.filter import filter_to_sql, parse_filter
from vsql.grammar.parse import parse_expression

SQL = {
    # Comparisons: SQL's own where its answer is the same for every type.
    "": "TRUE",
    "a == 1": "a = 1",
    "1 < a": "a > 1",
    "a != 'x'": "a <> 'x'",
    "b == True": "b = TRUE",
    "a == 2.5": "vsql_filter(a = 2.5)",
    'a == "12"': "vsql_filter(a = '12')",
    "a == 16777217": "vsql_filter(a = 16777217)",
    "a < b": "a < b",
    'Name == "x"': "\"Name\" = 'x'",
    "order == 1": '"order" = 1',
    '$meta["k"] == 1': "vsql_filter((\"$meta\" -> 'k') = 1)",
    'm["a"][0]["b c"] >= 1': "vsql_filter((m -> 'a' -> 0 -> 'b c') >= 1)",
    "a == [1, 'x', [2.5, true]]": "vsql_filter(a = ARRAY[1, 'x', ARRAY[2.5, TRUE]])",
    "0 <= a < 5": "a >= 0 AND a < 5",
    "5 > a >= 0": "a < 5 AND a >= 0",
    # Literals.
    "a == 0x1F": "a = 31",
    "a == 017": "a = 15",
    "a == 0b11": "a = 3",
    "a == -9223372036854775808": "vsql_filter(a = -9223372036854775808)",
    "a == .5e1": "vsql_filter(a = 5.0)",
    "a == 0x1p-1": "vsql_filter(a = 0.5)",
    r"""a == "it's \"\x61\141\u00e9\n\"" """: "a = 'it''s \"aaé\n\"'",
    r'a == r"a\nb"': r"a = 'a\nb'",
    # Constants are folded before they meet a column.
    "a == 7 / 2 + 2 ** 3 % 5": "a = 6",
    "a == -7 / 2": "a = -3",
    "a == -7 % 4": "a = -3",
    "a == 2 ** 3 ** 2": "a = 64",
    "a == -2 ** 2": "a = -4",
    "a == 2 ** -1": "vsql_filter(a = 0.5)",
    "a == (6 ^ 3) | 8": None,
    "a == ((6 ^ 3) | 8)": "a = 13",
    "1 < 2": "TRUE",
    "1 == 2 or a == 1": "a = 1",
    "1 == 2 and a == 1": "FALSE",
    # Logic.
    "a == 1 or b == 2 and c == 3": "a = 1 OR b = 2 AND c = 3",
    "(a == 1 || b == 2) && c == 3": "(a = 1 OR b = 2) AND c = 3",
    "a == 1 or (b == 2 or c == 3)": "a = 1 OR b = 2 OR c = 3",
    "not (a == 1)": "NOT a = 1",
    "!(a == 1 and b == 2)": "NOT (a = 1 AND b = 2)",
    "not not not (a == 1)": "NOT a = 1",
    "not (not (a == 1 or b == 2)) or c == 3": "a = 1 OR b = 2 OR c = 3",
    "a == 1 AND not a in [1]": None,
    # Membership, patterns, nulls.
    "a in [1, 2,]": "a IN (1, 2)",
    "a not in ['x']": "NOT a IN ('x')",
    "a in []": "vsql_filter(a IN ())",
    "a in [1, 'x']": "vsql_filter(a IN (1, 'x'))",
    "m['a'] in [1]": "vsql_filter((m -> 'a') IN (1))",
    r'a like "100\\%"': r"a LIKE '100\%'",
    "not a like 'x%'": "NOT a LIKE 'x%'",
    "m['a'] LIKE 'x%'": "vsql_filter((m -> 'a') LIKE 'x%')",
    r'a =~ "^\d+$"': r"a ~ '^\d+$'",
    'a !~ "x"': "NOT a ~ 'x'",
    "a is null and b IS NOT NULL": "a IS NULL AND NOT b IS NULL",
    "m['a'] is null": "NOT vsql_exists((m -> 'a'))",
    "not exists m['a']": "NOT vsql_exists((m -> 'a'))",
    "exists k": "vsql_exists(k)",
    # Arithmetic, arrays, time.
    "a + 1 == 3": "vsql_filter(a + 1 = 3)",
    "2 * m['a'] > 3.5": "vsql_filter((m -> 'a') * 2 > 3.5)",
    "(a & 4) == 4": "vsql_filter(a & 4 = 4)",
    "(a ^ 4) != 4": "vsql_filter(a # 4 <> 4)",
    "array_length(a) > 1": "vsql_filter(vsql_array_length(a) > 1)",
    "json_contains(m['a'], 1)": "vsql_contains((m -> 'a'), 1)",
    "ARRAY_CONTAINS_ALL(a, [1, 2])": "vsql_contains_all(a, ARRAY[1, 2])",
    "json_contains_any(a, [])": "vsql_contains_any(a, ARRAY[])",
    "match_any(a, $ > 3)": "vsql_match_any(a, vsql_element() > 3)",
    "MATCH_LEAST(a, 1 < $ < 5, threshold=2)": (
        "vsql_match_least(a, vsql_element() > 1 AND vsql_element() < 5, 2)"
    ),
    "t > ISO '2024-06-01T08:00:00+08:00'": (
        "t > CAST('2024-06-01 00:00:00+00:00' AS TIMESTAMPTZ)"
    ),
    "t - INTERVAL 'P1Y2DT3H' < iso '2024-06-01 00:00:00'": (
        "t - INTERVAL '1 YEAR' - INTERVAL '2 DAY' - INTERVAL '3 HOUR'"
        " < CAST('2024-06-01 00:00:00+00:00' AS TIMESTAMPTZ)"
    ),
    "starts_with(a, '5_%')": r"a LIKE '5\_\%%'",
    "empty(a)": "a = ''",
    "a == 1 and random_sample(0.25)": "a = 1 AND RANDOM() < 0.25",
    # Templates.
    "a in {list}": "vsql_filter(a IN (:list))",
    "{low} < a < { high }": "vsql_filter(a > :low) AND vsql_filter(a < :high)",
    "a like {pattern}": "a LIKE :pattern",
}  # fmt: skip


@pytest.mark.parametrize(("text", "sql"), SQL.items())
def test_what_a_filter_is_in_sql(text: str, sql: str | None) -> None:
    if sql is None:
        with pytest.raises(vsql.ProgrammingError):
            parse_filter(text)
    else:
        assert filter_to_sql(text) == sql


@pytest.mark.parametrize("text", [text for text, sql in SQL.items() if sql is not None])
def test_the_sql_reads_back_as_the_same_tree(text: str) -> None:
    tree = parse_filter(text, {"list": [1], "low": 1, "high": 2, "pattern": "x"})
    assert parse_expression(tree.sql("postgres")) == tree


@pytest.mark.parametrize(
    ("text", "values", "sql"),
    [
        ("a == {x}", {"x": 3}, "a = 3"),
        ("a == {x}", {"x": "it's"}, "a = 'it''s'"),
        ("a in {x}", {"x": (1, 2)}, "a IN (1, 2)"),
        ("a in {x}", {"x": []}, "vsql_filter(a IN ())"),
        ("a == {x}", {"x": exp.column("y")}, "vsql_filter(a = y)"),
        ("a + {x} == {y}", {"x": 1, "y": 2.5}, "vsql_filter(a + 1 = 2.5)"),
    ],
)
def test_values_take_the_place_of_templates(text: str, values: dict[str, Any], sql: str) -> None:
    assert parse_filter(text, values).sql("postgres", normalize_functions=False) == sql


REFUSED = [
    # text, what is underlined, SQLSTATE
    ("a = 1", "=", sqlstate.SYNTAX_ERROR),
    ("a == 1 And b == 2", "And", sqlstate.SYNTAX_ERROR),
    ("a is  null", "is", sqlstate.SYNTAX_ERROR),
    ("a == 1 and", "d", sqlstate.SYNTAX_ERROR),
    ("a == 'x", "'", sqlstate.SYNTAX_ERROR),
    ("a == 1; b", ";", sqlstate.SYNTAX_ERROR),
    ("a[-1] == 1", "[", sqlstate.SYNTAX_ERROR),
    ('a[ "x" ] == 1', "[", sqlstate.SYNTAX_ERROR),
    (r'a == "\%"', r"\%", sqlstate.SYNTAX_ERROR),
    (r'a == "\423"', r"\423", sqlstate.SYNTAX_ERROR),
    (r'a == "\367"', r'"\367"', sqlstate.INVALID_TEXT_REPRESENTATION),
    ("a == u'x'", "u'x'", sqlstate.SYNTAX_ERROR),
    ('m[""] == 1', 'm[""]', sqlstate.SYNTAX_ERROR),
    ("a == 9223372036854775808", "9223372036854775808", sqlstate.NUMERIC_VALUE_OUT_OF_RANGE),
    ("a == 1e400", "1e400", sqlstate.NUMERIC_VALUE_OUT_OF_RANGE),
    ("a == 1 / 0", "1 / 0", sqlstate.DIVISION_BY_ZERO),
    ("a % 0 == 1", "0", sqlstate.DIVISION_BY_ZERO),
    ("a ** 2 == 4", "a ** 2", sqlstate.SYNTAX_ERROR),
    ("(a + 1) * 2 == 4", "a + 1) * 2", sqlstate.SYNTAX_ERROR),
    ("2 - a == 1", "2 - a", sqlstate.SYNTAX_ERROR),
    ("-a == 1", "-a", sqlstate.SYNTAX_ERROR),
    ("a", "a", sqlstate.DATATYPE_MISMATCH),
    ("not a == 1", "a", sqlstate.DATATYPE_MISMATCH),
    ("a == 1 and b", "b", sqlstate.DATATYPE_MISMATCH),
    ("1 or a == 1", "1", sqlstate.DATATYPE_MISMATCH),
    ("5 < a < 1", "5 < a < 1", sqlstate.SYNTAX_ERROR),
    ("0 < (a) < 5", "0 < (a", sqlstate.SYNTAX_ERROR),
    ("1 == 'x'", "1 == 'x'", sqlstate.SYNTAX_ERROR),
    ("m['a'] == m['b']", "m['a']", sqlstate.SYNTAX_ERROR),
    ("a in 1", "1", sqlstate.SYNTAX_ERROR),
    ("a in [b]", "b", sqlstate.SYNTAX_ERROR),
    ("1 in [1]", "1", sqlstate.SYNTAX_ERROR),
    ("'x' like 'x%'", "'x'", sqlstate.SYNTAX_ERROR),
    ("json_contains(m['a'], b)", "b", sqlstate.SYNTAX_ERROR),
    ("json_contains_any(m['a'], 1)", "1", sqlstate.SYNTAX_ERROR),
    ("json_contains(a)", "json_contains", sqlstate.SYNTAX_ERROR),
    ("json_Contains(a, 1)", "json_Contains", sqlstate.UNDEFINED_FUNCTION),
    ("upper(a) == 'X'", "upper", sqlstate.UNDEFINED_FUNCTION),
    ("$ > 1", "$ > 1", sqlstate.SYNTAX_ERROR),
    ("match_any(a, match_any(a, $ > 1))", "match_any", sqlstate.SYNTAX_ERROR),
    ("match_least(a, $ > 1)", "match_least", sqlstate.SYNTAX_ERROR),
    ("match_any(a, b > 1)", "b > 1", sqlstate.SYNTAX_ERROR),
    ("random_sample(1)", "1", sqlstate.SYNTAX_ERROR),
    ("random_sample(0.5) and a == 1", "random_sample", sqlstate.SYNTAX_ERROR),
    ("not random_sample(0.5)", "random_sample", sqlstate.SYNTAX_ERROR),
    ("t > ISO '2024-13-01T00:00:00Z'", "'2024-13-01T00:00:00Z'", sqlstate.INVALID_DATETIME_FORMAT),
    ("t + INTERVAL '1 day' > ISO '2024-01-01T00:00:00Z'", "'1 day'",
     sqlstate.INVALID_DATETIME_FORMAT),
    ("t + INTERVAL 'P1D' > 5", "5", sqlstate.SYNTAX_ERROR),
    ("{x} == {x}", "x} == {x", sqlstate.SYNTAX_ERROR),
    ("text_match(a, 'x')", "text_match", sqlstate.FEATURE_NOT_SUPPORTED),
    ("st_within(a, 'POINT (1 1)')", "st_within", sqlstate.FEATURE_NOT_SUPPORTED),
    ("element_filter(a, $ > 1)", "element_filter", sqlstate.FEATURE_NOT_SUPPORTED),
    ("a[b] == 1", "a[b]", sqlstate.FEATURE_NOT_SUPPORTED),
    ("a << 2 == 4", "<<", sqlstate.FEATURE_NOT_SUPPORTED),
    ("~a == 1", "~a", sqlstate.FEATURE_NOT_SUPPORTED),
]  # fmt: skip


@pytest.mark.parametrize(("text", "underlined", "code"), REFUSED)
def test_errors_have_a_place(text: str, underlined: str, code: str) -> None:
    with pytest.raises(vsql.DatabaseError) as caught:
        parse_filter(text)
    span = caught.value.span
    assert span is not None
    assert (text[span.start : span.end], caught.value.sqlstate) == (underlined, code)


def test_a_hint_says_what_was_expected() -> None:
    with pytest.raises(vsql.ProgrammingError, match=r"HINT: expected .*==") as caught:
        parse_filter("a = 1")
    assert "LINE 1: a = 1\n          ^" in str(caught.value)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(vsql.ProgrammingError, match=r"\{y\}") as caught:
        parse_filter("a == {y}", {"x": 1})
    assert caught.value.sqlstate == sqlstate.UNDEFINED_PARAMETER


@pytest.mark.parametrize("text", ["(" * 10_000 + "a == 1" + ")" * 10_000, "a in " + "[" * 10_000])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(vsql.ProgrammingError) as caught:
        parse_filter(text)
    assert caught.value.sqlstate == sqlstate.STATEMENT_TOO_COMPLEX


def test_a_hundred_levels_are_read() -> None:
    assert filter_to_sql("(" * 100 + "a == 1" + ")" * 100) == "a = 1"


@pytest.mark.parametrize("prefix", ["not ", "!"])
def test_runs_of_not_may_be_long(prefix: str) -> None:
    assert filter_to_sql(prefix * 2_001 + "(a == 1)") == "NOT a = 1"


@pytest.mark.parametrize("joiner", [" or ", " and "])
def test_chains_may_be_long(joiner: str) -> None:
    tree = parse_filter(joiner.join(f"a == {number}" for number in range(10_000)))
    assert sum(1 for _ in tree.find_all(exp.EQ)) == 10_000
    assert parse_expression(tree.sql("postgres")) == tree


_PIECES = (
    "a", "b", "m['k']", "1", "2.5", "'x'", r'"\\"', "true", "[1]", "[", "]", "(", ")", "{t}", "$",
    "==", "!=", "<", "<=", "+", "-", "*", "/", "%", "**", "&", "~", "=", "and", "or", "not", "in",
    "like", "=~", "exists", "is null", "ISO", "INTERVAL", "array_length(a)", "random_sample(",
    ",", "json_contains(", "match_any(", "$meta", "0x", "'", "é", "\n",
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(some.one_of(some.text(max_size=30), some.lists(some.sampled_from(_PIECES)).map(" ".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tree = parse_filter(text)
    except vsql.Error as error:
        assert error.span is None or 0 <= error.span.start <= len(text)
    else:
        assert isinstance(tree, exp.Expr)


_fields = some.sampled_from(
    ["a", "B", "select", "m['k']", 'm["a\\"b"]["é"]', "v[0]", "$meta['x y']"]
)
_numbers = some.one_of(
    some.integers(-(2**63), 2**63 - 1),
    some.floats(allow_nan=False, allow_infinity=False),
).map(repr)
_strings = some.text(max_size=8).map(
    lambda text: (
        '"' + "".join(f"\\U{ord(c):08x}" for c in text if not 0xD800 <= ord(c) < 0xE000) + '"'
    )
)
_constants = some.one_of(_numbers, _strings, some.sampled_from(["true", "false"]))
_leaves = some.one_of(
    some.builds("{} {} {}".format, _fields, some.sampled_from(["==", "!=", "<", ">="]), _constants),
    some.builds("{} in [{}]".format, _fields, some.lists(_constants, max_size=3).map(", ".join)),
    some.builds("{} like {}".format, _fields, _strings),
    some.builds("{} =~ 'x'".format, _fields),
    some.builds("{} * {} == {}".format, _fields, _numbers, _numbers),
    some.builds("json_contains_any({}, [{}])".format, _fields, _constants),
    some.builds("array_length({}) == 3".format, _fields),
    some.builds("exists {}".format, _fields),
    some.builds("{} is not null".format, _fields),
)
_filters = some.recursive(
    _leaves,
    lambda inner: some.one_of(
        some.builds("({}) and ({})".format, inner, inner),
        some.builds("({}) or {}".format, inner, _leaves),
        some.builds("not ({})".format, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(_filters)
def test_filters_print_and_read_back(text: str) -> None:
    tree = parse_filter(text)
    assert parse_expression(tree.sql("postgres")) == tree
