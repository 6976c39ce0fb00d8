"""Vectors from whatever a user binds: lists, tuples, arrays, bytes, text, Arrow values."""

import array
import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core import sqlstate
from vsql.core.errors import DataError
from vsql.core.sparse import SparseVector
from vsql.core.types import Family, SqlType
from vsql.core.vector_text import empty_vector, parse_vector
from vsql.executor.sparse_values import to_sparse

_DTYPES = {Family.VECTOR: np.float32, Family.HALFVEC: np.float16}


def to_operand(value: Any, type_: SqlType, where: str) -> Any:
    """Return the query of a search; as `to_vector`, but for the code of bits too many or few."""
    try:
        return to_vector(value, type_, where)
    except DataError as error:
        if error.sqlstate != sqlstate.STRING_DATA_LENGTH_MISMATCH:
            raise
        raise DataError(str(error), code=sqlstate.DATA_EXCEPTION) from None


def to_vector(value: Any, type_: SqlType, where: str) -> Any:
    """Return one vector of `type_`, (dimension,), float32 (float16 for HALFVEC; bytes for BIT).

    Of SPARSEVEC it is a SparseVector.

    `where` names the place for messages, as in 'column "e", row 3'. Raises DataError for a wrong
    dimension, NaN, infinity, or a value that is no vector.
    """
    if type_.family is Family.BIT:
        return _to_bits(value, type_, where)
    if type_.is_sparse:
        return to_sparse(value, type_, where)
    if isinstance(value, SparseVector):
        if value.dimensions() != type_.dimension:
            raise wrong_dimension(value.dimensions(), type_, where)
        value = value.to_numpy()
    dtype = _DTYPES[type_.family]
    if type(value) is np.ndarray and value.dtype == dtype and value.ndim == 1:
        vector = value
    else:
        vector = _numbers(value, dtype, type_, where)
    if vector.shape[0] != type_.dimension:
        if not vector.shape[0]:
            raise empty_vector(f"{where}: ")
        raise wrong_dimension(vector.shape[0], type_, where)
    # One product tells of most vectors; it overflows for large numbers too.
    with np.errstate(over="ignore", invalid="ignore"):
        product = vector.dot(vector)
    if not math.isfinite(product) and not np.isfinite(vector).all():
        raise not_finite(vector, type_, where)
    return vector if vector.flags.c_contiguous else np.ascontiguousarray(vector)


def of_any_dimension(value: Any, family: Family) -> Any:
    """Return the vector that a text is, cast to a type without a dimension; raises DataError."""
    if not isinstance(value, str) or family is Family.BIT:
        return value
    if family is Family.SPARSEVEC:
        return SparseVector.from_text(value)
    return np.array(parse_vector(value, family), dtype=_DTYPES[family])


def wrong_dimension(found: int, type_: SqlType, where: str) -> DataError:
    """Return the error for a vector of another dimension than its column's."""
    unit = "bits" if type_.family is Family.BIT else "dimensions"
    code = sqlstate.STRING_DATA_LENGTH_MISMATCH if unit == "bits" else sqlstate.DATA_EXCEPTION
    return DataError(f"{where}: expected {type_.dimension} {unit}, got {found}", code=code)


def not_finite(vector: npt.NDArray[Any], type_: SqlType, where: str) -> DataError:
    """Return the error for a vector that holds NaN or infinity."""
    position = int(np.flatnonzero(~np.isfinite(vector))[0])
    return DataError(
        f"{where}: NaN and infinity are not allowed in {type_}; element {position + 1} is "
        f"{float(vector[position])}",
        code=sqlstate.DATA_EXCEPTION,
    )


def vector_parameter(value: Any, type_: SqlType) -> Any:
    """Return a parameter that stands for a vector in DuckDB's SQL: numbers, text of bits, a struct.

    A type without a dimension takes any. Raises DataError.
    """
    if value is None:
        return None
    where = "parameter"
    if type_.family is Family.BIT:
        return value if isinstance(value, str) else _bit_text(value)
    if type_.is_sparse:
        sparse = to_sparse(value, type_, where)
        return {
            "dimension": sparse.dimensions(),
            "indices": sparse.indices(),
            "values": sparse.values(),
        }
    if not type_.arguments:
        numbers = _numbers(value, _DTYPES[type_.family], type_, where)
        type_ = replace(type_, arguments=(max(len(numbers), 1),))
        value = numbers
    return to_vector(value, type_, where).tolist()


def _bit_text(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return "".join(f"{octet:08b}" for octet in bytes(value))
    bits = np.asarray(value)
    if bits.dtype == np.uint8 and bits.ndim == 1 and not np.isin(bits, (0, 1)).all():
        return "".join(f"{octet:08b}" for octet in bits.tolist())
    return "".join("1" if bit else "0" for bit in bits.tolist())


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
    return np.array(parse_vector(text, type_.family, f"{where}: "), dtype=dtype)


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
