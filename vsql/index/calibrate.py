"""Recall, measured: what each search setting of a structure gives on a segment's own vectors.

No one kind of query made from stored vectors is as hard as those to come, so two kinds are asked
and the lower recall counts. A stored vector, left out of its own answer, lies where queries do; but
a graph has linked its neighbours for it: on 62,666 sentence embeddings it promised up to five
points more than 500 embeddings outside the table got. A stored vector pushed away from its tenth
neighbour and towards an unrelated one has no such links; but it lies outside of tight clusters,
where rows differ in distance more than around a real query, and codes tell them apart more easily:
over clusters of 24 intrinsic dimensions SCANN promised 0.97 of the top 1000 and gave 0.945, and
0.72 of the top 10 and gave 0.48. Whether the codes had been trained on a query made no difference.
How far a query is pushed was chosen on those embeddings; plain noise and midpoints of neighbours
promised too much. Bits have no directions: there a moved query is a stored row with half as many
bits turned as its tenth neighbour differs in.
"""

import math
import statistics
import time
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from vsql.core.bits import bits_of
from vsql.core.dense import floats
from vsql.core.distance import Metric
from vsql.core.protocols import Bits, Floats, Ranker, Rows, Shape, Vectors, VectorSearcher
from vsql.core.snapshot import CurvePoint
from vsql.index.exact import ExactRanker, top_k

DEPTHS = (10, 100, 1_000)
QUERIES = 160
_QUERIES_OF_DEPTH = {10: 160, 100: 48, 1_000: 24}
"""Of each kind. Deeper answers average over more rows, so fewer queries measure as well, and cost
more; but queries differ, and 16 of them were a point and a half off."""
_NEIGHBOUR_RANK = 10
_AWAY = np.float32(0.5)
_TOWARDS = np.float32(0.5)
_CENTRE_ROWS = 4_096
_EXACT_ROWS = 8_192
"""About as many as where exact search and a scan cost the same: fewer stay in the cache, and
promise what more don't keep."""
_EXACT_WARMING = 4
_EXACT_REPEATS = 9
_MANY_ROWS = 20_000
"""From here on, an effort that costs more than measuring every row is not worth measuring."""
_REORDER_FACTORS = (1, 2, 4, 8, 16)
_REORDER_QUERIES = 24
_REORDER_RECALL = 0.99
_REORDER_GAIN = 0.002
_BLURRED_CANDIDATES = 3
"""Codes that ask for fewer candidates than so many times the depth blur next to nothing."""
_RECALL_ENOUGH = 0.9995
"""Past this recall further effort cannot show; measuring it would only cost time."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Queries of one kind and the rows nearest to each, (queries, depth), without its own row."""

    queries: Vectors
    own_rows: Rows
    nearest: Rows


@dataclass(frozen=True, slots=True)
class _Measured:
    """A structure, what ranks its candidates exactly, and which rows are valid, None for all."""

    searcher: VectorSearcher
    ranker: ExactRanker
    shape: Shape
    valid: Bits | None

    def run(self, sample: _Sample, wanted: int, effort: int) -> tuple[float, list[int]]:
        """Return mean recall and the nanoseconds of single searches at one effort."""
        depth = sample.nearest.shape[1]
        times: list[int] = []
        hits = 0
        for number, own_row in enumerate(sample.own_rows):
            query = sample.queries[number : number + 1]
            start = time.thread_time_ns()
            candidates = wanted + int(own_row >= 0)
            rows = self.searcher.search(query, candidates, effort, self.valid)[0]
            found = _ranked(self.ranker, query[0], rows[rows != own_row], depth)
            times.append(time.thread_time_ns() - start)
            hits += len(np.intersect1d(found, sample.nearest[number], assume_unique=True))
        return hits / sample.nearest.size, times


# Squares of large numbers are infinite, as faiss has them.
@np.errstate(over="ignore", invalid="ignore")
def measure(
    searcher: VectorSearcher,
    vectors: Vectors,
    metric: Metric,
    *,
    shape: Shape,
    valid_rows: Rows | None = None,
    seed: int = 0,
) -> tuple[tuple[CurvePoint, ...], float]:
    """Return the curve of a structure, and the nanoseconds of one exact distance by row number.

    `vectors` is as in the column; `valid_rows` are those that are not NULL, None for all. Depths
    are 10, 100 and 1000, bounded by the rows; recall is after exact ranking of the candidates, as
    the executor does it, and the lower of two kinds of queries; nanoseconds are the median per
    query on one thread, with that ranking. What the thread waits for others is not counted: beside
    a busy one, exact search seemed the cheapest for good. The choice of queries depends on `seed`
    alone.
    """
    rows = np.arange(len(vectors), dtype=np.int64) if valid_rows is None else valid_rows
    if not len(rows):
        return (), 0.0
    random = np.random.default_rng(seed)
    ranker = ExactRanker(metric, vectors)
    depths = sorted({min(depth, len(rows)) for depth in DEPTHS})
    samples = _samples(ranker, vectors, rows, QUERIES, depths[-1], random)
    queries = samples[0].queries
    valid = None if valid_rows is None else bits_of(valid_rows, len(vectors))
    measured = _Measured(searcher, ranker, shape, valid)
    exact = exact_nanoseconds(ranker, queries[0], rows, random)
    dearest = exact * len(rows) if len(rows) >= _MANY_ROWS else math.inf
    points: list[CurvePoint] = []
    # A structure that was just mapped is not in memory yet. One query scans every list; a graph
    # shows each only a part.
    warming = queries if shape is Shape.GRAPH else queries[:1]
    searcher.search(warming, searcher.candidates(1), searcher.efforts[-1])
    for depth in depths:
        count = max(size for limit, size in _QUERIES_OF_DEPTH.items() if limit >= depth)
        fewer = [
            _Sample(one.queries[:count], one.own_rows[:count], one.nearest[:count, :depth])
            for one in samples
        ]
        points += _curve(measured, fewer, depth, dearest)
    return tuple(points), exact


@np.errstate(over="ignore", invalid="ignore")
def reorder_factor(searcher: VectorSearcher, vectors: Vectors, metric: Metric) -> int:
    """Return how many times as many candidates as usual hold the top 10 of a whole segment."""
    rows = np.flatnonzero(vectors.any(axis=1))
    if not len(rows):
        return 1
    ranker = ExactRanker(metric, vectors)
    depth = min(DEPTHS[0], len(rows))
    random = np.random.default_rng(0)
    samples = _samples(ranker, vectors, rows, _REORDER_QUERIES, depth, random)
    return _reorder_factor(_Measured(searcher, ranker, Shape.LISTS, None), samples, depth)


def _samples(
    ranker: ExactRanker,
    vectors: Vectors,
    rows: Rows,
    count: int,
    depth: int,
    random: np.random.Generator,
) -> list[_Sample]:
    """Return queries of both kinds, the moved ones first, without those that have no neighbours."""
    moved = _queries(ranker, vectors, rows, count, random)
    nowhere = np.full(len(moved), -1, dtype=np.int64)
    stored = _stored(ranker, vectors, rows, count, random)
    asked = [_sample(ranker, *each, depth, rows) for each in ((moved, nowhere), stored)]
    return [sample for sample in asked if sample.nearest.size]


def _queries(
    ranker: ExactRanker, vectors: Vectors, rows: Rows, count: int, random: np.random.Generator
) -> Vectors:
    """Return vectors among stored ones but on none, as structures want queries."""
    chosen = random.choice(rows, min(count, len(rows)), replace=False)
    others = random.choice(rows, max(_CENTRE_ROWS, len(chosen)))
    if ranker.metric.over_bits:
        near_rows = _neighbours(ranker, vectors[chosen], rows)
        return _moved_bits(vectors[chosen], vectors[near_rows], vectors[others], random)
    stored = _directions(vectors[chosen], ranker.metric)
    unrelated = _directions(vectors[others], ranker.metric)
    near = _directions(vectors[_neighbours(ranker, stored, rows)], ranker.metric)
    towards = unrelated[: len(chosen)] - unrelated.mean(axis=0)
    return _directions(stored + _AWAY * (stored - near) + _TOWARDS * towards, ranker.metric)


def _stored(
    ranker: ExactRanker, vectors: Vectors, rows: Rows, count: int, random: np.random.Generator
) -> tuple[Vectors, Rows]:
    """Return vectors of the segment as queries, and their rows; a zero vector has no neighbours."""
    chosen = random.choice(rows, min(count, len(rows)), replace=False)
    chosen = chosen[vectors[chosen].any(axis=1)]
    if ranker.metric.over_bits:
        return vectors[chosen], chosen
    return _directions(vectors[chosen], ranker.metric), chosen


def _sample(
    ranker: ExactRanker, queries: Vectors, own_rows: Rows, depth: int, rows: Rows
) -> _Sample:
    """Return the queries with the nearest `depth` of `rows`, fewer where there are no more.

    `own_rows` are the rows that the queries are, -1 for none.
    """
    found = _nearest(ranker, queries, min(depth + 1, len(rows)), rows)
    others = np.argsort(found == own_rows[:, None], axis=1, kind="stable")
    depth = min(depth, len(rows) - int((own_rows >= 0).any()))
    return _Sample(queries, own_rows, np.take_along_axis(found, others, axis=1)[:, :depth])


def _neighbours(ranker: ExactRanker, queries: Vectors, rows: Rows) -> Rows:
    """Return the tenth neighbour of each query, a stored vector, among `rows`."""
    rank = min(_NEIGHBOUR_RANK + 1, len(rows))
    return _nearest(ranker, queries, rank, rows)[:, -1]


def _nearest(ranker: ExactRanker, queries: Vectors, count: int, rows: Rows) -> Rows:
    # Without row numbers the vectors are read in place.
    return ranker.nearest(queries, count, None if len(rows) == len(ranker) else rows)[0]


def _moved_bits(
    stored: Vectors, near: Vectors, unrelated: Vectors, random: np.random.Generator
) -> Vectors:
    """Return packed bits, each stored one moved half its distance to its neighbour.

    It moves towards an unrelated one, so that a query has as many bits as rows have.
    """
    moved = np.unpackbits(stored, axis=1)
    for number, bits in enumerate(moved):
        distance = int(np.bitwise_count(stored[number] ^ near[number]).sum())
        other = np.unpackbits(unrelated[number])
        differing = np.flatnonzero(bits != other)
        turned = random.choice(differing, min(-(-distance // 2), len(differing)), replace=False)
        bits[turned] = other[turned]
    return np.packbits(moved, axis=1)


def _directions(vectors: Vectors, metric: Metric) -> Floats:
    """Return a float32 copy, normalised under cosine."""
    copy = np.array(floats(vectors), order="C")
    if metric is Metric.COSINE:
        faiss.normalize_L2(copy)
    return copy


def _curve(
    measured: _Measured, samples: list[_Sample], depth: int, dearest: float
) -> list[CurvePoint]:
    """Return one point per effort, until recall is complete or exact search is cheaper."""
    searcher = measured.searcher
    factor = _reorder_factor(measured, samples, depth)
    wanted = factor * searcher.candidates(depth)
    points: list[CurvePoint] = []
    for place, effort in enumerate(searcher.efforts):
        following = searcher.efforts[place + 1 : place + 2]
        if measured.shape is Shape.GRAPH and following and following[0] <= wanted:
            # A graph looks at no fewer vectors than it is asked for: the next effort is the same.
            continue
        runs = [measured.run(sample, wanted, effort) for sample in samples]
        recall = min(recall for recall, _ in runs)
        nanoseconds = float(statistics.median(took for _, times in runs for took in times))
        points.append(CurvePoint(effort, depth, recall, nanoseconds, factor))
        if recall >= _RECALL_ENOUGH or nanoseconds > dearest:
            break
    return points


def _reorder_factor(measured: _Measured, samples: list[_Sample], depth: int) -> int:
    """Return how many times as many candidates as usual hold the top `depth`.

    How much codes of a length blur depends on the vectors: of clusters with few dimensions of their
    own, codes of 2 bits had half the top 10 among the 50 first.
    """
    usual, most = measured.searcher.candidates(depth), measured.searcher.efforts[-1]
    if usual < _BLURRED_CANDIDATES * depth:
        return 1
    limit = most if measured.shape is Shape.GRAPH else len(measured.ranker)
    few = [_first(sample) for sample in samples]
    best, found = 0.0, 1
    for factor in _REORDER_FACTORS:
        if factor * usual > limit:
            break
        recall = min(measured.run(sample, factor * usual, most)[0] for sample in few)
        if recall > best + _REORDER_GAIN:
            best, found = recall, factor
        if recall >= _REORDER_RECALL:
            break
    return found


def _first(sample: _Sample) -> _Sample:
    few = slice(_REORDER_QUERIES)
    return _Sample(sample.queries[few], sample.own_rows[few], sample.nearest[few])


def _ranked(ranker: ExactRanker, query: Vectors, rows: Rows, depth: int) -> Rows:
    rows = rows[rows >= 0]
    return top_k(ranker.distances(query, rows), rows, depth)[0]


def exact_nanoseconds(ranker: Ranker, query: Any, rows: Rows, random: np.random.Generator) -> float:
    """Return the cost of one distance, ascending random rows, as a filter delivers them.

    Once they were read: a filter is asked for again, and what the first time costs is the disk's.
    """
    chosen = np.sort(random.choice(rows, min(_EXACT_ROWS, len(rows)), replace=False))
    times: list[int] = []
    for _ in range(_EXACT_WARMING + _EXACT_REPEATS):
        start = time.thread_time_ns()
        ranker.distances(query, chosen)
        times.append(time.thread_time_ns() - start)
    return statistics.median(times[_EXACT_WARMING:]) / len(chosen)
