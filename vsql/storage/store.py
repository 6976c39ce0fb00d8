"""Where segments and index files live, and the cache of those that are open.

    segments/<table>/<segment>.arrow
    indexes/<table>/<segment>/<index>.<structure>

Without a folder (":memory:") the same names lead to objects in memory.
"""

import contextlib
import os
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import OperationalError
from vsql.core.protocols import ScalarSearcher, VectorSearcher
from vsql.core.schema import Table, new_id
from vsql.core.snapshot import IndexFile, SegmentFacts, TableSnapshot
from vsql.core.threads import beside
from vsql.storage import segment_file
from vsql.storage.byte_cache import NO_LIMIT, ByteCache
from vsql.storage.gather import one_batch
from vsql.storage.growing import Growing, GrowingSegment, ReadBatch
from vsql.storage.live import live_bits
from vsql.storage.path_values import PathValues, columns_of
from vsql.storage.segment import OpenSegment, SealedSegment

_BLOCK = 1024 * 1024
FOLDERS = ("segments", "indexes")


_MERGES_MAX = 1_000


class Growings:
    """The growing rows of several tables; safe to share among threads."""

    def __init__(self) -> None:
        self._by_table: dict[int, list[Growing]] = {}
        self._merges: dict[int, tuple[int, ...]] = {}
        self._lock = threading.Lock()

    def view(
        self, table: Table, parts: tuple[SegmentFacts, ...], read: ReadBatch
    ) -> GrowingSegment:
        """Return the rows of some inlined batches, kept in memory between statements."""
        with self._lock:
            known = self._by_table.setdefault(table.id, [])
            found = next((growing for growing in known if growing.holds(parts)), None)
            if found is None:
                merged = (growing.merged(parts, self._merges) for growing in known)
                found = next((g for g in merged if g is not None), None) or Growing()
                # The newest and one before it: readers of an older snapshot come back.
                known[:] = [found, *known[:1]]
        return found.view(table, parts, read)

    def note_merge(self, merged_id: int, part_ids: tuple[int, ...]) -> None:
        """Remember that a part holds the rows of others, in order: no row must be read again."""
        with self._lock:
            self._merges[merged_id] = part_ids
            if len(self._merges) > _MERGES_MAX:
                del self._merges[next(iter(self._merges))]


Shred = Callable[[pa.RecordBatch], Mapping[tuple[int, str], PathValues]]
"""Returns the JSON paths of a batch that are worth columns, by column id and JSON pointer."""


class Store:
    """The files of one database; safe to share among threads.

    `pending` names files of transactions that have not ended: the catalog does not know them yet.
    `structures` are the index structures that were read into memory; those that are mapped lie in
    the system's page cache.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self._objects: dict[str, Any] = {}
        self._mapped: dict[str, Any] = {}
        self.structures = ByteCache(NO_LIMIT)
        self._batches: dict[str, segment_file.Opened] = {}
        self._sealed_segments: dict[int, tuple[SegmentFacts, Table, SealedSegment]] = {}
        self._opened: dict[int, tuple[TableSnapshot, tuple[OpenSegment, ...]]] = {}
        self.growings = Growings()
        self._lock = threading.RLock()
        self.pending: set[str] = set()

    def open_table(
        self,
        table: TableSnapshot,
        read: ReadBatch,
        staged_ids: Collection[int],
        staged: Growings,
    ) -> tuple[OpenSegment, ...]:
        """Return the table's segments: sealed ones in order, then those that grow, if any.

        Inlined batches of `staged_ids` are not committed: they lie in `staged`, the transaction's.
        """
        known = self._opened.get(table.table.id)
        if known is not None and known[0] is table:
            return known[1]
        with self._lock:
            segments: list[OpenSegment] = [self._sealed(f, table.table) for f in table.sealed]
            parts = table.inlined
            committed = parts
            if staged_ids:
                committed = tuple(part for part in parts if part.id not in staged_ids)
            if committed:
                segments.append(self.growings.view(table.table, committed, read))
            if len(committed) < len(parts):
                own = tuple(part for part in parts if part.id in staged_ids)
                segments.append(staged.view(table.table, own, read))
            opened = tuple(segments)
            if len(committed) == len(parts):
                self._opened[table.table.id] = (table, opened)
            return opened

    def open_past(self, facts: SegmentFacts, table: Table, read: ReadBatch) -> OpenSegment:
        """Return one segment as it was written, for a look at the past; nothing of it is kept."""
        if facts.name is None:
            return Growing().view(table, (facts,), read)
        opened = self._batches.get(facts.name)
        if opened is None:
            opened = self._read(facts)
        return SealedSegment(facts, opened, None, table)

    def _read(self, facts: SegmentFacts) -> segment_file.Opened:
        assert facts.name is not None
        if self.root is None:
            batch = self._objects[facts.name]
            return segment_file.Opened(batch, batch)
        return segment_file.read(self.root / facts.name, facts.row_count)

    def _sealed(self, facts: SegmentFacts, table: Table) -> SealedSegment:
        known = self._sealed_segments.get(facts.id)
        if known is not None and known[0] is facts and known[1] is table:
            return known[2]
        assert facts.name is not None
        opened = self._batches.get(facts.name)
        if opened is None:
            opened = self._read(facts)
            self._batches[facts.name] = opened
        segment = SealedSegment(facts, opened, live_bits([facts]), table)
        self._sealed_segments[facts.id] = (facts, table, segment)
        return segment

    def abandon(self, names: Iterable[str]) -> None:
        """Remove files of a transaction that was rolled back."""
        written = [name for name in names if name in self.pending]
        self.remove(written)
        self.pending.difference_update(written)

    def remove(self, names: Sequence[str]) -> None:
        """Remove files, or the objects in their place."""
        self.forget(names)
        if self.root is None:
            return
        for name in names:
            path = self.root / name
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()

    def forget(self, names: Iterable[str]) -> None:
        """Let go of files that no snapshot needs any more."""
        with self._lock:
            gone = set(names)
            self.structures.forget(gone)
            for name in gone:
                self._objects.pop(name, None)
                self._mapped.pop(name, None)
                self._batches.pop(name, None)
            for id_, (facts, _, _) in list(self._sealed_segments.items()):
                if facts.name in gone:
                    del self._sealed_segments[id_]

    def release(self, table: TableSnapshot) -> None:
        """Close the files of a table, to be opened again when they are read; memory keeps its own.

        Without a folder nothing can be read again, and nothing is let go.
        """
        if self.root is None:
            return
        with self._lock:
            self._opened.pop(table.table.id, None)
            self.forget(
                name
                for segment in table.sealed
                for name in (segment.name, *(file.name for file in segment.index_files))
                if name is not None
            )

    def holdings(self) -> tuple[list[pa.RecordBatch], list[Any], list[Any]]:
        """Return what is open: segments, index structures in memory, and those that are mapped."""
        with self._lock:
            batches = [opened.batch for opened in self._batches.values()]
            others = [o for o in self._objects.values() if not isinstance(o, pa.RecordBatch)]
            return batches, [*others, *self.structures.values()], list(self._mapped.values())

    def names(self) -> list[str]:
        """Return the names of all files, those being written too, or of the objects instead."""
        if self.root is None:
            return [name for name in self._objects if name.startswith(FOLDERS)]
        return [
            str(path.relative_to(self.root))
            for folder in FOLDERS
            for path in (self.root / folder).rglob("*")
            if path.is_file()
        ]

    def size(self, name: str) -> int:
        """Return the bytes of a file, 0 where it is none."""
        if self.root is None:
            return 0
        try:
            return (self.root / name).stat().st_size
        except OSError:
            return 0

    def exists(self, name: str) -> bool:
        """Whether a file, or the object in its place, is there."""
        return name in self._objects or (self.root is not None and (self.root / name).exists())

    def write_segment(
        self,
        table: Table,
        batches: Iterable[pa.RecordBatch],
        *,
        rows_expected: int = 0,
        partition: str = "",
        rewritten: bool = False,
        shred: Shred | None = None,
    ) -> SegmentFacts:
        """Write rows as one sealed segment, durable; raises OperationalError.

        `rows_expected` says how many rows will come, where that is known; `rewritten` tells that
        they come from other segments of the table; `shred` gives the JSON paths that the file
        shall keep in columns.
        """
        from vsql.storage.statistics import collect_all, collect_path

        batch = one_batch(table.arrow_schema, batches, rows_expected)
        segment_id = new_id()
        name = f"segments/{table.id:016x}/{segment_id:016x}.arrow"
        with ThreadPoolExecutor(1) as pool:
            of_columns = beside(pool, lambda: collect_all(batch, table.stored_columns))
            paths = shred(batch) if shred is not None else {}
            of_paths = beside(pool, lambda: {k: collect_path(v) for k, v in paths.items()})
            rows = batch if not paths else _with_paths(batch, paths)
            size, checksum = rows.nbytes, ""
            self.pending.add(name)
            if self.root is None:
                self._objects[name] = rows
            else:
                size, checksum = segment_file.write(self.root / name, rows)
        return SegmentFacts(
            segment_id,
            table.id,
            batch.num_rows,
            size,
            name,
            checksum,
            statistics=of_columns(),
            paths=of_paths(),
            partition=partition,
            rewritten=rewritten,
        )

    def inline_segment(
        self, table: Table, batch: pa.RecordBatch, *, rewritten: bool = False
    ) -> SegmentFacts:
        """Return the facts of a small batch that the catalog will keep."""
        return SegmentFacts(new_id(), table.id, batch.num_rows, batch.nbytes, rewritten=rewritten)

    def write_index(
        self,
        table_id: int,
        segment_id: int,
        index_id: int,
        structure: str,
        save: Callable[[Path], None],
        searcher: VectorSearcher | ScalarSearcher,
    ) -> tuple[str, int, str]:
        """Keep an index structure; returns name, size and checksum. Raises OperationalError."""
        name = f"indexes/{table_id:016x}/{segment_id:016x}/{index_id:016x}.{structure.lower()}"
        self.pending.add(name)
        if self.root is None:
            self._objects[name] = searcher
            return name, searcher.byte_size(), ""
        path = self.root / name
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

    def mapped_path(self, file: IndexFile) -> Path | None:
        """Return where the file of an opened structure is mapped from, None where it was read."""
        if self.root is None or file.name not in self._mapped:
            return None
        return self.root / file.name

    def opened(self, name: str) -> Any:
        """Return an index structure that was opened before, or None."""
        if self.root is None:
            return self._objects.get(name)
        mapped = self._mapped.get(name)
        return self.structures.get(name) if mapped is None else mapped

    def open_index(self, file: IndexFile, load: Callable[[Path], Any], *, mapped: bool) -> Any:
        """Return an opened index structure; raises OperationalError (XX001) naming the file.

        `mapped` says that `load` maps the file and holds next to nothing in memory.
        """
        with self._lock:
            known = self.opened(file.name)
            if known is not None:
                return known
            assert self.root is not None
            try:
                structure = load(self.root / file.name)
            except (OSError, ValueError, RuntimeError) as error:
                raise OperationalError(
                    f'index file "{self.root / file.name}" cannot be read: '
                    f"{str(error).splitlines()[0]}",
                    code=sqlstate.DATA_CORRUPTED,
                    hint="drop the index and create it again",
                ) from None
            if mapped:
                self._mapped[file.name] = structure
            else:
                self.structures.put(file.name, structure, structure.byte_size())
            return structure


def _with_paths(
    batch: pa.RecordBatch, paths: Mapping[tuple[int, str], PathValues]
) -> pa.RecordBatch:
    """Return a batch with the columns of some JSON paths behind its own."""
    added = [
        column
        for (column_id, pointer), values in paths.items()
        for column in columns_of(column_id, pointer, values)
    ]
    schema = pa.schema([*batch.schema, *(field for field, _ in added)], batch.schema.metadata)
    return pa.RecordBatch.from_arrays(
        [*batch.columns, *(array for _, array in added)], schema=schema
    )
