"""What the connections of one process share of one database: opened files, caches, the worker.

A database folder is opened once per process however many connections it has. Each process that
can write to the folder keeps a locked file in `readers/` with the oldest version that it may be
reading, so that no other process collects what it needs; the lock dies with the process.
"""

import contextlib
import os
import threading
import uuid
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from vsql.executor.context import Resources
from vsql.index.forking import let_threads_go
from vsql.storage.store import Store

NO_VERSION = (1 << 63) - 1
_READERS = "readers"


class Database:
    """One database as this process holds it; safe to share among threads.

    `pins` are the versions that transactions of this process read, by session. `is_parents` says
    that another process opened it, of which this one is a fork.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self.is_parents = False
        self.resources = Resources(Store(root))
        self.connections = 0
        self.worker: Any = None
        self.pins: dict[int, int] = {}
        self.lock = threading.Lock()
        self._announced = 0
        self._file: _Announcement | None = None

    def announce(self) -> None:
        """Keep a locked file for other processes to see; nothing for what is never shared."""
        if self.root is not None and self._file is None:
            self._file = _announcement(self.root)

    def pin(self, session: int, version: int) -> None:
        """Say that a session reads a version until it is unpinned."""
        self.pins[session] = version
        # The file may be lower than what is read, never higher: mostly there is nothing to write.
        if version < self._announced:
            self._write(version)

    def unpin(self, session: int) -> None:
        """Say that a session reads nothing."""
        self.pins.pop(session, None)

    def refresh(self, newest: int) -> None:
        """Tell other processes the oldest version that this one may still read."""
        with self.lock:
            self._write(min([newest, *self.pins.values()]))

    def oldest_pinned(self) -> int:
        """Return the oldest version that a transaction of any process may be reading."""
        own = min([NO_VERSION, *self.pins.values()])
        return min([own, *_announced_elsewhere(self.root, self._file)])

    def is_shared(self) -> bool:
        """Whether another process has the database open for writing."""
        return bool(_announced_elsewhere(self.root, self._file))

    def close(self) -> None:
        """Let go of the files."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.path.unlink()
            self._file.file.close()
            self._file = None

    def _write(self, version: int) -> None:
        if self._file is not None and version != self._announced:
            os.pwrite(self._file.file.fileno(), version.to_bytes(8, "big"), 0)
            self._announced = version


class OpenDatabases:
    """The databases that this process has open, by folder; those in memory have none."""

    def __init__(self) -> None:
        self._by_root: dict[Path, Database] = {}
        self._all: weakref.WeakSet[Database] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._inherited: list[Database] = []
        os.register_at_fork(before=let_threads_go, after_in_child=self._leave_to_parent)

    def _leave_to_parent(self) -> None:
        """In a forked child: open anew what the parent has open, and never close it for it."""
        # Kept, not dropped: closing would end locks and threads that are the parent's.
        self._inherited += self._by_root.values()
        for database in self._all:
            database.is_parents = True
        self._by_root = {}
        self._lock = threading.Lock()

    def acquire(self, root: Path | None, *, read_only: bool) -> Database:
        """Return the database of a folder, opened now where it is not; None is always new."""
        with self._lock:
            if root is None:
                database = Database(None)
            else:
                database = self._by_root.setdefault(root.resolve(), Database(root))
            self._all.add(database)
            if not read_only:
                database.announce()
            database.connections += 1
            return database

    def release(self, database: Database, stop: Callable[[Database], None]) -> None:
        """Give up one connection; the last one closes the database, `stop` its worker."""
        with self._lock:
            database.connections -= 1
            if database.connections:
                return
            if database.root is not None and self._by_root.get(database.root.resolve()) is database:
                del self._by_root[database.root.resolve()]
        stop(database)
        database.close()


@dataclass(frozen=True, slots=True)
class _Announcement:
    file: IO[bytes]
    path: Path


def _announcement(root: Path) -> _Announcement | None:
    """Return a locked file of this process in the folder, None where it can't be written to."""
    import fcntl

    try:
        folder = root / _READERS
        folder.mkdir(exist_ok=True)
        # Locked before it has its name, so that nobody takes it for a dead process's.
        hidden = folder / f".{uuid.uuid4().hex}"
        file = hidden.open("w+b", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
        os.pwrite(file.fileno(), (0).to_bytes(8, "big"), 0)
        hidden.rename(folder / hidden.name[1:])
    except OSError:
        return None
    return _Announcement(file, folder / hidden.name[1:])


def _announced_elsewhere(root: Path | None, own: _Announcement | None) -> list[int]:
    """Return what other processes announced, and remove the files of those that died."""
    import fcntl

    versions: list[int] = []
    if root is None or not (root / _READERS).is_dir():
        return versions
    for path in (root / _READERS).iterdir():
        if path.name.startswith(".") or (own is not None and path == own.path):
            continue
        with contextlib.suppress(OSError), path.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                versions.append(int.from_bytes(os.pread(file.fileno(), 8, 0), "big"))
            else:
                path.unlink()
    return versions
