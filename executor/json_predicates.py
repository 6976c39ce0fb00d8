"""Conditions of the filter language over the values of a JSON path, kind by kind, by kernels.

A row is true, false or unknown; it is unknown where the value is of no kind that the constant
compares with. What no column keeps (nested lists, objects, integers beyond 64 bits) is opened from
the documents into columns of its own, see `vsql.executor.nested_values`.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from vsql.core.protocols import Rows
from vsql.executor.comparisons import KERNELS
from vsql.executor.evaluate import match_like, match_regex
from vsql.executor.json_arithmetic import Calculated
from vsql.executor.json_constants import depth_of, double_of, is_64_bit, kind_of
from vsql.executor.json_lists import (
    Flags,
    is_among,
    is_in,
    list_compare,
    list_contains,
    nested_contains,
    nested_is_among,
)
from vsql.executor.json_values import Rest
from vsql.executor.nested_values import is_something
from vsql.executor.wide_integers import WideIntegers
from vsql.storage.path_values import Kind, PathValues

_OPERATORS: dict[type[exp.Expr], Callable[[Any, Any], Any]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}
_LISTS = (Kind.INTEGERS, Kind.STRINGS)
_NAMES = {
    **dict.fromkeys((Kind.INTEGER, Kind.DOUBLE, Kind.NUMBER), "number"),
    **dict.fromkeys((*_LISTS, Kind.ARRAY), "list"),
    Kind.STRING: "string",
    Kind.BOOLEAN: "boolean",
}
_SCALARS = (Kind.BOOLEAN, Kind.INTEGER, Kind.DOUBLE, Kind.STRING, Kind.NUMBER)


@dataclass(frozen=True, slots=True)
class Truth:
    """Which rows are true and of which it is known whether they are."""

    true: Flags
    known: Flags

    @staticmethod
    def unknown(count: int) -> "Truth":
        return Truth(np.zeros(count, dtype=bool), np.zeros(count, dtype=bool))

    def tell(self, array: pa.Array) -> None:
        """Take over the rows for which an Arrow array has a value."""
        flags = pc.fill_null(array, False).to_numpy(zero_copy_only=False)
        self.true[...] |= flags
        self.known[...] |= array.is_valid().to_numpy(zero_copy_only=False)

    def tell_rows(self, rows: Rows, answers: Flags) -> None:
        """Take over an answer for each of some rows."""
        self.true[rows] = answers
        self.known[rows] = True

    def array(self) -> pa.Array:
        """Return it as Arrow has it."""
        if self.known.all():
            return pa.array(self.true)
        return pa.array(self.true, mask=~self.known)


def compare(kind: type[exp.Expr], values: PathValues, constant: Any, rest: Rest) -> pa.Array:
    """Return `path <operator> constant`: true, false, NULL where the kinds differ."""
    truth = Truth.unknown(len(values))
    match kind_of(constant):
        case "number":
            _compare_numbers(truth, kind, values, constant)
            rows = values.rows_of(Kind.NUMBER)
            if len(rows):
                texts = rest(values, (Kind.NUMBER,), 0).texts
                truth.tell_rows(rows, _compare_large(kind, texts, constant))
        case "string" | "boolean":
            part = values.parts.get(Kind.STRING if isinstance(constant, str) else Kind.BOOLEAN)
            if part is not None:
                truth.tell(getattr(pc, KERNELS[kind])(part, pa.scalar(constant)))
        case "list" if kind in (exp.EQ, exp.NEQ):
            for own in _LISTS:
                if own in values.parts:
                    truth.tell(list_compare(kind, values.parts[own], constant))
            rows = values.rows_of(Kind.ARRAY)
            if len(rows):
                nested = rest(values, (Kind.ARRAY,), depth_of(constant))
                truth.tell_rows(rows, nested_is_among(nested, [constant]) == (kind is exp.EQ))
    return truth.array()


def compare_calculated(kind: type[exp.Expr], found: Calculated, constant: Any) -> pa.Array:
    """Return the comparison of what arithmetic gave with a constant; NULL for no number."""
    truth = Truth.unknown(len(found.values))
    if kind_of(constant) == "number":
        _compare_numbers(truth, kind, found.values, constant)
        for rows, numbers in found.wide:
            truth.tell_rows(rows, numbers.compare(kind, constant))
    return truth.array()


def _compare_numbers(
    truth: Truth, kind: type[exp.Expr], values: PathValues, constant: float
) -> None:
    if Kind.INTEGER in values.parts:
        truth.tell(_compare_integers(kind, values.parts[Kind.INTEGER], constant))
    if Kind.DOUBLE in values.parts:
        kernel = getattr(pc, KERNELS[kind])
        truth.tell(kernel(values.parts[Kind.DOUBLE], double_of(constant)))


def _compare_integers(kind: type[exp.Expr], part: pa.Array, constant: Any) -> pa.Array:
    if isinstance(constant, float):
        return getattr(pc, KERNELS[kind])(part.cast(pa.float64(), safe=False), constant)
    if not is_64_bit(constant):
        # Beyond every integer there is: the same answer for each.
        answer = pa.scalar(bool(_OPERATORS[kind](0, constant)))
        return pc.if_else(part.is_valid(), answer, pa.scalar(None, pa.bool_()))
    return getattr(pc, KERNELS[kind])(part, pa.scalar(constant, pa.int64()))


def _compare_large(kind: type[exp.Expr], texts: pa.Array, constant: float) -> Flags:
    """Compare integers beyond 64 bits, as text: beside one of 64 bits the sign decides."""
    answers: Flags
    if isinstance(constant, float):
        answers = getattr(pc, KERNELS[kind])(texts.cast(pa.float64()), constant).to_numpy(False)
    elif is_64_bit(constant):
        compared = _OPERATORS[kind]
        negative = pc.starts_with(texts, "-").to_numpy(zero_copy_only=False)
        answers = np.where(negative, compared(-1, 0), compared(1, 0))
    else:
        answers = np.zeros(len(texts), dtype=bool)
        for rows, numbers in WideIntegers.of_texts(texts):
            answers[rows] = numbers.compare(kind, constant)
    return answers


def membership(values: PathValues, constants: list[Any], rest: Rest) -> pa.Array:
    """Return `path IN constants`: one list per kind, their answers joined by OR."""
    truth = Truth.unknown(len(values))
    kinds = {kind_of(constant) for constant in constants}
    numbers = [constant for constant in constants if kind_of(constant) == "number"]
    # One double among numbers makes doubles of all.
    widened = any(isinstance(number, float) for number in numbers)
    doubles = [double_of(number).as_py() for number in numbers]
    for kind, part in values.parts.items():
        if widened and _NAMES[kind] == "number":
            found = is_in(part.cast(pa.float64(), safe=False), doubles)
        else:
            found = is_among(part, constants)
        rows = np.flatnonzero(part.is_valid().to_numpy(zero_copy_only=False))
        _tell_members(truth, rows, found[rows], certain=kinds == {_NAMES[kind]})
    for kind in (Kind.NUMBER, Kind.ARRAY):
        rows = values.rows_of(kind)
        if _NAMES[kind] not in kinds or not len(rows):
            continue
        nested = rest(values, (kind,), max(map(depth_of, constants)))
        if widened and kind is Kind.NUMBER:
            found = is_in(nested.texts.cast(pa.float64()), doubles)
        else:
            found = nested_is_among(nested, constants)
        _tell_members(truth, rows, found, certain=kinds == {_NAMES[kind]})
    return truth.array()


def _tell_members(truth: Truth, rows: Rows, found: Flags, *, certain: bool) -> None:
    """Where constants of several kinds were given, a value that is none of them is unknown."""
    told = slice(None) if certain else found
    truth.tell_rows(rows[told], found[told])


def pattern(kind: type[exp.Expr], values: PathValues, wanted: str) -> pa.Array:
    """Return `path LIKE pattern` or `path =~ pattern`; only strings match."""
    text = values.parts.get(Kind.STRING)
    if text is None:
        return pa.nulls(len(values), pa.bool_())
    return match_like(text, wanted, "\\") if kind is exp.Like else match_regex(text, wanted)


def exists(values: PathValues, rest: Rest) -> pa.Array:
    """Return whether there is anything: null, {} and [] are nothing, however deep."""
    true = np.isin(values.kinds, _SCALARS)
    for kind in _LISTS:
        if kind in values.parts:
            lengths = pc.fill_null(pc.list_value_length(values.parts[kind]), 0)
            true |= lengths.to_numpy(zero_copy_only=False) > 0
    rows = values.rows_of(Kind.OBJECT, Kind.ARRAY)
    if len(rows):
        texts = rest(values, (Kind.OBJECT, Kind.ARRAY), 0).texts
        true[rows] = is_something(texts).to_numpy(zero_copy_only=False)
    return pa.array(true)


def lengths(values: PathValues, rest: Rest) -> PathValues:
    """Return the number of elements of lists, nothing for all else."""
    counts = np.full(len(values), -1, dtype=np.int64)
    for kind in _LISTS:
        if kind in values.parts:
            own = pc.fill_null(pc.list_value_length(values.parts[kind]), -1)
            counts = np.maximum(counts, own.to_numpy(zero_copy_only=False))
    lists = rest(values, (Kind.ARRAY,), 1).lists if values.has(Kind.ARRAY) else None
    if lists is not None:
        counts[values.rows_of(Kind.ARRAY)] = lists.lengths
    is_list = counts >= 0
    found = pa.array(counts, mask=~is_list)
    return PathValues(is_list.astype(np.uint8) * np.uint8(Kind.INTEGER), {Kind.INTEGER: found})


def contains(values: PathValues, wanted: list[Any], rest: Rest, *, every: bool) -> pa.Array:
    """Return whether lists hold one, or every one, of some values; NULL where there is no list."""
    truth = Truth.unknown(len(values))
    for kind in _LISTS:
        if kind in values.parts:
            truth.tell(list_contains(values.parts[kind], wanted, every=every))
    rows = values.rows_of(Kind.ARRAY)
    if len(rows):
        lists = rest(values, (Kind.ARRAY,), depth_of(wanted)).lists
        assert lists is not None
        truth.tell_rows(rows, nested_contains(lists, wanted, every=every))
    return truth.array()
