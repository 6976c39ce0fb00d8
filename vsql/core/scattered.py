"""Which reads of a file are of rows here and there, and how such rows are asked for."""

import ctypes
import mmap

import numpy as np
import numpy.typing as npt

from vsql.core.protocols import Rows

_FEW = 64
_READS = 16
_PAGE = mmap.PAGESIZE


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
        waits = _waits()
        if waits != self._waits:
            self._left, self._waits = _READS, waits
        if self._left:
            self._left -= 1
            ask_ahead(values, rows)


def _waits() -> int:
    """Return how many pages this process waited for, 0 where the system doesn't tell."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt


def ask_ahead(values: npt.NDArray[np.generic], rows: Rows) -> None:
    """Ask the system for all pages of some rows of a mapped, C-contiguous array at once.

    Who reads one after the other waits for each: a disk gives 32 at once in the time of a few.
    Where the system takes no advice, nothing happens.
    """
    if not hasattr(mmap, "MADV_WILLNEED"):
        return
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    width = values.strides[0]
    starts = values.ctypes.data + rows * width
    ends = starts + width
    starts -= starts % _PAGE
    for start, length in zip(starts.tolist(), (ends - starts).tolist(), strict=True):
        advise(start, length, mmap.MADV_WILLNEED)
