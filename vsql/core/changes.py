"""What a transaction does to the catalog, as values, and what it makes of a snapshot.

A statement stages changes; `apply` gives the snapshot that the transaction's own next statement
sees; the catalog writes the same values when the transaction commits. Rolling back is forgetting.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pyarrow as pa

from vsql.core.schema import Index, Table
from vsql.core.snapshot import IndexFile, SegmentFacts, Snapshot, TableSnapshot


@dataclass(frozen=True, slots=True)
class AddTable:
    table: Table


@dataclass(frozen=True, slots=True)
class DropTable:
    table_id: int


@dataclass(frozen=True, slots=True)
class AddSegment:
    """`rows` is set for an inlined segment alone: the batch that the catalog stores."""

    segment: SegmentFacts
    rows: pa.RecordBatch | None = None


@dataclass(frozen=True, slots=True)
class RemoveSegment:
    table_id: int
    segment_id: int


@dataclass(frozen=True, slots=True)
class AddDeletes:
    """`rows` is a serialised roaring bitmap of row numbers that were live until now."""

    table_id: int
    segment_id: int
    rows: bytes
    count: int


@dataclass(frozen=True, slots=True)
class AddIndex:
    index: Index


@dataclass(frozen=True, slots=True)
class DropIndex:
    table_id: int
    index_id: int


@dataclass(frozen=True, slots=True)
class AddIndexFile:
    table_id: int
    file: IndexFile


@dataclass(frozen=True, slots=True)
class PutSetting:
    """A database-wide setting; None removes it."""

    name: str
    value: str | None


Change = (
    AddTable
    | DropTable
    | AddSegment
    | RemoveSegment
    | AddDeletes
    | AddIndex
    | DropIndex
    | AddIndexFile
    | PutSetting
)


def apply(snapshot: Snapshot, change: Change) -> Snapshot:
    """Return `snapshot` with `change` done; the version stays, since nothing is committed."""
    match change:
        case AddTable(table):
            return _with_table(snapshot, TableSnapshot(table))
        case DropTable(table_id):
            name = _table(snapshot, table_id).table.name
            remaining = {key: value for key, value in snapshot.tables.items() if key != name}
            return replace(snapshot, tables=remaining)
        case AddSegment(segment):
            owner = _table(snapshot, segment.table_id)
            return _with_table(snapshot, replace(owner, segments=(*owner.segments, segment)))
        case RemoveSegment(table_id, segment_id):
            owner = _table(snapshot, table_id)
            kept = tuple(s for s in owner.segments if s.id != segment_id)
            return _with_table(snapshot, replace(owner, segments=kept))
        case AddDeletes(table_id, segment_id, rows, count):
            return _with_segment(
                snapshot,
                table_id,
                segment_id,
                lambda s: replace(
                    s, deletes=(*s.deletes, rows), deleted_count=s.deleted_count + count
                ),
            )
        case AddIndex(index):
            owner = _table(snapshot, index.table_id)
            return _with_table(snapshot, replace(owner, indexes=(*owner.indexes, index)))
        case DropIndex(table_id, index_id):
            return _without_index(snapshot, table_id, index_id)
        case AddIndexFile(table_id, file):
            return _with_segment(
                snapshot,
                table_id,
                file.segment_id,
                lambda s: replace(s, index_files=(*s.index_files, file)),
            )
        case PutSetting(name, value):
            settings = {key: old for key, old in snapshot.settings.items() if key != name}
            if value is not None:
                settings[name] = value
            return replace(snapshot, settings=settings)


def _table(snapshot: Snapshot, table_id: int) -> TableSnapshot:
    return next(t for t in snapshot.tables.values() if t.table.id == table_id)


def _with_table(snapshot: Snapshot, table: TableSnapshot) -> Snapshot:
    return replace(snapshot, tables={**snapshot.tables, table.table.name: table})


def _with_segment(
    snapshot: Snapshot,
    table_id: int,
    segment_id: int,
    change: Callable[[SegmentFacts], SegmentFacts],
) -> Snapshot:
    table = _table(snapshot, table_id)
    segments = tuple(change(s) if s.id == segment_id else s for s in table.segments)
    return _with_table(snapshot, replace(table, segments=segments))


def _without_index(snapshot: Snapshot, table_id: int, index_id: int) -> Snapshot:
    table = _table(snapshot, table_id)
    segments = tuple(
        replace(s, index_files=tuple(f for f in s.index_files if f.index_id != index_id))
        for s in table.segments
    )
    indexes = tuple(index for index in table.indexes if index.id != index_id)
    return _with_table(snapshot, replace(table, segments=segments, indexes=indexes))
