"""Forks and OpenMP: a child must not wait for the threads that only its parent has.

GNU's OpenMP keeps the threads of the last parallel region for the next one. A forked child inherits
the list but not the threads, and its first parallel region (an exact distance over many rows) would
wait for them forever. So whoever forks lets them go first; the next region makes them anew.
"""

import ctypes
import sys

# OpenMP 5.0, omp_pause_resource_t
_HARD = 2


def let_threads_go() -> None:
    """End faiss's idle OpenMP threads of the calling thread; nothing where faiss is not loaded."""
    extension = next((m for n, m in list(sys.modules.items()) if "_swigfaiss" in n), None)
    path = getattr(extension, "__file__", None)
    if path is None:
        return
    pause = getattr(ctypes.CDLL(path), "omp_pause_resource_all", None)
    if pause is not None:
        pause(_HARD)
