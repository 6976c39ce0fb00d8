"""Which reads of a file are of rows here and there, and what the system is told of them."""

import ctypes
import mmap
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core.protocols import Rows

_FEW = 64
_READS = 16
_PAGE = mmap.PAGESIZE
_TAKES_ADVICE = hasattr(mmap, "MADV_WILLNEED")
"""Whether the system has madvise(2); nothing is asked of one that has not."""


def are_scattered(rows: int, total: int) -> bool:
    """Whether so many of all rows are few: reading each by itself takes no longer than all.

    A disk gives a page in some 100 microseconds, and in as much time 64 pages that follow it.
    """
    return rows * _FEW < total


class ReadAhead:
    """Asks ahead for rows while reads have to wait; safe to share among threads.

    To ask takes a microsecond for each row, which is for nothing where all are in memory. So it is
    done for some reads after one during which this process waited for a disk.
    """

    __slots__ = ("_left", "_waits")

    def __init__(self) -> None:
        self._left = 0
        self._waits = -1

    def of(self, values: npt.NDArray[np.generic], rows: Rows) -> None:
        """Tell that rows of a mapped array are about to be read."""
        if not _TAKES_ADVICE:
            return
        waits = _waits()
        if waits != self._waits:
            self._left, self._waits = _READS, waits
        if self._left:
            self._left -= 1
            ask_ahead(values, rows)


def _waits() -> int:
    """Return how many pages this process waited for."""
    import resource  # no module of Windows, which takes no advice

    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt


def ask_ahead(values: npt.NDArray[np.generic], rows: Rows) -> None:
    """Ask the system for all pages of some rows of a mapped, C-contiguous array at once.

    Who reads one after the other waits for each: a disk gives 32 at once in the time of a few.
    """
    if not _TAKES_ADVICE:
        return
    advise = _advise()
    width = values.strides[0]
    starts = values.ctypes.data + rows * width
    ends = starts + width
    starts -= starts % _PAGE
    for start, length in zip(starts.tolist(), (ends - starts).tolist(), strict=True):
        advise(start, length, mmap.MADV_WILLNEED)


def do_not_read_ahead(start: int, end: int) -> None:
    """Tell the system that a mapping, from an address to another, is read here and there.

    Not by a mapping of Python's own, which would keep a file open for each segment.
    """
    if _TAKES_ADVICE:
        start -= start % _PAGE
        _advise()(start, end - start, mmap.MADV_RANDOM)


@cache
def _advise() -> Any:
    """Return madvise(2) of the C library."""
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return advise
