"""Work that another thread does meanwhile."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def beside(pool: ThreadPoolExecutor, work: Callable[[], T]) -> Callable[[], T]:
    """Let a thread of a pool work; returns what gives the result, or raises what the work raised.

    While the interpreter shuts down no thread starts: then the work is done when it is asked for.
    """
    try:
        started: Future[T] = pool.submit(work)
    except RuntimeError:
        return work
    return started.result
