"""Which reads of a file are of rows here and there, and how such rows are asked for."""

import ctypes
import mmap

import numpy as np
import numpy.typing as npt

from vsql.core.protocols import Rows

_FEW = 64
_PAGE = mmap.PAGESIZE


def are_scattered(rows: int, total: int) -> bool:
    """Whether so many of all rows are few: reading each by itself takes no longer than all.

    A disk gives a page in some 100 microseconds, and in as much time 64 pages that follow it.
    """
    return rows * _FEW < total


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
