"""An opened segment: what the executor reads, whether its rows are sealed or still growing."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core.protocols import Bits, Rows
from vsql.core.snapshot import SegmentFacts

Vectors = npt.NDArray[Any]
Located = tuple[int, int, Rows]
"""A segment's id, its number of rows, and row numbers within it."""


class OpenSegment(Protocol):
    """Rows in memory or behind a memory map, never changed.

    `cache_key` identifies rows and deletes together, None where nothing should be kept.
    """

    @property
    def id(self) -> int: ...
    @property
    def row_count(self) -> int: ...
    @property
    def facts(self) -> SegmentFacts | None: ...
    @property
    def is_growing(self) -> bool: ...
    @property
    def live(self) -> Bits | None:
        """One bit per row, least significant first; None where nothing is deleted."""

    @property
    def cache_key(self) -> object: ...
    @property
    def batch(self) -> pa.RecordBatch: ...

    def column(self, column_id: int, arrow_type: pa.DataType) -> pa.Array:
        """Return a column; NULLs of that type where the rows were written before it existed."""

    def numbers(self, column_id: int, arrow_type: pa.DataType) -> npt.NDArray[Any] | None:
        """Return a view of a column of integers or doubles, None where one is NULL or no number."""

    def vectors(self, column_id: int) -> Vectors:
        """Return a view of a vector column, (rows, dimension); for BIT (rows, bytes)."""

    def vector_bits(self, column_id: int) -> Bits | None:
        """Return which rows have a vector, as `live`; None where all have."""

    def locate(self, rows: Rows) -> list[Located]:
        """Return where the catalog keeps these rows."""


class Columns:
    """Columns of one record batch by id, with vectors as numpy views."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self._by_id = {
            int(field.metadata[b"vsql:column_id"]): number
            for number, field in enumerate(batch.schema)
        }
        self._arrays: dict[int, pa.Array] = {}
        self._numbers: dict[int, npt.NDArray[Any] | None] = {}
        self._vectors: dict[int, Vectors] = {}
        self._bits: dict[int, Bits | None] = {}

    def column(self, column_id: int, arrow_type: pa.DataType) -> pa.Array:
        """Return a column as Arrow, NULLs where the batch lacks it."""
        array = self._arrays.get(column_id)
        if array is None:
            number = self._by_id.get(column_id)
            array = (
                pa.nulls(self.batch.num_rows, arrow_type)
                if number is None
                else self.batch.column(number)
            )
            self._arrays[column_id] = array
        return array

    def numbers(self, column_id: int, arrow_type: pa.DataType) -> npt.NDArray[Any] | None:
        """Return a column of integers or doubles as a numpy view, None where it is not that."""
        if column_id not in self._numbers:
            self._numbers[column_id] = _numbers(self.column(column_id, arrow_type))
        return self._numbers[column_id]

    def vectors(self, column_id: int) -> Vectors:
        """Return a vector column as a numpy view."""
        view = self._vectors.get(column_id)
        if view is None:
            view = _view(self.batch.column(self._by_id[column_id]))
            self._vectors[column_id] = view
        return view

    def vector_bits(self, column_id: int) -> Bits | None:
        """Return the validity of a vector column, None where no row is NULL."""
        if column_id not in self._bits:
            self._bits[column_id] = _validity(self.batch.column(self._by_id[column_id]))
        return self._bits[column_id]


_NUMPY_TYPES = {
    pa.int16(): np.int16,
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    pa.float64(): np.float64,
}


def _numbers(array: pa.Array) -> npt.NDArray[Any] | None:
    dtype = _NUMPY_TYPES.get(array.type)
    if dtype is None or array.null_count:
        return None
    # Straight from the buffer: Arrow's own `to_numpy` imports pandas first.
    whole = np.frombuffer(array.buffers()[1], dtype=dtype)
    view: npt.NDArray[Any] = whole[array.offset : array.offset + len(array)]
    return view


def _view(array: pa.Array) -> Vectors:
    if pa.types.is_fixed_size_binary(array.type):
        width = array.type.byte_width
        raw = np.frombuffer(array.buffers()[1], dtype=np.uint8)
        return raw[array.offset * width : (array.offset + len(array)) * width].reshape(-1, width)
    dimension = array.type.list_size
    # Straight from the buffer: Arrow's own `to_numpy` imports pandas first.
    values = array.values
    dtype = np.float16 if pa.types.is_float16(values.type) else np.float32
    raw = np.frombuffer(values.buffers()[1], dtype=dtype)
    start = values.offset + array.offset * dimension
    view: Vectors = raw[start : start + len(array) * dimension].reshape(-1, dimension)
    return view


def _validity(array: pa.Array) -> Bits | None:
    if not array.null_count:
        return None
    flags = array.is_valid().to_numpy(zero_copy_only=False)
    bits = np.packbits(flags, bitorder="little")
    bits.flags.writeable = False
    return bits


class SealedSegment(Columns):
    """Rows of one immutable file."""

    is_growing = False

    def __init__(self, facts: SegmentFacts, batch: pa.RecordBatch, live: Bits | None) -> None:
        super().__init__(batch)
        self.facts: SegmentFacts | None = facts
        self.live = live
        self.id = facts.id
        self.row_count = facts.row_count
        self.cache_key: object = (facts.id, len(facts.deletes), facts.deleted_count)

    def locate(self, rows: Rows) -> list[Located]:
        """Return the rows themselves: a file is one segment."""
        return [(self.id, self.row_count, rows)]


class GrowingSegment(Columns):
    """A table's inlined batches, one after the other, in memory."""

    is_growing = True
    id = 0
    facts: SegmentFacts | None = None
    cache_key: object = None

    def __init__(
        self, parts: tuple[SegmentFacts, ...], batch: pa.RecordBatch, live: Bits | None
    ) -> None:
        super().__init__(batch)
        self.live = live
        self.row_count = batch.num_rows
        self._parts = parts
        self._starts = np.cumsum([0, *(part.row_count for part in parts)])

    def locate(self, rows: Rows) -> list[Located]:
        """Return the rows by the inlined batch that holds them."""
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        return [
            (
                self._parts[number].id,
                self._parts[number].row_count,
                rows[owners == number] - self._starts[number],
            )
            for number in np.unique(owners)
        ]
