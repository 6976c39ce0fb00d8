"""The top-k of a table: searched segment by segment, merged, the projected columns taken.

Order is by distance, ties by primary key; then rows whose distance is NaN (a zero vector under
cosine), then those whose vector is NULL.
"""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core.distance import Metric
from vsql.core.protocols import Rows, Shape, Vectors
from vsql.core.snapshot import TableSnapshot
from vsql.core.sparse import SparseRows
from vsql.core.types import BIGINT, Family, SqlType
from vsql.executor import row_mask
from vsql.executor.context import Context
from vsql.executor.filter import mask_of
from vsql.executor.range_search import NOTHING, Nearest, within
from vsql.executor.ranker import ranker_of
from vsql.executor.result import Result, picked_result
from vsql.executor.row_mask import RowMask
from vsql.executor.search import (
    Distances,
    Search,
    choose,
    search_segment,
    searcher_of,
    wanted_candidates,
)
from vsql.executor.take import Picked, PickedRows, take_column
from vsql.executor.values import constant_count, count_of, query_vector
from vsql.index import registry
from vsql.index.exact import norms
from vsql.planner.choose import AccessPath, Choice
from vsql.planner.nodes import BatchTopK, TopK
from vsql.storage.segment import OpenSegment, vectors_of

# More lists than any structure has.
_EVERY_LIST = 1 << 30
# Row numbers that a batch of queries holds at a time where lists come back whole: 128 MB of them.
_CANDIDATES_MAX = 1 << 24


class TopKOperator:
    """A top-k made ready for one snapshot and one set of settings: what a plan can do once.

    Repeated statements with other parameters pay for their search and little else.
    """

    def __init__(
        self, plan: TopK, context: Context, segments: tuple[OpenSegment, ...] | None = None
    ) -> None:
        self._plan = plan
        self._table = context.table(plan.table)
        self._column = self._table.table.column(plan.column)
        self._segments = context.segments(self._table) if segments is None else segments
        self._total = self._table.live_count
        self._types = tuple(output.type for output in plan.outputs)
        self._choices: dict[object, Choice] = {}
        self._offset = 0 if plan.offset is None else constant_count(plan.offset)
        self._limit = None if plan.limit is None else constant_count(plan.limit)

    def __call__(self, context: Context) -> Result:
        """Return the nearest rows, nearest first."""
        plan = self._plan
        offset, limit = self._offset, self._limit
        if offset is None:
            offset = count_of(plan.offset, "OFFSET", context) or 0
        if limit is None:
            limit = count_of(plan.limit, "LIMIT", context)
        k = self._total if limit is None else min(limit + offset, self._total)
        return self._result(self.nearest(k, context), offset, k)

    def nearest(self, k: int, context: Context) -> Nearest:
        """Return the nearest k rows that match, or all, whatever the plan's limit."""
        plan = self._plan
        query = query_vector(plan.query, self._column.type, self._column.name, context)
        if plan.bounds:
            return within(plan.bounds, k, self._total, partial(self._search, query), context)
        return self._unordered(k, context) if query is None else self._search(query, k, context)

    def _search(self, query: Any, k: int, context: Context) -> Nearest:
        if query is None:
            return NOTHING
        plan = self._plan
        search = Search(plan, self._table, self._column, query, k, self._choices)
        picked: list[Picked] = []
        parts: list[npt.NDArray[np.float32]] = []
        for segment in self._segments:
            rows, distances = search_segment(search, segment, context)
            if len(rows):
                picked.append(Picked(segment, rows))
                parts.append(distances)
        distances = parts[0] if len(parts) == 1 else _concatenated(parts)
        order = order_of(picked, distances, self._table, k)
        if order is not None:
            distances = distances[order]
        if len(distances) < k:
            picked, order = _with_nulls(
                picked, order, len(distances), search, self._segments, k, context
            )
        return Nearest(picked, distances, order)

    def _unordered(self, k: int, context: Context) -> Nearest:
        """A NULL query: every distance is NULL, and any k matching rows are the nearest."""
        picked: list[Picked] = []
        left = k
        for segment in self._segments:
            mask = mask_of(self._plan.conjuncts, self._table, segment, context)
            rows = np.arange(segment.row_count) if mask is None else mask.rows
            if left and len(rows):
                picked.append(Picked(segment, rows[:left]))
                left -= min(left, len(rows))
        return Nearest(picked, np.empty(0, np.float32), None)

    def _result(self, nearest: Nearest, offset: int, k: int) -> Result:
        distances, order = nearest.distances, nearest.order
        rows = PickedRows(nearest.picked, self._table.table, self._plan.outputs, distances, order)
        count = rows.row_count
        if offset or count > k:
            whole = np.arange(count) if order is None else order
            rows.order, rows.distances = whole[offset:k], distances[offset:k]
        return picked_result(rows, self._types)


def _concatenated(parts: list[Distances]) -> Distances:
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def order_of(
    picked: list[Picked], distances: npt.NDArray[Any], table: TableSnapshot, k: int
) -> Rows | None:
    """Return the order of the nearest k, None where they stand in it already."""
    count = len(distances)
    if len(picked) <= 1 and count <= k and (not table.table.primary_key or not _ties(distances)):
        return None
    by_distance = distances.argsort(kind="stable")
    if not _ties(distances[by_distance]):
        return by_distance[:k]
    ranks = _key_ranks(picked, table, count)
    return np.lexsort((ranks, distances))[:k]


def _ties(distances: npt.NDArray[Any]) -> bool:
    return len(distances) > 1 and bool((distances[1:] == distances[:-1]).any())


def _key_ranks(picked: list[Picked], table: TableSnapshot, count: int) -> Rows:
    """Return the rank of each picked row's primary key; without a key the storage order."""
    if not table.table.primary_key:
        return np.arange(count)
    import pyarrow.compute as pc

    names = table.table.primary_key
    keys = [take_column(picked, table.table.column(name)) for name in names]
    sorted_rows = pc.sort_indices(
        pa.table(keys, names=[str(i) for i in range(len(names))]),
        sort_keys=[(str(i), "ascending") for i in range(len(names))],
    ).to_numpy()
    ranks = np.empty(count, dtype=np.int64)
    ranks[sorted_rows] = np.arange(count)
    return ranks


def _with_nulls(
    picked: list[Picked],
    order: Rows | None,
    count: int,
    search: Search,
    segments: tuple[OpenSegment, ...],
    k: int,
    context: Context,
) -> tuple[list[Picked], Rows | None]:
    """Add rows whose vector is NULL: they match, and sort last."""
    picked = list(picked)
    added = 0
    for segment in segments:
        valid = segment.vector_bits(search.column.id)
        if valid is None or count + added >= k:
            continue
        everything = mask_of(search.plan.conjuncts, search.table, segment, context)
        nulls = ~valid
        bits = nulls if everything is None else everything.bits & nulls
        mask = row_mask.intersect([bits], segment.row_count)
        assert mask is not None
        rows = mask.rows[: k - count - added]
        if len(rows):
            picked.append(Picked(segment, rows))
            added += len(rows)
    if order is None or not added:
        return picked, order
    first = sum(len(p.rows) for p in picked if p.rows is not None) - added
    return picked, np.concatenate([order, np.arange(first, first + added)])


def run_batch(plan: BatchTopK, queries: pa.Array, context: Context) -> pa.Table:
    """Return the top-k of every query as one table: ordinal of the query, then the outputs.

    `queries` is a column of vectors; a NULL gets no rows. One index call per segment.
    """
    search_plan = plan.search
    table = context.table(search_plan.table)
    column = table.table.column(search_plan.column)
    offset = count_of(search_plan.offset, "OFFSET", context) or 0
    limit = count_of(search_plan.limit, "LIMIT", context)
    k = min((limit or 0) + offset, table.live_count)
    matrix, present = _matrix(queries, column.type)
    best_rows, best_distances, owners = _search_all(search_plan, table, matrix, k, context)
    keep = best_rows >= 0
    keep[:, :offset] = False
    ordinals = np.repeat(present, keep.sum(axis=1))
    segments = context.segments(table)
    flat_rows, flat_owner = best_rows[keep], owners[keep]
    picked, order = _grouped(segments, flat_rows, flat_owner)
    taken = PickedRows(
        picked, table.table, search_plan.outputs, best_distances[keep], order
    ).gather()
    return taken.append_column(plan.ordinal, pa.array(ordinals, BIGINT.arrow))


def _matrix(queries: pa.Array, type_: SqlType) -> tuple[Any, Rows]:
    """Return the queries that are not NULL, as a ranker takes them, and where they stand."""
    if isinstance(queries, pa.ChunkedArray):
        queries = queries.combine_chunks()
    valid = queries.is_valid().to_numpy(zero_copy_only=False)
    present = np.flatnonzero(valid)
    kept = queries.drop_null()
    if type_.is_sparse:
        return SparseRows.read(kept), present
    if type_.family is Family.BIT:
        return np.ascontiguousarray(vectors_of(kept)), present
    values = kept.flatten().to_numpy(zero_copy_only=False)
    matrix = np.ascontiguousarray(values.reshape(-1, type_.dimension), dtype=np.float32)
    return matrix, present


def _search_all(
    plan: TopK, table: TableSnapshot, matrix: Any, k: int, context: Context
) -> tuple[Rows, npt.NDArray[np.float32], Rows]:
    column = table.table.column(plan.column)
    shape = (len(matrix), 0)
    all_rows, all_owners = np.empty(shape, np.int64), np.empty(shape, np.int64)
    all_distances = np.empty(shape, np.float32)
    for number, segment in enumerate(context.segments(table)):
        context.check_interrupt()
        valid = segment.vector_bits(column.id)
        mask = mask_of(plan.conjuncts, table, segment, context, valid)
        search = Search(plan, table, column, matrix, k, {})
        rows, distances = _search_segment_batch(search, segment, mask, matrix, context)
        all_rows = np.hstack([all_rows, rows])
        all_distances = np.hstack([all_distances, distances])
        all_owners = np.hstack([all_owners, np.full(rows.shape, number)])
    padded = np.where(all_rows < 0, np.inf, all_distances)
    order = np.argsort(padded, axis=1, kind="stable")[:, :k]
    return (
        np.take_along_axis(all_rows, order, 1),
        np.take_along_axis(all_distances, order, 1),
        np.take_along_axis(all_owners, order, 1),
    )


def _search_segment_batch(
    search: Search,
    segment: OpenSegment,
    mask: RowMask | None,
    matrix: Any,
    context: Context,
) -> tuple[Rows, npt.NDArray[np.float32]]:
    matches = segment.row_count if mask is None else mask.count
    choice = choose(search, segment, matches, mask is not None, context)
    ranker = ranker_of(context, segment, search.column, search.plan.metric)
    metric = search.plan.metric
    within = None if mask is None else mask.rows
    if choice.path not in (AccessPath.INDEX, AccessPath.SCAN) or choice.structure is None:
        return ranker.nearest(matrix, search.k, within)
    searcher = searcher_of(search, segment, choice.structure, context)
    shape = registry.vector_kind(choice.structure).shape
    blurred = choice.share_max < 1.0
    if not len(matrix) or (mask is not None and (shape is Shape.ROWS or blurred)):
        # Each list with a match would be read for each query: products of matrices do that faster.
        # They are exact too where codes might blur the matches around some query.
        return ranker.nearest(matrix, search.k, within)
    effort = choice.effort
    if mask is not None and shape is Shape.LISTS:
        effort = _EVERY_LIST
    units = _units(matrix, metric)
    bits = None if mask is None else mask.bits
    wanted = wanted_candidates(searcher, search.k, context)
    step = len(matrix) if shape is not Shape.ROWS else _queries_at_a_time(segment.row_count)
    found = [
        ranker.rank(
            matrix[start:end], searcher.search(units[start:end], wanted, effort, bits), search.k
        )
        for start, end in ((at, at + step) for at in range(0, len(matrix), step))
    ]
    rows = np.concatenate([part for part, _ in found])
    distances = np.concatenate([part for _, part in found])
    short = np.flatnonzero((rows >= 0).sum(axis=1) < min(search.k, matches))
    if len(short):
        # The lists that were scanned hold too few rows: no query gets fewer than there are.
        rows[short], distances[short] = ranker.nearest(matrix[short], search.k, within)
    return rows, distances


def _queries_at_a_time(rows: int) -> int:
    """Return how many queries may each get all rows of a segment as candidates."""
    return max(1, _CANDIDATES_MAX // max(1, rows))


def _units(matrix: Vectors, metric: Any) -> Vectors:
    """Return the queries as indexes want them, (queries, dimension)."""
    if metric is not Metric.COSINE:
        return matrix
    lengths = norms(matrix)
    usable = (lengths > 0) & np.isfinite(lengths)
    return np.asarray(matrix / np.where(usable, lengths, np.float32(1))[:, None], np.float32)


def _grouped(
    segments: tuple[OpenSegment, ...], rows: Rows, owners: Rows
) -> tuple[list[Picked], Rows | None]:
    """Return the rows by segment, and the order that puts them back as they came."""
    used = np.unique(owners)
    if len(used) <= 1:
        return [Picked(segments[int(n)], rows) for n in used], None
    by_owner = np.argsort(owners, kind="stable")
    order = np.empty(len(rows), dtype=np.int64)
    order[by_owner] = np.arange(len(rows))
    return [Picked(segments[int(n)], rows[owners == n]) for n in used], order
