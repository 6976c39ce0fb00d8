"""Conditions of the filter language over the values of a JSON path, kind by kind, by kernels.

A row is true, false or unknown; it is unknown where the value is of no kind that the constant
compares with. Only what no column keeps (nested lists, objects, integers beyond 64 bits) is read
from the documents, for its own rows.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import DataError
from vsql.core.protocols import Rows
from vsql.executor.evaluate import calculate, match_like, match_regex
from vsql.grammar.filter_literals import INT64_MAX, truncated_quotient
from vsql.storage.path_values import Kind, PathValues

Documents = Callable[[Rows], list[Any]]
"""The Python values of some rows, read from the documents."""

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
_BY_VALUE = (exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.Mod)
_LISTS = (Kind.INTEGERS, Kind.STRINGS, Kind.ARRAY)
_SCALARS = (Kind.BOOLEAN, Kind.INTEGER, Kind.DOUBLE, Kind.STRING, Kind.NUMBER)


@dataclass(frozen=True, slots=True)
class Truth:
    """Which rows are true and of which it is known whether they are."""

    true: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]

    @staticmethod
    def unknown(count: int) -> "Truth":
        return Truth(np.zeros(count, dtype=bool), np.zeros(count, dtype=bool))

    def tell(self, array: pa.Array) -> None:
        """Take over the rows for which an Arrow array has a value."""
        flags = pc.fill_null(array, False).to_numpy(zero_copy_only=False)
        self.true[...] |= flags
        self.known[...] |= array.is_valid().to_numpy(zero_copy_only=False)

    def tell_rows(self, rows: Rows, answers: Sequence[bool | None]) -> None:
        """Take over answers for some rows."""
        for row, answer in zip(rows.tolist(), answers, strict=True):
            self.true[row], self.known[row] = bool(answer), answer is not None

    def array(self) -> pa.Array:
        """Return it as Arrow has it."""
        if self.known.all():
            return pa.array(self.true)
        return pa.array(self.true, mask=~self.known)


def compare(
    kind: type[exp.Expr], values: PathValues, constant: Any, documents: Documents
) -> pa.Array:
    """Return `path <operator> constant`: true, false, NULL where the kinds differ."""
    truth = Truth.unknown(len(values))
    wanted, kernel = kind_of(constant), getattr(pc, _KERNELS[kind])
    others: tuple[Kind, ...] = ()
    match wanted:
        case "number":
            others = (Kind.NUMBER,)
            if Kind.INTEGER in values.parts:
                truth.tell(_compare_integers(kind, values.parts[Kind.INTEGER], constant))
            if Kind.DOUBLE in values.parts:
                truth.tell(kernel(values.parts[Kind.DOUBLE], _double(constant)))
        case "string" | "boolean":
            part = values.parts.get(Kind.STRING if wanted == "string" else Kind.BOOLEAN)
            if part is not None:
                truth.tell(kernel(part, pa.scalar(constant)))
        case "list" if kind in (exp.EQ, exp.NEQ):
            others = _LISTS
    if others and values.has(*others):
        rows = values.rows_of(*others)
        truth.tell_rows(rows, [comparison(kind, constant)(v) for v in documents(rows)])
    return truth.array()


def _double(constant: Any) -> pa.Scalar:
    try:
        return pa.scalar(float(constant), pa.float64())
    except OverflowError:
        return pa.scalar(float("inf") if constant > 0 else float("-inf"))


def _compare_integers(kind: type[exp.Expr], part: pa.Array, constant: Any) -> pa.Array:
    if isinstance(constant, float):
        return getattr(pc, _KERNELS[kind])(part.cast(pa.float64(), safe=False), constant)
    if abs(constant) > INT64_MAX:
        # Beyond every integer there is: the same answer for each.
        answer = pa.scalar(bool(_OPERATORS[kind](0, constant)))
        return pc.if_else(part.is_valid(), answer, pa.scalar(None, pa.bool_()))
    return getattr(pc, _KERNELS[kind])(part, pa.scalar(constant, pa.int64()))


def membership(values: PathValues, constants: list[Any], documents: Documents) -> pa.Array:
    """Return `path IN constants`: one list per kind, their answers joined by OR."""
    truth = Truth.unknown(len(values))
    kinds = {kind_of(constant) for constant in constants}
    by_kind: dict[str | None, list[Any]] = {}
    for constant in constants:
        by_kind.setdefault(kind_of(constant), []).append(constant)
    numbers = by_kind.get("number", [])
    widened = any(isinstance(number, float) for number in numbers)
    for kind, part in values.parts.items():
        match kind:
            case Kind.INTEGER | Kind.DOUBLE:
                own, name = numbers, "number"
            case Kind.STRING:
                own, name = by_kind.get("string", []), "string"
            case Kind.BOOLEAN:
                own, name = by_kind.get("boolean", []), "boolean"
            case _:
                continue
        if own:
            found = _among(part, own, widened)
            truth.tell(found if kinds == {name} else pc.if_else(found, True, None))
    others = (Kind.NUMBER, *_LISTS) if numbers or "list" in kinds else ()
    if others and values.has(*others):
        rows = values.rows_of(*others)
        test = membership_test(constants)
        truth.tell_rows(rows, [test(value) for value in documents(rows)])
    return truth.array()


def _among(part: pa.Array, constants: list[Any], widened: bool) -> pa.Array:
    if pa.types.is_integer(part.type):
        if widened:
            part = part.cast(pa.float64(), safe=False)
        else:
            constants = [c for c in constants if abs(c) <= INT64_MAX]
    if pa.types.is_floating(part.type):
        doubles = [_double(c).as_py() for c in constants]
        constants = [d for d, c in zip(doubles, constants, strict=True) if widened or d == c]
    found = pc.is_in(part, value_set=pa.array(constants, part.type))
    return pc.if_else(part.is_valid(), found, pa.scalar(None, pa.bool_()))


def pattern(kind: type[exp.Expr], values: PathValues, wanted: str) -> pa.Array:
    """Return `path LIKE pattern` or `path =~ pattern`; only strings match."""
    text = values.parts.get(Kind.STRING)
    if text is None:
        return pa.nulls(len(values), pa.bool_())
    return match_like(text, wanted, "\\") if kind is exp.Like else match_regex(text, wanted)


def exists(values: PathValues, documents: Documents) -> pa.Array:
    """Return whether there is anything: null, {} and [] are nothing, however deep."""
    true = np.isin(values.kinds, _SCALARS)
    for kind in (Kind.INTEGERS, Kind.STRINGS):
        if kind in values.parts:
            lengths = pc.fill_null(pc.list_value_length(values.parts[kind]), 0)
            true |= lengths.to_numpy(zero_copy_only=False) > 0
    if values.has(Kind.OBJECT, Kind.ARRAY):
        rows = values.rows_of(Kind.OBJECT, Kind.ARRAY)
        true[rows] = list(map(_is_something, documents(rows)))
    return pa.array(true)


def _is_something(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_is_something, value.values()))
    if isinstance(value, list):
        return any(map(_is_something, value))
    return value is not None


def lengths(values: PathValues, documents: Documents) -> PathValues:
    """Return the number of elements of lists, nothing for all else."""
    found = pa.nulls(len(values), pa.int64())
    for kind in (Kind.INTEGERS, Kind.STRINGS):
        if kind in values.parts:
            own = pc.list_value_length(values.parts[kind]).cast(pa.int64())
            found = pc.coalesce(found, own)
    if values.has(Kind.ARRAY):
        rows = values.rows_of(Kind.ARRAY)
        counts = np.zeros(len(values), dtype=np.int64)
        counts[rows] = [len(value) for value in documents(rows)]
        found = pc.coalesce(found, pa.array(counts, mask=values.kinds != Kind.ARRAY))
    is_list = found.is_valid().to_numpy(zero_copy_only=False)
    return PathValues(is_list.astype(np.uint8) * np.uint8(Kind.INTEGER), {Kind.INTEGER: found})


def contains(
    values: PathValues, wanted: list[Any], documents: Documents, *, every: bool
) -> pa.Array:
    """Return whether lists hold one, or every one, of some values; NULL where there is no list."""
    truth = Truth.unknown(len(values))
    for kind in (Kind.INTEGERS, Kind.STRINGS):
        if kind in values.parts:
            truth.tell(list_contains(values.parts[kind], wanted, every=every))
    if values.has(Kind.ARRAY):
        rows = values.rows_of(Kind.ARRAY)
        combine = all if every else any
        answers = [
            combine(any(same(element, one) for element in elements) for one in wanted)
            for elements in documents(rows)
        ]
        truth.tell_rows(rows, answers)
    return truth.array()


def list_contains(lists: pa.Array, wanted: list[Any], *, every: bool) -> pa.Array:
    """Return whether Arrow lists of scalars hold one, or every one, of some values, exactly."""
    element = lists.type.value_type
    fitting = [_as_element(value, element) for value in wanted]
    offsets = lists.offsets.to_numpy()
    elements = lists.values
    constants = [value for value in fitting if value is not None]
    if not every:
        found = _holds(elements, offsets, constants)
    elif len(constants) < len(wanted):
        found = np.zeros(len(lists), dtype=bool)
    else:
        found = np.ones(len(lists), dtype=bool)
        for value in constants:
            found &= _holds(elements, offsets, [value])
    return pc.if_else(lists.is_valid(), pa.array(found), pa.scalar(None, pa.bool_()))


def list_compare(kind: type[exp.Expr], lists: pa.Array, wanted: Any) -> pa.Array:
    """Return whether Arrow lists of scalars equal a list, element by element; lists have no order.

    NULL equals nothing, and nothing but a list compares with one.
    """
    if not isinstance(wanted, list) or kind not in (exp.EQ, exp.NEQ):
        return pa.nulls(len(lists), pa.bool_())
    lengths = pc.fill_null(pc.list_value_length(lists), -1).to_numpy()
    rows = np.flatnonzero(lengths == len(wanted))
    starts = lists.offsets.to_numpy()[:-1]
    for place, value in enumerate(wanted):
        found = lists.values.take(pa.array(starts[rows] + place))
        rows = rows[_equals(found, value).to_numpy(zero_copy_only=False)]
    same = np.zeros(len(lists), dtype=bool)
    same[rows] = True
    return pc.if_else(lists.is_valid(), pa.array(same == (kind is exp.EQ)), None)


def _equals(elements: pa.Array, value: Any) -> pa.Array:
    if pa.types.is_list(elements.type):
        return pc.fill_null(list_compare(exp.EQ, elements, value), False)
    fitting = _as_element(value, elements.type)
    if fitting is None:
        return pa.repeat(pa.scalar(False), len(elements))
    return pc.fill_null(pc.equal(elements, pa.scalar(fitting, elements.type)), False)


def _holds(elements: pa.Array, offsets: Any, constants: list[Any]) -> npt.NDArray[np.bool_]:
    if not constants:
        return np.zeros(len(offsets) - 1, dtype=bool)
    hits = pc.is_in(elements, value_set=pa.array(constants, elements.type))
    flags = np.concatenate(([0], np.cumsum(hits.to_numpy(zero_copy_only=False))))
    held: npt.NDArray[np.bool_] = flags[offsets[1:]] > flags[offsets[:-1]]
    return held


def _as_element(value: Any, element: pa.DataType) -> Any:
    """Return a constant as an element of a list is kept, None where none can be equal."""
    kind = kind_of(value)
    if pa.types.is_integer(element) and kind == "number":
        bound = 2 ** (element.bit_width - 1)
        if value != value or value in (float("inf"), float("-inf")) or value != int(value):
            return None
        return int(value) if -bound <= value < bound else None
    if pa.types.is_floating(element) and kind == "number":
        try:
            exact = pa.scalar(float(value), element).as_py()
        except OverflowError:
            return None
        return exact if exact == value else None
    if pa.types.is_string(element) and kind == "string":
        return value
    return value if pa.types.is_boolean(element) and kind == "boolean" else None


def calculated(
    node: exp.Binary, values: PathValues, constant: Any, documents: Documents
) -> PathValues | list[Any]:
    """Return JSON arithmetic: exact over integers, in doubles otherwise.

    A list of Python values where an integer leaves 64 bits. Raises DataError (22012).
    """
    kind = type(node)
    integers, doubles = values.parts.get(Kind.INTEGER), values.parts.get(Kind.DOUBLE)
    if kind in _BY_VALUE:
        constant = int(constant)
        if doubles is not None:
            whole = _whole(doubles)
            integers = whole if integers is None else pc.coalesce(integers, whole)
            doubles = None
    try:
        if values.has(Kind.NUMBER):
            raise DataError("", code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE)
        parts: list[tuple[Kind, pa.Array]] = []
        if integers is not None:
            if isinstance(constant, int):
                parts.append(
                    (Kind.INTEGER, calculate(kind, integers, pa.scalar(constant, pa.int64())))
                )
            else:
                own = integers.cast(pa.float64(), safe=False)
                doubles = own if doubles is None else pc.coalesce(doubles, own)
        if doubles is not None:
            parts.append((Kind.DOUBLE, calculate(kind, doubles, _double(constant))))
    except (DataError, OverflowError) as error:
        if isinstance(error, DataError) and error.sqlstate != sqlstate.NUMERIC_VALUE_OUT_OF_RANGE:
            raise
        rows = np.arange(len(values))
        return [result(node, value, constant) for value in documents(rows)]
    kinds = np.zeros(len(values), dtype=np.uint8)
    for part_kind, part in parts:
        kinds[part.is_valid().to_numpy(zero_copy_only=False)] = part_kind
    return PathValues(kinds, dict(parts))


def _whole(doubles: pa.Array) -> pa.Array:
    """Return doubles cut to integers, NULL where they leave 64 bits."""
    small = pc.less_equal(pc.abs(doubles), float(INT64_MAX))
    fitting = pc.if_else(small, pc.trunc(doubles), pa.scalar(None, pa.float64()))
    return fitting.cast(pa.int64(), safe=False)


def result(node: exp.Binary, value: Any, constant: Any) -> Any:
    """Return arithmetic on one value, None where it is no number; raises DataError (22012)."""
    if kind_of(value) != "number":
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


def kind_of(value: Any) -> str | None:
    """Return what a value is compared with; objects and null with nothing."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else None


def comparison(kind: type[exp.Expr], constant: Any) -> Callable[[Any], bool | None]:
    """Return the test of one Python value against a constant."""
    check, wanted = _OPERATORS[kind], kind_of(constant)
    ordered = kind not in (exp.EQ, exp.NEQ)
    if wanted is None or (wanted == "list" and ordered):
        return lambda value: None

    def answer(value: Any) -> bool | None:
        if kind_of(value) != wanted:
            return None
        if wanted == "list":
            return same(value, constant) is (kind is exp.EQ)
        if isinstance(value, float) or isinstance(constant, float):
            return bool(check(float(value), float(constant))) if wanted == "number" else None
        return bool(check(value, constant))

    return answer


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, numbers exactly; objects equal nothing."""
    kind = kind_of(one)
    if kind is None or kind != kind_of(other):
        return False
    if kind == "list":
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def membership_test(constants: list[Any]) -> Callable[[Any], bool | None]:
    """Return the test of one Python value against a list of constants."""
    kinds = {kind_of(constant) for constant in constants}
    numbers = [c for c in constants if kind_of(c) == "number"]
    widened = any(isinstance(c, float) for c in numbers)
    wanted = [float(c) if widened and kind_of(c) == "number" else c for c in constants]

    def answer(value: Any) -> bool | None:
        kind = kind_of(value)
        if widened and kind == "number":
            value = float(value)
        if any(same(value, constant) for constant in wanted):
            return True
        return False if kinds == {kind} else None

    return answer
