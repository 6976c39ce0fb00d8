"""The interim index of growing rows: a graph over the first of them, exact search over the rest."""

import os

import numpy as np
import numpy.typing as npt

from vsql.core.bits import packed
from vsql.core.dense import floats
from vsql.core.distance import Metric
from vsql.core.protocols import Bits, Rows
from vsql.core.schema import Column
from vsql.core.snapshot import TableSnapshot
from vsql.executor.context import Context
from vsql.executor.row_mask import RowMask
from vsql.index.codes import METRICS
from vsql.storage.growing import Growing, GrowingSegment

# Fewer growing rows than this are searched exactly: a graph would save nothing.
GRAPH_ROWS = 1_500
# So many rows beyond the graph are worth adding to it.
GRAPH_LAG = 128
_BLOCK = 256
_EFFORT = 48
_EFFORT_HIGH = 200
_RECALL_HIGH = 0.975


def extend_graphs(
    table: TableSnapshot | None, context: Context, *, threads: int | None = None
) -> bool:
    """Add growing rows to the graphs of a table's vector indexes; returns whether there were any.

    Only committed rows: those of a transaction may be rolled back.
    """
    done = False
    if table is None or not any(index.metric is not None for index in table.indexes):
        return done
    if sum([part.row_count for part in table.inlined]) < GRAPH_ROWS:
        return done
    for segment in context.segments(table):
        if not isinstance(segment, GrowingSegment) or segment.row_count < GRAPH_ROWS:
            continue
        if any(part.id in context.staged.batches for part in segment.parts):
            continue
        for index in table.indexes:
            column = table.table.key_column(index)
            if column is None or index.metric not in METRICS:
                continue
            if not column.type.is_dense or index.kind == "FLAT":
                continue
            graph = segment.growing.graphs.get((column.id, index.metric))
            if graph is None or segment.row_count - len(graph) >= GRAPH_LAG:
                own = context.settings["threads"] or os.cpu_count() or 1
                _extend(segment, column, index.metric, threads or own)
                done = True
    return done


def _extend(segment: GrowingSegment, column: Column, metric: Metric, threads: int) -> None:
    """Add the rows that a column's graph lacks, in blocks: searches go on between them."""
    from vsql.index.hnsw import GrowingGraph

    graphs = segment.growing.graphs
    graph = graphs.get((column.id, metric))
    if graph is None:
        graph = graphs[column.id, metric] = GrowingGraph(column.type.dimension, metric)
    vectors = segment.vectors(column.id)
    for start in range(len(graph), segment.row_count, _BLOCK):
        block = vectors[start : min(start + _BLOCK, segment.row_count)]
        graph.add(np.ascontiguousarray(floats(block)), start, threads)


def candidates(
    growing: Growing,
    key: tuple[int, Metric],
    query: npt.NDArray[np.float32],
    k: int,
    mask: RowMask | None,
    row_count: int,
    target_recall: float,
) -> Rows | None:
    """Return rows among which the nearest `k` are, None where exact search is the way."""
    graph = growing.graphs.get(key)
    covered = min(len(graph), row_count) if graph is not None else 0
    if graph is None or covered < GRAPH_ROWS // 2 or k * 4 > covered:
        return None
    bits: Bits | None = None if mask is None else mask.bits
    if bits is None and len(graph) > row_count:
        # Rows of later commits are in the graph, and beyond this snapshot's view.
        bits = packed(np.ones(row_count, dtype=np.bool_))
    effort = _EFFORT if target_recall <= _RECALL_HIGH else _EFFORT_HIGH
    found = graph.search(query.reshape(1, -1), k, max(effort, 2 * k), bits)[0]
    rest = np.arange(covered, row_count, dtype=np.int64)
    if mask is not None:
        rest = rest[mask.contains(rest)]
    rows: Rows = np.concatenate([found[found >= 0], rest])
    return rows
