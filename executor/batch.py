"""Many searches of one table at once: one call of the index per segment.

Each query gets what it would alone: rows nearest first, then those whose vector is NULL; a query
that is NULL itself gets any rows that match.
"""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core.dense import floats
from vsql.core.distance import Metric
from vsql.core.protocols import Rows, Shape, Vectors
from vsql.core.snapshot import TableSnapshot
from vsql.core.sparse import SparseRows
from vsql.core.types import Family, SqlType
from vsql.executor.context import Context
from vsql.executor.filter import mask_of
from vsql.executor.ranker import ranker_of
from vsql.executor.row_mask import RowMask
from vsql.executor.search import Distances, Search, choice_of, searcher_of, wanted_candidates
from vsql.executor.take import Picked, PickedRows, from_numpy
from vsql.executor.topk import first_rows
from vsql.executor.values import count_of
from vsql.index import registry
from vsql.index.exact import norms
from vsql.index.openmp import allow_threads
from vsql.planner.choose import AccessPath, Choice
from vsql.planner.nodes import TopK
from vsql.planner.relational_nodes import BatchTopK
from vsql.storage.segment import OpenSegment, vectors_of

# More lists than any structure has.
_EVERY_LIST = 1 << 30
# Row numbers that a batch of queries holds at a time where lists come back whole: 128 MB of them.
_CANDIDATES_MAX = 1 << 24


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows found for queries: the segment and number of each, and the query that it is for.

    `distances` are those of the first rows; rows beyond them have none.
    """

    owners: Rows
    rows: Rows
    queries: Rows
    distances: Distances


@dataclass(frozen=True, slots=True)
class Answers:
    """The outputs of a batch, and the number of the query that each row is for.

    The rows of one query stand as its own search gives them, if not next to each other.
    """

    table: pa.Table
    queries: Rows


def run_batch(plan: BatchTopK, queries: pa.ChunkedArray, context: Context) -> pa.Table:
    """Return the top-k of every query as one table: the outputs, then number of the query.

    `queries` is a column of vectors.
    """
    answers = nearest_of_each(plan.search, queries, context, {})
    return answers.table.append_column(plan.ordinal, from_numpy(answers.queries))


def nearest_of_each(
    plan: TopK, queries: pa.ChunkedArray, context: Context, choices: dict[object, Choice]
) -> Answers:
    """Return the top-k of every query; `choices` are remembered, as those of `Search`."""
    allow_threads(context.threads)
    table = context.table(plan.table)
    segments = context.segments(table)
    found = _nearest(plan, table, segments, queries, context, choices)
    picked, order = _by_segment(segments, found.rows, found.owners)
    rows = PickedRows(picked, table.table, plan.outputs, found.distances, order)
    return Answers(rows.gather(), found.queries)


def _nearest(
    plan: TopK,
    table: TableSnapshot,
    segments: tuple[OpenSegment, ...],
    queries: pa.ChunkedArray,
    context: Context,
    choices: dict[object, Choice],
) -> _Found:
    offset = count_of(plan.offset, "OFFSET", context) or 0
    limit = count_of(plan.limit, "LIMIT", context)
    total = table.live_count
    k = total if limit is None else min(limit + offset, total)
    matrix, present, absent = _matrix(queries, table.table.column(plan.column).type)
    rows, distances, owners = _search_all(plan, table, segments, matrix, k, context, choices)
    keep = rows >= 0
    counts = keep.sum(axis=1)
    keep[:, :offset] = False
    parts = [(owners[keep], rows[keep], np.repeat(present, keep.sum(axis=1)))]
    fewest = int(counts.min()) if len(counts) else k
    first = partial(first_rows, plan, table, segments, context=context)
    nulls = first(k - fewest, of_nulls=True) if fewest < k else []
    parts.append(_unordered(nulls, segments, present, counts, offset, k))
    anything = first(k, of_nulls=False) if len(absent) else []
    none_yet = np.zeros(len(absent), np.int64)
    parts.append(_unordered(anything, segments, absent, none_yet, offset, k))
    segment, row, query = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Found(segment, row, query, distances[keep])


def _unordered(
    picked: list[Picked],
    segments: tuple[OpenSegment, ...],
    queries: Rows,
    counts: Rows,
    offset: int,
    k: int,
) -> tuple[Rows, Rows, Rows]:
    """Give each query rows without a distance, from the `counts` that it has up to k."""
    numbers = {id(segment): number for number, segment in enumerate(segments)}
    known = [(numbers[id(p.segment)], p.rows) for p in picked if p.rows is not None]
    none = np.empty(0, np.int64)
    rows = np.concatenate([none, *(rows for _, rows in known)])
    owners = np.concatenate([none, *(np.full(len(r), number) for number, r in known)])
    places = counts[:, None] + np.arange(len(rows))
    query, row = np.nonzero((places >= offset) & (places < k))
    return owners[row], rows[row], queries[query]


def _matrix(queries: pa.ChunkedArray, type_: SqlType) -> tuple[Any, Rows, Rows]:
    """Return the queries as a ranker takes them, and the numbers of those and of NULLs."""
    kept = queries.chunk(0) if queries.num_chunks == 1 else queries.combine_chunks()
    present, absent = np.arange(len(kept)), np.empty(0, np.int64)
    if kept.null_count:
        valid = kept.is_valid().to_numpy(zero_copy_only=False)
        present, absent = np.flatnonzero(valid), np.flatnonzero(~valid)
        kept = kept.drop_null()
    if type_.is_sparse:
        return SparseRows.read(kept), present, absent
    if type_.family is Family.BIT:
        return np.ascontiguousarray(vectors_of(kept)), present, absent
    values = kept.flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(floats(values.reshape(-1, type_.dimension))), present, absent


def _search_all(
    plan: TopK,
    table: TableSnapshot,
    segments: tuple[OpenSegment, ...],
    matrix: Any,
    k: int,
    context: Context,
    choices: dict[object, Choice],
) -> tuple[Rows, Distances, Rows]:
    """Return row numbers, -1 for none, distances and segments' numbers: (queries, k) each."""
    column = table.table.column(plan.column)
    search = Search(plan, table, column, matrix, k, table.live_count, choices)
    found: list[tuple[Rows, Distances]] = []
    for segment in segments:
        context.check_interrupt()
        valid = segment.vector_bits(column.id)
        mask = mask_of(plan.conjuncts, table, segment, context, valid)
        started = time.perf_counter_ns()
        found.append(_search_segment(search, segment, mask, matrix, context))
        if context.trace is not None:
            context.trace.add("search", time.perf_counter_ns() - started)
    if len(found) == 1:
        ((rows, distances),) = found
        return rows, distances, np.zeros(rows.shape, np.int64)
    none = np.empty((len(matrix), 0))
    all_rows = np.hstack([none.astype(np.int64), *(rows for rows, _ in found)])
    all_distances = np.hstack([none.astype(np.float32), *(distances for _, distances in found)])
    all_owners = np.broadcast_to(np.repeat(np.arange(len(found)), k), all_rows.shape)
    # A distance may be NaN, of a zero vector under cosine: last, and still before what is none.
    order = np.lexsort((all_distances, all_rows < 0), axis=1)[:, :k]
    return (
        np.take_along_axis(all_rows, order, 1),
        np.take_along_axis(all_distances, order, 1),
        np.take_along_axis(all_owners, order, 1),
    )


def _search_segment(
    search: Search,
    segment: OpenSegment,
    mask: RowMask | None,
    matrix: Any,
    context: Context,
) -> tuple[Rows, Distances]:
    matches = segment.row_count if mask is None else mask.count
    choice = choice_of(search, segment, matches, mask is not None, context)
    ranker = ranker_of(context, segment, search.column, search.plan.metric)
    metric = search.plan.metric
    within = None if mask is None else mask.rows

    def exact(some: Any) -> tuple[Rows, Distances]:
        _note(f"exact over matches: {matches} of {segment.row_count} rows match", some, context)
        return ranker.nearest(some, search.k, within)

    if choice.path not in (AccessPath.INDEX, AccessPath.SCAN) or choice.structure is None:
        return exact(matrix)
    searcher = searcher_of(search, segment, choice.structure, context)
    shape = registry.vector_kind(choice.structure).shape
    blurred = choice.share_max < 1.0
    if not len(matrix) or (mask is not None and (shape is Shape.ROWS or blurred)):
        # Each list with a match would be read for each query: products of matrices do that faster.
        # They are exact too where codes might blur the matches around some query.
        return exact(matrix)
    effort = _EVERY_LIST if choice.path is AccessPath.SCAN else choice.effort
    units = _units(matrix, metric)
    bits = None if mask is None else mask.bits
    wanted = wanted_candidates(searcher, search.k, choice.reorder_factor, context)
    shown = f"{AccessPath.INDEX.title} on {choice.structure} (effort {effort})"
    _note(f"{shown}: {matches} of {segment.row_count} rows match", matrix, context)
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
        rows[short], distances[short] = exact(matrix[short])
    return rows, distances


def _note(what: str, queries: Any, context: Context) -> None:
    """Tell EXPLAIN ANALYZE which way some queries of a batch went."""
    if context.trace is not None:
        context.trace.notes.append(f"{what}, {len(queries)} queries at once")


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


def _by_segment(
    segments: tuple[OpenSegment, ...], rows: Rows, owners: Rows
) -> tuple[list[Picked], Rows | None]:
    """Return the rows by segment, and the order that puts them back as they came."""
    used = np.unique(owners) if len(segments) > 1 else np.arange(min(len(rows), 1))
    if len(used) <= 1:
        return [Picked(segments[int(n)], rows) for n in used], None
    by_owner = np.argsort(owners, kind="stable")
    order = np.empty(len(rows), dtype=np.int64)
    order[by_owner] = np.arange(len(rows))
    return [Picked(segments[int(n)], rows[owners == n]) for n in used], order
