"""Exact rankers of a segment's vector columns, kept while the segment is."""

from vsql.core.distance import Metric
from vsql.core.protocols import Ranker
from vsql.core.schema import Column
from vsql.executor.context import Context
from vsql.index.exact import ExactRanker
from vsql.index.sparse_exact import SparseRanker
from vsql.storage.growing import GrowingSegment
from vsql.storage.segment import OpenSegment


def ranker_of(context: Context, segment: OpenSegment, column: Column, metric: Metric) -> Ranker:
    """Return what computes exact distances to a column of a segment."""
    if isinstance(segment, GrowingSegment):
        known: Ranker | None = segment.rankers.get((column.id, metric))
        if known is None:
            known = segment.rankers[column.id, metric] = _made(segment, column, metric)
        return known
    key = (segment.id, column.id, metric)
    ranker: Ranker = context.resources.rankers.find(
        key, lambda: _made(segment, column, metric), lambda made: made.norms_bytes + 64
    )
    return ranker


def _made(segment: OpenSegment, column: Column, metric: Metric) -> Ranker:
    if column.type.is_sparse:
        return SparseRanker(metric, segment.sparse_rows(column.id))
    return ExactRanker(metric, segment.vectors(column.id), segment.scattered_vectors(column.id))
