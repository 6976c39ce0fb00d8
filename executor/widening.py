"""Runs a query over the nearest rows of a search, deeper until its LIMIT is met."""

import math
from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa

from vsql.executor.context import Context
from vsql.executor.values import count_of
from vsql.planner.nodes import TopK
from vsql.planner.relational_nodes import DEPTH, Widening

_DEPTH_MIN, _DEPTH_PER_ROW, _GROWTH = 100, 4, 4
# From this share of a table on, the rest costs little more.
_WHOLE = 0.25


def widened(
    plan: Widening,
    search: TopK,
    read: Callable[[Context], pa.Table],
    query: Callable[[pa.Table, Context], pa.Table],
    context: Context,
) -> pa.Table:
    """Return the query's rows: `read` gives the search's rows, `query` what comes of them."""
    offset = count_of(plan.offset, "OFFSET", context) or 0
    limit = count_of(plan.limit, "LIMIT", context)
    total = context.table(search.table).live_count
    depth = total
    if limit is not None:
        depth = min(total, max(_DEPTH_MIN, _DEPTH_PER_ROW * (limit + offset)))
    own = replace(context, parameters=dict(context.parameters))
    while True:
        context.check_interrupt()
        own.parameters[DEPTH] = depth
        searched = read(own)
        result = query(searched, own)
        is_whole = depth >= total or searched.num_rows < depth
        if is_whole or limit is None or result.num_rows >= limit:
            if context.trace is not None:
                context.trace.notes.append(
                    f"{search.table}: {searched.num_rows} nearest rows gave {result.num_rows}"
                )
            return result
        found = result.num_rows + (offset if result.num_rows else 0)
        wanted = depth * _GROWTH
        if found:
            wanted = max(wanted, math.ceil(1.5 * depth * (limit + offset) / found))
        depth = total if wanted >= _WHOLE * total else wanted
