"""Predicates to row masks: an index where one answers, kernels over columns, DuckDB for the rest.

Conjuncts come ordered by rank; once no row is left the others are not evaluated. A mask over an
immutable segment is kept, so that a repeated predicate costs a look-up.
"""

import time
from collections.abc import Hashable
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Bits, Condition, Rows
from vsql.core.snapshot import TableSnapshot
from vsql.executor import row_mask
from vsql.executor.context import Context, column_of
from vsql.executor.frame import Frame
from vsql.executor.open_index import open_index
from vsql.executor.prune import is_excluded
from vsql.executor.row_mask import RowMask
from vsql.planner.nodes import Conjunct, IndexCondition, PathCondition
from vsql.storage.segment import OpenSegment

# Beyond this share of the rows, building a mask from row numbers costs more than a kernel.
_INDEX_SHARE_MAX = 0.3


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
    except TypeError:
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
        conjunct.expression, columns, context.parameters, length=frame.length
    )
    return found if pa.types.is_boolean(found.type) else found.cast(pa.bool_())


def _by_index(
    conjunct: Conjunct, table: TableSnapshot, segment: OpenSegment, context: Context
) -> RowMask | None:
    wanted = conjunct.condition
    if wanted is None or segment.facts is None:
        return None
    if isinstance(wanted, PathCondition):
        return _by_flat_index(conjunct, wanted, table, segment, context)
    file = next((f for f in segment.facts.index_files if f.index_id == wanted.index_id), None)
    if file is None:
        return None
    condition = _condition(conjunct, table, segment, context)
    if condition is None:
        return None
    searcher = open_index(file, context)
    estimate = searcher.estimate(condition)
    if estimate is not None and estimate > segment.row_count * _INDEX_SHARE_MAX:
        return None
    rows = searcher.lookup(condition)
    return None if rows is None else row_mask.of_rows(rows, segment.row_count)


def _by_flat_index(
    conjunct: Conjunct,
    wanted: PathCondition,
    table: TableSnapshot,
    segment: OpenSegment,
    context: Context,
) -> RowMask | None:
    """Return the rows that pass: candidates of the index, checked one by one."""
    from vsql.executor.json_leaves import candidates

    assert segment.facts is not None
    file = next((f for f in segment.facts.index_files if f.index_id == wanted.index_id), None)
    if file is None:
        return None
    most = int(segment.row_count * _INDEX_SHARE_MAX)
    rows = candidates(wanted, open_index(file, context), Frame(context, table.table, segment), most)
    if rows is None:
        return None
    passed = passing(conjunct, table, segment, context, rows)
    return row_mask.of_rows(rows[row_mask.of_boolean(passed).rows], segment.row_count)


def _condition(
    conjunct: Conjunct, table: TableSnapshot, segment: OpenSegment, context: Context
) -> Condition | None:
    from vsql.executor.evaluate import constant_of, evaluate

    wanted = conjunct.condition
    assert isinstance(wanted, IndexCondition)
    frame = Frame(context, table.table, segment)
    column = table.table.find(conjunct.columns[0]) if len(conjunct.columns) == 1 else None
    index = next(i for i in table.indexes if i.id == wanted.index_id)
    plain = column is not None and index.key.strip('"') == column.name

    def value_of(node: Any) -> Any:
        value = evaluate(node, frame)
        if plain and column is not None and value is not None and not isinstance(value, list):
            arrow = column_of(segment, column).type
            arrow = arrow.value_type if column.type.element is not None else arrow
            value = constant_of(value, arrow).as_py()
        return value

    values: list[Any] = []
    for node in wanted.values:
        value = value_of(node)
        values.extend(value if isinstance(value, list | tuple) else [value])
    low = None if wanted.low is None else value_of(wanted.low)
    high = None if wanted.high is None else value_of(wanted.high)
    unknown = any(v is None for v in values)
    missing_bound = (wanted.low is not None and low is None) or (
        wanted.high is not None and high is None
    )
    if unknown or missing_bound:
        return None
    return Condition(
        wanted.comparison, tuple(values), low, high, wanted.low_inclusive, wanted.high_inclusive
    )
