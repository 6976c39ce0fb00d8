"""An opened segment: what the executor reads, whether its rows are sealed or still growing."""

import base64
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core.bits import packed
from vsql.core.protocols import Bits, Rows
from vsql.core.schema import Table
from vsql.core.snapshot import SegmentFacts
from vsql.core.sparse import SparseRows
from vsql.core.types import SqlType
from vsql.storage.few_values import ReadFew, few_reader
from vsql.storage.path_values import PathValues, ShreddedPaths
from vsql.storage.segment_file import Opened

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

    def scattered(self, column_id: int, arrow_type: pa.DataType) -> pa.Array:
        """Return the same, to be read here and there: the system doesn't read ahead."""

    def reader(self, column_id: int, type_: SqlType) -> ReadFew:
        """Return what reads the values of few rows of a column, which is kept with the segment."""

    def vectors(self, column_id: int) -> Vectors:
        """Return a view of a vector column, (rows, dimension); for BIT (rows, bytes)."""

    def scattered_vectors(self, column_id: int) -> Vectors:
        """Return the same, to be read here and there: the system doesn't read ahead."""

    def sparse_rows(self, column_id: int) -> SparseRows:
        """Return a view of a column of sparse vectors; a NULL is a row without values."""

    def vector_bits(self, column_id: int) -> Bits | None:
        """Return which rows have a vector, as `live`; None where all have."""

    def shredded(self, column_id: int, pointer: str) -> PathValues | None:
        """Return a JSON path that the segment keeps in columns, None where it does not."""

    def locate(self, rows: Rows) -> list[Located]:
        """Return where the catalog keeps these rows."""


class SealedSegment:
    """Rows of one immutable file; see `OpenSegment`."""

    is_growing = False

    def __init__(
        self, facts: SegmentFacts, opened: Opened, live: Bits | None, table: Table
    ) -> None:
        self.facts: SegmentFacts | None = facts
        self.batch = opened.batch
        self._scattered = opened.scattered
        self.live = live
        self.id = facts.id
        self.row_count = facts.row_count
        self.cache_key: object = _identity(facts, table)
        self._table = table
        self._paths: ShreddedPaths | None = None
        self._arrays: dict[int, pa.Array] = {}
        self._scattered_arrays: dict[int, pa.Array] = {}
        self._readers: dict[int, ReadFew] = {}
        self._vectors: dict[int, Vectors] = {}
        self._bits: dict[int, Bits | None] = {}

    def column(self, column_id: int, arrow_type: pa.DataType) -> pa.Array:
        """Return a column as Arrow; its initial value where the file lacks it."""
        array = self._arrays.get(column_id)
        if array is None:
            array = column_of_batch(self.batch, self._table, column_id, arrow_type)
            self._arrays[column_id] = array
        return array

    def reader(self, column_id: int, type_: SqlType) -> ReadFew:
        """Return what reads the values of few rows of a column."""
        known = self._readers.get(column_id)
        if known is None:
            known = self._readers[column_id] = few_reader(self.scattered(column_id, type_.arrow))
        return known

    def scattered(self, column_id: int, arrow_type: pa.DataType) -> pa.Array:
        """Return a column to pick few rows from; what the file lacks in that type is in memory."""
        array = self._scattered_arrays.get(column_id)
        if array is None:
            array = stored_column(self._scattered, column_id)
            if array is None or array.type != arrow_type:
                array = self.column(column_id, arrow_type)
            self._scattered_arrays[column_id] = array
        return array

    def vectors(self, column_id: int) -> Vectors:
        """Return a vector column as a numpy view."""
        view = self._vectors.get(column_id)
        if view is None:
            view = self._vectors[column_id] = vectors_of(self._vector_array(column_id))
        return view

    def scattered_vectors(self, column_id: int) -> Vectors:
        """Return a vector column to pick few rows from."""
        return vectors_of(self.scattered(column_id, self._vector_type(column_id)))

    def sparse_rows(self, column_id: int) -> SparseRows:
        """Return a column of sparse vectors as numpy views."""
        return SparseRows.read(self._vector_array(column_id))

    def vector_bits(self, column_id: int) -> Bits | None:
        """Return the validity of a vector column, None where no row is NULL."""
        if column_id not in self._bits:
            self._bits[column_id] = validity_of(self._vector_array(column_id))
        return self._bits[column_id]

    def _vector_array(self, column_id: int) -> pa.Array:
        return self.column(column_id, self._vector_type(column_id))

    def _vector_type(self, column_id: int) -> pa.DataType:
        return next(c.type.arrow for c in self._table.columns if c.id == column_id)

    def shredded(self, column_id: int, pointer: str) -> PathValues | None:
        """Return a JSON path that the file keeps in columns, None where it does not."""
        if self._paths is None:
            self._paths = ShreddedPaths(self.batch)
        return self._paths.find(column_id, pointer)

    def locate(self, rows: Rows) -> list[Located]:
        """Return the rows themselves: a file is one segment."""
        return [(self.id, self.row_count, rows)]


def _identity(facts: SegmentFacts, table: Table) -> bytes:
    """Return what tells apart two views of segments: rows, which of them are deleted, names.

    Transactions side by side may delete as many rows of one segment, but others.
    """
    # Bytes keep their hash. No digest of them: Python's hashes load OpenSSL.
    columns = "\n".join(f"{c.id} {c.name} {c.type}" for c in table.stored_columns).encode()
    parts = (facts.id.to_bytes(8, "little"), columns, *facts.deletes)
    return b"".join([len(part).to_bytes(8, "little") + part for part in parts])


def column_of_batch(
    batch: pa.RecordBatch, table: Table, column_id: int, arrow_type: pa.DataType
) -> pa.Array:
    """Return a column of a batch in today's type; its initial value where the batch lacks it."""
    array = stored_column(batch, column_id)
    if array is not None:
        # A column whose type was widened since is read in today's type.
        return array if array.type == arrow_type else array.cast(arrow_type)
    column = next((c for c in table.columns if c.id == column_id), None)
    if column is None or column.initial is None:
        return pa.nulls(batch.num_rows, arrow_type)
    one = decode_value(column.initial)
    return one.take(pa.array([0] * batch.num_rows, pa.int64())).cast(arrow_type)


def stored_column(batch: pa.RecordBatch, column_id: int) -> pa.Array | None:
    """Return a column of a batch as it was written, None where the batch lacks it."""
    wanted = str(column_id).encode()
    for number, field in enumerate(batch.schema):
        if field.metadata is not None and field.metadata.get(b"vsql:column_id") == wanted:
            return batch.column(number)
    return None


def encode_value(array: pa.Array) -> str:
    """Return an array of one value as text that `decode_value` reads, exactly."""
    sink = pa.BufferOutputStream()
    batch = pa.RecordBatch.from_arrays([array], names=["value"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return base64.b64encode(sink.getvalue()).decode()


def decode_value(text: str) -> pa.Array:
    """Return the array that `encode_value` wrote."""
    return pa.ipc.open_stream(base64.b64decode(text)).read_next_batch().column(0)


def vectors_of(array: pa.Array) -> Vectors:
    """Return a view of an array of vectors, (rows, dimension); for BIT (rows, bytes)."""
    if pa.types.is_fixed_size_binary(array.type):
        width = array.type.byte_width
        raw = np.frombuffer(array.buffers()[1], dtype=np.uint8)
        return raw[array.offset * width : (array.offset + len(array)) * width].reshape(-1, width)
    dimension = array.type.list_size
    # Straight from the buffer: Arrow's own `to_numpy` imports pandas first.
    values = array.values
    raw = np.frombuffer(values.buffers()[1], dtype=values.type.to_pandas_dtype())
    start = values.offset + array.offset * dimension
    view: Vectors = raw[start : start + len(array) * dimension].reshape(-1, dimension)
    return view


def validity_of(array: pa.Array) -> Bits | None:
    """Return which rows are not NULL, least significant bit first; None where all are not."""
    if not array.null_count:
        return None
    flags = array.is_valid().to_numpy(zero_copy_only=False)
    return packed(flags)
