"""Exact rankers of a segment's vector columns, kept while the segment is."""

from vsql.core.distance import Metric
from vsql.core.schema import Column
from vsql.executor.context import Context
from vsql.index.exact import ExactRanker
from vsql.storage.growing import GrowingSegment
from vsql.storage.segment import OpenSegment


def ranker_of(
    context: Context, segment: OpenSegment, column: Column, metric: Metric
) -> ExactRanker:
    """Return what computes exact distances to a column of a segment."""
    if isinstance(segment, GrowingSegment):
        known: ExactRanker | None = segment.rankers.get((column.id, metric))
        if known is None:
            known = ExactRanker(metric, segment.vectors(column.id))
            segment.rankers[column.id, metric] = known
        return known
    key = (segment.id, column.id, metric)
    ranker: ExactRanker = context.resources.rankers.find(
        key,
        lambda: ExactRanker(metric, segment.vectors(column.id)),
        lambda made: made.norms_bytes + 64,
    )
    return ranker
