"""Filters over JSON, evaluated by columns, against one document at a time read in plain Python."""

import json
import math
import operator
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import vsql

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
LARGE = (2**63, -(2**63) - 1, 2**64, 2**64 + 1, -(2**64), 10**30, 10**400, -(10**400))
INTEGERS = (INT64_MIN, INT64_MAX, 2**53 + 1, 2**62, *LARGE)
DOUBLES = (0.5, -0.0, 1.0, -2.5, 1e20, 2.0**63, -(2.0**63), 2.0**64, 1.5e-7, 1e-05, 1e16)
TEXTS = ("", "x", "1", 'q"\\:', "é\n😀", "null", "[]")
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from((*INTEGERS, *DOUBLES, *TEXTS))
)
# Every filter meets these; what is drawn comes after them.
EDGES = (
    *(None, True, False, 0, 1, 2, -1, {}, [], [[]], [None], [{}], {"b": None}, {"b": [None, {}]}),
    *INTEGERS, *DOUBLES, *TEXTS,
    *([number] for number in (*INTEGERS, *DOUBLES)),
    *([[number], "x"] for number in (*INTEGERS, *DOUBLES)),
    *([1, [2]], [[0, 1], [2]], [True, [1, "x"]], ["x", ["x", []]], [[[1]], [[1.0]]], [{"a": 1}]),
)  # fmt: skip
CONSTANTS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.booleans(),
        st.sampled_from([0, 1, 2, -1, 2**53, INT64_MIN, INT64_MAX]),
        st.sampled_from([0.0, 1e308, *DOUBLES]),
        st.sampled_from(TEXTS[:5]),
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(SCALARS, CONSTANTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(st.integers(0, 2), max_size=2),
        st.lists(st.lists(st.integers(0, 2), max_size=2), max_size=2),
        st.dictionaries(st.sampled_from(["a", "b", "0", 'k"']), inner, max_size=2),
    ),
    max_leaves=8,
)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
CALCULATE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def same(one: Any, other: Any) -> bool:
    if kind(one) != kind(other) or isinstance(one, dict) or one is None:
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def compared(value: Any, operation: str, constant: Any) -> bool | None:
    if kind(value) != kind(constant) or value is None:
        return None
    if isinstance(value, list):
        return same(value, constant) is (operation == "==")
    if isinstance(value, float) or isinstance(constant, float):
        value, constant = double(value), double(constant)
    return COMPARE[operation](value, constant)


def is_member(value: Any, constants: list[Any]) -> bool | None:
    if kind(value) == "number" and any(isinstance(c, float) for c in constants):
        value = double(value)
        constants = [double(c) if kind(c) == "number" else c for c in constants]
    if any(same(value, constant) for constant in constants):
        return True
    return False if {kind(value)} == set(map(kind, constants)) else None


def contains(value: Any, wanted: list[Any], combine: Callable[[Any], bool]) -> bool | None:
    if not isinstance(value, list):
        return None
    return combine([any(same(element, one) for element in value) for one in wanted])


def is_something(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return any(map(is_something, value)) if isinstance(value, list) else value is not None


def calculated(value: Any, operation: str, constant: float) -> Any:
    if kind(value) != "number":
        return None
    if operation in "&|^%":
        if isinstance(value, float):
            if not abs(value) < 2.0**63:
                return None
            value = int(value)
        constant = int(constant)
    if isinstance(value, float) or isinstance(constant, float):
        value, constant = double(value), double(constant)
        return value / constant if operation == "/" else CALCULATE[operation](value, constant)
    if operation in "/%":
        quotient = abs(value) // abs(constant)
        quotient = quotient if (value < 0) == (constant < 0) else -quotient
        return quotient if operation == "/" else value - constant * quotient
    return CALCULATE[operation](value, constant)


def below(document: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        if isinstance(document, dict):
            document = document.get(str(step))
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            document = document[step]
        else:
            return None
    return document


Filter = tuple[str, Callable[[Any], bool | None]]
"""A filter's text, with `{}` for its path, and what it says of one value."""


def written(constant: Any) -> str:
    return json.dumps(constant, ensure_ascii=False)


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    shape = draw(
        st.sampled_from(["compare", "in", "contains", "arithmetic"] * 2 + ["exists", "length"])
    )
    constants = draw(st.lists(CONSTANTS, min_size=1, max_size=3))
    first = constants[0]
    operation = draw(st.sampled_from(sorted(COMPARE)))
    if shape == "compare":
        if isinstance(first, list | bool):
            operation = draw(st.sampled_from(["==", "!="]))
        text = f"{{}} {operation} {written(first)}"
        return text, lambda value: compared(value, operation, first)
    if shape == "in":
        return f"{{}} in {written(constants)}", lambda value: is_member(value, constants)
    if shape == "contains":
        end = draw(st.sampled_from(["", "_all", "_any"]))
        argument, wanted = (constants, constants) if end else (first, [first])
        combine = any if end == "_any" else all
        text = f"json_contains{end}({{}}, {written(argument)})"
        return text, lambda value: contains(value, wanted, combine)
    if shape == "exists":
        return "exists {}", is_something
    if shape == "length":
        return "array_length({}) == 2", lambda v: len(v) == 2 if isinstance(v, list) else None
    return draw(arithmetic(operation))


@st.composite
def arithmetic(draw: st.DrawFn, comparison: str) -> Filter:
    symbol = draw(st.sampled_from(sorted({*CALCULATE, "/", "%"})))
    integers = st.sampled_from([1, 2, -1, -3, 7, 2**31 + 1, 2**40, INT64_MAX, INT64_MIN])
    doubles = st.sampled_from([0.5, 2.0, -1e10])
    constant = draw(integers if symbol in "&|^%" else st.one_of(integers, doubles))
    bounds = st.sampled_from([0, 1, -5, INT64_MAX, INT64_MIN])
    bound = draw(bounds if isinstance(constant, int) else st.one_of(bounds, doubles))

    def answer(value: Any) -> bool | None:
        return compared(calculated(value, symbol, constant), comparison, bound)

    return f"({{}} {symbol} {written(constant)}) {comparison} {written(bound)}", answer


PATHS = st.sampled_from([("a",), ("a",), ("a", 0), ("a", "b"), ("a", 1, 0)])


@settings(max_examples=40)
@given(
    values=st.lists(VALUES, max_size=12),
    cases=st.lists(st.tuples(PATHS, filters()), min_size=4, max_size=8),
)
def test_columns_say_what_plain_python_says(
    values: list[Any], cases: list[tuple[tuple[str | int, ...], Filter]]
) -> None:
    documents = [{"a": value} for value in (*EDGES, *values)]
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, m JSON)")
        rows = [(number, json.dumps(document)) for number, document in enumerate(documents)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        for change in ("SELECT 1", "FLUSH", "CREATE INDEX ON t USING INVERTED (m)"):
            connection.execute(change)
            for steps, (text, answer) in cases:
                path = "m" + "".join(f"[{written(step)}]" for step in steps)
                quoted = text.replace("{}", path).replace("'", "''")
                answers = [answer(below(document, steps)) for document in documents]
                for condition, wanted in ((quoted, True), (f"not ({quoted})", False)):
                    found = connection.execute(f"SELECT id FROM t WHERE matches('{condition}')")
                    expected = [row for row, told in enumerate(answers) if told is wanted]
                    assert sorted(row[0] for row in found) == expected, (change, condition)
