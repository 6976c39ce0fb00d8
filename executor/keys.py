"""Unique keys: the primary key and UNIQUE constraints, and whether a key is there already."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vsql.catalog.conflicts import conflict
from vsql.core import sqlstate
from vsql.core.bits import is_set
from vsql.core.errors import IntegrityError
from vsql.core.protocols import Rows
from vsql.core.snapshot import Snapshot, TableSnapshot
from vsql.executor.context import Context, column_of
from vsql.executor.open_index import open_index
from vsql.executor.row_mask import RowMask
from vsql.storage.growing import GrowingSegment
from vsql.storage.segment import OpenSegment

# Between the parts of a composite key; doubled inside a part, so that keys stay distinct.
_SEPARATOR = "\x1f"
# From so many keys on, one pass over an array beats looking each up in a mapping.
_MANY_KEYS = 2_000


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A constraint that no two rows share a key; NULL is no key."""

    name: str
    columns: tuple[str, ...]
    index_id: int
    primary: bool


def unique_keys(table: TableSnapshot) -> tuple[UniqueKey, ...]:
    """Return the unique keys of a table, the primary one first."""
    keys = [
        UniqueKey(i.name, i.key_columns, i.id, i.key_columns == table.table.primary_key)
        for i in table.indexes
        if i.unique
    ]
    return tuple(sorted(keys, key=lambda key: not key.primary))


def key_of(columns: Sequence[pa.Array]) -> pa.Array:
    """Return one key per row: the column itself, or the joined text of several."""
    if len(columns) == 1:
        return columns[0]
    texts = [pc.replace_substring(c.cast(pa.string()), _SEPARATOR, _SEPARATOR * 2) for c in columns]
    return pc.binary_join_element_wise(*texts, _SEPARATOR + "|")


def keys_in(key: UniqueKey, batch: pa.RecordBatch) -> pa.Array:
    """Return the key of each row of a batch."""
    return key_of([batch.column(name) for name in key.columns])


def check_new_keys(table: TableSnapshot, batch: pa.RecordBatch, context: Context) -> None:
    """Raise IntegrityError (23505) where a key of `batch` repeats or is in the table already."""
    if not batch.num_rows:
        return
    for key in unique_keys(table):
        keys = keys_in(key, batch)
        repeated = repeats(keys)
        if len(repeated):
            raise _duplicate(table, key, batch, int(repeated[0]))
        for segment in context.segments(table):
            if _is_new_to_growing(keys, key, table, segment):
                continue
            present = np.flatnonzero(find_keys(keys, key, table, segment, context) >= 0)
            if len(present):
                raise _duplicate(table, key, batch, int(present[0]))


def refuse_taken_keys(base: Snapshot, seen: Snapshot, newest: Snapshot, context: Context) -> None:
    """Raise OperationalError (40001) where others committed a key that a transaction inserts.

    It began at `base`, sees `seen`, and would be committed after `newest`.
    """
    from vsql.executor.scan import pick
    from vsql.executor.seal import batch_of

    for table in newest.tables.values():
        mine = seen.tables.get(table.table.name)
        before = base.tables.get(table.table.name)
        if mine is None or before is None or not any(i.unique for i in table.indexes):
            continue
        old = {segment.id for segment in before.segments}
        others = tuple(s for s in table.segments if s.id not in old)
        added = tuple(s for s in mine.segments if s.id not in old)
        if not others or not added:
            continue
        # Only rows that live: a transaction may have replaced what it inserted itself.
        rows = batch_of(mine.table, pick((), replace(mine, segments=added), context))
        try:
            check_new_keys(replace(table, segments=others), rows, context)
        except IntegrityError as error:
            raise conflict(f"the same key was inserted ({error.message})") from None


def _is_new_to_growing(
    keys: pa.Array, key: UniqueKey, table: TableSnapshot, segment: OpenSegment
) -> bool:
    """Whether few keys are in none of the growing rows, dead ones included: the common case."""
    if not isinstance(segment, GrowingSegment) or len(keys) >= _MANY_KEYS:
        return False
    known = segment.growing.rows_of_keys(table.table, key.columns, key_of)
    return not known.holds_any(keys.to_pylist())


def find_keys(
    keys: pa.Array, key: UniqueKey, table: TableSnapshot, segment: OpenSegment, context: Context
) -> Rows:
    """Return the live row of each key in one segment, -1 where it has none."""
    if isinstance(segment, GrowingSegment) and len(keys) < _MANY_KEYS:
        known = segment.growing.rows_of_keys(table.table, key.columns, key_of)
        is_live = _is_live(segment)
        rows = [known.newest(value, is_live) for value in keys.to_pylist()]
        return np.array(rows, dtype=np.int64)
    if segment.facts is not None:
        file = next((f for f in segment.facts.index_files if f.index_id == key.index_id), None)
        if file is not None:
            found: Rows = open_index(file, context).find(keys).astype(np.int64)
            return _without_dead(found, segment)
    stored = key_of([column_of(segment, table.table.column(name)) for name in key.columns])
    numbers = np.arange(segment.row_count)
    if segment.live is not None:
        numbers = RowMask(segment.live, segment.row_count).rows
        stored = stored.take(pa.array(numbers))
    places = pc.fill_null(pc.index_in(keys, value_set=stored, skip_nulls=True), -1).to_numpy()
    return np.where(places >= 0, numbers[places], -1) if len(numbers) else places.astype(np.int64)


def _is_live(segment: GrowingSegment) -> Callable[[int], bool]:
    """Return whether a row is in the segment's view and not deleted there."""
    live, count = segment.live, segment.row_count
    if live is None:
        return lambda row: row < count
    return lambda row: row < count and is_set(live, row)


def _without_dead(rows: Rows, segment: OpenSegment) -> Rows:
    if segment.live is not None:
        hits = np.flatnonzero(rows >= 0)
        alive = RowMask(segment.live, segment.row_count)
        rows[hits[~alive.contains(rows[hits])]] = -1
    return rows


def repeats(keys: pa.Array) -> Rows:
    """Return the rows whose key, not NULL, stands in an earlier row already."""
    if len(keys) < 2:
        return np.empty(0, np.int64)
    first = pc.index_in(keys, value_set=keys).to_numpy(zero_copy_only=False)
    repeated = np.flatnonzero(first != np.arange(len(keys)))
    if keys.null_count:
        valid = keys.is_valid().to_numpy(zero_copy_only=False)
        repeated = repeated[valid[repeated]]
    return repeated


def _duplicate(
    table: TableSnapshot, key: UniqueKey, batch: pa.RecordBatch, row: int
) -> IntegrityError:
    names = ", ".join(key.columns)
    values = ", ".join(str(batch.column(name)[row].as_py()) for name in key.columns)
    return IntegrityError(
        f'duplicate key violates "{key.name}" of table "{table.table.name}", row {row + 1}: '
        f"({names}) = ({values})",
        code=sqlstate.UNIQUE_VIOLATION,
        hint="use ON CONFLICT or UPSERT INTO to replace the row that is there",
    )
