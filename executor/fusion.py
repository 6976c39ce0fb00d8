"""Hybrid search: each search gives its nearest rows, and their ranks or distances are fused.

Rows are numbered through the whole table here: a segment's first row follows the last of the
segment before it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core import sqlstate
from vsql.core.bits import are_set
from vsql.core.errors import DataError, ProgrammingError, did_you_mean
from vsql.core.protocols import Rows
from vsql.executor.context import Context
from vsql.executor.filter import mask_of
from vsql.executor.range_search import Nearest
from vsql.executor.ranker import ranker_of
from vsql.executor.result import Result, picked_result
from vsql.executor.take import Picked, PickedRows
from vsql.executor.topk import TopKOperator, order_of
from vsql.executor.values import count_of, query_vector, value_of
from vsql.planner.fusion import NORMS
from vsql.planner.nodes import TopK
from vsql.planner.search_nodes import Fusion
from vsql.storage.segment import OpenSegment

_RANK_CONSTANT = 60
_DEPTH_MIN, _DEPTH_PER_ROW = 100, 10

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Found:
    """What one search gave: numbers of rows through the table, and distances, nearest first."""

    rows: Rows
    distances: Scores


class FusionOperator:
    """A fusion made ready for one snapshot and one set of settings."""

    def __init__(self, plan: Fusion, context: Context) -> None:
        self._plan = plan
        self._table = context.table(plan.table)
        self._segments = context.segments(self._table)
        counts = [segment.row_count for segment in self._segments]
        self._starts = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
        self._searches = [TopKOperator(s, context, self._segments) for s in plan.searches]

    def __call__(self, context: Context) -> Result:
        """Return the rows that all searches together find best, best first."""
        plan, total = self._plan, self._table.live_count
        offset = count_of(plan.offset, "OFFSET", context) or 0
        limit = count_of(plan.limit, "LIMIT", context)
        k = total if limit is None else min(limit + offset, total)
        depth = min(total, self._depth(k, context))
        found = [self._found(search.nearest(depth, context)) for search in self._searches]
        rows, scores = _METHODS[plan.method](self, found, context)
        picked, order = self._best(rows, scores, k)
        scores = np.sort(scores, kind="stable")[:k]
        if len(order) < k:
            picked, order = self._with_rest(picked, order, rows, k, context)
        result = PickedRows(picked, self._table.table, plan.outputs, scores, order)
        result.order, result.distances = order[offset:k], scores[offset:]
        return picked_result(result, tuple(output.type for output in plan.outputs))

    def _depth(self, k: int, context: Context) -> int:
        given = self._plan.options.get("depth")
        depth = None if given is None else count_of(given, "depth", context)
        return max(k, max(_DEPTH_MIN, _DEPTH_PER_ROW * k) if depth is None else depth)

    def _found(self, nearest: Nearest) -> _Found:
        starts = dict(zip(map(id, self._segments), self._starts.tolist(), strict=False))
        parts = [part.numbers + starts[id(part.segment)] for part in nearest.picked]
        rows = np.concatenate(parts) if parts else np.empty(0, np.int64)
        if nearest.order is not None:
            rows = rows[nearest.order]
        # Rows beyond the distances have none: their vector is NULL.
        count = len(nearest.distances)
        return _Found(rows[:count], nearest.distances.astype(np.float64))

    def option(self, name: str, context: Context) -> Any:
        """Return the value of an argument such as `k => 60`, None where it was not given."""
        node = self._plan.options.get(name)
        return None if node is None else value_of(node, context)

    def distances(self, search: TopK, rows: Rows, context: Context) -> Scores:
        """Return the exact distance of each row in one search; NaN where its vector is NULL."""
        column = self._table.table.column(search.column)
        query = query_vector(search.query, column.type, column.name, context)
        result = np.full(len(rows), np.nan)
        if query is None:
            return result
        for segment, start, end in zip(
            self._segments, self._starts[:-1], self._starts[1:], strict=True
        ):
            places = np.flatnonzero((rows >= start) & (rows < end))
            own = rows[places] - start
            valid = segment.vector_bits(column.id)
            if valid is not None and len(own):
                kept = are_set(valid, own)
                places, own = places[kept], own[kept]
            if len(own):
                ranker = ranker_of(context, segment, column, search.metric)
                result[places] = ranker.distances(query, own)
        return result

    @property
    def searches(self) -> tuple[TopK, ...]:
        return self._plan.searches

    def _best(self, rows: Rows, scores: Scores, k: int) -> tuple[list[Picked], Rows]:
        """Return the rows by segment and the order of the best k; ties go by primary key."""
        picked: list[Picked] = []
        places: list[Rows] = []
        for segment, start, end in zip(
            self._segments, self._starts[:-1], self._starts[1:], strict=True
        ):
            own = np.flatnonzero((rows >= start) & (rows < end))
            if len(own):
                own = own[np.argsort(scores[own], kind="stable")]
                picked.append(Picked(segment, rows[own] - start))
                places.append(own)
        if not picked:
            return [], np.empty(0, np.int64)
        by_segment = scores[np.concatenate(places)]
        order = order_of(picked, by_segment, self._table, k)
        return picked, np.arange(len(by_segment)) if order is None else order

    def _with_rest(
        self, picked: list[Picked], order: Rows, rows: Rows, k: int, context: Context
    ) -> tuple[list[Picked], Rows]:
        """Add matching rows that no search gave, since their vectors are NULL: they sort last."""
        count = sum(part.count for part in picked)
        for segment, start in zip(self._segments, self._starts[:-1], strict=True):
            missing = self._missing(segment, int(start), rows, context)[: k - len(order)]
            if len(missing):
                picked.append(Picked(segment, missing))
                order = np.concatenate((order, np.arange(count, count + len(missing))))
                count += len(missing)
        return picked, order

    def _missing(self, segment: OpenSegment, start: int, rows: Rows, context: Context) -> Rows:
        mask = mask_of(self._plan.conjuncts, self._table, segment, context)
        matching = np.arange(segment.row_count) if mask is None else mask.rows
        return np.setdiff1d(matching, rows - start, assume_unique=True)


def _reciprocal_ranks(
    operator: FusionOperator, found: list[_Found], context: Context
) -> tuple[Rows, Scores]:
    constant = operator.option("k", context)
    constant = _RANK_CONSTANT if constant is None else _number(constant, "k")
    if constant <= -1:
        raise _bad_option("k", constant, "a number above -1")
    rows = np.concatenate([one.rows for one in found])
    given = np.concatenate([1.0 / (constant + 1 + np.arange(len(one.rows))) for one in found])
    distinct, places = np.unique(rows, return_inverse=True)
    sums = np.bincount(places, weights=given, minlength=len(distinct))
    return distinct, -sums.astype(np.float64, copy=False)


def _weighted_sum(
    operator: FusionOperator, found: list[_Found], context: Context
) -> tuple[Rows, Scores]:
    count = len(found)
    weights = operator.option("weights", context)
    weights = [1 / count] * count if weights is None else list(weights)
    if len(weights) != count:
        raise _bad_option("weights", weights, f"one number for each of the {count} distances")
    norm = operator.option("norm", context) or "minmax"
    if norm not in _NORMALISED:
        raise ProgrammingError(
            f'weighted_sum does not know the norm "{norm}"',
            code=sqlstate.INVALID_PARAMETER_VALUE,
            hint=did_you_mean(str(norm), NORMS),
        )
    rows = np.unique(np.concatenate([one.rows for one in found]))
    total = np.zeros(len(rows))
    for search, one, weight in zip(operator.searches, found, weights, strict=True):
        distances = operator.distances(search, rows, context)
        total += _number(weight, "weights") * _NORMALISED[norm](distances, one.distances)
    return rows, total


def _min_max(distances: Scores, given: Scores) -> Scores:
    """0 for the nearest row that the search gave, 1 for the farthest and all beyond, or NULL."""
    finite = given[np.isfinite(given)]
    if not len(finite):
        return np.ones(len(distances))
    low, high = float(finite.min()), float(finite.max())
    if high == low:
        return np.where(distances <= low, 0.0, 1.0)
    return np.nan_to_num(np.clip((distances - low) / (high - low), 0.0, 1.0), nan=1.0)


def _arc_tangent(distances: Scores, given: Scores) -> Scores:
    """Any distance, also a negative one, between 0 and 1; a NULL is 1."""
    return np.nan_to_num(0.5 + np.arctan(distances) / np.pi, nan=1.0)


def _as_it_is(distances: Scores, given: Scores) -> Scores:
    """The distance; a NULL counts as the farthest that the search gave."""
    finite = given[np.isfinite(given)]
    farthest = finite.max() if len(finite) else 0.0
    return np.where(np.isnan(distances), farthest, distances)


_NORMALISED: dict[str, Callable[[Scores, Scores], Scores]] = {
    "minmax": _min_max,
    "arctan": _arc_tangent,
    "none": _as_it_is,
}
_METHODS: dict[str, Callable[[FusionOperator, list[_Found], Context], tuple[Rows, Scores]]] = {
    "rrf": _reciprocal_ranks,
    "weighted_sum": _weighted_sum,
}


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise _bad_option(name, value, "a number") from None
    if not np.isfinite(number):
        raise _bad_option(name, value, "a finite number")
    return number


def _bad_option(name: str, value: Any, wanted: str) -> DataError:
    return DataError(
        f"{name} must be {wanted}, not {value!r}", code=sqlstate.INVALID_PARAMETER_VALUE
    )
