"""ORDER BY one column: from a sorted index without sorting, or the first rows of each segment.

NULL sorts last unless the query says otherwise; NaN is greater than every number, as in PostgreSQL.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core.protocols import Rows
from vsql.core.schema import Column
from vsql.core.snapshot import TableSnapshot
from vsql.executor.context import Context, column_of
from vsql.executor.filter import mask_of
from vsql.executor.open_index import open_index
from vsql.executor.result import Result, picked_result
from vsql.executor.row_mask import RowMask
from vsql.executor.seal import combined
from vsql.executor.take import Picked, PickedRows, from_numpy, take_column
from vsql.executor.values import count_of
from vsql.index.sorted_values import SortedValues
from vsql.planner.scan_nodes import OrderedScan
from vsql.planner.search_nodes import SortKey
from vsql.storage.segment import OpenSegment

# Walking an index row by row of the answer pays while fewer rows than this share are looked at.
_WALK_SHARE_MAX = 0.2
_CHUNK_ROWS = 1_024


def run_ordered_scan(plan: OrderedScan, context: Context) -> Result:
    """Return the rows that pass, in the order of a column."""
    table = context.table(plan.table)
    column = table.table.column(plan.column)
    offset = count_of(plan.offset, "OFFSET", context) or 0
    limit = count_of(plan.limit, "LIMIT", context)
    enough = None if limit is None else limit + offset
    picked: list[Picked] = []
    for segment in context.segments(table):
        context.check_interrupt()
        rows = _first(plan, column, table, segment, context, enough)
        if len(rows):
            picked.append(Picked(segment, rows))
    order = _merged(picked, column, plan)
    if offset or enough is not None:
        total = sum(len(p.rows) for p in picked if p.rows is not None)
        order = (np.arange(total) if order is None else order)[offset:enough]
    types = tuple(output.type for output in plan.outputs)
    return picked_result(PickedRows(picked, table.table, plan.outputs, None, order), types)


def _first(
    plan: OrderedScan,
    column: Column,
    table: TableSnapshot,
    segment: OpenSegment,
    context: Context,
    enough: int | None,
) -> Rows:
    """Return the first rows of one segment, in order; more than `enough` where that is as cheap."""
    mask = mask_of(plan.conjuncts, table, segment, context)
    count = segment.row_count if mask is None else mask.count
    if not count or enough == 0:
        return np.empty(0, np.int64)
    if enough is not None and enough * segment.row_count <= count * count * _WALK_SHARE_MAX:
        walked = _walk(plan, segment, context, mask, enough)
        if walked is not None:
            return walked
    values = column_of(segment, column)
    if mask is None:
        return ordered(values, plan, enough)
    return mask.rows[ordered(values.take(from_numpy(mask.rows)), plan, enough)]


def _walk(
    plan: OrderedScan, segment: OpenSegment, context: Context, mask: RowMask | None, enough: int
) -> Rows | None:
    """Return the first rows through a sorted index, None where the segment has none."""
    if segment.facts is None:
        return None
    for file in segment.facts.index_files:
        if file.index_id in plan.index_ids:
            searcher = open_index(file, context)
            if isinstance(searcher, SortedValues):
                found: list[Rows] = []
                missing = enough
                for rows in _chunks(searcher, plan):
                    kept = rows if mask is None else rows[mask.contains(rows)]
                    found.append(kept[:missing])
                    missing -= len(found[-1])
                    if not missing:
                        break
                return np.concatenate(found) if found else np.empty(0, np.int64)
    return None


def _chunks(index: SortedValues, plan: OrderedScan) -> Iterator[Rows]:
    parts = [index.rows[: index.present], index.rows[index.present :]]
    if plan.descending:
        parts[0] = parts[0][::-1]
    for part in reversed(parts) if plan.nulls_first else parts:
        for start in range(0, len(part), _CHUNK_ROWS):
            yield part[start : start + _CHUNK_ROWS].astype(np.int64)


def ordered(values: pa.Array, key: OrderedScan | SortKey, enough: int | None) -> Rows:
    """Return the places of values in a key's order, the first ones at least.

    Without `enough` equal values stay as they stand.
    """
    missing: Rows = np.empty(0, np.int64)
    present: Rows | None = None
    if values.null_count:
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        missing, present = np.flatnonzero(~valid), np.flatnonzero(valid)
        values = values.take(from_numpy(present))
    places = _sorted(values, key.descending, enough)
    if present is not None:
        places = present[places]
    parts = (missing, places) if key.nulls_first else (places, missing)
    return np.concatenate(parts)[:enough]


def _sorted(values: pa.Array, descending: bool, enough: int | None) -> Rows:
    has_nan = pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py()
    if enough is not None and enough * 8 < len(values) and not has_nan:
        select = pc.top_k_unstable if descending else pc.bottom_k_unstable
        found: Any = select(values, enough)
    elif descending:
        # Arrow has NaN at the end either way.
        found = pc.array_sort_indices(values, order="descending")
    else:
        found = pc.array_sort_indices(values)
    places: Rows = found.to_numpy().astype(np.int64)
    if descending and has_nan:
        places = np.roll(places, pc.sum(pc.is_nan(values)).as_py())
    return places


def _merged(picked: list[Picked], column: Column, plan: OrderedScan) -> Rows | None:
    """Return the order of the rows of all segments, None where they stand in it."""
    if len(picked) < 2:
        return None
    whole = combined(take_column(picked, column))
    return ordered(whole, plan, None)
