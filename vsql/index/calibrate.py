"""Recall, measured: what each search setting of a structure gives on a segment's own vectors.

Stored vectors as queries would flatter a structure: a vector finds itself at once, and from there
the neighbours that construction linked to it. So a query is a stored vector pushed away from its
tenth neighbour and towards an unrelated one. How far was chosen on 62,666 sentence embeddings, so
that at depths 10 and 100 the mean promise is below what 500 embeddings outside the table get. At
depth 1000 lists still promise too much: two points at a quarter of the lists, more below. Plain
noise, midpoints of neighbours, and stored vectors with themselves left out promised one or two
points too much at depth 10 already. Bits have no directions: there a query is a stored row with
half as many bits turned as its tenth neighbour differs in.
"""

import math
import statistics
import time

import faiss
import numpy as np

from vsql.core.dense import floats
from vsql.core.distance import Metric
from vsql.core.protocols import Bits, Floats, Rows, Shape, Vectors, VectorSearcher
from vsql.core.snapshot import CurvePoint
from vsql.index.exact import ExactRanker, top_k

DEPTHS = (10, 100, 1_000)
QUERIES = 256
_QUERIES_OF_DEPTH = {10: 256, 100: 64, 1_000: 16}
"""Deeper answers average over more rows each, so fewer queries measure as well, and cost more."""
_NEIGHBOUR_RANK = 10
_AWAY = np.float32(0.5)
_TOWARDS = np.float32(0.5)
_CENTRE_ROWS = 4_096
_EXACT_ROWS = 2_048
_EXACT_REPEATS = 9
_MANY_ROWS = 20_000
"""From here on, an effort that costs more than measuring every row is not worth measuring."""
_RECALL_ENOUGH = 0.9995
"""Past this recall further effort cannot show; measuring it would only cost time."""


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

    `vectors` is as in the column; `valid_rows`
    are those that are not NULL, None for all. Depths are 10, 100 and 1000, bounded by the rows;
    recall is after exact ranking of the candidates, as the executor does it; nanoseconds are the
    median per query on one thread, with that ranking.
    The choice of queries depends on `seed` alone.
    """
    rows = np.arange(len(vectors), dtype=np.int64) if valid_rows is None else valid_rows
    if not len(rows):
        return (), 0.0
    random = np.random.default_rng(seed)
    ranker = ExactRanker(metric, vectors)
    queries = _queries(ranker, vectors, rows, random)
    depths = sorted({min(depth, len(rows)) for depth in DEPTHS})
    exact = ranker.nearest(queries, depths[-1], None if valid_rows is None else rows)[0]
    valid = None if valid_rows is None else _bitmap(valid_rows, len(vectors))
    exact_nanoseconds = _exact_nanoseconds(ranker, queries[0], rows, random)
    dearest = exact_nanoseconds * len(rows) if len(rows) >= _MANY_ROWS else math.inf
    points: list[CurvePoint] = []
    # A structure that was just mapped is not in memory yet. One query scans every list; a graph
    # shows each only a part.
    warming = queries if shape is Shape.GRAPH else queries[:1]
    searcher.search(warming, searcher.candidates(1), searcher.efforts[-1])
    for depth in depths:
        count = max(size for limit, size in _QUERIES_OF_DEPTH.items() if limit >= depth)
        nearest = exact[:count, :depth]
        points += _curve(searcher, ranker, queries[:count], nearest, shape, valid, dearest)
    return tuple(points), exact_nanoseconds


def _queries(
    ranker: ExactRanker, vectors: Vectors, rows: Rows, random: np.random.Generator
) -> Vectors:
    """Return vectors among stored ones but on none, as structures want queries."""
    chosen = random.choice(rows, min(QUERIES, len(rows)), replace=False)
    others = random.choice(rows, max(_CENTRE_ROWS, len(chosen)))
    everything = len(rows) == len(vectors)
    if ranker.metric.over_bits:
        near_rows = _neighbours(ranker, vectors[chosen], rows, everything)
        return _moved_bits(vectors[chosen], vectors[near_rows], vectors[others], random)
    stored = _directions(vectors[chosen], ranker.metric)
    unrelated = _directions(vectors[others], ranker.metric)
    near = _directions(vectors[_neighbours(ranker, stored, rows, everything)], ranker.metric)
    towards = unrelated[: len(chosen)] - unrelated.mean(axis=0)
    return _directions(stored + _AWAY * (stored - near) + _TOWARDS * towards, ranker.metric)


def _bitmap(rows: Rows, count: int) -> Bits:
    """Return a read-only bitmap of rows, as searches of a column with NULLs take."""
    flags = np.zeros(count, dtype=np.bool_)
    flags[rows] = True
    bitmap = np.packbits(flags, bitorder="little")
    bitmap.flags.writeable = False
    return bitmap


def _neighbours(ranker: ExactRanker, queries: Vectors, rows: Rows, everything: bool) -> Rows:
    """Return the tenth neighbour of each query, a stored vector, among `rows`."""
    rank = min(_NEIGHBOUR_RANK + 1, len(rows))
    return ranker.nearest(queries, rank, None if everything else rows)[0][:, -1]


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
    searcher: VectorSearcher,
    ranker: ExactRanker,
    queries: Vectors,
    exact: Rows,
    shape: Shape,
    valid: Bits | None,
    dearest: float,
) -> list[CurvePoint]:
    """Return one point per effort, until recall is complete or exact search is cheaper."""
    depth = exact.shape[1]
    wanted = searcher.candidates(depth)
    points: list[CurvePoint] = []
    for place, effort in enumerate(searcher.efforts):
        following = searcher.efforts[place + 1 : place + 2]
        if shape is Shape.GRAPH and following and following[0] <= wanted:
            # A graph looks at no fewer vectors than it is asked for: the next effort is the same.
            continue
        recall, nanoseconds = _run(searcher, ranker, queries, exact, wanted, effort, valid)
        points.append(CurvePoint(effort, depth, recall, nanoseconds))
        if recall >= _RECALL_ENOUGH or nanoseconds > dearest:
            break
    return points


def _run(
    searcher: VectorSearcher,
    ranker: ExactRanker,
    queries: Vectors,
    exact: Rows,
    wanted: int,
    effort: int,
    valid: Bits | None,
) -> tuple[float, float]:
    """Return mean recall and median nanoseconds of single searches at one effort."""
    depth = exact.shape[1]
    times: list[int] = []
    hits = 0
    for number in range(len(queries)):
        query = queries[number : number + 1]
        start = time.perf_counter_ns()
        rows = searcher.search(query, wanted, effort, valid)[0]
        found = _ranked(ranker, query[0], rows, depth)
        times.append(time.perf_counter_ns() - start)
        hits += len(np.intersect1d(found, exact[number], assume_unique=True))
    return hits / (len(queries) * depth), float(statistics.median(times))


def _ranked(ranker: ExactRanker, query: Vectors, rows: Rows, depth: int) -> Rows:
    rows = rows[rows >= 0]
    return top_k(ranker.distances(query, rows), rows, depth)[0]


def _exact_nanoseconds(
    ranker: ExactRanker, query: Vectors, rows: Rows, random: np.random.Generator
) -> float:
    """Return the cost of one distance, ascending random rows, as a filter delivers them."""
    chosen = np.sort(random.choice(rows, min(_EXACT_ROWS, len(rows)), replace=False))
    times: list[int] = []
    for _ in range(_EXACT_REPEATS):
        start = time.perf_counter_ns()
        ranker.distances(query, chosen)
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / len(chosen)
