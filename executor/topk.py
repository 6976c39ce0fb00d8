"""The top-k of a table: searched segment by segment, merged, the projected columns taken.

Order is by distance, ties by primary key; then rows whose distance is NaN (a zero vector under
cosine), then those whose vector is NULL.
"""

import math
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core.protocols import Rows
from vsql.core.snapshot import TableSnapshot
from vsql.executor import row_mask
from vsql.executor.context import Context
from vsql.executor.filter import mask_of
from vsql.executor.range_search import NOTHING, Nearest, within
from vsql.executor.result import Result, picked_result
from vsql.executor.search import (
    Distances,
    Search,
    search_segment,
)
from vsql.executor.take import Picked, PickedRows, take_column
from vsql.executor.values import constant_count, count_of, query_vector
from vsql.planner.choose import Choice
from vsql.planner.nodes import TopK
from vsql.storage.segment import OpenSegment

# So few numbers a set of Python's compares sooner than numpy.
_FEW = 32


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
        search = Search(plan, self._table, self._column, query, k, self._total, self._choices)
        picked: list[Picked] = []
        parts: list[npt.NDArray[np.float32]] = []
        for segment in self._segments:
            if parts and segment.is_growing:
                search.bound = _kth(parts, k)
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
        picked = first_rows(self._plan, self._table, self._segments, k, context, of_nulls=False)
        return Nearest(picked, np.empty(0, np.float32), None)

    def _result(self, nearest: Nearest, offset: int, k: int) -> Result:
        distances, order = nearest.distances, nearest.order
        rows = PickedRows(nearest.picked, self._table.table, self._plan.outputs, distances, order)
        count = rows.row_count
        if offset or count > k:
            whole = np.arange(count) if order is None else order
            rows.order, rows.distances = whole[offset:k], distances[offset:k]
        return picked_result(rows, self._types)


def _kth(parts: list[Distances], k: int) -> float:
    """Return the distance of the k-th nearest so far, infinity where there is none."""
    distances = parts[0] if len(parts) == 1 else _concatenated(parts)
    if len(distances) < k:
        return math.inf
    found = float(np.partition(distances, k - 1)[k - 1])
    return found if found == found else math.inf


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
    """Whether any two distances, in their order, are the same."""
    if len(distances) <= _FEW:
        return len(set(distances.tolist())) < len(distances)
    return bool((distances[1:] == distances[:-1]).any())


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
    nulls = first_rows(search.plan, search.table, segments, k - count, context, of_nulls=True)
    added = row_count(nulls)
    picked = [*picked, *nulls]
    if order is None or not added:
        return picked, order
    first = row_count(picked) - added
    return picked, np.concatenate([order, np.arange(first, first + added)])


def first_rows(
    plan: TopK,
    table: TableSnapshot,
    segments: tuple[OpenSegment, ...],
    k: int,
    context: Context,
    *,
    of_nulls: bool,
) -> list[Picked]:
    """Return the first k rows that match, with `of_nulls` the first whose vector is NULL."""
    column = table.table.column(plan.column)
    picked: list[Picked] = []
    for segment in segments:
        valid = segment.vector_bits(column.id) if of_nulls else None
        if k <= 0 or (of_nulls and valid is None):
            continue
        mask = mask_of(plan.conjuncts, table, segment, context)
        if valid is not None:
            bits = ~valid if mask is None else mask.bits & ~valid
            mask = row_mask.intersect([bits], segment.row_count)
        rows = np.arange(segment.row_count) if mask is None else mask.rows
        if len(rows):
            picked.append(Picked(segment, rows[:k]))
            k -= min(k, len(rows))
    return picked


def row_count(picked: list[Picked]) -> int:
    """Return how many rows are picked, each part's rows being told."""
    return sum(len(part.rows) for part in picked if part.rows is not None)
