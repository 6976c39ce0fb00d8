"""Conjuncts to rows: an index where one answers, kernels over columns, DuckDB for the rest.

They come ordered by rank; once no row is left the others are not evaluated.
"""

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Bits, Rows
from vsql.core.snapshot import TableSnapshot
from vsql.executor import row_mask
from vsql.executor.context import Context
from vsql.executor.evaluate import evaluate_condition, not_boolean
from vsql.executor.frame import Frame
from vsql.executor.index_lookup import find_rows
from vsql.executor.prune import is_excluded, takes_all
from vsql.executor.row_mask import RowMask
from vsql.planner.nodes import Conjunct
from vsql.storage.segment import OpenSegment


def evaluate(
    conjuncts: tuple[Conjunct, ...],
    table: TableSnapshot,
    segment: OpenSegment,
    context: Context,
    given: list[Bits],
) -> RowMask | None:
    """Return the rows in all of `given` that pass every conjunct, None where that is all rows."""
    if is_excluded(conjuncts, table, segment.facts, context):
        if context.trace is not None:
            context.trace.pruned += 1
        nothing = np.zeros((segment.row_count + 7) // 8, dtype=np.uint8)
        return RowMask(nothing, segment.row_count)
    bits = [*given]
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
    if pa.types.is_null(found.type):
        return found.cast(pa.bool_())
    if not pa.types.is_boolean(found.type):
        raise not_boolean(conjunct.expression, found.type)
    return found


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
