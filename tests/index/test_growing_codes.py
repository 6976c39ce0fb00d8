"""The codes of a growing segment against exact search."""

from threading import Thread

import numpy as np
import pytest

from vsql.core import sqlstate
from vsql.core.bits import packed
from vsql.core.distance import Metric
from vsql.core.errors import OperationalError
from vsql.index.exact import ExactRanker
from vsql.index.growing_codes import GrowingCodes


def vectors_of(rows: int, dimension: int = 16) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(rows).standard_normal((rows, dimension)).astype(np.float32)


@pytest.mark.parametrize("share", [None, 0.0, 0.001, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("dimension", [3, 16, 33, 128])
@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.L2, Metric.INNER_PRODUCT])
def test_candidates_hold_the_nearest_under_any_filter(
    metric: Metric, dimension: int, share: float | None
) -> None:
    vectors = vectors_of(2_500, dimension)
    codes = GrowingCodes(vectors[:700], metric)
    for start in range(700, 2_500, 600):
        codes.append(vectors[start : start + 600])
    assert len(codes) == 2_500
    mask = np.random.default_rng(1).random(2_500) < (1.0 if share is None else share)
    bitmap = None if share is None else packed(mask)
    ranker = ExactRanker(metric, vectors)
    hits = wanted = 0
    for query in vectors_of(20, dimension):
        found = codes.search(query, codes.candidates(10), bitmap)
        assert len(found) == min(mask.sum(), codes.candidates(10))
        assert mask[found].all()
        exact = ranker.nearest(query[None], 10, np.flatnonzero(mask))[0][0]
        exact = exact[exact >= 0]
        hits += len(np.intersect1d(found, exact))
        wanted += len(exact)
    assert hits >= 0.95 * wanted


def test_rows_beyond_a_bitmap_do_not_match() -> None:
    vectors = vectors_of(2_000)
    codes = GrowingCodes(vectors, Metric.L2, threads=2)
    assert codes.search(vectors[0], 9, np.zeros(0, dtype=np.uint8)).tolist() == []
    found = codes.search(vectors[0], 2_000, packed(np.ones(500, dtype=np.bool_)))
    assert sorted(found.tolist()) == list(range(500))


def test_all_rows_of_many() -> None:
    vectors = vectors_of(3_000, 32)
    codes = GrowingCodes(vectors[:1_500], Metric.L2)
    codes.append(vectors[1_500:1_500])
    codes.append(vectors[1_500:])
    assert sorted(codes.search(vectors[0], 9_000).tolist()) == list(range(3_000))
    assert 3_000 * 8 < codes.byte_size() < vectors.nbytes


def test_many_more_rows_deserve_other_codes() -> None:
    codes = GrowingCodes(vectors_of(1_000), Metric.L2)
    assert [codes.is_outgrown_by(rows) for rows in (1_000, 3_999, 4_000)] == [False, False, True]


def test_numbers_too_large_for_codes() -> None:
    with pytest.raises(OperationalError) as caught:
        GrowingCodes(np.full((2_000, 64), 3e38, np.float32), Metric.L2)
    assert caught.value.sqlstate == sqlstate.PROGRAM_LIMIT_EXCEEDED


def test_appending_while_searching() -> None:
    vectors = vectors_of(4_000, 64)
    codes = GrowingCodes(vectors[:1_000], Metric.COSINE)
    short: list[int] = []

    def search() -> None:
        for _ in range(100):
            if len(codes.search(vectors[0], 10)) < 10:
                short.append(1)

    thread = Thread(target=search)
    thread.start()
    for start in range(1_000, 4_000, 100):
        codes.append(vectors[start : start + 100])
    thread.join()
    assert short == []
    assert 3_999 in codes.search(vectors[3_999], 5)
