"""Vectors from whatever a user binds: lists, tuples, arrays, bytes, text, Arrow values."""

import array
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core import sqlstate
from vsql.core.errors import DataError
from vsql.core.types import Family, SqlType

_DTYPES = {Family.VECTOR: np.float32, Family.HALFVEC: np.float16}


def to_vector(value: Any, type_: SqlType, where: str) -> npt.NDArray[Any]:
    """Return one vector of `type_`, (dimension,), float32 (float16 for HALFVEC; bytes for BIT).

    `where` names the place for messages, as in 'column "e", row 3'. Raises DataError for a wrong
    dimension, NaN, infinity, or a value that is no vector.
    """
    if type_.family is Family.BIT:
        return _to_bits(value, type_, where)
    dtype = _DTYPES[type_.family]
    if type(value) is np.ndarray and value.dtype == dtype and value.ndim == 1:
        vector = value
    else:
        vector = _numbers(value, dtype, type_, where)
    if vector.shape[0] != type_.dimension:
        raise wrong_dimension(vector.shape[0], type_, where)
    if not math.isfinite(vector.dot(vector)) and not np.isfinite(vector).all():
        raise not_finite(vector, type_, where)
    return vector if vector.flags.c_contiguous else np.ascontiguousarray(vector)


def wrong_dimension(found: int, type_: SqlType, where: str) -> DataError:
    """Return the error for a vector of another dimension than its column's."""
    unit = "bits" if type_.family is Family.BIT else "dimensions"
    return DataError(
        f"{where}: expected {type_.dimension} {unit}, got {found}", code=sqlstate.DATA_EXCEPTION
    )


def not_finite(vector: npt.NDArray[Any], type_: SqlType, where: str) -> DataError:
    """Return the error for a vector that holds NaN or infinity."""
    position = int(np.flatnonzero(~np.isfinite(vector))[0])
    return DataError(
        f"{where}: NaN and infinity are not allowed in {type_}; element {position + 1} is "
        f"{float(vector[position])}",
        code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE,
    )


def _numbers(value: Any, dtype: Any, type_: SqlType, where: str) -> npt.NDArray[Any]:
    if hasattr(value, "as_py"):
        value = value.values.to_numpy() if hasattr(value, "values") else value.as_py()
    elif hasattr(value, "to_numpy"):
        # A column of a data frame, or a value class of pgvector's Python package.
        value = value.to_numpy()
    if isinstance(value, str):
        return _parsed(value, dtype, type_, where)
    if isinstance(value, bytes | bytearray | memoryview):
        size = np.dtype(dtype).itemsize
        if len(value) % size:
            raise DataError(f"{where}: {len(value)} bytes are no {type_}")
        return np.frombuffer(value, dtype=dtype)
    if isinstance(value, array.array):
        value = np.asarray(value)
    try:
        with np.errstate(over="ignore"):
            vector = np.asarray(value, dtype=dtype)
    except (TypeError, ValueError):
        vector = np.empty((0, 0))
    if vector.ndim != 1:
        raise DataError(
            f"{where}: expected {type_}, got {type(value).__name__}",
            code=sqlstate.DATATYPE_MISMATCH,
            hint="bind a list, tuple, numpy array, array.array or bytes of numbers",
        )
    return vector


def _parsed(text: str, dtype: Any, type_: SqlType, where: str) -> npt.NDArray[Any]:
    stripped = text.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        body = stripped[1:-1].strip()
        try:
            parts = [float(part) for part in body.split(",")] if body else []
            with np.errstate(over="ignore"):
                return np.array(parts, dtype=dtype)
        except ValueError:
            pass
    shown = stripped if len(stripped) <= 40 else stripped[:40] + "..."
    raise DataError(
        f"{where}: invalid {type_} literal '{shown}'",
        code=sqlstate.INVALID_TEXT_REPRESENTATION,
        hint="a vector looks like '[1, 2.5, 3]'",
    )


def _to_bits(value: Any, type_: SqlType, where: str) -> npt.NDArray[np.uint8]:
    if hasattr(value, "as_py"):
        value = value.as_py()
    elif hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if isinstance(value, str):
        if set(value) - {"0", "1"}:
            raise DataError(
                f"{where}: invalid BIT literal", code=sqlstate.INVALID_TEXT_REPRESENTATION
            )
        bits = np.frombuffer(value.encode(), dtype=np.uint8) - ord("0")
    elif isinstance(value, bytes | bytearray | memoryview):
        packed = np.frombuffer(value, dtype=np.uint8)
        if len(packed) * 8 != type_.dimension:
            raise wrong_dimension(len(packed) * 8, type_, where)
        return packed
    else:
        bits = np.asarray(value)
        if bits.ndim != 1 or not np.isin(bits, (0, 1)).all():
            raise DataError(f"{where}: a BIT vector holds zeros and ones")
    if len(bits) != type_.dimension:
        raise wrong_dimension(len(bits), type_, where)
    return np.packbits(bits.astype(np.uint8))
