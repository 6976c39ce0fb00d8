"""What a transaction does to the catalog, as values, and what it makes of a snapshot.

A statement stages changes; `apply` gives the snapshot that the transaction's own next statement
sees; the catalog writes the same values when the transaction commits. Rolling back is forgetting.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from vsql.core.machine import Machine
from vsql.core.schema import Index, NamedObject, Table
from vsql.core.snapshot import IndexFile, SegmentFacts, Snapshot, TableSnapshot
from vsql.core.statistics import ColumnStatistics, PathStatistics


@dataclass(frozen=True, slots=True)
class AddTable:
    table: Table


@dataclass(frozen=True, slots=True)
class AlterTable:
    """The table's new definition, under the same id."""

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
    """`rewritten` tells that the rows live on in another segment."""

    table_id: int
    segment_id: int
    rewritten: bool = False


@dataclass(frozen=True, slots=True)
class AddDeletes:
    """`rows` is a serialised roaring bitmap of row numbers that were live until now.

    `carried` tells that they were deleted in another segment, from which they moved here since.
    """

    table_id: int
    segment_id: int
    rows: bytes
    count: int
    carried: bool = False


@dataclass(frozen=True, slots=True)
class UndoDeletes:
    """Rows of a segment that were deleted after a version are there again."""

    table_id: int
    segment_id: int
    after_version: int
    deletes: tuple[bytes, ...]
    deleted_count: int


@dataclass(frozen=True, slots=True)
class AlterIndex:
    """The index's new definition, under the same id."""

    index: Index


@dataclass(frozen=True, slots=True)
class PutObject:
    """A schema, view or alias; one of the same kind and name is replaced."""

    object: NamedObject


@dataclass(frozen=True, slots=True)
class DropObject:
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class AddIndex:
    index: Index


@dataclass(frozen=True, slots=True)
class DropIndex:
    table_id: int
    index_id: int


@dataclass(frozen=True, slots=True)
class AddIndexFile:
    """A structure that was built; one of the same index and segment is replaced."""

    table_id: int
    file: IndexFile


@dataclass(frozen=True, slots=True)
class PutStatistics:
    """What is known of a segment's values, measured anew; it has no versions."""

    table_id: int
    segment_id: int
    statistics: Mapping[int, ColumnStatistics]
    paths: Mapping[tuple[int, str], PathStatistics]


@dataclass(frozen=True, slots=True)
class PutSetting:
    """A database-wide setting; None removes it."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class PutMachine:
    """What ANALYZE MACHINE measured; it has no versions."""

    machine: Machine


Change = (
    AddTable
    | AlterTable
    | DropTable
    | UndoDeletes
    | AlterIndex
    | PutObject
    | DropObject
    | AddSegment
    | RemoveSegment
    | AddDeletes
    | AddIndex
    | DropIndex
    | AddIndexFile
    | PutStatistics
    | PutSetting
    | PutMachine
)


def table_of(change: Change) -> int | None:
    """Return the id of the table that a change concerns, None where it concerns no table."""
    match change:
        case AddTable(table) | AlterTable(table):
            return table.id
        case AddSegment(segment):
            return segment.table_id
        case AddIndex(index) | AlterIndex(index):
            return index.table_id
        case PutSetting() | PutMachine() | PutObject() | DropObject():
            return None
        case _:
            return change.table_id


def files_of(changes: Iterable[Change]) -> list[str]:
    """Return the names of the files that changes bring into the catalog."""
    names: list[str] = []
    for one in changes:
        if isinstance(one, AddSegment) and one.segment.name is not None:
            names.append(one.segment.name)
        elif isinstance(one, AddIndexFile):
            names.append(one.file.name)
    return names


def inlined_by(changes: Iterable[Change]) -> dict[int, pa.RecordBatch]:
    """Return the batches that changes put into the catalog, by the id of their segment."""
    return {
        one.segment.id: one.rows
        for one in changes
        if isinstance(one, AddSegment) and one.rows is not None
    }


def apply(snapshot: Snapshot, change: Change) -> Snapshot:
    """Return `snapshot` with `change` done; the version stays, since nothing is committed."""
    match change:
        case AddTable(table):
            return _with_table(snapshot, TableSnapshot(table))
        case AlterTable(table):
            return _altered(snapshot, table)
        case PutObject(named):
            return replace(snapshot, objects={**snapshot.objects, (named.kind, named.name): named})
        case DropObject(kind, name):
            others = {key: value for key, value in snapshot.objects.items() if key != (kind, name)}
            return replace(snapshot, objects=others)
        case UndoDeletes(table_id, segment_id, _, deletes, count):
            return _with_segment(
                snapshot,
                table_id,
                segment_id,
                lambda s: replace(s, deletes=deletes, deleted_count=count),
            )
        case AlterIndex(index):
            owner = _table(snapshot, index.table_id)
            indexes = tuple(index if i.id == index.id else i for i in owner.indexes)
            return _with_table(snapshot, replace(owner, indexes=indexes))
        case DropTable(table_id):
            name = _table(snapshot, table_id).table.name
            remaining = {key: value for key, value in snapshot.tables.items() if key != name}
            return replace(snapshot, tables=remaining)
        case AddSegment(segment):
            owner = _table(snapshot, segment.table_id)
            return _with_table(snapshot, replace(owner, segments=(*owner.segments, segment)))
        case RemoveSegment(table_id, segment_id, _):
            owner = _table(snapshot, table_id)
            kept = tuple(s for s in owner.segments if s.id != segment_id)
            return _with_table(snapshot, replace(owner, segments=kept))
        case AddDeletes(table_id, segment_id, rows, count, _):
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
                lambda s: replace(s, index_files=(*_other_files(s, file), file)),
            )
        case PutStatistics(table_id, segment_id, statistics, paths):
            return _with_segment(
                snapshot,
                table_id,
                segment_id,
                lambda s: replace(s, statistics=statistics, paths=paths),
            )
        case PutSetting(name, value):
            settings = {key: old for key, old in snapshot.settings.items() if key != name}
            if value is not None:
                settings[name] = value
            return replace(snapshot, settings=settings)
        case PutMachine(machine):
            return replace(snapshot, machine=machine)


def _other_files(segment: SegmentFacts, file: IndexFile) -> tuple[IndexFile, ...]:
    same = (file.index_id, file.structure)
    return tuple(f for f in segment.index_files if (f.index_id, f.structure) != same)


def _table(snapshot: Snapshot, table_id: int) -> TableSnapshot:
    return next(t for t in snapshot.tables.values() if t.table.id == table_id)


def _altered(snapshot: Snapshot, table: Table) -> Snapshot:
    """Replace a definition; the name may be another, and the table keeps its place."""
    tables = {
        (table.name if known.table.id == table.id else name): (
            replace(known, table=table) if known.table.id == table.id else known
        )
        for name, known in snapshot.tables.items()
    }
    return replace(snapshot, tables=tables)


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
