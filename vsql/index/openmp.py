"""How many threads faiss takes: one for one query, those allowed for a batch.

faiss starts a team of OpenMP threads even for a call with nothing to share, and waits for each of
them. Where other work keeps the cores busy, that wait took a thousand times longer than the call.
"""

import threading

import faiss


class _Own(threading.local):
    """What OpenMP was told last by this thread; 0 before that."""

    current = 0
    team = 0


_own = _Own()


def allow_threads(count: int) -> None:
    """Let the batches that this thread asks for take so many threads from now on."""
    _own.team = count


def use_threads(queries: int) -> None:
    """Take one thread for one query, for more as many as are allowed: at first as faiss has it."""
    if not _own.team:
        _own.team = faiss.omp_get_max_threads()
    wanted = 1 if queries == 1 else _own.team
    if _own.current != wanted:
        faiss.omp_set_num_threads(wanted)
        _own.current = wanted
