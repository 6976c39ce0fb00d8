"""The filter language's own functions over a frame; `vsql.grammar.filter` defines them.

JSON is read as typed columns, see `vsql.executor.json_values`; everything runs in kernels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from vsql.core import sqlstate, types
from vsql.core.errors import NotSupportedError, ProgrammingError
from vsql.executor import json_predicates as json_is
from vsql.executor.comparisons import KERNELS
from vsql.executor.evaluate import (
    calculate,
    compare_values,
    evaluate,
    evaluate_condition,
)
from vsql.executor.frame import Frame
from vsql.executor.json_arithmetic import (
    Calculated,
    calculated,
    calculated_integers,
    checked_operand,
    nothing_calculated,
)
from vsql.executor.json_lists import list_compare, list_contains
from vsql.executor.json_values import is_json, path_values, rest_of
from vsql.grammar.filter_names import (
    ARRAY_LENGTH,
    CONTAINS,
    ELEMENT,
    EXISTS,
    FILTER,
    function_name,
)
from vsql.grammar.json_paths import root_of
from vsql.storage.path_values import Kind, PathValues


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
        path = node.expressions[0].unnest()
        return json_is.exists(path_values(path, frame), rest_of(path, frame))
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
    if isinstance(values, PathValues):
        return _json_leaf(leaf, operand, values, frame)
    constant = _constant(leaf.expression, frame)
    if isinstance(values, Calculated):
        return json_is.compare_calculated(type(leaf), values, constant)
    if pa.types.is_list(values.type):
        return list_compare(type(leaf), values, constant)
    if pa.types.is_float32(values.type) and constant is not None:
        constant = pa.scalar(constant, pa.float32())
    return compare_values(KERNELS[type(leaf)], values, constant, frame)


def _json_leaf(leaf: exp.Expr, path: exp.Expr, values: PathValues, frame: Frame) -> pa.Array:
    if isinstance(leaf, exp.In):
        return json_is.membership(values, _constants(leaf, frame), rest_of(path, frame))
    constant = _constant(leaf.expression, frame)
    if isinstance(leaf, exp.Like | exp.RegexpLike):
        if not isinstance(constant, str):
            raise ProgrammingError("a pattern is a string", code=sqlstate.DATATYPE_MISMATCH)
        return json_is.pattern(type(leaf), values, constant)
    return json_is.compare(type(leaf), values, constant, rest_of(path, frame))


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
    known = pc.is_valid(evaluate(root_of(operand) if is_json(operand, frame) else operand, frame))
    return pc.if_else(known, pa.scalar(False), pa.scalar(None, pa.bool_()))


def _operand(node: exp.Expr, frame: Frame) -> pa.Array | PathValues | Calculated:
    """Return a leaf's left side."""
    node = node.unnest()
    if is_json(node, frame):
        return path_values(node, frame)
    if isinstance(node, exp.Anonymous) and function_name(node) == ARRAY_LENGTH:
        return _lengths(node.expressions[0].unnest(), frame)
    if isinstance(node, exp.Binary) and not isinstance(node, exp.JSONExtract):
        return _calculated(node, frame)
    return evaluate(node, frame)


def _lengths(node: exp.Expr, frame: Frame) -> pa.Array | Calculated:
    if is_json(node, frame):
        return Calculated(json_is.lengths(path_values(node, frame), rest_of(node, frame)))
    return pc.list_value_length(evaluate(node, frame)).cast(pa.int64())


def _calculated(node: exp.Binary, frame: Frame) -> pa.Array | Calculated:
    operand = node.this.unnest()
    constant = _constant(node.expression, frame)
    if constant is None:
        return nothing_calculated(frame.length)
    constant = checked_operand(constant)
    if is_json(operand, frame):
        return calculated(
            type(node), path_values(operand, frame), constant, rest_of(operand, frame)
        )
    values = evaluate(operand, frame)
    if pa.types.is_floating(values.type):
        return calculate(type(node), values, pa.scalar(constant, values.type))
    if isinstance(constant, float):
        raise ProgrammingError(
            f"{types.from_arrow(values.type)} does not calculate with a float",
            code=sqlstate.DATATYPE_MISMATCH,
        )
    found = calculated_integers(type(node), values, constant)
    return found if found.wide else found.values.parts[Kind.INTEGER]


def _contains(name: str, node: exp.Anonymous, frame: Frame) -> pa.Array:
    target, wanted = node.expressions[0].unnest(), _constant(node.expressions[1], frame)
    if name == CONTAINS[""]:
        wanted = [wanted]
    elif not isinstance(wanted, list):
        raise ProgrammingError(f"{name} needs a list", code=sqlstate.DATATYPE_MISMATCH)
    every = name != CONTAINS["_any"]
    if not is_json(target, frame):
        return list_contains(evaluate(target, frame), wanted, every=every)
    if not wanted:
        return pa.repeat(pa.scalar(every), frame.length)
    values = path_values(target, frame)
    return json_is.contains(values, wanted, rest_of(target, frame), every=every)


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
