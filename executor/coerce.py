"""Values and Arrow columns in the exact form that a table stores, or an error that says where.

Two ways in: Python values (VALUES, parameters) and Arrow columns (COPY, INSERT … SELECT). Both
check type, length, dimension, NaN and NOT NULL, and name the column and the row.
"""

import datetime
import decimal
import math
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core import sqlstate
from vsql.core.array_text import read_array
from vsql.core.bits import packed
from vsql.core.dense import DTYPES, beyond_int8, finite, floats, stored
from vsql.core.errors import DataError, IntegrityError
from vsql.core.schema import Column
from vsql.core.sparse import SparseRows, SparseVector
from vsql.core.types import Family, SqlType, is_sparse
from vsql.executor.bound_values import REFUSALS
from vsql.executor.fields import numbers_in
from vsql.executor.json_text import check_json, json_text
from vsql.executor.sparse_values import sparse_column, to_sparse
from vsql.executor.text_values import read_text
from vsql.executor.vectors import (
    checked,
    not_finite,
    to_vector,
    vector_parameter,
    wrong_dimension,
)

# Vectors rounded and checked at a time: few enough to be read from the cache again.
_BLOCK_ROWS = 512
_DIGITS_MAX = 20
"""More than any whole number of a column has."""


def from_values(values: Sequence[Any], column: Column, first_row: int = 1) -> pa.Array:
    """Return a stored column from Python values; raises DataError, IntegrityError (23502)."""
    type_ = column.type
    if type_.is_sparse:
        array = _sparse_from_values(values, column, first_row)
    elif type_.is_vector:
        array = _vectors_from_values(values, column, first_row)
    elif type_.family is Family.JSON:
        array = pa.array([_json_text(v, column, first_row + i) for i, v in enumerate(values)])
        array = array.cast(pa.string())
    else:
        array = _scalars(values, column, first_row)
    return _checked(array, column, first_row)


def _scalars(values: Sequence[Any], column: Column, first_row: int) -> pa.Array:
    arrow = column.type.arrow
    try:
        plain = [_plain(value, column.type) for value in values]
        # Arrow would take the characters of a text for the elements of a list.
        if column.type.family is not Family.ARRAY or not any(isinstance(v, str) for v in plain):
            return pa.array(plain, type=arrow)
    except REFUSALS:
        pass  # Text, or a value that is to be named with its place: one by one.
    converted = [_one(value, column, first_row + number) for number, value in enumerate(values)]
    return pa.array(converted, type=arrow)


def _plain(value: Any, type_: SqlType) -> Any:
    if isinstance(value, np.generic | pa.Scalar):
        value = value.item() if isinstance(value, np.generic) else value.as_py()
    if isinstance(value, uuid.UUID):
        return value.bytes if type_.family is Family.UUID else str(value)
    if isinstance(value, str) and type_.family is Family.BYTEA and value.startswith("\\x"):
        # Arrow would take the text itself for the bytes.
        return read_text(value, type_)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, datetime.datetime) and value != value:
        # Not a time, as data frames say NULL.
        return None
    if isinstance(value, decimal.Decimal) and type_.family in (Family.REAL, Family.DOUBLE):
        return float(value)
    if isinstance(value, decimal.Decimal) and type_.is_integer and value.adjusted() > _DIGITS_MAX:
        # Arrow would write out every digit, for seconds or for ever.
        raise OverflowError(type_)
    if isinstance(value, bool) and (type_.is_number or type_.is_string):
        raise DataError(f"cannot store a boolean as {type_}", code=sqlstate.DATATYPE_MISMATCH)
    if isinstance(value, float) and type_.family is Family.DECIMAL:
        return decimal.Decimal(repr(value)).quantize(
            decimal.Decimal(1).scaleb(-type_.arguments[1]), rounding=decimal.ROUND_HALF_UP
        )
    return value


def _one(value: Any, column: Column, row: int) -> Any:
    """Convert one value as PostgreSQL converts a literal; raises DataError naming the place."""
    type_ = column.type
    try:
        value = _plain(value, type_)
        return _converted(value, type_)
    except REFUSALS:
        pass
    shown = _shown(value)
    number = isinstance(value, int | float | decimal.Decimal) and type_.is_number
    raise DataError(
        f'column "{column.name}", row {row}: {shown} '
        + (f"is out of range for {type_}" if number else f"is not a valid {type_}"),
        code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE
        if number
        else sqlstate.INVALID_TEXT_REPRESENTATION,
    )


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # An object of the user's may raise anything here; Arrow's dates do.
        return type(value).__name__
    return text if len(text) <= 60 else text[:60] + "..."


def typed_parameter(value: Any, type_: SqlType) -> Any:
    """Return a parameter that stands for a vector or an array in DuckDB's SQL; raises DataError.

    Text of an array becomes its elements; any other array is one already.
    """
    if type_.family is not Family.ARRAY:
        return vector_parameter(value, type_)
    return from_text(value, type_) if isinstance(value, str) else value


def from_text(text: str, type_: SqlType) -> Any:
    """Return what a column would store of a text; raises DataError (22P02)."""
    try:
        return _converted(text, type_)
    except REFUSALS:
        raise DataError(
            f"{text!r} is not a valid {type_}", code=sqlstate.INVALID_TEXT_REPRESENTATION
        ) from None


def _converted(value: Any, type_: SqlType) -> Any:
    if value is None:
        return None
    if type_.is_string and isinstance(value, int | float | decimal.Decimal):
        return str(value)
    if type_.family is Family.ARRAY:
        assert type_.element is not None
        items = read_array(value) if isinstance(value, str) else list(value)
        return [_converted(item, type_.element) for item in items]
    if type_.is_integer and isinstance(value, float):
        if not value.is_integer():
            value = round(value)
        value = int(value)
    if isinstance(value, str) and not type_.is_string:
        value = read_text(value, type_)
        if type_.family is not Family.DECIMAL:
            return value
    if type_.family is Family.DECIMAL:
        exact = decimal.Decimal(value)
        step = decimal.Decimal(1).scaleb(-type_.arguments[1])
        with decimal.localcontext(prec=60):
            value = exact.quantize(step, rounding=decimal.ROUND_HALF_UP)
    if type_.family is Family.TIMESTAMPTZ and isinstance(value, datetime.datetime):
        return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
    return pa.scalar(value, type=type_.arrow).as_py()


def _json_text(value: Any, column: Column, row: int) -> str | None:
    """Return a JSON document as text; text must be one already, anything else is written as one."""
    if value is None:
        return None
    where = f'column "{column.name}", row {row}'
    if not isinstance(value, str):
        return json_text(value, where)
    check_json(value, where)
    return value


def _vectors_from_values(values: Sequence[Any], column: Column, first_row: int) -> pa.Array:
    type_ = column.type
    missing = np.array([value is None for value in values], dtype=bool)
    dtype = DTYPES.get(type_.family, np.uint8)
    width = type_.dimension // 8 if type_.family is Family.BIT else type_.dimension
    matrix = np.zeros((len(values), width), dtype=dtype)
    for number, value in enumerate(values):
        if value is not None:
            where = f'column "{column.name}", row {first_row + number}'
            matrix[number] = to_vector(value, type_, where)
    return _vector_array(matrix, type_, missing)


def _sparse_from_values(values: Sequence[Any], column: Column, first_row: int) -> pa.Array:
    nothing = SparseVector.of((), (), column.type.dimension)
    missing = np.array([value is None for value in values], dtype=bool)
    vectors = [
        nothing
        if value is None
        else to_sparse(value, column.type, f'column "{column.name}", row {first_row + number}')
        for number, value in enumerate(values)
    ]
    return SparseRows.of(vectors).to_arrow(missing)


def _vector_array(matrix: Any, type_: SqlType, missing: Any) -> pa.Array:
    mask = pa.array(missing) if missing is not None and missing.any() else None
    if type_.family is Family.BIT:
        validity = None
        if missing is not None and mask is not None:
            validity = pa.py_buffer(packed(~missing))
        data = pa.py_buffer(np.ascontiguousarray(matrix))
        return pa.Array.from_buffers(type_.arrow, len(matrix), [validity, data])
    flat = pa.array(np.ascontiguousarray(matrix).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, type=type_.arrow, mask=mask)


def from_arrow_column(
    array: pa.Array | pa.ChunkedArray, column: Column, first_row: int = 1
) -> pa.Array:
    """Return a stored column from an Arrow one; raises DataError, IntegrityError (23502)."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    if pa.types.is_dictionary(array.type):
        # Arrow decodes no dictionary of string views, which is what polars gives.
        plain = array.dictionary.cast(_without_views(array.type.value_type))
        array = pa.DictionaryArray.from_arrays(array.indices, plain).dictionary_decode()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    type_ = column.type
    if is_sparse(array.type) and not type_.is_sparse and type_.family is not Family.JSON:
        return from_values(_sparse_values(array, type_), column, first_row)
    if type_.is_dense:
        array = _dense_vectors(array, column, first_row)
    elif type_.is_sparse:
        known = sparse_column(array, type_, column.name, first_row)
        if known is None:
            known = _sparse_from_values(array.to_pylist(), column, first_row)
        array = known
    elif type_.family is Family.BIT and pa.types.is_string(array.type):
        array = _vectors_from_values(array.to_pylist(), column, first_row)
    elif type_.family is Family.JSON:
        array = _json_column(array, column, first_row)
    elif array.type != type_.arrow:
        array = _cast(array, column, first_row)
    return _checked(array, column, first_row)


def _sparse_values(array: pa.Array, type_: SqlType) -> list[SparseVector | str | None]:
    """Return sparse vectors for a column of another type: as text where it holds text."""
    rows, valid = SparseRows.read(array), array.is_valid().to_pylist()
    vectors = (rows[number] if ok else None for number, ok in enumerate(valid))
    return [str(v) if v is not None and type_.is_string else v for v in vectors]


def _without_views(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(type_):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(type_) else type_


def _json_column(array: pa.Array, column: Column, first_row: int) -> pa.Array:
    values = array.to_pylist()
    if not pa.types.is_string(array.type) and not pa.types.is_large_string(array.type):
        return from_values(values, column, first_row)
    for row, text in enumerate(values, first_row):
        if text is not None:
            check_json(text, f'column "{column.name}", row {row}')
    return array.cast(pa.string())


def _cast(array: pa.Array, column: Column, first_row: int) -> pa.Array:
    arrow = column.type.arrow
    if pa.types.is_floating(array.type) and column.type.is_integer:
        array = pc.round(array, round_mode="half_to_even")
    if column.type.family is Family.BYTEA and pa.types.is_string(array.type):
        return _scalars(array.to_pylist(), column, first_row)
    try:
        return array.cast(arrow)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        # Arrow doesn't tell which row it can't convert, nor read all that PostgreSQL does.
        return _scalars(array.to_pylist(), column, first_row)


def _dense_vectors(array: pa.Array, column: Column, first_row: int) -> pa.Array:
    type_ = column.type
    if array.type == type_.arrow or pa.types.is_fixed_size_list(array.type):
        if array.type.list_size != type_.dimension:
            where = f'column "{column.name}", row {first_row}'
            raise wrong_dimension(array.type.list_size, type_, where)
        flat = array.values.slice(array.offset * type_.dimension, len(array) * type_.dimension)
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        lengths = pc.fill_null(pc.list_value_length(array), type_.dimension).to_numpy()
        wrong = np.flatnonzero(lengths != type_.dimension)
        if len(wrong):
            where = f'column "{column.name}", row {first_row + int(wrong[0])}'
            raise wrong_dimension(int(lengths[wrong[0]]), type_, where)
        if array.null_count:
            return _vectors_from_values(array.to_pylist(), column, first_row)
        flat = array.flatten()
    else:
        return _vectors_from_values(array.to_pylist(), column, first_row)
    if not (pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type)):
        return _vectors_from_values(array.to_pylist(), column, first_row)
    missing = None
    if array.null_count:
        missing = array.is_null().to_numpy(zero_copy_only=False)
    if flat.null_count:
        holes = flat.is_null().to_numpy(zero_copy_only=False).reshape(-1, type_.dimension)
        rows = np.flatnonzero(holes.any(axis=1) if missing is None else holes.any(axis=1) > missing)
        if len(rows):
            raise DataError(
                f'column "{column.name}", row {first_row + int(rows[0])}: a vector holds a NULL',
                code=sqlstate.DATA_EXCEPTION,
            )
    numbers = numbers_in(flat).reshape(-1, type_.dimension)
    if missing is not None:
        # What stands in the place of a NULL may be anything.
        numbers = np.where(missing[:, None], numbers.dtype.type(0), numbers)
    matrix = numbers
    if numbers.dtype != DTYPES[type_.family]:
        matrix = _empty(numbers.shape, DTYPES[type_.family])
    for start in range(0, len(numbers), _BLOCK_ROWS):
        end = start + _BLOCK_ROWS
        block = _stored_block(numbers[start:end], column, first_row + start)
        if matrix is not numbers:
            matrix[start:end] = block
    return _vector_array(matrix, type_, missing)


def _empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return an array in Arrow's memory, which goes back to the system once nobody holds it."""
    buffer = pa.allocate_buffer(math.prod(shape) * np.dtype(dtype).itemsize)
    return np.frombuffer(buffer, dtype=dtype).reshape(shape)


def _stored_block(numbers: Any, column: Column, first_row: int) -> Any:
    """Return vectors as their column stores them; raises DataError for the first that does not fit.

    uint16 is always the bits of a BFLOATVEC here: `vsql.executor.fields.incoming` sees to that.
    """
    type_, is_stored = column.type, numbers.dtype == DTYPES[column.type.family]
    if numbers.dtype == np.uint16 and not is_stored:
        numbers = floats(numbers)
    if type_.family is Family.INT8VEC and not is_stored:
        wrong = beyond_int8(numbers) | (numbers != np.rint(numbers))
        if wrong.any():
            row = int(np.flatnonzero(wrong.any(axis=1))[0])
            checked(numbers[row], type_, f'column "{column.name}", row {first_row + row}')
    block = numbers if is_stored else stored(numbers, type_.family)
    fits = finite(block)
    if not fits.all():
        row = int(np.flatnonzero(~fits.all(axis=1))[0])
        raise not_finite(block[row], type_, f'column "{column.name}", row {first_row + row}')
    return block


def _checked(array: pa.Array, column: Column, first_row: int) -> pa.Array:
    if array.null_count and not column.nullable:
        row = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise IntegrityError(
            f'column "{column.name}", row {first_row + row}: NULL is not allowed',
            code=sqlstate.NOT_NULL_VIOLATION,
        )
    if column.type.family is Family.VARCHAR and column.type.arguments:
        limit = column.type.arguments[0]
        lengths = pc.fill_null(pc.utf8_length(array), 0).to_numpy()
        if len(lengths) and int(lengths.max()) > limit:
            row = int(np.flatnonzero(lengths > limit)[0])
            raise DataError(
                f'column "{column.name}", row {first_row + row}: a text of {int(lengths[row])} '
                f"characters is too long for {column.type}",
                code=sqlstate.STRING_DATA_RIGHT_TRUNCATION,
            )
    return array
