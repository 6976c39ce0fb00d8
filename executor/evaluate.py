"""Expressions over columns, by Arrow kernels: what `vsql.planner.predicate` calls native.

An expression is evaluated over a whole frame at once; three-valued logic is Arrow's Kleene logic.
Errors of kernels become vsql's: overflow 22003, division by zero 22012, failed casts 22P02.
"""

import datetime
import decimal
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from vsql.core import sqlstate, types
from vsql.core.array_text import read_array
from vsql.core.bits import are_set
from vsql.core.distance import METRIC_BY_FUNCTION, Metric
from vsql.core.errors import DatabaseError, DataError, ProgrammingError
from vsql.core.floating import canonical
from vsql.core.types import Family, SqlType
from vsql.executor.bound_values import plain
from vsql.executor.coerce import from_text, typed_parameter
from vsql.executor.comparisons import KERNELS
from vsql.executor.constants import (
    check_comparable,
    constant_array,
    constant_of,
    incomparable,
    scalar_of,
)
from vsql.executor.context import column_of
from vsql.executor.frame import Frame
from vsql.executor.json_values import cast_of, text_of
from vsql.executor.ranker import ranker_of
from vsql.executor.type_names import cast_to_vector, type_named
from vsql.executor.vectors import to_operand

# What a path may be: known by its value alone.
_HASHABLE = str | int | None

Datum = Any
"""An Arrow array of the frame's length, or a Python constant."""


def evaluate_condition(node: exp.Expr, frame: Frame) -> pa.Array:
    """Return a boolean array, one value per row of the frame, NULL where SQL says NULL."""
    value = evaluate(node, frame)
    if isinstance(value, pa.Array):
        if not pa.types.is_boolean(value.type):
            raise not_boolean(node, value.type)
        return value
    if value is not None and not isinstance(value, bool):
        raise not_boolean(node, scalar_of(value).type)
    return pa.repeat(pa.scalar(value, pa.bool_()), frame.length)


def not_boolean(node: exp.Expr, type_: pa.DataType) -> ProgrammingError:
    """Return the error for a condition of another type."""
    return ProgrammingError(
        f"a condition must be of type boolean, not {types.from_arrow(type_)}: {node.sql()}",
        code=sqlstate.DATATYPE_MISMATCH,
    )


def evaluate(node: exp.Expr, frame: Frame) -> Datum:
    """Return the value of a native expression over a frame."""
    match node:
        case exp.Paren():
            return evaluate(node.this, frame)
        case exp.Column():
            return frame.column(node.name)
        case exp.Placeholder():
            return plain(frame.context.parameter(node.name))
        case exp.Boolean():
            return bool(node.this)
        case exp.Null():
            return None
        case exp.Literal():
            return _literal(node)
        case exp.Array():
            return [evaluate(element, frame) for element in node.expressions]
        case exp.And() | exp.Or() | exp.Not():
            return _logic(node, frame)
        case exp.Between() | exp.In() if _has_no_kernel(node.this, frame):
            return _derived(node, frame)
        case exp.Between():
            low = _compare("greater_equal", node.this, node.args["low"], frame)
            high = _compare("less_equal", node.this, node.args["high"], frame)
            return pc.and_kleene(_array(low, frame), _array(high, frame))
        case exp.In():
            return _membership(node, frame)
        case exp.Is():
            return _is(node, frame)
        case exp.Escape():
            return _pattern(node.this, frame, _text(evaluate(node.expression, frame)))
        case exp.Like() | exp.ILike() | exp.RegexpLike():
            return _pattern(node, frame, "\\")
        case exp.ArrayContainsAll() | exp.ArrayOverlaps():
            return _array_operator(node, frame)
        case exp.Cast():
            return _cast(node, frame)
        case exp.JSONExtract() if _is_element(node, frame):
            return _element(node, frame)
        case exp.JSONExtractScalar():
            text = text_of(node, frame)
            return _derived(node, frame) if text is None else text
        case exp.JSONExtract() | exp.Bracket():
            return _derived(node, frame)
        case exp.Anonymous():
            return _function(node, frame)
        case exp.Neg():
            return _negative(evaluate(node.this, frame))
        case _:
            kernel = KERNELS.get(type(node))
            if kernel is not None:
                return _comparison(kernel, node, frame)
            return _arithmetic(node, frame)


_NEGATIVE = (int, float, decimal.Decimal, np.ndarray, datetime.timedelta)
_ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "add_checked",
    exp.Sub: "subtract_checked",
    exp.Mul: "multiply_checked",
    exp.Div: "divide_checked",
    exp.Mod: "mod",
    exp.BitwiseAnd: "bit_wise_and",
    exp.BitwiseOr: "bit_wise_or",
    exp.BitwiseXor: "bit_wise_xor",
}


def _literal(node: exp.Literal) -> Any:
    if node.is_string:
        return node.this
    return int(node.this) if node.is_int else float(node.this)


def _array(value: Datum, frame: Frame) -> pa.Array:
    if isinstance(value, pa.Array):
        return value
    scalar = pa.scalar(None, pa.bool_()) if value is None else scalar_of(value)
    return pa.repeat(scalar, frame.length)


def _logic(node: exp.Expr, frame: Frame) -> pa.Array:
    if isinstance(node, exp.Not):
        return pc.invert(evaluate_condition(node.this, frame))
    kernel = pc.and_kleene if isinstance(node, exp.And) else pc.or_kleene
    # A loop, not recursion: chains of thousands are left-deep.
    parts = list(node.flatten())
    result = evaluate_condition(parts[0], frame)
    for part in parts[1:]:
        result = kernel(result, evaluate_condition(part, frame))
    return result


def _comparison(kernel: str, node: exp.Expr, frame: Frame) -> Datum:
    right = node.expression
    if isinstance(right, exp.Any):
        return _any(kernel, node, frame)
    if _has_no_kernel(node.this, frame) or _has_no_kernel(right, frame):
        return _derived(node, frame)
    return _compare(kernel, node.this, right, frame)


def _has_no_kernel(node: exp.Expr, frame: Frame) -> bool:
    """Whether DuckDB compares these: Arrow has no order of lists, and of intervals no equality."""
    node = node.unnest()
    if isinstance(node, exp.Column):
        return frame.table.column(node.name).type.family in (Family.ARRAY, Family.INTERVAL)
    return isinstance(node, exp.Array)


def _compare(kernel: str, left: exp.Expr, right: exp.Expr, frame: Frame) -> Datum:
    return compare_values(kernel, evaluate(left, frame), evaluate(right, frame), frame)


def compare_values(kernel: str, one: Datum, other: Datum, frame: Frame) -> Datum:
    """Return a comparison of two values, as SQL has it."""
    if not isinstance(one, pa.Array) and not isinstance(other, pa.Array):
        one = pa.repeat(scalar_of(one), frame.length) if one is not None else None
        if one is None:
            return None
    if one is None or other is None:
        return pa.nulls(frame.length, pa.bool_())
    if not isinstance(one, pa.Array):
        one = constant_of(one, other.type)
    elif not isinstance(other, pa.Array):
        other = constant_of(other, one.type)
    else:
        check_comparable(one.type, other.type)
    one, other = _widened(one, other), _widened(other, one)
    result = _guarded(getattr(pc, kernel), one, other)
    return _nan_equal(kernel, one, other, result)


def _widened(datum: Datum, beside: Datum) -> Datum:
    """A whole number beside a float becomes a double, rounded: Arrow refuses those past 2^53."""
    if pa.types.is_integer(datum.type) and pa.types.is_floating(beside.type):
        return datum.cast(pa.float64(), safe=False)
    return datum


def _nan_equal(kernel: str, one: Datum, other: Datum, result: pa.Array) -> pa.Array:
    """PostgreSQL's NaN: equal to itself, greater than every number."""
    floats = [d for d in (one, other) if pa.types.is_floating(d.type)]
    if not any(_has_nan(datum) for datum in floats):
        return result
    left, right = (_nan_mask(one, len(result)), _nan_mask(other, len(result)))
    both, only_left, only_right = left & right, left & ~right, ~left & right
    truth = {
        "equal": both,
        "not_equal": only_left | only_right,
        "less": only_right,
        "less_equal": only_right | both,
        "greater": only_left,
        "greater_equal": only_left | both,
    }[kernel]
    special = pa.array(left | right)
    return pc.if_else(pc.and_(special, pc.is_valid(result)), pa.array(truth), result)


def _has_nan(datum: Datum) -> bool:
    if isinstance(datum, pa.Scalar):
        value = datum.as_py()
        return value is not None and value != value
    return bool(pc.any(pc.is_nan(datum)).as_py())


def _nan_mask(datum: Datum, length: int) -> Any:
    if isinstance(datum, pa.Scalar):
        return np.full(length, _has_nan(datum) if pa.types.is_floating(datum.type) else False)
    if not pa.types.is_floating(datum.type):
        return np.zeros(length, dtype=bool)
    return pc.fill_null(pc.is_nan(datum), False).to_numpy(zero_copy_only=False)


def _membership(node: exp.In, frame: Frame) -> pa.Array:
    if not node.expressions:
        # Nothing is in an empty list, not even NULL.
        return pa.repeat(pa.scalar(False), frame.length)
    key = evaluate(node.this, frame)
    values = constants(node.expressions, frame)
    if not isinstance(key, pa.Array) or any(isinstance(v, pa.Array) for v in values):
        return evaluate_condition(_spelled_out(node), frame)
    filled = [value for value in values if value is not None]
    if not filled:
        found = pa.repeat(pa.scalar(False), frame.length)
    else:
        wanted = constant_array(filled, key.type)
        searched = key if wanted.type == key.type else key.cast(wanted.type, safe=False)
        if pa.types.is_floating(wanted.type):
            searched, wanted = canonical(searched), canonical(wanted)
        found = pc.is_in(searched, value_set=wanted)
    # Not by pa.scalar, which would import pandas to look at it.
    unknown = pa.nulls(1, pa.bool_())[0]
    found = pc.if_else(pc.is_valid(key), found, unknown)
    if len(filled) < len(values):
        # x IN (1, NULL) is never false: it is NULL where nothing matched.
        found = pc.if_else(found, found, unknown)
    return found


def constants(nodes: list[exp.Expr], frame: Frame) -> list[Any]:
    """Return the values of constant expressions; a parameter that is a list gives its elements."""
    if all(isinstance(node, exp.Literal) and node.is_string for node in nodes):
        return [node.this for node in nodes]
    values: list[Any] = []
    for node in nodes:
        value = evaluate(node, frame)
        value = value.tolist() if isinstance(value, np.ndarray) else value
        values.extend(value if isinstance(value, list | tuple | set) else [value])
    return values


def _spelled_out(node: exp.In) -> exp.Expr:
    return exp.or_(*(exp.EQ(this=node.this.copy(), expression=e.copy()) for e in node.expressions))


def _is(node: exp.Is, frame: Frame) -> pa.Array:
    value = evaluate(node.this, frame)
    if isinstance(node.expression, exp.Null):
        return pc.is_null(value) if isinstance(value, pa.Array) else _array(value is None, frame)
    if not isinstance(node.expression, exp.Boolean):
        raise ProgrammingError(
            f"IS takes NULL, TRUE or FALSE, not {node.expression.sql()}",
            code=sqlstate.SYNTAX_ERROR,
        )
    wanted = pa.scalar(bool(node.expression.this))
    return pc.fill_null(pc.equal(_array(value, frame), wanted), False)


def _pattern(node: exp.Expr, frame: Frame, escape: str) -> Datum:
    value, pattern = evaluate(node.this, frame), evaluate(node.expression, frame)
    if pattern is None or value is None:
        return pa.nulls(frame.length, pa.bool_())
    if not isinstance(pattern, str):
        raise ProgrammingError("LIKE needs a text pattern", code=sqlstate.DATATYPE_MISMATCH)
    text = _array(value, frame)
    if not pa.types.is_string(text.type):
        raise incomparable(text.type, "TEXT in LIKE")
    if isinstance(node, exp.RegexpLike):
        return match_regex(text, pattern)
    return match_like(text, pattern, escape, ignore_case=isinstance(node, exp.ILike))


def match_regex(text: pa.Array, pattern: str) -> pa.Array:
    """Return which texts hold a match of an RE2 pattern; raises DataError (2201B)."""
    try:
        return pc.match_substring_regex(text, pattern)
    except (pa.ArrowInvalid, UnicodeEncodeError) as error:
        message = str(error).splitlines()[0]
        raise DataError(f"invalid regular expression: {message}", code="2201B") from None


def match_like(text: pa.Array, pattern: str, escape: str, *, ignore_case: bool = False) -> pa.Array:
    """Return which texts match a LIKE pattern; raises DataError (22025)."""
    if escape == "\\" and not pattern.endswith("\\"):
        return pc.match_like(text, pattern, ignore_case=ignore_case)
    return pc.match_substring_regex(text, _like_regex(pattern, escape), ignore_case=ignore_case)


def _like_regex(pattern: str, escape: str) -> str:
    parts: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if escape and character == escape:
            following = next(characters, None)
            if following is None:
                raise DataError("LIKE pattern must not end with the escape character", code="22025")
            parts.append(re.escape(following))
        else:
            parts.append({"%": ".*", "_": "."}.get(character) or re.escape(character))
    return "(?s)^" + "".join(parts) + "$"


def _text(value: Datum) -> str:
    if isinstance(value, str) and len(value) <= 1:
        return value
    raise DataError("ESCAPE needs one character", code="22019")


def _any(kernel: str, node: exp.Expr, frame: Frame) -> pa.Array:
    lists = evaluate(node.expression.this.unnest(), frame)
    lists = lists.tolist() if isinstance(lists, np.ndarray) else lists
    value = evaluate(node.this, frame)
    if isinstance(lists, list):
        parts = [_array(compare_values(kernel, value, one, frame), frame) for one in lists]
        result = pa.repeat(pa.scalar(False), frame.length)
        for part in parts:
            result = pc.or_kleene(result, part)
        return result
    if value is None:
        return pa.nulls(frame.length, pa.bool_())
    _check_list(lists)
    matches = _guarded(getattr(pc, kernel), lists.values, constant_of(value, lists.type.value_type))
    return _any_element(lists, matches)


def _check_list(lists: Datum) -> None:
    if not isinstance(lists, pa.Array) or not pa.types.is_list(lists.type):
        raise ProgrammingError(
            "ANY, @> and && need an array on their array side", code=sqlstate.DATATYPE_MISMATCH
        )


def _any_element(lists: pa.Array, matches: pa.Array) -> pa.Array:
    """Reduce a boolean per element to one per list: true where any is; NULL lists stay NULL."""
    flags = np.concatenate(
        ([0], np.cumsum(pc.fill_null(matches, False).to_numpy(zero_copy_only=False)))
    )
    offsets = lists.offsets.to_numpy()
    found = pa.array(flags[offsets[1:]] > flags[offsets[:-1]])
    if lists.null_count:
        return pc.if_else(pc.is_valid(lists), found, pa.scalar(None, pa.bool_()))
    return found


def _array_operator(node: exp.Expr, frame: Frame) -> pa.Array:
    lists, wanted = evaluate(node.this, frame), evaluate(node.expression, frame)
    if isinstance(lists, list | tuple | np.ndarray | str) and isinstance(node, exp.ArrayOverlaps):
        lists, wanted = wanted, lists
    _check_list(lists)
    if wanted is None:
        return pa.nulls(frame.length, pa.bool_())
    values = _elements(wanted)
    contains_all = isinstance(node, exp.ArrayContainsAll)
    result = pa.repeat(pa.scalar(contains_all), frame.length)
    combine = pc.and_kleene if contains_all else pc.or_kleene
    for value in values:
        constant = constant_of(value, lists.type.value_type)
        result = combine(result, _any_element(lists, pc.equal(lists.values, constant)))
    return result


def _elements(wanted: Any) -> list[Any]:
    try:
        return read_array(wanted) if isinstance(wanted, str) else list(wanted)
    except ValueError:
        raise DataError(
            f"malformed array literal: {wanted!r}", code=sqlstate.INVALID_TEXT_REPRESENTATION
        ) from None


def _cast(node: exp.Cast, frame: Frame) -> Datum:
    type_ = type_named(node.to)
    shredded = cast_of(node.this.unnest(), type_, frame)
    if shredded is not None:
        return _cast_array(shredded, type_)
    value = evaluate(node.this, frame)
    if type_.is_vector:
        return value if isinstance(value, pa.Array) else cast_to_vector(value, node)
    if not isinstance(value, pa.Array):
        if value is None:
            return None
        if type_.family is Family.ARRAY:
            return typed_parameter(value, type_)
        if isinstance(value, str):
            return value if type_.is_string else from_text(value, type_)
        return _cast_array(pa.repeat(scalar_of(value), 1), type_)[0].as_py()
    return _cast_array(value, type_)


def _cast_array(value: pa.Array, type_: SqlType) -> pa.Array:
    if pa.types.is_floating(value.type) and type_.is_integer:
        value = pc.round(value, round_mode="half_to_even")
    if value.type == type_.arrow:
        return value
    if pa.types.is_string(value.type):
        value = pc.utf8_trim_whitespace(value) if not type_.is_string else value
    return _guarded(lambda array: array.cast(type_.arrow), value)


def _derived(node: exp.Expr, frame: Frame) -> pa.Array:
    """What has no kernel, as a path of JSON: DuckDB computes it once per immutable segment."""
    key = frame.segment.cache_key
    whole: pa.Array
    parameters = [frame.context.parameter(p.name) for p in node.find_all(exp.Placeholder)]
    if key is not None and all(isinstance(value, _HASHABLE) for value in parameters):
        identity = (key, node.sql(), *((type(value), value) for value in parameters))
        cache = frame.context.resources.derived
        whole = cache.find(identity, lambda: _derive(node, frame), lambda array: array.nbytes)
    else:
        whole = _derive(node, frame)
    return whole if frame.rows is None else whole.take(pa.array(frame.rows))


def _derive(node: exp.Expr, frame: Frame) -> pa.Array:
    names = tuple(dict.fromkeys(column.name for column in node.find_all(exp.Column)))
    columns = {name: column_of(frame.segment, frame.table.column(name)) for name in names}
    types = {name: frame.table.column(name).type for name in names}
    return frame.context.relational().expression(
        node, columns, frame.context.parameters, types=types
    )


def _is_element(node: exp.JSONExtract, frame: Frame) -> bool:
    column = node.this.unnest()
    if not isinstance(column, exp.Column):
        return False
    return frame.table.column(column.name).type.family is Family.ARRAY


def _element(node: exp.JSONExtract, frame: Frame) -> pa.Array:
    """`array -> n`, counted from 0; NULL beyond the end."""
    lists = evaluate(node.this, frame)
    place = int(node.expression.expressions[-1].this)
    found = pc.fill_null(pc.greater(pc.list_value_length(lists), place), False)
    starts = lists.offsets.slice(0, len(lists))
    return lists.values.take(pc.if_else(found, pc.add(starts, place), pa.scalar(None, pa.int32())))


def _function(node: exp.Anonymous, frame: Frame) -> pa.Array:
    if node.name.lower() in METRIC_BY_FUNCTION:
        return _distance(node, frame)
    from vsql.executor.filter_functions import filter_function

    return filter_function(node, frame)


def _distance(node: exp.Anonymous, frame: Frame) -> pa.Array:
    metric: Metric = METRIC_BY_FUNCTION[node.name.lower()]
    left, right = (side.unnest() for side in node.expressions)
    column_node, query_node = (left, right) if isinstance(left, exp.Column) else (right, left)
    if not isinstance(column_node, exp.Column):
        raise ProgrammingError(f"{metric.operator} needs a vector column on one side")
    column = frame.table.column(column_node.name)
    query = to_operand(evaluate(query_node, frame), column.type, f'query for "{column.name}"')
    ranker = ranker_of(frame.context, frame.segment, column, metric)
    distances = ranker.distances(query, frame.rows)
    validity = frame.segment.vector_bits(column.id)
    result = pa.array(distances.astype(np.float64))
    if validity is None:
        return result
    rows = np.arange(frame.segment.row_count) if frame.rows is None else frame.rows
    valid = are_set(validity, rows)
    return pc.if_else(pa.array(valid), result, pa.scalar(None, pa.float64()))


def calculate(operation: type[exp.Expr], left: Datum, right: Datum) -> pa.Array:
    """Return arithmetic on values of one type; raises DataError (22003, 22012)."""
    return _calculate(_ARITHMETIC[operation], left, right)


def _negative(value: Datum) -> Datum:
    if value is None:
        return None
    if isinstance(value, pa.Array):
        return _guarded(pc.negate_checked, value)
    if isinstance(value, bool) or not isinstance(value, _NEGATIVE):
        return _guarded(pc.negate_checked, scalar_of(value))
    return -value


def _arithmetic(node: exp.Expr, frame: Frame) -> Datum:
    kernel = _ARITHMETIC[type(node)]
    left, right = evaluate(node.this, frame), evaluate(node.expression, frame)
    if left is None or right is None:
        return None
    if not isinstance(left, pa.Array) and not isinstance(right, pa.Array):
        left = pa.array([left])
        right = constant_of(right, left.type)
        return _calculate(kernel, left, right)[0].as_py()
    if isinstance(left, pa.Array):
        right = right if isinstance(right, pa.Array) else constant_of(right, left.type)
    else:
        left = constant_of(left, right.type)
    return _calculate(kernel, left, right)


def _calculate(kernel: str, left: Datum, right: Datum) -> pa.Array:
    if kernel != "mod":
        return _guarded(getattr(pc, kernel), left, right)
    quotient = _guarded(pc.divide_checked, left, right)
    if pa.types.is_floating(quotient.type):
        quotient = pc.trunc(quotient)
    return _guarded(pc.subtract_checked, left, _guarded(pc.multiply_checked, quotient, right))


def _guarded(kernel: Callable[..., Any], *arguments: Any) -> Any:
    """Call a kernel; what it refuses becomes an error of vsql's, with the types that it got."""
    try:
        return kernel(*arguments)
    except pa.ArrowNotImplementedError as error:
        raise ProgrammingError(
            "this operator does not take these types: "
            + ", ".join(str(types.from_arrow(a.type)) for a in arguments if hasattr(a, "type")),
            code=sqlstate.UNDEFINED_FUNCTION,
        ) from error
    except pa.ArrowInvalid as error:
        raise _kernel_error(str(error)) from None


def _kernel_error(message: str) -> DatabaseError:
    lowered = message.lower()
    if "divide by zero" in lowered:
        return DataError("division by zero", code=sqlstate.DIVISION_BY_ZERO)
    if "overflow" in lowered or "out of bounds" in lowered or "not in range" in lowered:
        return DataError("number out of range", code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE)
    return DataError(message.splitlines()[0], code=sqlstate.INVALID_TEXT_REPRESENTATION)
