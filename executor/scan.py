"""The filtered scan, the look-up by primary key, and the count: one table, no order."""

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Rows
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import BIGINT
from vsql.executor import row_mask
from vsql.executor.conjuncts import passing
from vsql.executor.context import Context, column_of
from vsql.executor.filter import mask_of
from vsql.executor.open_index import open_index
from vsql.executor.result import Result, picked_result, rows_result
from vsql.executor.take import Picked, PickedRows, from_numpy, slice_picked
from vsql.executor.values import count_of, value_of
from vsql.planner.nodes import Conjunct, Output
from vsql.planner.scan_nodes import Count, Lookup, Scan
from vsql.storage.segment import OpenSegment


def run_scan(plan: Scan, context: Context) -> Result:
    """Return the rows that pass, in storage order."""
    table = context.table(plan.table)
    offset = count_of(plan.offset, "OFFSET", context) or 0
    limit = count_of(plan.limit, "LIMIT", context)
    picked = pick(plan.conjuncts, table, context, None if limit is None else limit + offset)
    return _projected(slice_picked(picked, offset, limit), table, plan.outputs)


def pick(
    conjuncts: tuple[Conjunct, ...],
    table: TableSnapshot,
    context: Context,
    enough: int | None = None,
) -> list[Picked]:
    """Return the live rows that pass, segment by segment, stopping when there are enough."""
    picked: list[Picked] = []
    found = 0
    for segment in context.segments(table):
        context.check_interrupt()
        mask = mask_of(conjuncts, table, segment, context)
        count = segment.row_count if mask is None else mask.count
        if count:
            picked.append(Picked(segment, None if mask is None else mask.rows))
            found += count
        if enough is not None and found >= enough:
            break
    return picked


def run_lookup(plan: Lookup, context: Context) -> Result:
    """Return the rows with a primary key, found through each segment's key index."""
    table = context.table(plan.table)
    offset = count_of(plan.offset, "OFFSET", context) or 0
    limit = count_of(plan.limit, "LIMIT", context)
    value = value_of(plan.keys[0], context)
    picked: list[Picked] = []
    if value is not None:
        for segment in context.segments(table):
            rows = _rows_with_key(plan, table, segment, value, context)
            if len(rows):
                picked.append(Picked(segment, rows))
                break
    return _projected(slice_picked(picked, offset, limit), table, plan.outputs)


def _rows_with_key(
    plan: Lookup, table: TableSnapshot, segment: OpenSegment, value: object, context: Context
) -> Rows:
    from vsql.executor.constants import constant_of

    column = table.table.column(table.table.primary_key[0])
    keys = column_of(segment, column)
    constant = constant_of(value, keys.type)
    file = None
    if segment.facts is not None:
        file = next((f for f in segment.facts.index_files if f.index_id == plan.index_id), None)
    if file is not None and constant.type == keys.type:
        rows: Rows = open_index(file, context).find(pa.array([constant.as_py()], keys.type))
        rows = rows[rows >= 0].astype(np.int64)
    else:
        import pyarrow.compute as pc

        rows = row_mask.of_boolean(pc.equal(keys, constant)).rows
    if segment.live is not None:
        rows = rows[row_mask.RowMask(segment.live, segment.row_count).contains(rows)]
    for conjunct in plan.conjuncts:
        if len(rows):
            passed = passing(conjunct, table, segment, context, rows)
            rows = rows[passed.fill_null(False).to_numpy(zero_copy_only=False)]
    return rows


def run_count(plan: Count, context: Context) -> Result:
    """Return the number of rows that pass; without a predicate it is read off the catalog."""
    table = context.table(plan.table)
    if not plan.conjuncts and "ttl" not in table.table.properties:
        total = table.live_count
    else:
        total = 0
        for segment in context.segments(table):
            mask = mask_of(plan.conjuncts, table, segment, context)
            total += segment.row_count if mask is None else mask.count
    counted = pa.table({plan.name: from_numpy(np.array([total]))})
    return rows_result(counted, (Output(plan.name, BIGINT, None),))


def _projected(picked: list[Picked], table: TableSnapshot, outputs: tuple[Output, ...]) -> Result:
    """Return the rows as they are chosen: their columns are read when somebody asks."""
    types = tuple(output.type for output in outputs)
    return picked_result(PickedRows(picked, table.table, outputs), types)
