"""Where segments and index files live, and the cache of those that are open.

    segments/<table>/<segment>.arrow
    indexes/<table>/<segment>/<index>.<structure>

Without a folder (":memory:") the same names lead to objects in memory.
"""

import os
import threading
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import OperationalError
from vsql.core.schema import Table, new_id
from vsql.core.snapshot import IndexFile, SegmentFacts, TableSnapshot
from vsql.storage import segment_file
from vsql.storage.live import live_bits
from vsql.storage.segment import Columns, GrowingSegment, OpenSegment, SealedSegment

_BLOCK = 1024 * 1024


class Store:
    """The files of one database; safe to share among threads."""

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._objects: dict[str, Any] = {}
        self._batches: dict[int, pa.RecordBatch] = {}
        self._opened: dict[int, tuple[TableSnapshot, tuple[OpenSegment, ...]]] = {}
        self._lock = threading.RLock()

    @classmethod
    def open(cls, root: Path | None) -> "Store":
        """Return the store of a database folder, or one in memory for None."""
        return cls(root)

    def open_table(
        self, table: TableSnapshot, read_inlined: Callable[[int], bytes]
    ) -> tuple[OpenSegment, ...]:
        """Return the table's segments: sealed ones in order, then the growing one, if any."""
        known = self._opened.get(table.table.id)
        if known is not None and known[0] is table:
            return known[1]
        with self._lock:
            segments: list[OpenSegment] = [self._sealed(facts) for facts in table.sealed]
            growing = self._growing(table, known, read_inlined)
            if growing is not None:
                segments.append(growing)
            opened = tuple(segments)
            self._opened[table.table.id] = (table, opened)
            return opened

    def _sealed(self, facts: SegmentFacts) -> SealedSegment:
        assert facts.name is not None
        batch = self._batches.get(facts.id)
        if batch is None:
            if self._root is None:
                batch = self._objects[facts.name]
            else:
                batch = segment_file.read(self._root / facts.name, facts.row_count)
            self._batches[facts.id] = batch
        return SealedSegment(facts, batch, live_bits([facts]))

    def _growing(
        self,
        table: TableSnapshot,
        known: tuple[TableSnapshot, tuple[OpenSegment, ...]] | None,
        read_inlined: Callable[[int], bytes],
    ) -> GrowingSegment | None:
        parts = table.inlined
        if not parts:
            return None
        before = known[0].inlined if known is not None and known[1] else ()
        last = known[1][-1] if known is not None and known[1] else None
        kept = [part.id for part in before] == [part.id for part in parts[: len(before)]]
        batches: list[pa.RecordBatch] = []
        done = 0
        if before and kept and last is not None and last.is_growing:
            batches, done = [last.batch], len(before)
        batches += [segment_file.decode_batch(read_inlined(part.id)) for part in parts[done:]]
        schema = table.table.arrow_schema
        whole = segment_file.one_batch(schema, (_conformed(b, table.table) for b in batches))
        return GrowingSegment(parts, whole, live_bits(parts))

    def write_segment(self, table: Table, batches: Iterable[pa.RecordBatch]) -> SegmentFacts:
        """Write rows as one sealed segment, durable; raises OperationalError."""
        from vsql.storage.statistics import collect

        batch = segment_file.one_batch(table.arrow_schema, batches)
        segment_id = new_id()
        name = f"segments/{table.id:016x}/{segment_id:016x}.arrow"
        size, checksum = batch.nbytes, ""
        if self._root is None:
            self._objects[name] = batch
        else:
            size, checksum = segment_file.write(self._root / name, batch)
        statistics = {
            column.id: collect(batch.column(number), column.type)
            for number, column in enumerate(table.columns)
        }
        return SegmentFacts(
            segment_id, table.id, batch.num_rows, size, name, checksum, statistics=statistics
        )

    def inline_segment(self, table: Table, batch: pa.RecordBatch) -> SegmentFacts:
        """Return the facts of a small batch that the catalog will keep."""
        return SegmentFacts(new_id(), table.id, batch.num_rows, batch.nbytes)

    def write_index(
        self,
        table_id: int,
        segment_id: int,
        index_id: int,
        structure: str,
        save: Callable[[Path], None],
        searcher: object,
    ) -> tuple[str, int, str]:
        """Keep an index structure; returns name, size and checksum. Raises OperationalError."""
        name = f"indexes/{table_id:016x}/{segment_id:016x}/{index_id:016x}.{structure.lower()}"
        if self._root is None:
            self._objects[name] = searcher
            size: int = searcher.byte_size()  # type: ignore[attr-defined]
            return name, size, ""
        path = self._root / name
        partial = path.with_name(path.name + ".partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
                checksum = 0
                while block := file.read(_BLOCK):
                    checksum = zlib.crc32(block, checksum)
            size = partial.stat().st_size
            partial.replace(path)
            segment_file.sync_folder(path.parent)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise segment_file.cannot_write(path, error) from None
        return name, size, f"{checksum:08x}"

    def open_index(self, file: IndexFile, load: Callable[[Path], object]) -> Any:
        """Return an opened index structure; raises OperationalError (XX001) naming the file."""
        known = self._objects.get(file.name)
        if known is not None:
            return known
        with self._lock:
            if file.name not in self._objects:
                assert self._root is not None
                try:
                    self._objects[file.name] = load(self._root / file.name)
                except (OSError, ValueError, RuntimeError) as error:
                    raise OperationalError(
                        f'index file "{self._root / file.name}" cannot be read: '
                        f"{str(error).splitlines()[0]}",
                        code=sqlstate.DATA_CORRUPTED,
                        hint="drop the index and create it again",
                    ) from None
            return self._objects[file.name]


def _conformed(batch: pa.RecordBatch, table: Table) -> pa.RecordBatch:
    """Return a batch in the table's schema of today."""
    schema = table.arrow_schema
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = Columns(batch)
    arrays = [columns.column(column.id, column.type.arrow) for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
