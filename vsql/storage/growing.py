"""Rows that are still growing: a table's inlined batches, appended in memory as they come.

Vectors lie in one buffer with room to spare, so that a single-row insert costs a copy of one row.
A snapshot sees the first rows of it; rows that are appended later lie beyond its view.
"""

import bisect
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core.dense import DTYPES
from vsql.core.distance import Metric
from vsql.core.protocols import Bits, Rows
from vsql.core.schema import Column, Table
from vsql.core.snapshot import SegmentFacts
from vsql.core.sparse import SparseRows
from vsql.core.types import Family, SqlType
from vsql.storage.few_values import ReadFew, few_reader
from vsql.storage.live import live_bits
from vsql.storage.path_values import PathValues
from vsql.storage.segment import (
    Located,
    Vectors,
    column_of_batch,
    validity_of,
    vectors_of,
)

_ROOM = 1.5
_CAPACITY_MIN = 64
ReadBatch = Callable[[int], pa.RecordBatch]


class Growing:
    """The inlined batches of one table so far, in the order of their commits.

    Batches that the catalog merges stay as they are here: only the parts get other bounds.
    `codes` are interim indexes over the first rows of a column under a metric, made by whoever
    holds `extending`; `uncoded` are those that could not be made.
    """

    def __init__(self) -> None:
        self.part_ids: list[int] = []
        self.starts: list[int] = [0]
        self.lock = threading.RLock()
        self.codes: dict[tuple[int, Metric], Any] = {}
        self.uncoded: set[tuple[int, Metric]] = set()
        self.extending = threading.Lock()
        self._batches: list[pa.RecordBatch] = []
        self._batch_starts: list[int] = [0]
        self._vectors: dict[int, Any] = {}
        self._filled: dict[int, int] = {}
        self._keys: dict[tuple[int, ...], KeyRows] = {}

    def view(
        self, table: Table, parts: Sequence[SegmentFacts], read: ReadBatch
    ) -> "GrowingSegment":
        """Return the rows of `parts`, appending those that are new; see `holds`."""
        with self.lock:
            for part in parts[len(self.part_ids) :]:
                self._batches.append(read(part.id))
                self._batch_starts.append(self._batch_starts[-1] + part.row_count)
                self.part_ids.append(part.id)
                self.starts.append(self.starts[-1] + part.row_count)
            return GrowingSegment(self, table, tuple(parts), self.starts)

    def holds(self, parts: Sequence[SegmentFacts]) -> bool:
        """Whether its batches are the first of `parts`, or `parts` the first of its own."""
        count = min(len(parts), len(self.part_ids))
        return [part.id for part in parts[:count]] == self.part_ids[:count]

    def merged(
        self, parts: Sequence[SegmentFacts], merges: Mapping[int, tuple[int, ...]]
    ) -> "Growing | None":
        """Return the same rows under the bounds of `parts`, None where these are other rows.

        `merges` tells of which parts, in order and none of their rows deleted, one was made.
        """
        same = 0
        while same < min(len(parts), len(self.part_ids)) and parts[same].id == self.part_ids[same]:
            same += 1
        if same == len(parts) or merges.get(parts[same].id) != tuple(self.part_ids[same:]):
            return None
        found = Growing()
        found.__dict__.update(self.__dict__)
        found.part_ids = [*self.part_ids[:same], parts[same].id]
        found.starts = [*self.starts[: same + 1], self.starts[-1]]
        return found

    def batches(self, rows: int) -> list[pa.RecordBatch]:
        """Return the batches of the first `rows` rows."""
        return self._batches[: bisect.bisect_left(self._batch_starts, rows)]

    def vectors(self, table: Table, column: Column, rows: int) -> Vectors:
        """Return the first `rows` vectors of a column, (rows, dimension)."""
        type_, column_id = column.type, column.id
        width = type_.dimension // 8 if type_.family is Family.BIT else type_.dimension
        with self.lock:
            filled = self._filled.get(column_id, 0)
            buffer = self._vectors.get(column_id)
            total = self._batch_starts[-1]
            if buffer is None or len(buffer) < total:
                capacity = max(_CAPACITY_MIN, int(total * _ROOM))
                larger = np.zeros((capacity, width), dtype=DTYPES.get(type_.family, np.uint8))
                if buffer is not None:
                    larger[:filled] = buffer[:filled]
                buffer = self._vectors[column_id] = larger
            number = bisect.bisect_right(self._batch_starts, filled) - 1
            for batch in self._batches[number:]:
                found = column_of_batch(batch, table, column.id, column.type.arrow)
                buffer[filled : filled + batch.num_rows] = vectors_of(found)
                filled += batch.num_rows
            self._filled[column_id] = filled
            view: Vectors = buffer[:rows]
            return view

    def rows_of_keys(
        self, table: Table, names: tuple[str, ...], key_of: Callable[[list[pa.Array]], pa.Array]
    ) -> "KeyRows":
        """Return where each key stands so far, appended to as rows come; NULL is no key."""
        columns = [table.column(name) for name in names]
        ids = tuple(column.id for column in columns)
        with self.lock:
            known = self._keys.setdefault(ids, KeyRows())
            for number in range(known.batches, len(self._batches)):
                arrays = [
                    column_of_batch(self._batches[number], table, c.id, c.type.arrow)
                    for c in columns
                ]
                known.append(key_of(arrays).to_pylist(), self._batch_starts[number])
            known.batches = len(self._batches)
            return known


class KeyRows:
    """The rows of each key among growing rows: the last one, and before each row the one before."""

    def __init__(self) -> None:
        self.batches = 0
        self._last: dict[Any, int] = {}
        self._before: dict[int, int] = {}

    def append(self, keys: Sequence[Any], start: int) -> None:
        """Append the keys of rows that begin at `start`."""
        last, before = self._last, self._before
        for row, key in enumerate(keys, start):
            earlier = last.get(key)
            if earlier is not None:
                before[row] = earlier
            last[key] = row

    def holds_any(self, keys: Sequence[Any]) -> bool:
        """Whether one of the keys stands in a row, dead or alive."""
        last = self._last
        return any(key in last for key in keys if key is not None)

    def newest(self, key: Any, is_live: Callable[[int], bool]) -> int:
        """Return the last row of a key that is live, -1 where none is.

        Mostly it is the last of all; not where another transaction made a row of the same key and
        took it back before it committed.
        """
        row = -1 if key is None else self._last.get(key, -1)
        while row >= 0 and not is_live(row):
            row = self._before.get(row, -1)
        return row


class GrowingSegment:
    """The rows of some inlined batches, one after the other; see `OpenSegment`."""

    is_growing = True
    id = 0
    facts: SegmentFacts | None = None
    cache_key: object = None

    def __init__(
        self, growing: Growing, table: Table, parts: tuple[SegmentFacts, ...], starts: list[int]
    ) -> None:
        self.growing = growing
        self.parts = parts
        self.row_count = starts[len(parts)]
        self.live = live_bits(parts)
        self._starts = starts
        self._table = table
        self._columns: dict[int, pa.Array] = {}
        self._readers: dict[int, ReadFew] = {}
        self._bits: dict[int, Bits | None] = {}
        self.rankers: dict[tuple[int, Metric], Any] = {}

    @property
    def batch(self) -> pa.RecordBatch:
        """All columns of the table as one batch."""
        arrays = [
            self.column(column.id, column.type.arrow) for column in self._table.stored_columns
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._table.arrow_schema)

    def column(self, column_id: int, arrow_type: pa.DataType) -> pa.Array:
        """Return a column, NULL where a batch was written before it existed."""
        known = self._columns.get(column_id)
        if known is None:
            chunks = [
                column_of_batch(batch, self._table, column_id, arrow_type)
                for batch in self.growing.batches(self.row_count)
            ]
            known = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)
            self._columns[column_id] = known
        return known

    def scattered(self, column_id: int, arrow_type: pa.DataType) -> pa.Array:
        """Return the same: it is in memory."""
        return self.column(column_id, arrow_type)

    def reader(self, column_id: int, type_: SqlType) -> ReadFew:
        """Return what reads the values of few rows of a column."""
        known = self._readers.get(column_id)
        if known is None:
            known = self._readers[column_id] = few_reader(self.column(column_id, type_.arrow))
        return known

    def vectors(self, column_id: int) -> Vectors:
        """Return a view of a vector column, (rows, dimension); for BIT (rows, bytes)."""
        return self.growing.vectors(self._table, self._column(column_id), self.row_count)

    def scattered_vectors(self, column_id: int) -> Vectors:
        """Return the same: it is in memory."""
        return self.vectors(column_id)

    def sparse_rows(self, column_id: int) -> SparseRows:
        """Return a view of a column of sparse vectors; a NULL is a row without values."""
        return SparseRows.read(self.column(column_id, self._column(column_id).type.arrow))

    def vector_bits(self, column_id: int) -> Bits | None:
        """Return which rows have a vector, None where all have."""
        if column_id not in self._bits:
            arrow_type = self._column(column_id).type.arrow
            self._bits[column_id] = validity_of(self.column(column_id, arrow_type))
        return self._bits[column_id]

    def shredded(self, column_id: int, pointer: str) -> PathValues | None:
        """Growing rows keep their documents only."""
        return None

    def _column(self, column_id: int) -> Column:
        return next(c for c in self._table.stored_columns if c.id == column_id)

    def locate(self, rows: Rows) -> list[Located]:
        """Return the rows by the inlined batch that holds them."""
        starts = np.asarray(self._starts[: len(self.parts) + 1])
        owners = np.searchsorted(starts, rows, side="right") - 1
        return [
            (
                self.parts[number].id,
                self.parts[number].row_count,
                rows[owners == number] - starts[number],
            )
            for number in np.unique(owners)
        ]
