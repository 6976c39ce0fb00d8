"""Exact distances, straight from the column's memory.

The final word on nearness: indexes propose rows, this module ranks them. float32 vectors are read
in place by row number; other numbers and bits are gathered in blocks.
"""

import math
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from vsql.core.dense import floats, widen
from vsql.core.distance import Metric
from vsql.core.protocols import Floats, Rows, Vectors
from vsql.core.scattered import ReadAhead, are_scattered
from vsql.index.openmp import use_threads

Lengths = npt.NDArray[Any]

_BLOCK_BYTES = 8 * 1024 * 1024
"""Working memory of one block of gathered vectors: about a second-level cache, times a few."""

_WIDENED_BYTES = 2 * 1024 * 1024
"""Working memory of vectors widened to float32, small enough to be read from the cache again."""

_NORMS_SHARE = 0.05
"""Of all rows, when computing every norm once pays."""

_UNKNOWN = -1

_FEW = 128
"""Sorting so few costs less than finding the k-th first."""

_SHORTCUT_ROWS = 256
"""From here on, choosing by product and measuring few rows beats measuring all."""

_SHARED_NUMBERS = 1 << 25
"""Numbers of vectors, about 10 ms of products, from which on threads share a batch's distances:
where other work keeps the cores busy, waiting for a second one took longer than the whole."""

_SLACK = 4 * 2.0**-23
_MEASURED_BY_PRODUCT = (Metric.COSINE, Metric.INNER_PRODUCT)

_pointer = faiss.swig_ptr
_untyped: Any = faiss  # its stub lacks these functions
_inner_products = _untyped.fvec_inner_products_by_idx
_hamming_distances = _untyped.hammings
_squared_distances = _untyped.fvec_L2sqr_by_idx
_squared_length = faiss.fvec_norm_L2sqr
_squared_lengths = _untyped.fvec_norms_L2sqr


def length_of(vector: Vectors) -> float:
    """Return the Euclidean length of one vector: infinity where its square is no 32-bit float.

    `vector` is float32 and C-contiguous. Of numpy's own products each would ask, at the price of
    a hundred distances, whether it may overflow.
    """
    return math.sqrt(_squared_length(_pointer(vector), vector.shape[0]))


def norms(vectors: Vectors) -> Floats:
    """Return the Euclidean norm of each row, (rows,) float32, computed in blocks."""
    result = np.empty(len(vectors), dtype=np.float32)
    for start, end in blocks(len(vectors), vectors.shape[1]):
        block = floats(vectors[start:end])
        np.sqrt(np.einsum("ij,ij->i", block, block), out=result[start:end])
    return result


def _inverse(lengths: Floats) -> Floats:
    """Return 1 / length, NaN for zero."""
    result = np.full(len(lengths), np.nan, dtype=np.float32)
    np.divide(np.float32(1), lengths, out=result, where=lengths > 0)
    return result


def _negative_inverse(length: float) -> float:
    """Return -1 / length, NaN for zero."""
    return -1.0 / length if length else math.nan


def _negative_inverses(queries: Floats) -> Floats:
    """Return `_negative_inverse` of the length of each query, rounded as for one alone."""
    squares = np.empty(len(queries), dtype=np.float32)
    count, dimension = queries.shape
    _squared_lengths(_pointer(squares), _pointer(queries), dimension, count)
    lengths = np.sqrt(squares.astype(np.float64))
    result = np.full(count, np.nan)
    np.divide(-1.0, lengths, out=result, where=lengths > 0)
    return result.astype(np.float32)


def _cosine_distances(products: Floats, scale: float | Floats) -> Floats:
    """Turn products with unit vectors into 1 - cosine, in place; `scale` is `_negative_inverse`."""
    np.multiply(products, scale, out=products)
    np.add(products, 1.0, out=products)
    np.maximum(products, 0.0, out=products)
    return np.minimum(products, 2.0, out=products)


def blocks(rows: int, dimension: int, size: int = _BLOCK_BYTES) -> list[tuple[int, int]]:
    """Return half-open row ranges whose float32 vectors fill about `size` bytes each."""
    step = max(1, size // (4 * max(1, dimension)))
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]


def top_k(distances: Floats, rows: Rows, k: int) -> tuple[Rows, Floats]:
    """Return the nearest `k` rows and their distances, by (distance, row), NaN last."""
    if k <= 0:
        return rows[:0], distances[:0]
    if _FEW < len(distances) > k:
        worst = np.partition(distances, k - 1)[k - 1]
        # All ties at the edge stay in, so that the row number decides among them.
        if worst == worst:
            kept = np.flatnonzero(distances <= worst)
            distances, rows = distances[kept], rows[kept]
    order = np.lexsort((rows, distances))[:k]
    return rows[order], distances[order]


def not_beyond(distances: Floats, rows: Rows, bound: float) -> tuple[Rows, Floats] | None:
    """Return the rows at most `bound` far, by (distance, row); None beside a NaN."""
    if np.isnan(distances).any():
        return None
    kept = (distances <= bound).nonzero()[0]
    return top_k(distances[kept], rows[kept], len(kept))


class KeptLengths:
    """What a metric needs of the lengths of rows, none negative; each is computed once.

    The first searches of a process rank few rows, and must not read the whole column for these:
    that waits until a share of them has been asked for. Where the column is not `kept_in_memory`,
    reading all of it would drop the pages that searches need: there it waits for who asks for many
    at once. `measure` computes them of some rows, or all. `none_is_zero` says so of all computed so
    far.
    """

    __slots__ = ("_all", "_asked", "_kept", "_measure", "_some", "_total", "none_is_zero")

    def __init__(
        self, total: int, measure: Callable[[Rows | None], Lengths], *, kept_in_memory: bool = True
    ) -> None:
        self._total = total
        self._kept = kept_in_memory
        self._asked = 0
        self._measure = measure
        self._all: Lengths | None = None
        self._some: Lengths | None = None
        self.none_is_zero = True

    def of(self, rows: Rows | None) -> Lengths:
        """Return one number for each of some rows, or all."""
        known = self._all
        if known is None:
            if rows is not None:
                self._asked = (self._asked if self._kept else 0) + len(rows)
                if self._asked < self._total * _NORMS_SHARE:
                    return self._of_few(rows)
            known = self._measure(None)
            self._note_zeros(known)
            self._all, self._some = known, None
        return known if rows is None else known.take(rows)

    def _of_few(self, rows: Rows) -> Lengths:
        """Compute what is not known yet; threads beside each other write the same."""
        some = self._some
        if some is None:
            measured = self._measure(rows)
            self._note_zeros(measured)
            some = np.full(self._total, _UNKNOWN, dtype=measured.dtype)
            some[rows] = measured
            self._some = some
            return measured
        found = some.take(rows)
        places = (found == _UNKNOWN).nonzero()[0]
        if len(places):
            measured = self._measure(rows[places])
            self._note_zeros(measured)
            found[places] = measured
            some[rows[places]] = measured
        return found

    def _note_zeros(self, measured: Lengths) -> None:
        self.none_is_zero = self.none_is_zero and bool((measured != 0).all())


class ExactRanker:
    """Exact distances from queries to the vectors of one segment; safe to share among threads.

    `vectors` is (rows, dimension) as `vsql.core.dense` stores them, C-contiguous; for HAMMING and
    JACCARD (rows, bytes) uint8. `scattered` are the same, through a mapping that doesn't read ahead
    where few rows are read; `kept_in_memory` says that memory has room for all of them.
    Values: L2 is Euclidean, INNER_PRODUCT is negated, COSINE is 1 - cos and NaN for a zero
    vector; cosines are clamped to [-1, 1], as pgvector does.
    """

    __slots__ = (
        "_inverse_lengths",
        "_is_float",
        "_is_kept",
        "_pointers",
        "_read_ahead",
        "_scattered",
        "_vectors",
        "dimension",
        "metric",
    )

    def __init__(
        self,
        metric: Metric,
        vectors: Vectors,
        scattered: Vectors | None = None,
        *,
        kept_in_memory: bool = True,
    ) -> None:
        scattered = vectors if scattered is None else scattered
        assert vectors.ndim == 2 and vectors.flags.c_contiguous, vectors.shape
        assert (vectors.dtype == np.uint8) == metric.over_bits, (vectors.dtype, metric)
        self.metric = metric
        self.dimension = vectors.shape[1]
        self._vectors = vectors
        self._scattered = scattered
        self._is_float = vectors.dtype == np.float32
        self._is_kept = kept_in_memory
        self._read_ahead = ReadAhead()
        if self._is_float:
            self._pointers = _pointer(vectors), _pointer(scattered)
        self._inverse_lengths = KeptLengths(
            len(vectors),
            lambda rows: _inverse(norms(vectors if rows is None else scattered[rows])),
            kept_in_memory=kept_in_memory,
        )

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def norms_bytes(self) -> int:
        """Memory beside the vectors themselves."""
        return 4 * len(self._vectors) if self.metric is Metric.COSINE else 0

    def distances(self, query: Vectors, rows: Rows | None = None) -> Floats:
        """Return float32 distances from `query`, (dimension,), to `rows`, or to all rows.

        `rows` holds valid row numbers, int64, C-contiguous.
        """
        if not self._is_float or self.metric is Metric.L1:
            return self._by_block(query, rows)
        # All rows too: a distance is the same whatever asks for it, and BLAS rounds otherwise.
        if rows is None:
            rows = np.arange(len(self._vectors), dtype=np.int64)
        return self._by_row_number(query, rows)

    def within(self, query: Vectors, rows: Rows, bound: float) -> tuple[Rows, Floats] | None:
        """Return those of `rows` at most `bound` far, by (distance, row); None beside a NaN."""
        if self._is_float and self.metric is Metric.COSINE:
            rows = self._not_beyond(query, rows, bound)
            if not len(rows):
                return rows, np.empty(0, dtype=np.float32)
        return not_beyond(self.distances(query, rows), rows, bound)

    def _not_beyond(self, query: Vectors, rows: Rows, bound: float) -> Rows:
        """Return the rows whose cosine distance is a NaN or, but for rounding, at most `bound`."""
        inverse, length = self._inverse_lengths.of(rows), length_of(query)
        if not self._inverse_lengths.none_is_zero or length == math.inf:
            return rows
        scores = np.empty(rows.shape[0], dtype=np.float32)
        self._call(_inner_products, scores, query, self._vectors_pointer(rows), rows)
        np.multiply(scores, inverse, out=scores)
        beyond = scores < (1.0 - bound - _SLACK) * length
        return rows[np.logical_not(beyond, out=beyond)]

    def best(self, query: Vectors, rows: Rows, k: int) -> tuple[Rows, Floats]:
        """Return the nearest `k` of `rows` to one query, by (distance, row), NaN last.

        What `top_k` over `distances` gives; only the rows near the edge are measured to the end.
        """
        count = rows.shape[0]
        long_way = count < _SHORTCUT_ROWS or k * 4 > count
        if long_way or not self._is_float or self.metric not in _MEASURED_BY_PRODUCT:
            return top_k(self.distances(query, rows), rows, k)
        vectors = self._vectors_pointer(rows)
        inverse = self._inverse_lengths.of(rows) if self.metric is Metric.COSINE else None
        if inverse is not None and not self._inverse_lengths.none_is_zero:
            return top_k(self.distances(query, rows), rows, k)
        scores = np.empty(count, dtype=np.float32)
        self._call(_inner_products, scores, query, vectors, rows)
        length = 1.0
        if inverse is not None:
            np.multiply(scores, inverse, out=scores)
            length = length_of(query)
        # Descending by product, where NaN must not come first.
        np.negative(scores, out=scores)
        worst = float(np.partition(scores, k - 1)[k - 1])
        if worst != worst:
            return top_k(self.distances(query, rows), rows, k)
        if self.metric is Metric.COSINE:
            # Cosines are clamped, and rounding to a distance may tie what differed.
            worst = max(worst, -length) + _SLACK * length
        kept = (scores <= worst).nonzero()[0]
        rows = rows[kept]
        products = np.negative(scores[kept])
        if self.metric is Metric.COSINE:
            return top_k(_cosine_distances(products, _negative_inverse(length)), rows, k)
        return top_k(np.negative(products, out=products), rows, k)

    def nearest(self, queries: Vectors, k: int, rows: Rows | None = None) -> tuple[Rows, Floats]:
        """Return the exact top `k` of each query among `rows`, or all: two (queries, k) arrays.

        Ordered by (distance, row), NaN last; padded with row -1 and distance NaN.
        """
        found_rows = np.full((len(queries), k), -1, dtype=np.int64)
        found_distances = np.full((len(queries), k), np.nan, dtype=np.float32)
        if self.metric in (Metric.L1, Metric.HAMMING, Metric.JACCARD):
            pool = np.arange(len(self._vectors)) if rows is None else rows
            candidates = [pool] * len(queries)
        else:
            candidates = self._candidates(np.asarray(queries, dtype=np.float32), k, rows)
        for number, kept in enumerate(candidates):
            best, distances = top_k(self.distances(queries[number], kept), kept, k)
            found_rows[number, : len(best)] = best
            found_distances[number, : len(best)] = distances
        return found_rows, found_distances

    def rank(self, queries: Vectors, candidates: Rows, k: int) -> tuple[Rows, Floats]:
        """Return the exact top `k` among each query's candidates, (queries, n) rows, -1 for none.

        The answer is as of `nearest`.
        """
        found_rows = np.full((len(queries), k), -1, dtype=np.int64)
        found_distances = np.full((len(queries), k), np.nan, dtype=np.float32)
        if not candidates.size:
            return found_rows, found_distances
        # By row, none last: then a stable sort by distance leaves ties in the order of rows.
        none = np.iinfo(np.int64).max
        rows = np.sort(np.where(candidates < 0, none, candidates), axis=1)
        rows[rows == none] = -1
        distances = self._distances_of_each(np.ascontiguousarray(queries), rows)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        width = order.shape[1]
        found_rows[:, :width] = np.take_along_axis(rows, order, axis=1)
        found_distances[:, :width] = np.take_along_axis(distances, order, axis=1)
        return found_rows, found_distances

    def _distances_of_each(self, queries: Vectors, rows: Rows) -> Floats:
        """Return distances from each query to its own rows, NaN for row -1."""
        distances = np.full(rows.shape, np.nan, dtype=np.float32)
        if not self._is_float or self.metric is Metric.L1:
            for number, own in enumerate(rows):
                count = int((own >= 0).sum())
                distances[number, :count] = self.distances(queries[number], own[:count])
            return distances
        function = _squared_distances if self.metric is Metric.L2 else _inner_products
        use_threads(1 if rows.size * self.dimension < _SHARED_NUMBERS else len(queries))
        function(
            _pointer(distances),
            _pointer(queries),
            self._vectors_pointer(rows),
            _pointer(rows),
            self.dimension,
            len(queries),
            rows.shape[1],
        )
        if self.metric is Metric.L2:
            np.sqrt(distances, out=distances)
        elif self.metric is Metric.INNER_PRODUCT:
            np.negative(distances, out=distances)
        else:
            inverse = self._inverse_lengths.of(np.maximum(rows, 0).reshape(-1)).reshape(rows.shape)
            scales = _negative_inverses(queries)
            with np.errstate(invalid="ignore"):
                np.multiply(distances, inverse, out=distances)
                _cosine_distances(distances, scales[:, None])
        distances[rows < 0] = np.nan
        return distances

    def _source(self, rows: Rows | None) -> Vectors:
        """Return what vectors of some rows, or all, are read from."""
        return self._scattered if rows is not None and self._asked_ahead(rows) else self._vectors

    def _vectors_pointer(self, rows: Rows) -> object:
        """Return where the float32 vectors of some rows are read from."""
        return self._pointers[self._asked_ahead(rows)]

    def _asked_ahead(self, rows: Rows) -> bool:
        """Whether rows are few, here and there; what memory may lack of these is on its way."""
        few = are_scattered(rows.size, len(self._vectors))
        if few and not self._is_kept:
            self._read_ahead.of(self._scattered, rows[rows >= 0])
        return few

    def _by_row_number(self, query: Vectors, rows: Rows) -> Floats:
        # The hot path of every indexed search: each numpy call costs as much as ten distances.
        result = np.empty(rows.shape[0], dtype=np.float32)
        function = _squared_distances if self.metric is Metric.L2 else _inner_products
        self._call(function, result, query, self._vectors_pointer(rows), rows)
        return self._finished(result, query, rows)

    def _call(
        self, function: object, result: Floats, query: Vectors, vectors: object, rows: Rows
    ) -> None:
        """Let faiss write one number per row of the float32 vectors at a pointer."""
        assert callable(function)
        use_threads(1)
        count = rows.shape[0]
        function(
            _pointer(result), _pointer(query), vectors, _pointer(rows), self.dimension, 1, count
        )

    def _finished(self, products: Floats, query: Vectors, rows: Rows | None) -> Floats:
        """Turn squared distances or inner products into distances, in place."""
        if self.metric is Metric.L2:
            return np.sqrt(products, out=products)
        if self.metric is Metric.INNER_PRODUCT:
            return np.negative(products, out=products)
        inverse, length = self._inverse_lengths.of(rows), length_of(query)
        if self._inverse_lengths.none_is_zero and length < math.inf:
            np.multiply(products, inverse, out=products)
            return _cosine_distances(products, _negative_inverse(length))
        # An infinite length, times its inverse, is no number: such a vector has no angle.
        with np.errstate(invalid="ignore"):
            np.multiply(products, inverse, out=products)
            return _cosine_distances(products, _negative_inverse(length))

    def _by_block(self, query: Vectors, rows: Rows | None) -> Floats:
        if self.metric.over_bits:
            return self._over_bits(np.ascontiguousarray(query, dtype=np.uint8), rows)
        prepared = np.ascontiguousarray(query, dtype=np.float32)
        count = len(self._vectors) if rows is None else len(rows)
        result = np.empty(count, dtype=np.float32)
        parts = blocks(count, self.dimension, _WIDENED_BYTES)
        wide = np.empty((parts[0][1] if parts else 0, self.dimension), dtype=np.float32)
        source = self._source(rows)
        for start, end in parts:
            block = source[start:end] if rows is None else source[rows[start:end]]
            widen(block, wide[: end - start])
            self._measure(result[start:end], prepared, wide[: end - start])
        return result if self.metric is Metric.L1 else self._finished(result, prepared, rows)

    def _measure(self, result: Floats, query: Floats, vectors: Floats) -> None:
        """Write what `_finished` takes; for L1 the distances themselves."""
        if self.metric is Metric.L1:
            result[:] = faiss.pairwise_distances(query[None], vectors, metric=faiss.METRIC_L1)[0]
            return
        function = _squared_distances if self.metric is Metric.L2 else _inner_products
        # Row by row, as for VECTOR: a product of matrices rounds otherwise, and waits for threads.
        self._call(function, result, query, _pointer(vectors), np.arange(len(vectors)))

    def _over_bits(self, query: Vectors, rows: Rows | None) -> Floats:
        count = len(self._vectors) if rows is None else len(rows)
        result = np.empty(count, dtype=np.float32)
        source = self._source(rows)
        for start, end in blocks(count, self.dimension):
            block = source[start:end] if rows is None else source[rows[start:end]]
            result[start:end] = self._bits_apart(query, block)
        return result

    def _bits_apart(self, query: Vectors, block: Vectors) -> Vectors:
        if self.metric is Metric.HAMMING:
            return _differing(query, block)
        # What two sets share follows from their sizes and what only one of them has.
        sizes = _differing(np.zeros_like(query), block) + int(np.bitwise_count(query).sum())
        both = (sizes - _differing(query, block)) >> 1
        return np.where(both == 0, 1.0, 1.0 - both / np.maximum(sizes - both, 1))

    def _candidates(self, queries: Floats, k: int, rows: Rows | None) -> list[Rows]:
        """Return for each query a superset of its exact top `k`, found by matrix products.

        Matrix products round differently from single distances, so rows within the rounding
        error of the k-th nearest stay in.
        """
        count = len(self._vectors) if rows is None else len(rows)
        kept = [np.empty(0, dtype=np.int64) for _ in queries]
        scores = [np.empty(0, dtype=np.float32) for _ in queries]
        lengths = norms(queries)
        rounding = 2.0**-23 * (16.0 + math.sqrt(self.dimension))
        largest = 0.0
        source = self._source(rows)
        for start, end in blocks(count, max(self.dimension, len(queries))):
            numbers = np.arange(start, end) if rows is None else rows[start:end]
            block = source[start:end] if rows is None else source[numbers]
            stored = floats(block)
            largest = max(largest, float(norms(stored).max()))
            with np.errstate(over="ignore", invalid="ignore"):
                matrix = self._scores(queries, lengths, stored, numbers)
            for number, row in enumerate(matrix):
                slack = rounding * _scale(self.metric, float(lengths[number]), largest)
                merged = np.concatenate([scores[number], row])
                names = np.concatenate([kept[number], numbers])
                inside = _within(merged, k, slack)
                scores[number], kept[number] = merged[inside], names[inside]
        return kept

    def _scores(self, queries: Floats, lengths: Floats, block: Floats, numbers: Rows) -> Floats:
        products: Floats = queries @ block.T
        if self.metric is Metric.INNER_PRODUCT:
            return np.negative(products, out=products)
        if self.metric is Metric.L2:
            squares = np.einsum("ij,ij->i", block, block)
            return np.asarray(squares - 2.0 * products + np.square(lengths)[:, None])
        scales = np.negative(_inverse(lengths))
        return np.asarray(products * self._inverse_lengths.of(numbers) * scales[:, None])


def _scale(metric: Metric, query_length: float, largest: float) -> float:
    """Return the size of the numbers whose rounding decides the error of a score."""
    if metric is Metric.L2:
        return (query_length + largest) ** 2
    return 1.0 if metric is Metric.COSINE else query_length * largest


def _within(scores: Floats, k: int, slack: float) -> npt.NDArray[np.int64] | slice:
    """Return where scores are at most the k-th smallest plus `slack`; all where that is NaN."""
    if len(scores) <= k:
        return slice(None)
    worst = np.partition(scores, k - 1)[k - 1] if k else -np.inf
    return slice(None) if worst != worst else np.flatnonzero(scores <= worst + slack)


def _differing(query: Vectors, block: Vectors) -> npt.NDArray[np.int32]:
    """Return how many bits differ from `query`, (bytes,), in each row of (rows, bytes).

    numpy counts bits as fast, but adds them up twenty times slower.
    """
    counts = np.empty(len(block), dtype=np.int32)
    _hamming_distances(
        _pointer(query), _pointer(block), 1, len(block), block.shape[1], _pointer(counts)
    )
    return counts
