"""The filter language's own functions over a frame; `vsql.grammar.filter` defines them.

JSON is read row by row, which costs about a microsecond each; the mask of a predicate is kept, so a
repeated filter reads none. Everything over typed columns runs in Arrow's kernels, but for integer
arithmetic that leaves 64 bits: that is done again in Python's exact integers.
"""

import json
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import DataError, NotSupportedError, ProgrammingError
from vsql.core.types import Family
from vsql.executor.evaluate import (
    calculate,
    compare_values,
    evaluate,
    evaluate_condition,
    match_like,
    match_regex,
)
from vsql.executor.frame import Frame
from vsql.grammar.filter_literals import INT64_MAX, truncated_quotient
from vsql.grammar.filter_names import (
    ARRAY_LENGTH,
    CONTAINS,
    ELEMENT,
    EXISTS,
    FILTER,
    function_name,
)

_Values = list[Any]
"""One Python value per row: JSON's, or integers beyond 64 bits; None where there is none."""

_OPERATORS: dict[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}
_KERNELS: dict[type[exp.Expr], str] = {
    exp.EQ: "equal",
    exp.NEQ: "not_equal",
    exp.LT: "less",
    exp.LTE: "less_equal",
    exp.GT: "greater",
    exp.GTE: "greater_equal",
}
_ARITHMETIC: dict[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.Mul: operator.mul,
    exp.BitwiseAnd: operator.and_,
    exp.BitwiseOr: operator.or_,
    exp.BitwiseXor: operator.xor,
}
_BITWISE = (exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor)
_BY_VALUE = (*_BITWISE, exp.Mod)


@dataclass(frozen=True, slots=True)
class ElementFrame(Frame):
    """The elements of all arrays of a frame, one after the other."""

    elements: pa.Array | None = None

    @property
    def length(self) -> int:
        return len(self.elements) if self.elements is not None else 0


def filter_function(node: exp.Anonymous, frame: Frame) -> pa.Array:
    """Return the value of one of the functions; raises ProgrammingError, NotSupportedError."""
    name = function_name(node)
    if name == FILTER:
        return _leaf(node.expressions[0], frame)
    if name == ELEMENT and isinstance(frame, ElementFrame):
        return frame.elements
    if name == EXISTS:
        return pa.array([_is_something(value) for value in _json(node.expressions[0], frame)])
    if name is not None and name in CONTAINS.values():
        return _contains(name, node, frame)
    if name is not None and name.startswith("vsql_match_"):
        return _match(name, node, frame)
    raise ProgrammingError(
        f"{node.name.lower()} can't stand here", code=sqlstate.UNDEFINED_FUNCTION
    )


def _leaf(leaf: exp.Expr, frame: Frame) -> pa.Array:
    operand = leaf.this.unnest()
    if isinstance(leaf, exp.In) and not leaf.expressions:
        return _in_nothing(operand, frame)
    values = _operand(operand, frame)
    if isinstance(leaf, exp.In):
        assert isinstance(values, list)
        return _booleans(map(_membership(_constants(leaf, frame)), values))
    constant = _constant(leaf.expression, frame)
    if isinstance(leaf, exp.Like | exp.RegexpLike):
        assert isinstance(values, list)
        if not isinstance(constant, str):
            raise ProgrammingError("a pattern is a string", code=sqlstate.DATATYPE_MISMATCH)
        text = pa.array([v if isinstance(v, str) else None for v in values], pa.string())
        if isinstance(leaf, exp.Like):
            return match_like(text, constant, "\\")
        return match_regex(text, constant)
    if isinstance(values, list):
        return _booleans(map(_comparison(type(leaf), constant), values))
    if pa.types.is_list(values.type):
        compare = _comparison(type(leaf), constant)
        return _booleans(None if v is None else compare(v) for v in values.to_pylist())
    if pa.types.is_float32(values.type) and constant is not None:
        constant = pa.scalar(constant, pa.float32())
    return compare_values(_KERNELS[type(leaf)], values, constant, frame)


def _booleans(values: Iterable[bool | None]) -> pa.Array:
    return pa.array(list(values), pa.bool_())


def _constant(node: exp.Expr, frame: Frame) -> Any:
    value = evaluate(node, frame)
    if isinstance(value, pa.Array):
        raise NotSupportedError("a filter compares JSON and arrays with constants only")
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _constants(leaf: exp.In, frame: Frame) -> list[Any]:
    values: list[Any] = []
    for node in leaf.expressions:
        value = _constant(node, frame)
        # A parameter may hold the whole list.
        spread = isinstance(value, list) and not isinstance(node.unnest(), exp.Array)
        values.extend(value if spread else [value])
    return values


def _in_nothing(operand: exp.Expr, frame: Frame) -> pa.Array:
    root = operand
    while isinstance(root, exp.JSONExtract) and _is_json(root, frame):
        root = root.this.unnest()
    known = pc.is_valid(evaluate(root, frame))
    return pc.if_else(known, pa.scalar(False), pa.scalar(None, pa.bool_()))


def _operand(node: exp.Expr, frame: Frame) -> pa.Array | _Values:
    """Return a leaf's left side: a list where it is JSON or leaves 64 bits, otherwise an array."""
    node = node.unnest()
    if _is_json(node, frame):
        return _json(node, frame)
    if isinstance(node, exp.Anonymous) and function_name(node) == ARRAY_LENGTH:
        return _lengths(node.expressions[0].unnest(), frame)
    if isinstance(node, exp.Binary) and not isinstance(node, exp.JSONExtract):
        return _calculated(node, frame)
    return evaluate(node, frame)


def _is_json(node: exp.Expr, frame: Frame) -> bool:
    node = node.unnest()
    while isinstance(node, exp.JSONExtract):
        node = node.this.unnest()
    if not isinstance(node, exp.Column):
        return False
    return frame.table.column(node.name).type.family is Family.JSON


def _json(node: exp.Expr, frame: Frame) -> _Values:
    steps: list[str] = []
    root = node.unnest()
    while isinstance(root, exp.JSONExtract):
        steps.append(str(root.expression.expressions[-1].this))
        root = root.this.unnest()
    texts = frame.column(root.name).to_pylist()
    return [None if text is None else _below(json.loads(text), steps[::-1]) for text in texts]


def _below(value: Any, steps: list[str]) -> Any:
    """Follow a JSON pointer: "0" is a key of an object and a place in an array."""
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _lengths(node: exp.Expr, frame: Frame) -> pa.Array | _Values:
    if _is_json(node, frame):
        return [len(v) if isinstance(v, list) else None for v in _json(node, frame)]
    return pc.list_value_length(evaluate(node, frame)).cast(pa.int64())


def _calculated(node: exp.Binary, frame: Frame) -> pa.Array | _Values:
    values, constant = _operand(node.this, frame), _constant(node.expression, frame)
    if constant is None:
        return [None] * frame.length
    if isinstance(values, list):
        return [_result(node, value, constant) for value in values]
    if pa.types.is_float32(values.type):
        return calculate(type(node), values, pa.scalar(constant, pa.float32()))
    try:
        return calculate(type(node), values.cast(pa.int64()), pa.scalar(constant, pa.int64()))
    except DataError as error:
        if error.sqlstate != sqlstate.NUMERIC_VALUE_OUT_OF_RANGE:
            raise
        return [_result(node, value, constant) for value in values.to_pylist()]


def _result(node: exp.Binary, value: Any, constant: Any) -> Any:
    """Return JSON arithmetic: exact over integers, in doubles otherwise."""
    if not _is_number(value):
        return None
    if isinstance(node, _BY_VALUE):
        if isinstance(value, float):
            if not abs(value) <= INT64_MAX:
                return None
            value = int(value)
        constant = int(constant)
    whole = isinstance(value, int) and isinstance(constant, int)
    if isinstance(node, exp.Div | exp.Mod):
        if constant == 0:
            raise DataError("division by zero", code=sqlstate.DIVISION_BY_ZERO)
        if not whole:
            return value / constant
        quotient = truncated_quotient(value, constant)
        return quotient if isinstance(node, exp.Div) else value - constant * quotient
    if not whole:
        value, constant = float(value), float(constant)
    return _ARITHMETIC[type(node)](value, constant)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str | None:
    """What a value is compared with; objects and null with nothing."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else None


def _comparison(kind: type[exp.Expr], constant: Any) -> Callable[[Any], bool | None]:
    compare, wanted = _OPERATORS[kind], _kind(constant)
    ordered = kind not in (exp.EQ, exp.NEQ)
    if wanted is None or (wanted == "list" and ordered):
        return lambda value: None

    def result(value: Any) -> bool | None:
        if _kind(value) != wanted:
            return None
        if wanted == "list":
            return _same(value, constant) is (kind is exp.EQ)
        if isinstance(value, float) or isinstance(constant, float):
            return bool(compare(float(value), float(constant))) if wanted == "number" else None
        return bool(compare(value, constant))

    return result


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, numbers exactly; objects equal nothing."""
    kind = _kind(one)
    if kind is None or kind != _kind(other):
        return False
    if kind == "list":
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _membership(constants: list[Any]) -> Callable[[Any], bool | None]:
    """Return the test for `value IN constants`: one list per kind, their answers joined by OR."""
    kinds = {_kind(constant) for constant in constants}
    numbers = [c for c in constants if _kind(c) == "number"]
    widened = any(isinstance(c, float) for c in numbers)
    wanted = [float(c) if widened and _kind(c) == "number" else c for c in constants]

    def result(value: Any) -> bool | None:
        kind = _kind(value)
        if widened and kind == "number":
            value = float(value)
        if any(_same(value, constant) for constant in wanted):
            return True
        return False if kinds == {kind} else None

    return result


def _is_something(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_is_something, value.values()))
    if isinstance(value, list):
        return any(map(_is_something, value))
    return value is not None


def _contains(name: str, node: exp.Anonymous, frame: Frame) -> pa.Array:
    target, wanted = node.expressions[0].unnest(), _constant(node.expressions[1], frame)
    is_json = _is_json(target, frame)
    if name == CONTAINS[""]:
        wanted = [wanted]
    elif not isinstance(wanted, list):
        raise ProgrammingError(f"{name} needs a list", code=sqlstate.DATATYPE_MISMATCH)
    combine = any if name == CONTAINS["_any"] else all
    if is_json and not wanted:
        return _booleans([combine([])] * frame.length)
    values = _json(target, frame) if is_json else evaluate(target, frame).to_pylist()

    def result(elements: Any) -> bool | None:
        if not isinstance(elements, list):
            return None
        return combine(any(_same(element, one) for element in elements) for one in wanted)

    return _booleans(map(result, values))


def _match(name: str, node: exp.Anonymous, frame: Frame) -> pa.Array:
    lists = evaluate(node.expressions[0], frame)
    inner = ElementFrame(frame.context, frame.table, frame.segment, None, lists.flatten())
    passed = pc.fill_null(evaluate_condition(node.expressions[1], inner), False)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths)
    sums = np.concatenate(([0], np.cumsum(passed.to_numpy(zero_copy_only=False))))
    counts = sums[ends] - sums[ends - lengths]
    threshold = _constant(node.expressions[2], frame) if len(node.expressions) > 2 else None
    found = {
        "any": lambda: counts > 0,
        "all": lambda: counts == lengths,
        "least": lambda: counts >= threshold,
        "most": lambda: counts <= threshold,
        "exact": lambda: counts == threshold,
    }[name.removeprefix("vsql_match_")]()
    return pc.if_else(pc.is_valid(lists), pa.array(found), pa.scalar(None, pa.bool_()))
