"""Exact distances against formulas written out in double precision."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vsql.core.dense import floats, stored
from vsql.core.distance import Metric
from vsql.core.protocols import Rows, Vectors
from vsql.core.types import DENSE, Family
from vsql.index.exact import ExactRanker, KeptLengths, norms, top_k

NUMERIC = (Metric.L2, Metric.INNER_PRODUCT, Metric.COSINE, Metric.L1)
BITS = (Metric.HAMMING, Metric.JACCARD)


def expected(metric: Metric, query: Vectors, vectors: Vectors) -> npt.NDArray[np.float64]:
    if metric.over_bits:
        a, b = np.unpackbits(query).astype(bool), np.unpackbits(vectors, axis=1).astype(bool)
        both, either = (a & b).sum(axis=1), (a | b).sum(axis=1)
        if metric is Metric.HAMMING:
            return (a ^ b).sum(axis=1).astype(np.float64)
        return np.where(both == 0, 1.0, 1 - both / np.maximum(either, 1))
    a, b = floats(query).astype(np.float64), floats(vectors).astype(np.float64)
    match metric:
        case Metric.L2:
            return np.asarray(np.sqrt(((a - b) ** 2).sum(axis=1)))
        case Metric.L1:
            return np.asarray(np.abs(a - b).sum(axis=1))
        case Metric.INNER_PRODUCT:
            return np.asarray(-(b @ a))
    lengths = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum(axis=1))
    return 1 - np.divide(b @ a, lengths, out=np.full(len(b), np.nan), where=lengths > 0)


def sample(metric: Metric, rows: int, dimension: int, family: Family = Family.VECTOR) -> Vectors:
    random = np.random.default_rng(dimension)
    if metric.over_bits:
        return random.integers(0, 256, (rows, dimension), dtype=np.uint8)
    vectors = random.standard_normal((rows, dimension))
    vectors = stored(40 * vectors if family is Family.INT8VEC else vectors, family)
    if rows > 3:
        vectors[3] = 0
    return vectors


families = pytest.mark.parametrize("family", DENSE, ids=lambda family: family.value)


@families
@pytest.mark.parametrize("dimension", [1, 2, 3, 7, 8, 16, 33, 384])
@pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.value)
def test_distances(metric: Metric, dimension: int, family: Family) -> None:
    vectors = sample(metric, 50, dimension, family)
    query = sample(metric, 1, dimension, family)[0]
    query = query if metric.over_bits else floats(query)
    ranker = ExactRanker(metric, vectors)
    rows = np.array([7, 3, 0, 7, 49])
    wanted = expected(metric, query, vectors)
    np.testing.assert_allclose(ranker.distances(query), wanted, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(ranker.distances(query, rows), wanted[rows], rtol=2e-5, atol=2e-5)
    assert ranker.distances(query, rows).dtype == np.float32
    assert ranker.distances(query, rows[:0]).shape == (0,)
    np.testing.assert_array_equal(ranker.distances(query)[rows], ranker.distances(query, rows))


@families
@pytest.mark.parametrize("k", [0, 1, 5, 60])
@pytest.mark.parametrize("some", [False, True], ids=["all", "some"])
@pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.value)
def test_batches_agree_with_single_searches(
    metric: Metric, some: bool, k: int, family: Family
) -> None:
    parts = [sample(metric, rows, 8, family) for rows in (20, 20, 5)]
    vectors = np.concatenate(parts)
    rows = np.array([0, 3, 5, 20, 25, 23, 41]) if some else np.arange(len(vectors))
    queries = vectors[:4].copy() if metric.over_bits else floats(vectors[:4]).copy()
    ranker = ExactRanker(metric, vectors)
    found, distances = ranker.nearest(queries, k, rows if some else None)
    for number, query in enumerate(queries):
        best, wanted = top_k(ranker.distances(query, rows), rows, k)
        assert found[number, : len(best)].tolist() == best.tolist()
        np.testing.assert_array_equal(distances[number, : len(best)], wanted)
        assert (found[number, len(best) :] == -1).all()
        assert np.isnan(distances[number, len(best) :]).all()


@pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.value)
def test_ranked_candidates_are_as_far_as_single_ones(metric: Metric) -> None:
    vectors, queries = sample(metric, 300, 33), sample(metric, 20, 33)[::-1].copy()
    ranker = ExactRanker(metric, vectors)
    rows = np.arange(len(vectors))
    candidates = np.tile(rows[::-1], (len(queries), 1))
    candidates[:, 7] = -1
    found, distances = ranker.rank(queries, candidates, 50)
    for number, query in enumerate(queries):
        kept = np.sort(candidates[number][candidates[number] >= 0])
        best, wanted = top_k(ranker.distances(query, kept), kept, 50)
        assert found[number].tolist() == best.tolist()
        np.testing.assert_array_equal(distances[number], wanted)


def test_batches_far_from_the_origin_keep_the_true_nearest() -> None:
    vectors = (1000 + np.random.default_rng(0).standard_normal((500, 64))).astype(np.float32)
    ranker = ExactRanker(Metric.L2, vectors)
    rows = np.arange(500)
    found, _ = ranker.nearest(vectors[:20], 5)
    for number in range(20):
        best, _ = top_k(ranker.distances(vectors[number], rows), rows, 5)
        assert found[number].tolist() == best.tolist()


def test_all_lengths_are_measured_once_some_were_asked_for() -> None:
    asked: list[Any] = []

    def measure(rows: Rows | None) -> Any:
        asked.append(None if rows is None else rows.tolist())
        return np.ones(1_000 if rows is None else len(rows))

    kept = KeptLengths(1_000, measure)
    for _ in range(9):
        kept.of(np.arange(10))
    assert asked == [list(range(10)), None]


def test_lengths_are_measured_once_and_only_of_rows_that_are_asked_for() -> None:
    lengths = np.arange(1_000.0)
    asked: list[Any] = []

    def measure(rows: Rows | None) -> Any:
        asked.append(None if rows is None else rows.tolist())
        return lengths.copy() if rows is None else lengths[rows]

    kept = KeptLengths(len(lengths), measure, kept_in_memory=False)
    for start in range(1, 400, 20):
        wanted = np.arange(start, start + 40)
        assert kept.of(wanted).tolist() == wanted.tolist()
        assert kept.none_is_zero
    assert [row for rows in asked for row in rows] == list(range(1, 421))
    assert kept.of(np.array([5, 0])).tolist() == [5, 0]
    assert not kept.none_is_zero
    # Who asks for many has them all computed, after which nothing is left to measure.
    assert kept.of(np.arange(500, 600)).tolist() == list(range(500, 600))
    assert kept.of(np.array([999])).tolist() == [999]
    assert kept.of(None).tolist() == lengths.tolist()
    assert asked[-2:] == [[0], None]


def test_few_rows_are_read_where_nothing_is_read_ahead() -> None:
    vectors = np.zeros((1_000, 4), dtype=np.float32)
    ranker = ExactRanker(Metric.L2, vectors, scattered=vectors + np.float32(1))
    query = np.zeros(4, dtype=np.float32)
    assert ranker.distances(query, np.arange(10)).tolist() == [2.0] * 10
    assert ranker.distances(query, np.arange(500)).tolist() == [0.0] * 500
    assert ranker.distances(query).tolist() == [0.0] * 1_000


def test_many_blocks() -> None:
    vectors = np.random.default_rng(1).standard_normal((9_000, 512)).astype(np.float16)
    ranker = ExactRanker(Metric.COSINE, vectors)
    found, distances = ranker.nearest(vectors[8_990:], 1)
    assert found[:, 0].tolist() == list(range(8_990, 9_000))
    assert (distances < 1e-5).all()
    np.testing.assert_allclose(
        norms(vectors), np.linalg.norm(vectors.astype("f8"), axis=1), rtol=1e-5
    )


def test_top_k_orders_by_distance_then_row_with_nan_last() -> None:
    distances = np.array([2, 1, np.nan, 1, 0, np.nan, 1], dtype=np.float32)
    rows = np.array([10, 9, 8, 7, 6, 5, 4])
    order = [6, 4, 7, 9, 10, 5, 8]
    for k in range(10):
        assert top_k(distances, rows, k)[0].tolist() == order[:k]


def test_cosine_is_clamped_and_undefined_for_zero() -> None:
    vectors = np.array([[0.1, 0.3], [-0.1, -0.3], [0, 0]], dtype=np.float32)
    ranker = ExactRanker(Metric.COSINE, vectors)
    rows = np.arange(3)
    same = ranker.distances(vectors[0], rows)
    assert 0 <= same[0] < 1e-6
    assert 2 - 1e-6 < same[1] <= 2
    assert np.isnan(same[2])
    assert np.isnan(ranker.distances(vectors[2], rows)).all()
    assert ranker.nearest(vectors[2:], 2)[0].tolist() == [[0, 1]]


def test_bits_are_unsigned_bytes() -> None:
    with pytest.raises(AssertionError):
        ExactRanker(Metric.HAMMING, np.zeros((1, 8), dtype=np.float32))
    with pytest.raises(AssertionError):
        ExactRanker(Metric.L2, np.zeros((1, 8), dtype=np.uint8))
