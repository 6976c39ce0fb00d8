"""Exact rankers of a segment's vector columns, kept while the segment is."""

from vsql.core.distance import Metric
from vsql.core.protocols import Ranker
from vsql.core.schema import Column
from vsql.executor.context import Context
from vsql.index.exact import ExactRanker
from vsql.storage.growing import GrowingSegment
from vsql.storage.memory_size import memory_bytes
from vsql.storage.segment import OpenSegment

# A column that takes more of the memory than this shares it with too much else.
_KEPT_SHARE = 0.25


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
        from vsql.index.sparse_exact import SparseRanker

        return SparseRanker(metric, segment.sparse_rows(column.id))
    vectors = segment.vectors(column.id)
    return ExactRanker(
        metric,
        vectors,
        segment.scattered_vectors(column.id),
        kept_in_memory=vectors.nbytes <= _KEPT_SHARE * memory_bytes(),
    )
