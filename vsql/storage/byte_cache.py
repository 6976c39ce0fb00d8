"""A cache that is bounded in bytes: least recently used goes first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

NO_LIMIT = 1 << 62


class ByteCache:
    """Values by key, at most `bytes_max` together; safe to share among threads."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any:
        """Return the value, or None where there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of `size` bytes, dropping the oldest ones where they no longer fit."""
        with self._lock:
            old = self._entries.pop(key, None)
            if old is not None:
                self._bytes -= old[1]
            self._entries[key] = (value, size)
            self._bytes += size
            self._shrink(kept=1)

    def resize(self, bytes_max: int) -> None:
        """Keep at most so many bytes from now on."""
        with self._lock:
            self._bytes_max = bytes_max
            self._shrink(kept=0)

    def _shrink(self, kept: int) -> None:
        while self._bytes > self._bytes_max and len(self._entries) > kept:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._bytes -= dropped

    def forget(self, keys: Iterable[Hashable]) -> None:
        """Let go of some values."""
        with self._lock:
            for key in keys:
                _, size = self._entries.pop(key, (None, 0))
                self._bytes -= size

    def values(self) -> list[Any]:
        """Return what is kept."""
        with self._lock:
            return [value for value, _ in self._entries.values()]

    @property
    def usage(self) -> tuple[int, int, int]:
        """Bytes kept, bytes at most, and the number of values."""
        return self._bytes, self._bytes_max, len(self._entries)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def find(self, key: Hashable, make: Callable[[], Any], size: Callable[[Any], int]) -> Any:
        """Return the value, made now where it is missing."""
        value = self.get(key)
        if value is None:
            value = make()
            self.put(key, value, size(value))
        return value
