"""Arithmetic of the filter language, one operand and one constant: exact over whole numbers.

Numbers are columns of 64 bits; those that leave these are `WideIntegers`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import DataError, ProgrammingError
from vsql.core.protocols import Rows
from vsql.executor.evaluate import calculate
from vsql.executor.json_constants import double_of, is_64_bit
from vsql.executor.json_values import Rest
from vsql.executor.wide_integers import WideIntegers
from vsql.storage.path_values import Kind, PathValues

_BY_VALUE = (exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.Mod)


@dataclass(frozen=True, slots=True)
class Calculated:
    """Results, those beyond 64 bits apart: some rows and the numbers in them."""

    values: PathValues
    wide: tuple[tuple[Rows, WideIntegers], ...] = ()


def checked_operand(constant: Any) -> int | float:
    """Return a number to calculate with; raises ProgrammingError, DataError (22003)."""
    if isinstance(constant, bool) or not isinstance(constant, int | float):
        raise ProgrammingError("arithmetic needs a number", code=sqlstate.DATATYPE_MISMATCH)
    if isinstance(constant, int) and not is_64_bit(constant):
        raise DataError(
            f"{constant} is out of range for a 64-bit integer",
            code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE,
        )
    return constant


def calculated(kind: type[exp.Expr], values: PathValues, constant: float, rest: Rest) -> Calculated:
    """Return JSON arithmetic: exact over integers, in doubles otherwise; DataError (22012)."""
    integers, doubles = values.parts.get(Kind.INTEGER), values.parts.get(Kind.DOUBLE)
    if kind in _BY_VALUE:
        constant = _cut(constant)
        if doubles is not None:
            integers, doubles = _coalesced(integers, _whole(doubles)), None
    rows = values.rows_of(Kind.NUMBER)
    texts = rest(values, (Kind.NUMBER,), 0).texts if len(rows) else None
    if isinstance(constant, int):
        whole = _of_integers(kind, integers, constant, len(values))
        wide = whole.wide + (() if texts is None else _of_texts(kind, rows, texts, constant))
        parts = dict(whole.values.parts)
    else:
        if integers is not None:
            doubles = _coalesced(doubles, integers.cast(pa.float64(), safe=False))
        if texts is not None:
            doubles = _coalesced(doubles, _placed(texts.cast(pa.float64()), rows, len(values)))
        wide, parts = (), {}
    if doubles is not None:
        parts[Kind.DOUBLE] = calculate(kind, doubles, double_of(constant))
    return Calculated(_by_kind(parts, len(values)), wide)


def nothing_calculated(length: int) -> Calculated:
    """Return what arithmetic with NULL gives."""
    return Calculated(_by_kind({}, length))


def calculated_integers(kind: type[exp.Expr], integers: pa.Array, constant: int) -> Calculated:
    """Return arithmetic on a column of integers; raises DataError (22012)."""
    return _of_integers(kind, integers.cast(pa.int64()), constant, len(integers))


def _of_integers(
    kind: type[exp.Expr], integers: pa.Array | None, constant: int, length: int
) -> Calculated:
    if integers is None:
        return nothing_calculated(length)
    try:
        found = calculate(kind, integers, pa.scalar(constant, pa.int64()))
    except DataError as error:
        if error.sqlstate != sqlstate.NUMERIC_VALUE_OUT_OF_RANGE:
            raise
        rows = np.flatnonzero(integers.is_valid().to_numpy(zero_copy_only=False))
        numbers = WideIntegers.of_integers(integers.drop_null().to_numpy())
        wide = ((rows, numbers.calculate(kind, constant)),)
        return Calculated(_by_kind({}, length), wide)
    return Calculated(_by_kind({Kind.INTEGER: found}, length))


def _of_texts(
    kind: type[exp.Expr], rows: Rows, texts: pa.Array, constant: int
) -> tuple[tuple[Rows, WideIntegers], ...]:
    return tuple(
        (rows[places], numbers.calculate(kind, constant))
        for places, numbers in WideIntegers.of_texts(texts)
    )


def _by_kind(parts: dict[Kind, pa.Array], length: int) -> PathValues:
    kinds = np.zeros(length, dtype=np.uint8)
    for kind, part in parts.items():
        kinds[part.is_valid().to_numpy(zero_copy_only=False)] = kind
    return PathValues(kinds, parts)


def _coalesced(one: pa.Array | None, other: pa.Array) -> pa.Array:
    return other if one is None else pc.coalesce(one, other)


def _placed(found: pa.Array, rows: Rows, length: int) -> pa.Array:
    """Return values at their rows, NULL elsewhere."""
    places = np.full(length, -1, dtype=np.int64)
    places[rows] = np.arange(len(rows))
    return found.take(pa.array(places, mask=places < 0))


def _cut(constant: float) -> int:
    if not math.isfinite(constant):
        raise ProgrammingError("%, &, | and ^ need an integer", code=sqlstate.DATATYPE_MISMATCH)
    return int(checked_operand(int(constant)))


def _whole(doubles: pa.Array) -> pa.Array:
    """Return doubles cut to integers, NULL where they leave 64 bits."""
    small = pc.less(pc.abs(doubles), 2.0**63)
    fitting = pc.if_else(small, pc.trunc(doubles), pa.scalar(None, pa.float64()))
    return fitting.cast(pa.int64(), safe=False)
