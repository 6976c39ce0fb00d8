"""Exact distances of sparse vectors: only what is not 0 is touched.

|x - q|² is the sum of (x_i - q_i)² where x has a value, and of q_i² where x has none. The latter is
what the values that meet leave of |q|²; where little is left, rounding would be most of it, and it
is added up anew. The same holds for the sum of |x_i - q_i|.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core.distance import Metric
from vsql.core.protocols import Floats, Rows
from vsql.core.sparse import SparseRows, SparseVector
from vsql.core.types import Family
from vsql.core.vector_checks import check_same_dimensions
from vsql.index.exact import KeptLengths, not_beyond, top_k

_BLOCK_VALUES = 1 << 18
"""Values measured at a time: what is computed of them stays in the cache."""

_TABLE_MAX = 1 << 24
"""Up to so many dimensions a query is looked up in a table of all of them: 64 MB."""

_LITTLE = 1e-9
"""From this share on, what is left of a sum is rounding."""

_Sums = npt.NDArray[np.float64]
_Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Other:
    """The other side of each row: how many values, the total of their sizes, and itself.

    `counts` and `totals` are one number or one per row. Sizes are squares for L2 and COSINE,
    absolutes for L1; nothing else asks for them.
    """

    counts: Any
    totals: Any
    vector: Callable[[int], SparseVector]


class SparseRanker:
    """Exact distances from queries to the sparse vectors of one segment; threads may share it.

    Values as those of `vsql.index.exact.ExactRanker`.
    """

    __slots__ = ("_lengths", "_rows", "metric")

    def __init__(self, metric: Metric, rows: SparseRows) -> None:
        assert not metric.over_bits, metric
        self.metric = metric
        self._rows = rows
        self._lengths = KeptLengths(
            len(rows), lambda some: (rows if some is None else rows.take(some)).lengths()
        )

    @property
    def norms_bytes(self) -> int:
        """Memory beside the vectors themselves."""
        return 8 * len(self._rows) if self.metric is Metric.COSINE else 0

    def distances(self, query: SparseVector, rows: Rows | None = None) -> Floats:
        """Return float32 distances from `query` to `rows`, or to all rows."""
        lengths = self._lengths.of(rows) if self.metric is Metric.COSINE else None
        measured = self._rows if rows is None else self._rows.take(rows)
        values = query.arrays[1]
        total = _sizes(self.metric, values).sum(dtype=np.float64)
        other = _Other(len(values), total, lambda row: query)
        look_up = _lookup(query)
        result = np.empty(len(measured), dtype=np.float32)
        for start, end in _blocks(measured):
            block = measured.part(start, end)
            own = None if lengths is None else lengths[start:end]
            result[start:end] = _measure(self.metric, block, look_up(block.indices), other, own)
        return result

    def within(self, query: SparseVector, rows: Rows, bound: float) -> tuple[Rows, Floats] | None:
        """Return those of `rows` at most `bound` far, by (distance, row); None beside a NaN."""
        return not_beyond(self.distances(query, rows), rows, bound)

    def best(self, query: SparseVector, rows: Rows, k: int) -> tuple[Rows, Floats]:
        """Return the nearest `k` of `rows` to one query, by (distance, row), NaN last."""
        # Row numbers are ascending: as many as there are rows are all of them.
        wanted = None if len(rows) == len(self._rows) else rows
        return top_k(self.distances(query, wanted), rows, k)

    def nearest(self, queries: SparseRows, k: int, rows: Rows | None = None) -> tuple[Rows, Floats]:
        """Return the top `k` of each query, (queries, k): rows, -1 for none, and distances."""
        every = np.arange(len(self._rows), dtype=np.int64) if rows is None else rows
        return self._of_each(queries, k, lambda query: every)

    def rank(self, queries: SparseRows, candidates: Rows, k: int) -> tuple[Rows, Floats]:
        """Return the top `k` among each query's candidates, (queries, n) rows, -1 for none."""
        return self._of_each(queries, k, lambda q: np.sort(candidates[q][candidates[q] >= 0]))

    def _of_each(
        self, queries: SparseRows, k: int, rows: Callable[[int], Rows]
    ) -> tuple[Rows, Floats]:
        found = np.full((len(queries), k), -1, dtype=np.int64)
        distances = np.full((len(queries), k), np.nan, dtype=np.float32)
        for number in range(len(queries)):
            best, measured = self.best(queries[number], rows(number), k)
            found[number, : len(best)], distances[number, : len(best)] = best, measured
        return found, distances


def distances_of_pairs(metric: Metric, left: SparseRows, right: SparseRows) -> Floats:
    """Return the distance of each pair of rows, as a ranker gives it.

    Raises DataError (22000) where dimensions differ.
    """
    check_same_dimensions(left.dimensions, right.dimensions, Family.SPARSEVEC)
    measured = metric is not Metric.INNER_PRODUCT
    totals = right.sums(_sizes(metric, right.values)) if measured else None
    others = _Other(right.counts, totals, right.__getitem__)
    lengths = left.lengths() if metric is Metric.COSINE else None
    return _measure(metric, left, _met(left, right), others, lengths)


def _met(left: SparseRows, right: SparseRows) -> _Numbers:
    """Return for each value on the left the one on the right that it meets, 0 for none."""
    result = np.zeros(len(left.values), dtype=np.float32)
    if len(right.values):
        wanted, known = _keys(left), _keys(right)
        places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        meets = known[places] == wanted
        result[meets] = right.values[places[meets]]
    return result


def _keys(rows: SparseRows) -> npt.NDArray[np.int64]:
    """Return row and index of each value as one number, ascending."""
    return np.repeat(np.arange(len(rows)) << 31, rows.counts) | rows.indices


def _lookup(query: SparseVector) -> Callable[[npt.NDArray[np.int32]], _Numbers]:
    """Return what gives the query's values at some indices, 0 where it has none."""
    indices, values = query.arrays
    if query.dimensions() <= _TABLE_MAX:
        return query.to_numpy().take
    if not len(indices):
        return lambda wanted: np.zeros(len(wanted), dtype=np.float32)

    def look_up(wanted: npt.NDArray[np.int32]) -> _Numbers:
        places = np.minimum(np.searchsorted(indices, wanted), len(indices) - 1)
        return np.where(indices[places] == wanted, values[places], np.float32(0))

    return look_up


def _blocks(rows: SparseRows) -> Iterator[tuple[int, int]]:
    """Yield half-open row ranges with about as many values as one block holds."""
    start = 0
    while start < len(rows):
        beyond = np.searchsorted(rows.offsets, rows.offsets[start] + _BLOCK_VALUES, side="right")
        end = min(max(int(beyond) - 1, start + 1), len(rows))
        yield start, end
        start = end


def _sizes(metric: Metric, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what each value adds to a total of its row."""
    return np.asarray(
        np.abs(values) if metric is Metric.L1 else np.square(values, dtype=np.float64)
    )


def _measure(
    metric: Metric, rows: SparseRows, met: _Numbers, other: _Other, lengths: _Sums | None
) -> Floats:
    """Return distances; `met` is what each value meets on the other side."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        match metric:
            case Metric.L2:
                own = rows.sums(_sizes(metric, rows.values - met))
                found = np.sqrt(own + _rest(metric, rows, met, other))
            case Metric.L1:
                own = rows.sums(_sizes(metric, rows.values - met))
                found = own + _rest(metric, rows, met, other)
            case Metric.COSINE:
                products = rows.sums(rows.values.astype(np.float64) * met)
                cosines = products / (lengths * np.sqrt(other.totals))
                found = 1.0 - np.clip(cosines, -1.0, 1.0)
            case _:
                found = -rows.sums(rows.values.astype(np.float64) * met)
        return np.asarray(found.astype(np.float32))


def _rest(metric: Metric, rows: SparseRows, met: _Numbers, other: _Other) -> _Sums:
    """Return the sum of the sizes of what no value of a row meets."""
    result: _Sums = other.totals - rows.sums(_sizes(metric, met))
    doubtful = np.flatnonzero(result < _LITTLE * other.totals)
    if not len(doubtful):
        return result
    complete = rows.sums(met != 0) == other.counts
    result[complete] = 0.0
    for row in doubtful[~complete[doubtful]].tolist():
        indices, values = other.vector(row).arrays
        alone = ~np.isin(indices, rows[row].arrays[0], assume_unique=True)
        result[row] = _sizes(metric, values[alone].astype(np.float64)).sum()
    return result
