"""The kinds over bits: against exact search, at odd sizes, damaged, calibrated."""

from pathlib import Path

import numpy as np
import pytest

from vsql.core.bits import packed
from vsql.core.distance import Metric
from vsql.core.protocols import Bits, Rows, Shape, VectorIndexKind, VectorSearcher
from vsql.core.types import named
from vsql.index import faiss_binary, minhash, row_lists
from vsql.index.calibrate import measure
from vsql.index.exact import ExactRanker

CASES: tuple[tuple[VectorIndexKind, Metric], ...] = (
    (row_lists.BIN_IVF_FLAT, Metric.HAMMING),
    (row_lists.BIN_IVF_FLAT, Metric.JACCARD),
    (faiss_binary.BIN_HNSW, Metric.HAMMING),
    (minhash.MINHASH_LSH, Metric.JACCARD),
)
cases = pytest.mark.parametrize(
    ("kind", "metric"), CASES, ids=[f"{kind.name}-{metric.value}" for kind, metric in CASES]
)


def families(rows: int, bits: int, seed: int = 0, share: float = 0.2) -> Bits:
    """Return packed bits near one of a dozen parents, which have a share of the bits set."""
    random = np.random.default_rng(seed)
    parents = np.random.default_rng(99).random((12, bits)) < share
    members = parents[random.integers(0, 12, rows)] ^ (random.random((rows, bits)) < 0.02)
    return np.packbits(members, axis=1)


def build(kind: VectorIndexKind, vectors: Bits, metric: Metric) -> VectorSearcher:
    options = {option.name: option.default for option in kind.options}
    return kind.build(vectors, metric, options, threads=1, progress=lambda _: None)


def recall(
    searcher: VectorSearcher,
    ranker: ExactRanker,
    queries: Bits,
    k: int,
    bitmap: Bits | None = None,
    rows: Rows | None = None,
) -> float:
    """Return the share of exact distances reached: many rows are as far as the k-th."""
    found = searcher.search(queries, searcher.candidates(k), searcher.efforts[-1], bitmap)
    best = ranker.rank(queries, found, k)[1]
    exact = ranker.nearest(queries, k, rows)[1]
    wanted = ~np.isnan(exact)
    return float((best[wanted] <= exact[wanted]).mean())


@cases
@pytest.mark.parametrize("bits", [64, 200, 1024])
def test_recall_at_most_effort(kind: VectorIndexKind, metric: Metric, bits: int) -> None:
    vectors, queries = families(1_500, bits), families(40, bits, seed=1)
    searcher = build(kind, vectors, metric)
    ranker = ExactRanker(metric, vectors)
    assert recall(searcher, ranker, queries, 10) >= 0.9
    mask = np.random.default_rng(2).random(1_500) < 0.5
    assert recall(searcher, ranker, queries, 10, packed(mask), np.flatnonzero(mask)) >= 0.85


@cases
@pytest.mark.parametrize("bits", [8, 128])
@pytest.mark.parametrize("rows", [0, 1, 2, 17, 100])
def test_small_segments(
    kind: VectorIndexKind,
    metric: Metric,
    rows: int,
    bits: int,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    vectors, queries = families(rows, bits), families(3, bits, seed=1)
    vectors[::3] = 0
    built = build(kind, vectors, metric)
    built.save(tmp_path / "index")
    loaded = kind.load(tmp_path / "index")
    odd = np.arange(rows) % 2 == 1
    for bitmap, allowed in ((None, set(range(rows))), (packed(odd), set(range(1, rows, 2)))):
        for effort in built.efforts:
            found = built.search(queries, rows + 5, effort, bitmap)
            np.testing.assert_array_equal(loaded.search(queries, rows + 5, effort, bitmap), found)
            for row in found:
                present = row[row >= 0].tolist()
                assert len(present) == len(set(present))
                assert set(present) <= allowed
                assert (row[len(present) :] == -1).all()
        if kind.shape is Shape.ROWS and bitmap is not None:
            dense = built.search_dense(queries[0], 5, 1, bitmap, 0.0)
            assert set(dense[dense >= 0].tolist()) <= allowed
    assert built.search(queries[:0], 3, 10).shape[0] == 0
    assert built.byte_size() >= 0
    assert capfd.readouterr() == ("", "")


@cases
def test_unusable_files(kind: VectorIndexKind, metric: Metric, tmp_path: Path) -> None:
    path = tmp_path / "index"
    with pytest.raises(OSError, match="index"):
        kind.load(path)
    build(kind, families(300, 64), metric).save(path)
    whole = path.read_bytes()
    end = len(whole) - 24
    for length in (*range(0, end, end // 12), *range(end - 12, end)):
        path.write_bytes(whole[:length])
        with pytest.raises((OSError, ValueError)):
            kind.load(path)


@cases
def test_support(kind: VectorIndexKind, metric: Metric) -> None:
    assert kind.supports(named("BIT", (64,)), metric)
    assert not kind.supports(named("VECTOR", (64,)), Metric.L2)
    assert not kind.supports(named("BIT", (64,)), Metric.L2)


@cases
@pytest.mark.parametrize("rows", [0, 1, 5, 400])
def test_calibration(kind: VectorIndexKind, metric: Metric, rows: int) -> None:
    vectors = families(rows, 256)
    curve, exact = measure(build(kind, vectors, metric), vectors, metric, shape=kind.shape)
    assert (exact > 0) == bool(curve) == bool(rows)
    for point in curve:
        assert 0 <= point.recall <= 1
        assert point.nanoseconds > 0


@pytest.mark.parametrize("metric", [Metric.HAMMING, Metric.JACCARD])
def test_the_promise_holds_for_rows_outside(metric: Metric) -> None:
    vectors, queries = families(4_000, 256), families(200, 256, seed=5)
    kind = row_lists.BIN_IVF_FLAT
    searcher = build(kind, vectors, metric)
    ranker = ExactRanker(metric, vectors)
    curve, _ = measure(searcher, vectors, metric, shape=kind.shape)
    exact = ranker.nearest(queries, 10)[1]
    for point in curve:
        if point.depth != 10:
            continue
        found = searcher.search(queries, 10, point.effort)
        reached = ranker.rank(queries, found, 10)[1] <= exact
        assert reached.mean() >= point.recall - 0.05


def test_a_query_without_bits() -> None:
    vectors = families(200, 64)
    nothing = np.zeros((1, 8), dtype=np.uint8)
    for kind, metric in CASES:
        found = build(kind, vectors, metric).search(nothing, 5, 1)
        assert found.shape[0] == 1
