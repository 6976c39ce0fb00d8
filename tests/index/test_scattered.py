"""Rows here and there of a mapped file: asked for at once, and no other."""

import ctypes
import mmap
import os
import time
from pathlib import Path

import numpy as np
import pytest

from vsql.core.distance import Metric
from vsql.core.protocols import Rows, Vectors
from vsql.core.scattered import ReadAhead, are_scattered, ask_ahead
from vsql.index.exact import ExactRanker

_PAGE = mmap.PAGESIZE
_DIMENSION = 48
_ROWS = 400 * _PAGE // (4 * _DIMENSION)


@pytest.fixture
def values(tmp_path: Path) -> Vectors:
    """Return a mapped file of which no page is in memory."""
    path = tmp_path / "values"
    random = np.random.default_rng(0)
    random.standard_normal((_ROWS, _DIMENSION), dtype=np.float32).tofile(path)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapped.madvise(mmap.MADV_RANDOM)
    found = np.frombuffer(mapped, np.float32).reshape(-1, _DIMENSION)
    if _in_memory(found):
        pytest.skip("the system keeps the files of this folder in memory")
    return found


def _in_memory(values: Vectors) -> set[int]:
    """Return the numbers of the pages that are in memory."""
    pages = -(-values.nbytes // _PAGE)
    present = (ctypes.c_ubyte * pages)()
    told = ctypes.CDLL(None).mincore(
        ctypes.c_void_p(values.ctypes.data), ctypes.c_size_t(values.nbytes), present
    )
    assert told == 0
    return {number for number, page in enumerate(present) if page & 1}


def _pages(rows: Rows) -> set[int]:
    width = 4 * _DIMENSION
    first = set((rows * width // _PAGE).tolist())
    return first | set(((rows * width + width - 1) // _PAGE).tolist())


linux = pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="Linux drops a file's pages")


@linux
def test_the_pages_of_rows_come_and_no_other(values: Vectors) -> None:
    # Row 21 lies on two pages.
    rows = np.array([0, 21, 5_000, 5_001, _ROWS - 1])
    ask_ahead(values, rows)
    deadline = time.monotonic() + 30
    while _in_memory(values) != _pages(rows) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _in_memory(values) == _pages(rows)


@linux
@pytest.mark.parametrize("kept", [True, False])
def test_a_ranker_asks_where_memory_cannot_hold_the_column(
    values: Vectors, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []
    monkeypatch.setattr(
        "vsql.core.scattered.ask_ahead", lambda values, rows: asked.append(rows.tolist())
    )
    ranker = ExactRanker(Metric.L2, values, values, kept_in_memory=kept)
    rows = np.array([3, 70, 9])
    few, many = ranker.distances(values[0], rows), np.arange(_ROWS)
    assert asked == ([] if kept else [[3, 70, 9]])
    np.testing.assert_array_equal(ranker.distances(values[0], many)[rows], few)
    ranker.rank(values[:2], np.array([[4, 8], [6, -1]]), 2)
    assert asked == ([] if kept else [[3, 70, 9], [4, 8, 6]])
    assert not are_scattered(len(many), _ROWS)


def test_nothing_is_asked_for_where_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, waits = 0, 0

    def ask(values: Vectors, rows: Rows) -> None:
        nonlocal asked
        asked += 1

    monkeypatch.setattr("vsql.core.scattered.ask_ahead", ask)
    monkeypatch.setattr("vsql.core.scattered._waits", lambda: waits)
    ahead, values, rows = ReadAhead(), np.zeros((4, 2), np.float32), np.array([1])
    for _ in range(40):
        ahead.of(values, rows)
    first = asked
    assert 0 < first < 40
    waits = 3
    for _ in range(40):
        ahead.of(values, rows)
    assert asked == 2 * first
