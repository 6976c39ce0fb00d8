"""Values of few rows, read where they lie: to gather ten of them costs Arrow more than that."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Rows

ReadFew = Callable[[Rows], list[Any]]
"""Returns the values of some rows as Python objects, None for NULL."""

_NUMPY_TYPES = {
    pa.int16(): np.int16,
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    pa.float64(): np.float64,
}


def few_reader(array: pa.Array) -> ReadFew:
    """Return what reads few values of an array; numbers and text straight from their buffers."""
    if array.type in _NUMPY_TYPES:
        read = _number_reader(array)
    elif pa.types.is_string(array.type) and array.buffers()[2] is not None:
        read = _text_reader(array)
    else:
        return lambda rows: [array[row].as_py() for row in rows.tolist()]
    return _with_nulls(array, read) if array.null_count else read


def _number_reader(array: pa.Array) -> ReadFew:
    whole = np.frombuffer(array.buffers()[1], dtype=_NUMPY_TYPES[array.type])
    view = whole[array.offset : array.offset + len(array)]

    def read(rows: Rows) -> list[Any]:
        values: list[Any] = view[rows].tolist()
        return values

    return read


def _text_reader(array: pa.Array) -> ReadFew:
    _, ends, characters = array.buffers()
    offsets = memoryview(ends).cast("i")[array.offset :]
    data = memoryview(characters)

    def read(rows: Rows) -> list[Any]:
        return [str(data[offsets[row] : offsets[row + 1]], "utf-8") for row in rows.tolist()]

    return read


def _with_nulls(array: pa.Array, read: ReadFew) -> ReadFew:
    bits, first = memoryview(array.buffers()[0]), array.offset

    def read_present(rows: Rows) -> list[Any]:
        places = (rows + first).tolist()
        return [
            value if bits[place >> 3] >> (place & 7) & 1 else None
            for place, value in zip(places, read(rows), strict=True)
        ]

    return read_present
