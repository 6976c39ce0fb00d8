"""Primary keys: one array per batch, and whether a key is there already."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core import sqlstate
from vsql.core.errors import IntegrityError
from vsql.core.protocols import Rows
from vsql.core.schema import Table
from vsql.core.snapshot import TableSnapshot
from vsql.executor.context import Context, column_of
from vsql.executor.row_mask import RowMask
from vsql.storage.segment import OpenSegment

# Between the parts of a composite key; doubled inside a part, so that keys stay distinct.
_SEPARATOR = "\x1f"


def key_of(columns: Sequence[pa.Array]) -> pa.Array:
    """Return one key per row: the column itself, or the joined text of several."""
    if len(columns) == 1:
        return columns[0]
    texts = [pc.replace_substring(c.cast(pa.string()), _SEPARATOR, _SEPARATOR * 2) for c in columns]
    return pc.binary_join_element_wise(*texts, _SEPARATOR + "|")


def check_new_keys(table: TableSnapshot, batch: pa.RecordBatch, context: Context) -> None:
    """Raise IntegrityError (23505) where a key of `batch` repeats or is in the table already."""
    names = table.table.primary_key
    if not names or not batch.num_rows:
        return
    keys = key_of([batch.column(name) for name in names])
    _check_distinct(table.table, batch, keys)
    for segment in context.segments(table):
        present = np.flatnonzero(find_keys(keys, table, segment, context) >= 0)
        if len(present):
            raise _duplicate(table.table, batch, int(present[0]))


def find_keys(keys: pa.Array, table: TableSnapshot, segment: OpenSegment, context: Context) -> Rows:
    """Return the live row of each key in one segment, -1 where it has none."""
    file = None
    unique = next((index.id for index in table.indexes if index.unique), None)
    if segment.facts is not None and len(table.table.primary_key) == 1:
        file = next((f for f in segment.facts.index_files if f.index_id == unique), None)
    if file is not None:
        rows: Rows = context.index(file).find(keys).astype(np.int64)
    else:
        columns = [column_of(segment, table.table.column(name)) for name in table.table.primary_key]
        found = pc.index_in(keys, value_set=_last_live(key_of(columns), segment))
        rows = pc.fill_null(found, -1).to_numpy().astype(np.int64)
        if segment.live is not None:
            live_rows = RowMask(segment.live, segment.row_count).rows
            rows = np.where(rows >= 0, live_rows[np.maximum(rows, 0)] if len(live_rows) else -1, -1)
        return rows
    if segment.live is not None:
        alive = RowMask(segment.live, segment.row_count)
        hits = np.flatnonzero(rows >= 0)
        rows[hits[~alive.contains(rows[hits])]] = -1
    return rows


def _last_live(keys: pa.Array, segment: OpenSegment) -> pa.Array:
    if segment.live is None:
        return keys
    return keys.take(pa.array(RowMask(segment.live, segment.row_count).rows))


def _check_distinct(table: Table, batch: pa.RecordBatch, keys: pa.Array) -> None:
    if len(keys) < 2:
        return
    first = pc.index_in(keys, value_set=keys).to_numpy()
    repeated = np.flatnonzero(first != np.arange(len(keys)))
    if len(repeated):
        raise _duplicate(table, batch, int(repeated[0]))


def _duplicate(table: Table, batch: pa.RecordBatch, row: int) -> IntegrityError:
    names = ", ".join(table.primary_key)
    values = ", ".join(str(batch.column(name)[row].as_py()) for name in table.primary_key)
    return IntegrityError(
        f'duplicate key violates "{table.name}_pkey", row {row + 1}: ({names}) = ({values})',
        code=sqlstate.UNIQUE_VIOLATION,
        hint="a primary key is unique; UPDATE the row instead",
    )
