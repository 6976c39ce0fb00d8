"""Which lists a search scans, whatever is in them."""

import numpy as np
import pytest

from vsql.core.bits import bits_of
from vsql.core.protocols import Floats, Vectors
from vsql.index.probing import Probing

LIST_OF_ROW = np.array([2, 0, 0, 3, 2, 0, 3, 3, 3, 0], dtype=np.int32)
CENTRES = np.array([0.0, 1.0, 2.0, 3.0], dtype=np.float32)


def score(queries: Vectors) -> Floats:
    return np.abs(queries - CENTRES)


@pytest.fixture
def probing() -> Probing:
    return Probing(len(CENTRES), score, lambda: LIST_OF_ROW)


def test_rows_of_a_filter_are_counted_by_list(probing: Probing) -> None:
    bitmap = bits_of(np.array([0, 1, 5, 9]), 10)
    counts = probing.counts(bitmap)
    assert counts.tolist() == [3, 0, 1, 0]
    assert probing.counts(bitmap) is counts
    changing = bitmap.copy()
    assert probing.counts(changing).tolist() == [3, 0, 1, 0]
    changing[0] = 0
    assert probing.counts(changing).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("places", "probes", "lists"),
    [
        ([0.1], 2, [[0]]),
        ([3.1], 2, [[2]]),
        ([1.1], 1, [[]]),
        ([0.1, 3.1, 1.9], 2, [[0], [2], [2]]),
        ([0.1, 1.9], 3, [[0, 2], [2, -1]]),
        ([3.1, 0.1], 4, [[0, 2], [0, 2]]),
    ],
)
def test_lists_without_a_match_are_passed_over(
    probing: Probing, places: list[float], probes: int, lists: list[list[int]]
) -> None:
    queries = np.array(places, dtype=np.float32)[:, None]
    bitmap = bits_of(np.array([0, 1, 5, 9]), 10)
    chosen = probing.matching(queries, probes, bitmap)
    assert chosen.lists.tolist() == lists
    assert chosen.scores is None or chosen.scores.tolist() == score(queries).tolist()


@pytest.mark.parametrize(
    ("matching", "effort", "slack", "rounds"),
    [
        ([0, 1, 5, 9], 1, 1e9, [[2]]),
        ([0, 1, 5, 9], 1, 1.5, [[2], [0]]),
        ([0, 1, 5, 9], 4, 1.0, [[2, 0]]),
        ([0, 1, 5, 9], 9, 1.0, [[2, 0]]),
        ([0, 3, 4, 6, 7, 8], 1, 1.0, [[3]]),
        ([0, 1, 2, 3, 4, 5, 6, 9], 1, 0.5, [[3], [2], [0]]),
        ([], 1, 1.0, [[]]),
        ([], 1, 0.5, [[], [], [], []]),
    ],
)
def test_a_filter_widens_the_search(
    probing: Probing, matching: list[int], effort: int, slack: float, rounds: list[list[int]]
) -> None:
    bitmap = bits_of(np.array(matching, np.int64), 10)
    query = np.array([3.1], dtype=np.float32)
    chosen = list(probing.rounds(query, effort, bitmap, slack))
    assert [each.lists[0].tolist() for each in chosen] == rounds
    assert all(each.scores is chosen[0].scores for each in chosen)
