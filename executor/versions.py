"""Versions of a table: what there is, going back to one, and what changed between two."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from pyroaring import BitMap
from sqlglot import exp

from vsql.catalog.history import SegmentLife, dropped_at, lives_of, versions_of
from vsql.core import changes as change
from vsql.core import sqlstate
from vsql.core.changes import Change
from vsql.core.errors import DataError, ProgrammingError, did_you_mean
from vsql.core.protocols import Rows
from vsql.core.snapshot import SegmentFacts, TableSnapshot
from vsql.core.types import TIMESTAMPTZ
from vsql.executor.alter import columns_read
from vsql.executor.context import Context, column_of
from vsql.executor.keys import key_of
from vsql.executor.result import Result, table_result
from vsql.executor.take import from_numpy
from vsql.grammar import utility_statements as st
from vsql.planner.facts import Facts

_CHANGE = "vsql_change"


def show_versions(statement: st.ShowVersions, facts: Facts, context: Context) -> Result:
    """Return version, time and operation of every version that changed the table, newest first."""
    table = facts.require(statement.table)
    return table_result(versions_table(table.table.id, context), "SHOW")


def versions_table(table_id: int | None, context: Context) -> pa.Table:
    """Return the versions that are kept as a table."""
    found = list(reversed(versions_of(context.host.catalog, table_id)))
    times = pa.array([v.committed for v in found], pa.int64()).cast(TIMESTAMPTZ.arrow)
    return pa.table(
        {
            "version": pa.array([v.version for v in found], pa.int64()),
            "committed_at": times,
            "operation": pa.array([v.operation for v in found], pa.string()),
        }
    )


def restore_table(statement: st.RestoreTable, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes that give a table the rows and columns of an older version."""
    table = facts.require(statement.table)
    if statement.version is not None:
        version = context.host.version_of("VERSION", exp.Literal.number(statement.version))
    else:
        moment = exp.Literal.string(statement.timestamp or "")
        version = context.host.version_of("TIMESTAMP", moment)
    older = context.host.catalog.load_version(version).tables.values()
    before = next((t for t in older if t.table.id == table.table.id), None)
    if before is None:
        raise ProgrammingError(
            f'table "{statement.table}" did not exist at version {version}',
            code=sqlstate.UNDEFINED_TABLE,
        )
    staged: list[Change] = []
    if before.table != table.table:
        staged.append(change.AlterTable(replace(before.table, name=table.table.name)))
        staged += _restored_indexes(before, table)
    now = {segment.id: segment for segment in table.segments}
    then = {segment.id: segment for segment in before.segments}
    staged += [change.RemoveSegment(table.table.id, id_) for id_ in now if id_ not in then]
    for id_, segment in then.items():
        if id_ not in now:
            staged.append(change.AddSegment(replace(segment, rewritten=False)))
        if id_ not in now or now[id_].deletes != segment.deletes:
            staged.append(
                change.UndoDeletes(
                    table.table.id, id_, version, segment.deletes, segment.deleted_count
                )
            )
    return tuple(staged)


def _restored_indexes(before: TableSnapshot, now: TableSnapshot) -> list[Change]:
    """Return the changes that make today's indexes fit the columns of an older definition."""
    older = {index.id: index for index in before.indexes}
    names = {column.name for column in before.table.columns}
    staged: list[Change] = []
    for index in now.indexes:
        known = older.get(index.id)
        if known is not None and known != index:
            staged.append(change.AlterIndex(known))
        elif known is None and not columns_read(index) <= names:
            staged.append(change.DropIndex(now.table.id, index.id))
    return staged


def undrop_table(statement: st.UndropTable, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes that bring a dropped table back; raises ProgrammingError (42P01)."""
    name = statement.table
    if name in context.snapshot.tables:
        raise ProgrammingError(
            f'table "{name}" exists', code=sqlstate.DUPLICATE_TABLE, hint="rename it first"
        )
    version = dropped_at(context.host.catalog, name)
    if version is None:
        raise ProgrammingError(
            f'no dropped table "{name}" is kept',
            code=sqlstate.UNDEFINED_TABLE,
            hint=did_you_mean(name, facts.tables),
        )
    before = context.host.catalog.load_version(version - 1).tables[name]
    return (
        change.AddTable(before.table),
        *(change.AddSegment(replace(s, rewritten=False)) for s in before.segments),
        *(change.AddIndex(index) for index in before.indexes),
    )


@dataclass(frozen=True, slots=True)
class _Moved:
    """Rows of one segment that came or went with a version."""

    life: SegmentLife
    rows: Rows


def changes_table(table: TableSnapshot, first: int, last: int, context: Context) -> pa.Table:
    """Return the rows that changed after version `first` up to `last`, in commit order.

    Columns: vsql_version, vsql_committed_at, vsql_change (insert, delete, update_before,
    update_after), then the table's. A deleted and an inserted row of one version with the same
    primary key are the two images of an update, the older first.
    """
    lives = lives_of(context.host.catalog, table.table.id, first + 1, last)
    committed = {
        v.version: v.committed
        for v in versions_of(context.host.catalog, None)
        if first < v.version <= last
    }
    if first < min(committed, default=first + 1) - 1:
        raise ProgrammingError(
            f"the changes since version {first} are no longer kept",
            code=sqlstate.INVALID_PARAMETER_VALUE,
            hint=f"kept since version {min(committed)}",
        )
    parts = [
        part.append_column("vsql_version", pa.array([version] * part.num_rows, pa.int64()))
        for version in sorted(committed)
        for part in _version_changes(table, lives, version, context)
    ]
    names = [column.name for column in table.table.columns]
    empty = pa.table(
        {
            **{c.name: pa.array([], c.type.arrow) for c in table.table.columns},
            _CHANGE: pa.array([], pa.string()),
            "vsql_version": pa.array([], pa.int64()),
        }
    )
    whole = pa.concat_tables(parts) if parts else empty
    times = [committed[version] for version in whole.column("vsql_version").to_pylist()]
    stamped = whole.append_column(
        "vsql_committed_at", pa.array(times, pa.int64()).cast(TIMESTAMPTZ.arrow)
    )
    return stamped.select(["vsql_version", "vsql_committed_at", _CHANGE, *names])


def _version_changes(
    table: TableSnapshot, lives: list[SegmentLife], version: int, context: Context
) -> Iterator[pa.Table]:
    gone = _rows_of(table, list(_gone(lives, version)), context)
    come = _rows_of(table, list(_come(lives, version)), context)
    key = table.table.primary_key
    if not key or not gone.num_rows or not come.num_rows:
        yield _labelled(gone, "delete")
        yield _labelled(come, "insert")
        return
    import pyarrow.compute as pc

    old_keys = key_of([gone.column(name).combine_chunks() for name in key])
    new_keys = key_of([come.column(name).combine_chunks() for name in key])
    place = pc.index_in(new_keys, value_set=old_keys)
    matched = place.is_valid().to_numpy(zero_copy_only=False)
    after = np.flatnonzero(matched)
    before = place.drop_null().to_numpy().astype(np.int64)
    alone = np.ones(gone.num_rows, dtype=bool)
    alone[before] = False
    yield _labelled(gone.take(from_numpy(np.flatnonzero(alone))), "delete")
    pairs = pa.concat_tables(
        [
            _labelled(gone.take(from_numpy(before)), "update_before"),
            _labelled(come.take(from_numpy(after)), "update_after"),
        ]
    )
    count = len(after)
    order = np.arange(2 * count).reshape(2, count).T.reshape(-1)
    yield pairs.take(from_numpy(order))
    yield _labelled(come.take(from_numpy(np.flatnonzero(~matched))), "insert")


def _labelled(rows: pa.Table, word: str) -> pa.Table:
    return rows.append_column(_CHANGE, pa.array([word] * rows.num_rows, pa.string()))


def _gone(lives: list[SegmentLife], version: int) -> Iterator[_Moved]:
    """Yield the rows that were visible before a version and were deleted with it."""
    for life in lives:
        if life.added >= version:
            continue
        left = life.removed is not None and life.removed < version
        if left:
            continue
        deleted = BitMap()
        for bits, added, _, carried in life.deletes:
            if added == version and not carried:
                deleted |= BitMap.deserialize(bits)
        if life.removed == version and not life.moved:
            deleted |= BitMap(range(life.row_count)) - _deleted_before(life, version)
        if deleted:
            yield _Moved(life, np.array(deleted, dtype=np.int64))


def _come(lives: list[SegmentLife], version: int) -> Iterator[_Moved]:
    """Yield the rows that a version made visible."""
    for life in lives:
        if life.added == version and not life.rewritten:
            rows = BitMap(range(life.row_count)) - _deleted_before(life, version + 1)
            if rows:
                yield _Moved(life, np.array(rows, dtype=np.int64))
        elif life.added < version:
            back = BitMap()
            for bits, _, removed, _ in life.deletes:
                if removed == version:
                    back |= BitMap.deserialize(bits)
            if back:
                yield _Moved(life, np.array(back, dtype=np.int64))


def _deleted_before(life: SegmentLife, version: int) -> BitMap:
    deleted = BitMap()
    for bits, added, removed, _ in life.deletes:
        if added < version and (removed is None or removed >= version):
            deleted |= BitMap.deserialize(bits)
    return deleted


def _rows_of(table: TableSnapshot, moved: list[_Moved], context: Context) -> pa.Table:
    columns: dict[str, list[Any]] = {column.name: [] for column in table.table.columns}
    for one in moved:
        facts = SegmentFacts(one.life.id, table.table.id, one.life.row_count, 0, one.life.name)
        segment = context.past(facts, table.table)
        for column in table.table.columns:
            try:
                values = column_of(segment, column)
            except pa.ArrowInvalid:
                raise DataError(
                    f'older values of column "{column.name}" do not fit its type {column.type}',
                    code=sqlstate.INVALID_TEXT_REPRESENTATION,
                    hint="read the version itself: FOR VERSION AS OF",
                ) from None
            columns[column.name].append(values.take(from_numpy(one.rows)))
    return pa.table(
        {
            c.name: pa.chunked_array(columns[c.name], c.type.arrow).combine_chunks()
            for c in table.table.columns
        }
    )
