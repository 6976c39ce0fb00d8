"""Vectors from whatever a user binds: lists, tuples, arrays, bytes, text, Arrow values."""

import array
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core import sqlstate
from vsql.core.dense import (
    DTYPES,
    INT8_MAX,
    INT8_MIN,
    Stored,
    beyond_int8,
    finite,
    floats,
    shown,
    stored,
)
from vsql.core.errors import DataError
from vsql.core.sparse import SparseVector
from vsql.core.types import DENSE, Family, SqlType
from vsql.core.vector_text import empty_vector, parse_vector
from vsql.executor.bound_values import plain
from vsql.executor.sparse_values import to_sparse


def to_operand(value: Any, type_: SqlType, where: str) -> Any:
    """Return the query of a search: what `to_vector` gives, a dense one as float32.

    Bits too many or few have another code here.
    """
    try:
        vector = to_vector(value, type_, where)
        return floats(vector) if type_.is_dense else vector
    except DataError as error:
        if error.sqlstate != sqlstate.STRING_DATA_LENGTH_MISMATCH:
            raise
        raise DataError(str(error), code=sqlstate.DATA_EXCEPTION) from None


def to_vector(value: Any, type_: SqlType, where: str) -> Any:
    """Return one vector of `type_` as it is stored, (dimension,): see `vsql.core.dense`.

    Of BIT these are bytes, of SPARSEVEC it is a SparseVector.

    `where` names the place for messages, as in 'column "e", row 3'. Raises DataError for a wrong
    dimension, NaN, infinity, what INT8VEC does not hold, or a value that is no vector.
    """
    if type_.family is Family.BIT:
        return _to_bits(value, type_, where)
    if type_.is_sparse:
        return to_sparse(value, type_, where)
    if isinstance(value, SparseVector):
        if value.dimensions() != type_.dimension:
            raise wrong_dimension(value.dimensions(), type_, where)
        value = value.to_numpy()
    as_is = type(value) is np.ndarray and value.dtype == DTYPES[type_.family] and value.ndim == 1
    # An array of uint16 from outside may be bits or numbers.
    vector = value if as_is and value.dtype != np.uint16 else _numbers(value, type_, where)
    if vector.shape[0] != type_.dimension:
        if not vector.shape[0]:
            raise empty_vector(f"{where}: ")
        raise wrong_dimension(vector.shape[0], type_, where)
    if not _is_finite(vector):
        raise not_finite(vector, type_, where)
    return vector if vector.flags.c_contiguous else np.ascontiguousarray(vector)


def _is_finite(vector: Stored) -> bool:
    # For so few numbers, to look through bytes is a quarter of what `all` costs.
    return b"\0" not in finite(vector).tobytes()


def of_any_dimension(value: Any, family: Family) -> Any:
    """Return the vector that a text or array is, cast to a type without a dimension.

    As `shown` gives it. Raises DataError.
    """
    if family in DENSE and isinstance(value, np.ndarray):
        return shown(_numbers(value, SqlType(family), "vector literal"))
    if not isinstance(value, str) or family is Family.BIT:
        return value
    if family is Family.SPARSEVEC:
        return SparseVector.from_text(value)
    return shown(stored(np.array(parse_vector(value, family)), family))


def wrong_dimension(found: int, type_: SqlType, where: str) -> DataError:
    """Return the error for a vector of another dimension than its column's."""
    unit = "bits" if type_.family is Family.BIT else "dimensions"
    code = sqlstate.STRING_DATA_LENGTH_MISMATCH if unit == "bits" else sqlstate.DATA_EXCEPTION
    return DataError(f"{where}: expected {type_.dimension} {unit}, got {found}", code=code)


def not_finite(vector: Stored, type_: SqlType, where: str) -> DataError:
    """Return the error for a vector that holds NaN or infinity."""
    position = int(np.flatnonzero(~finite(vector))[0])
    return DataError(
        f"{where}: NaN and infinity are not allowed in {type_}; element {position + 1} is "
        f"{float(shown(vector)[position])}",
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
        value = shown(_numbers(value, type_, where))
        type_ = replace(type_, arguments=(max(len(value), 1),))
    return shown(to_vector(value, type_, where)).tolist()


def _bit_text(value: Any) -> str:
    value = plain(value)
    if isinstance(value, bytes | bytearray | memoryview):
        bits = np.unpackbits(np.frombuffer(value, dtype=np.uint8))
    elif _holds_octets(value):
        bits = np.unpackbits(value)
    else:
        bits = _zeros_and_ones(value, "parameter")
    return "".join("1" if bit else "0" for bit in bits.tolist())


def _holds_octets(value: Any) -> bool:
    is_bytes = isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 1
    return is_bytes and not np.isin(value, (0, 1)).all()


def _numbers(value: Any, type_: SqlType, where: str) -> Stored:
    """Return a vector of any dimension as `type_` stores it, its range and fractions checked."""
    family = type_.family
    value = plain(value)
    if isinstance(value, str):
        return stored(np.array(parse_vector(value, family, f"{where}: ")), family)
    if isinstance(value, bytes | bytearray | memoryview):
        size = np.dtype(DTYPES[family]).itemsize
        if len(value) % size:
            raise DataError(f"{where}: {len(value)} bytes are no {type_}")
        return np.frombuffer(value, dtype=DTYPES[family])
    if isinstance(value, array.array):
        value = np.asarray(value)
    if family is Family.BFLOATVEC and isinstance(value, np.ndarray) and value.dtype == np.uint16:
        raise bits_or_numbers(type_, where)
    try:
        with np.errstate(over="ignore"):
            vector = np.asarray(value, dtype=_READ_AS.get(family, DTYPES[family]))
    except (TypeError, ValueError, OverflowError):
        vector = np.empty((0, 0))
    if vector.ndim != 1:
        raise DataError(
            f"{where}: expected {type_}, got {type(value).__name__}",
            code=sqlstate.DATATYPE_MISMATCH,
            hint="bind a list, tuple, numpy array, array.array or bytes of numbers",
        )
    return checked(vector, type_, where)


_READ_AS: Mapping[Family, Any] = {Family.BFLOATVEC: np.float32, Family.INT8VEC: np.float64}
"""What values are read as first where numpy would not round, or not refuse."""


def checked(numbers: Stored, type_: SqlType, where: str) -> Stored:
    """Return a vector of numbers as `type_` stores it.

    Raises DataError for what INT8VEC does not hold: 22003 beyond its range, 22000 for a fraction.
    """
    if type_.family is not Family.INT8VEC or numbers.dtype == np.int8:
        return stored(numbers, type_.family)
    wrong = beyond_int8(numbers)
    fraction = not wrong.any()
    if fraction and np.issubdtype(numbers.dtype, np.floating):
        wrong = numbers != np.rint(numbers)
    places = np.flatnonzero(wrong)
    if not len(places):
        return stored(numbers, type_.family)
    number = float(numbers[places[0]])
    if not math.isfinite(number):
        raise not_finite(numbers, type_, where)
    what = "is no whole number" if fraction else f"is out of range, {INT8_MIN} to {INT8_MAX}"
    raise DataError(
        f"{where}: element {places[0] + 1} of {type_}, {number:g}, {what}",
        code=sqlstate.DATA_EXCEPTION if fraction else sqlstate.NUMERIC_VALUE_OUT_OF_RANGE,
        hint="a cast from another vector type rounds, as in e::vector::int8vec"
        if fraction
        else None,
    )


def bits_or_numbers(type_: SqlType, where: str) -> DataError:
    """Return the error for 16-bit integers where bfloat16 is wanted: they may be either."""
    return DataError(
        f"{where}: 16-bit unsigned integers may be numbers, or the bits of a {type_}",
        code=sqlstate.DATATYPE_MISMATCH,
        hint="give numbers as float32, bits as bytes",
    )


def _to_bits(value: Any, type_: SqlType, where: str) -> npt.NDArray[np.uint8]:
    value = plain(value)
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
        bits = _zeros_and_ones(value, where)
    if len(bits) != type_.dimension:
        raise wrong_dimension(len(bits), type_, where)
    return np.packbits(bits.astype(np.uint8))


def _zeros_and_ones(value: Any, where: str) -> npt.NDArray[Any]:
    try:
        bits = np.asarray(value)
        fits = bits.ndim == 1 and np.isin(bits, (0, 1)).all()
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise DataError(f"{where}: a BIT vector holds zeros and ones")
    return bits
