"""Which rows of a segment: one bit per row, least significant first.

That is the layout of Arrow's boolean buffers and of faiss's `IDSelectorBitmap` alike, so a mask
passes between both without a copy. Bits beyond the last row are zero.
"""

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core.bits import are_set, bits_of, packed, rows_of
from vsql.core.protocols import Bits, Rows


class RowMask:
    """An immutable set of row numbers below `row_count`."""

    def __init__(self, bits: Bits, row_count: int) -> None:
        self.bits = bits
        self.row_count = row_count
        bits.flags.writeable = False

    @cached_property
    def count(self) -> int:
        """How many rows are in it."""
        return int(np.bitwise_count(self.bits).sum())

    @cached_property
    def rows(self) -> Rows:
        """The row numbers, ascending, int64."""
        return rows_of(self.bits, self.row_count)

    def contains(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Return a boolean array: which of `rows` are in it."""
        return are_set(self.bits, rows)


def of_boolean(array: pa.Array) -> RowMask:
    """Return the rows where an Arrow boolean array is true; NULL is not true."""
    length = len(array)
    values = _bits(array.buffers()[1], array.offset, length)
    validity = array.buffers()[0]
    if validity is not None and array.null_count:
        values = values & _bits(validity, array.offset, length)
    return RowMask(_trimmed(values, length), length)


def of_rows(rows: npt.NDArray[Any], row_count: int) -> RowMask:
    """Return the mask of some row numbers, in any order."""
    return RowMask(bits_of(rows, row_count), row_count)


def intersect(masks: list[Bits], row_count: int) -> RowMask | None:
    """Return the rows that are in all masks, None (all rows) for no mask."""
    if not masks:
        return None
    bits = masks[0]
    for other in masks[1:]:
        bits = bits & other
    return RowMask(_trimmed(bits, row_count), row_count)


def _bits(buffer: pa.Buffer, offset: int, length: int) -> Bits:
    raw = np.frombuffer(buffer, dtype=np.uint8)
    if offset % 8 == 0:
        return raw[offset // 8 : offset // 8 + (length + 7) // 8]
    unpacked = np.unpackbits(raw, bitorder="little")[offset : offset + length]
    return packed(unpacked)


def _trimmed(bits: Bits, length: int) -> Bits:
    if length % 8 and len(bits):
        bits = bits.copy()
        bits[-1] &= (1 << (length % 8)) - 1
    return bits
