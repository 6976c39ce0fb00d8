"""Sources that threads read while what came before is being worked on."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Generic, TypeVar

from vsql.core.threads import started

T = TypeVar("T")
Source = Callable[[], Iterator[T]]

# So many items of a source wait at most, the one being read among them.
_AHEAD = 2


class _Lane(Generic[T]):
    """What one source has yielded and nobody has taken yet."""

    def __init__(self, source: Source[T]) -> None:
        self._source = source
        self._items: SimpleQueue[T | BaseException | None] = SimpleQueue()
        self._room = threading.Semaphore(_AHEAD)
        self._is_read = False
        self._closed = False

    def start(self, pool: ThreadPoolExecutor) -> None:
        """Let a thread read the source, once it comes to it; else whoever iterates reads."""
        self._is_read = started(pool, self._fill) is not None

    def close(self) -> None:
        """Want no more."""
        self._closed = True
        self._room.release()

    def _fill(self) -> None:
        end: BaseException | None = None
        try:
            items = self._source()
            while self._room.acquire() and not self._closed:
                self._items.put(next(items))
        except StopIteration:
            pass
        except BaseException as error:
            end = error
        self._items.put(end)

    def __iter__(self) -> Iterator[T]:
        if not self._is_read:
            yield from self._source()
            return
        while (item := self._items.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            self._room.release()
            yield item
            del item


def read_ahead(sources: Sequence[Source[T]], threads: int) -> Generator[T]:
    """Yield what all sources yield, one after the other; `threads` of them are read at a time.

    An item is never None. What a source raises is raised in its place. The iterator must be read
    to its end or closed, or threads would wait for ever.
    """
    lanes = [_Lane(source) for source in sources]
    if threads < 2:
        for lane in lanes:
            yield from lane
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            for lane in lanes:
                lane.start(pool)
            for lane in lanes:
                yield from lane
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for lane in lanes:
                lane.close()
