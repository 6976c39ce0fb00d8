"""Work that another thread does meanwhile; while the interpreter shuts down none starts."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def started(pool: ThreadPoolExecutor, work: Callable[[], T]) -> Future[T] | None:
    """Let a thread of a pool work; returns None where none starts."""
    try:
        return pool.submit(work)
    except RuntimeError:
        return None


def beside(pool: ThreadPoolExecutor, work: Callable[[], T]) -> Callable[[], T]:
    """Let a thread of a pool work; returns what gives the result, or raises what the work raised.

    Where no thread starts the work is done when it is asked for.
    """
    future = started(pool, work)
    return work if future is None else future.result
