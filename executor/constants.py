"""Constants as Arrow compares them with a column, in the column's type where they have none."""

import contextlib
import decimal
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core import sqlstate, types
from vsql.core.errors import DataError, ProgrammingError
from vsql.core.types import Family, SqlType
from vsql.executor.bound_values import REFUSALS
from vsql.executor.json_constants import double_of
from vsql.executor.take import from_numpy
from vsql.executor.text_values import read_text

_DECIMAL_END = 10**76
"""Arrow has no decimal of more digits."""


def scalar_of(value: Any) -> pa.Scalar:
    """Return a value by itself; raises DataError (42804) for one that no type of SQL holds."""
    try:
        return pa.scalar(value.item() if isinstance(value, np.floating) else value)
    except REFUSALS:
        raise DataError(
            f"no SQL type holds this {type(value).__name__}", code=sqlstate.DATATYPE_MISMATCH
        ) from None


def constant_of(value: Any, arrow: pa.DataType) -> pa.Scalar:
    """Return a constant in the type that a column of type `arrow` compares with.

    Text stands for any type, as PostgreSQL's untyped literals do. Raises DataError (22P02),
    ProgrammingError (42883).
    """
    if isinstance(value, str) and not pa.types.is_string(arrow):
        return _parsed(value, arrow)
    if pa.types.is_integer(arrow) and isinstance(value, int) and not isinstance(value, bool):
        if -(2 ** (arrow.bit_width - 1)) <= value < 2 ** (arrow.bit_width - 1):
            return _integers([value], arrow)[0]
        return double_of(value)
    try:
        if hasattr(value, "item") and not isinstance(value, pa.Scalar):
            value = value.item()
        if isinstance(value, int) and abs(value) >= _DECIMAL_END:
            value = double_of(value)
        if pa.types.is_decimal(arrow) and isinstance(value, int | float) and math.isfinite(value):
            # A literal such as 1.1 is exact beside a DECIMAL, as in PostgreSQL.
            value = decimal.Decimal(repr(value)) if not isinstance(value, bool) else value
        if hasattr(value, "bytes") and pa.types.is_fixed_size_binary(arrow):
            value = value.bytes
        if isinstance(value, pa.Scalar):
            scalar = value
        else:
            scalar = _texts([value])[0] if type(value) is str else pa.scalar(value)
    except REFUSALS:
        raise incomparable(arrow, type(value).__name__) from None
    if pa.types.is_decimal(scalar.type) and not pa.types.is_decimal(arrow):
        scalar = scalar.cast(pa.float64())
    check_comparable(arrow, scalar.type)
    return scalar if scalar.is_valid else pa.scalar(None, arrow)


def _integers(values: list[int], arrow: pa.DataType) -> pa.Array:
    """Return integers as Arrow; raises OverflowError."""
    return from_numpy(np.array(values, dtype=arrow.to_pandas_dtype()))


def _texts(values: list[str]) -> pa.Array:
    """Return texts as Arrow; `pa.array` and `pa.scalar` would import pandas to look at them.

    Raises DataError (22P02).
    """
    try:
        encoded = [value.encode() for value in values]
    except UnicodeEncodeError:
        raise DataError(
            "a text holds one half of a Unicode surrogate pair",
            code=sqlstate.INVALID_TEXT_REPRESENTATION,
        ) from None
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def _parsed(text: str, arrow: pa.DataType) -> pa.Scalar:
    is_uuid = pa.types.is_fixed_size_binary(arrow) and arrow.byte_width == 16
    type_ = SqlType(Family.UUID) if is_uuid else types.from_arrow(arrow)
    try:
        # The digits of a DECIMAL that no column has are compared too, not rounded.
        return pa.scalar(read_text(text, type_), None if type_.family is Family.DECIMAL else arrow)
    except REFUSALS:
        raise DataError(
            f"invalid input for type {type_}: '{text[:60]}'",
            code=sqlstate.INVALID_TEXT_REPRESENTATION,
        ) from None


_CLASSES: tuple[Callable[[pa.DataType], bool], ...] = (
    lambda t: pa.types.is_integer(t) or pa.types.is_floating(t) or pa.types.is_decimal(t),
    lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
    pa.types.is_boolean,
    lambda t: pa.types.is_binary(t) or pa.types.is_fixed_size_binary(t),
    lambda t: pa.types.is_date(t) or pa.types.is_timestamp(t),
    pa.types.is_time,
    pa.types.is_nested,
    lambda t: pa.types.is_interval(t) or pa.types.is_duration(t),
)


def check_comparable(one: pa.DataType, other: pa.DataType) -> None:
    """Raise ProgrammingError (42883) for types that no comparison takes side by side."""
    for belongs in _CLASSES:
        if belongs(one) and belongs(other):
            return
    if not pa.types.is_null(one) and not pa.types.is_null(other):
        raise incomparable(one, str(types.from_arrow(other)))


def incomparable(arrow: pa.DataType, other: str) -> ProgrammingError:
    """Return the error for a value of another type beside a column of type `arrow`."""
    return ProgrammingError(
        f"cannot compare {types.from_arrow(arrow)} with {other}",
        code=sqlstate.UNDEFINED_FUNCTION,
        hint="add an explicit cast, as in CAST(x AS BIGINT)",
    )


def constant_array(values: list[Any], arrow: pa.DataType) -> pa.Array:
    """Return constants, none of them None, in the type that a column of type `arrow` is sought by.

    Raises as `constant_of`.
    """
    kinds = set(map(type, values))
    if kinds == {str} and pa.types.is_string(arrow):
        return _texts(values)
    if kinds == {int} and pa.types.is_integer(arrow):
        # Integers that the column can't have are compared as what has them.
        with contextlib.suppress(OverflowError):
            return _integers(values, arrow)
    scalars = [constant_of(value, arrow) for value in values]
    if pa.types.is_decimal(arrow):
        return pa.array([s.as_py() for s in map(_exactly(arrow), scalars) if s is not None], arrow)
    common = _common_type(arrow, {scalar.type for scalar in scalars})
    return pa.array([scalar.as_py() for scalar in scalars], common)


def _exactly(arrow: pa.DataType) -> Callable[[pa.Scalar], pa.Scalar | None]:
    """Return what converts a constant where nothing is lost: no such value equals any other."""

    def convert(scalar: pa.Scalar) -> pa.Scalar | None:
        try:
            return scalar.cast(arrow)
        except pa.ArrowInvalid:
            return None

    return convert


def _common_type(key: pa.DataType, values: set[pa.DataType]) -> pa.DataType:
    """Return the type in which a key is looked up among values."""
    if values == {key}:
        return key
    if any(map(pa.types.is_floating, (key, *values))):
        return pa.float64()
    return next(iter(values))
