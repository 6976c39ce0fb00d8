"""Predicates to row masks: an index where one answers, kernels over columns, DuckDB for the rest.

Conjuncts come ordered by rank; once no row is left the others are not evaluated. A mask over an
immutable segment is kept, so that a repeated predicate costs a look-up.
"""

import time
from collections.abc import Hashable
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Bits, Rows
from vsql.core.snapshot import TableSnapshot
from vsql.executor import row_mask
from vsql.executor.context import Context
from vsql.executor.frame import Frame
from vsql.executor.index_lookup import find_rows
from vsql.executor.prune import is_excluded, takes_all
from vsql.executor.row_mask import RowMask
from vsql.planner.nodes import Conjunct
from vsql.storage.segment import OpenSegment


def mask_of(
    conjuncts: tuple[Conjunct, ...],
    table: TableSnapshot,
    segment: OpenSegment,
    context: Context,
    valid: Bits | None = None,
) -> RowMask | None:
    """Return the live rows that pass every conjunct, None where that is all rows.

    `valid` further restricts the rows, as a vector column's validity does.
    """
    if not conjuncts and segment.live is None and valid is None:
        return None
    key = mask_key(conjuncts, segment, context, valid is not None)
    if key is not None:
        known: RowMask | None = context.resources.masks.get(key)
        if known is not None:
            if context.trace is not None:
                context.trace.mask_hits += 1
            return known
    started = time.perf_counter_ns()
    mask = _evaluate(conjuncts, table, segment, context, valid)
    if context.trace is not None:
        context.trace.mask_misses += 1
        context.trace.add("filter", time.perf_counter_ns() - started)
    if key is not None and mask is not None:
        context.resources.masks.put(key, mask, mask.bits.nbytes + 8 * mask.count)
    return mask


def mask_key(
    conjuncts: tuple[Conjunct, ...], segment: OpenSegment, context: Context, restricted: bool
) -> Hashable:
    """Return what identifies a mask, None where it can't be kept."""
    if segment.cache_key is None:
        return None
    values: list[Hashable] = []
    for conjunct in conjuncts:
        if "RANDOM(" in conjunct.text:
            return None
        values.append(conjunct.text)
        for name in conjunct.parameters:
            value = _hashable(context.parameter(name))
            if value is None:
                return None
            values.append(value)
    return (segment.cache_key, restricted, *values)


def _hashable(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.tobytes())
    if isinstance(value, list | tuple):
        return (type(value).__name__, *map(_hashable, value))
    try:
        hash(value)
    except (TypeError, ValueError):
        return None
    return (type(value).__name__, value)


def _evaluate(
    conjuncts: tuple[Conjunct, ...],
    table: TableSnapshot,
    segment: OpenSegment,
    context: Context,
    valid: Bits | None,
) -> RowMask | None:
    if is_excluded(conjuncts, table, segment.facts, context):
        if context.trace is not None:
            context.trace.pruned += 1
        nothing = np.zeros((segment.row_count + 7) // 8, dtype=np.uint8)
        return RowMask(nothing, segment.row_count)
    bits: list[Bits] = [extra for extra in (segment.live, valid) if extra is not None]
    count = segment.row_count
    for conjunct in conjuncts:
        context.check_interrupt()
        if takes_all(conjunct, table, segment.facts, context):
            continue
        answer = _by_index(conjunct, table, segment, context)
        if answer is None:
            answer = row_mask.of_boolean(passing(conjunct, table, segment, context))
        bits.append(answer.bits)
        count = answer.count
        if count == 0:
            break
    return row_mask.intersect(bits, segment.row_count)


def passing(
    conjunct: Conjunct,
    table: TableSnapshot,
    segment: OpenSegment,
    context: Context,
    rows: Rows | None = None,
) -> pa.Array:
    """Return a boolean array: which rows (all, or `rows`) pass one conjunct."""
    # The kernels take long to import, and a search without a filter needs none.
    from vsql.executor.evaluate import evaluate_condition

    frame = Frame(context, table.table, segment, rows)
    if conjunct.native:
        return evaluate_condition(conjunct.expression, frame)
    columns = {name: frame.column(name) for name in conjunct.columns}
    found = context.relational().expression(
        conjunct.expression,
        columns,
        context.parameters,
        length=frame.length,
        types={name: table.table.column(name).type for name in columns},
    )
    return found if pa.types.is_boolean(found.type) else found.cast(pa.bool_())


def _by_index(
    conjunct: Conjunct, table: TableSnapshot, segment: OpenSegment, context: Context
) -> RowMask | None:
    """Return the rows that an index finds, checked where these are candidates."""
    found = find_rows(conjunct, table, segment, context)
    if found is None:
        return None
    rows = found.rows
    if not found.exact:
        passed = passing(conjunct, table, segment, context, rows)
        rows = rows[row_mask.of_boolean(passed).rows]
    return row_mask.of_rows(rows, segment.row_count)
