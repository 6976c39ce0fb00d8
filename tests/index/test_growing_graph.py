"""The graph of a growing segment against exact search."""

from threading import Thread

import numpy as np
import pytest

from vsql.core.bits import packed
from vsql.core.distance import Metric
from vsql.index.exact import ExactRanker
from vsql.index.hnsw import GrowingGraph


def vectors_of(rows: int, dimension: int = 16) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(rows).standard_normal((rows, dimension)).astype(np.float32)


@pytest.mark.parametrize("share", [None, 0.0, 0.001, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.L2, Metric.INNER_PRODUCT])
def test_recall_under_any_filter(metric: Metric, share: float | None) -> None:
    vectors = vectors_of(2_500)
    graph = GrowingGraph(16, metric)
    for start in range(0, 2_500, 700):
        graph.add(vectors[start : start + 700], start)
    assert len(graph) == 2_500
    mask = np.random.default_rng(1).random(2_500) < (1.0 if share is None else share)
    bitmap = None if share is None else packed(mask)
    queries = vectors_of(20)
    found = graph.search(queries, 10, 128, bitmap)
    exact = ExactRanker(metric, vectors).nearest(queries, 10, np.flatnonzero(mask))[0]
    assert ((found >= 0) == (exact >= 0)).all()
    assert mask[found[found >= 0]].all()
    hits = sum(len(np.intersect1d(f[f >= 0], e)) for f, e in zip(found, exact, strict=True))
    assert hits >= 0.95 * (exact >= 0).sum()


def test_more_wanted_than_there_are() -> None:
    graph = GrowingGraph(4, Metric.L2)
    assert graph.search(vectors_of(2, 4), 3, 10).tolist() == [[-1] * 3] * 2
    graph.add(vectors_of(5, 4), 100)
    graph.add(vectors_of(0, 4), 105)
    found = graph.search(vectors_of(1, 4), 9, 10)[0]
    assert sorted(found[:5].tolist()) == [100, 101, 102, 103, 104]
    assert found[5:].tolist() == [-1] * 4
    assert graph.search(vectors_of(1, 4), 2, 10, np.zeros(0, dtype=np.uint8)).tolist() == [[-1, -1]]
    assert graph.search(vectors_of(1, 4), 2, 10, np.full(13, 255, np.uint8))[0].min() >= 100


def test_all_rows_of_many() -> None:
    graph = GrowingGraph(8, Metric.L2)
    graph.add(vectors_of(3_000, 8), 0, threads=2)
    found = graph.search(vectors_of(1, 8), 3_000, 10)[0]
    assert sorted(found.tolist()) == list(range(3_000))
    assert graph.byte_size() > 3_000 * 8 * 4


def test_adding_while_searching() -> None:
    graph = GrowingGraph(8, Metric.COSINE)
    vectors = vectors_of(4_000, 8)
    graph.add(vectors[:100], 0)
    short: list[int] = []

    def search() -> None:
        for _ in range(100):
            found = graph.search(vectors[:1], 10, 32)[0]
            if (found < 0).any():
                short.append(1)

    thread = Thread(target=search)
    thread.start()
    for start in range(100, 4_000, 100):
        graph.add(vectors[start : start + 100], start)
    thread.join()
    assert short == []
    assert graph.search(vectors[3_999:], 1, 64).tolist() == [[3_999]]
