"""The catalog's connection: load a snapshot, commit changes.

A commit is one SQLite transaction, so atomicity, durability and locking between processes are
SQLite's. Write-ahead logging lets readers go on while one writer writes; `synchronous = FULL`
keeps an acknowledged commit through a loss of power.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsql.catalog.failures import translate, translated
from vsql.catalog.opening import check_format, connect, open_read_only, open_writable
from vsql.catalog.reading import Reader
from vsql.core import sqlstate
from vsql.core.errors import OperationalError, ProgrammingError
from vsql.core.snapshot import Snapshot

if TYPE_CHECKING:
    from vsql.core.changes import Change


class Catalog:
    """One connection to a database's catalog; one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, shown: str) -> None:
        self._connection = connection
        self._probe = connection.cursor()
        self._shown = shown
        self._data_version = -1
        self._reader = Reader(connection)

    @classmethod
    def open(cls, root: Path | None, *, read_only: bool, busy_timeout_ms: int) -> "Catalog":
        """Open the catalog in a folder, or one in memory for None; makes what is missing.

        Raises OperationalError: 58P01 for a missing folder that may not be made, XX001 for a file
        that is no catalog, 0A000 for one of a newer format, 55P03 while another writes too long.
        """
        shown = ":memory:" if root is None else str(root)
        with translated(shown):
            if root is None:
                connection = connect(":memory:", uri=False)
            elif read_only:
                connection = open_read_only(root)
            else:
                connection = open_writable(root)
            connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout_ms)}")
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
            check_format(connection, shown, create=not read_only)
        return cls(connection, shown)

    @classmethod
    def open_file(cls, path: Path) -> "Catalog":
        """Open a copy of a catalog by its own path, to read it."""
        with translated(str(path)):
            return cls(connect(str(path), uri=False), str(path))

    def changed(self) -> bool:
        """Whether another connection has committed since the last load by this one."""
        # Every statement asks: no context manager, no new cursor.
        try:
            row = self._probe.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error as error:
            raise translate(error, self._shown) from None
        return bool(row[0] != self._data_version)

    def load(self) -> Snapshot:
        """Return the newest committed version; raises OperationalError."""
        with translated(self._shown), self._reading():
            self._data_version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return self._reader.read(self._newest_version())

    def load_version(self, version: int) -> Snapshot:
        """Return an older version; raises ProgrammingError (22023) where it is not kept."""
        with translated(self._shown), self._reading():
            kept = self._connection.execute(
                "SELECT MIN(version), MAX(version), COUNT(CASE WHEN version = :v THEN 1 END) "
                "FROM version",
                {"v": version},
            ).fetchone()
            if not kept[2]:
                raise ProgrammingError(
                    f"version {version} does not exist or is no longer kept",
                    code=sqlstate.INVALID_PARAMETER_VALUE,
                    hint=f"kept are versions {kept[0] or 0} to {kept[1] or 0}",
                )
            return self._reader.read(version)

    def version_at(self, microseconds: int) -> int:
        """Return the newest version committed until a time, in microseconds since 1970.

        Raises ProgrammingError (22023) where none that old is kept.
        """
        with translated(self._shown):
            row = self._connection.execute(
                "SELECT MAX(version) FROM version WHERE committed_us <= :at", {"at": microseconds}
            ).fetchone()
        if row[0] is None:
            raise ProgrammingError(
                "no version that old is kept",
                code=sqlstate.INVALID_PARAMETER_VALUE,
                hint="SHOW VERSIONS lists what is there",
            )
        return int(row[0])

    @contextmanager
    def _reading(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def inlined_rows(self, segment_id: int) -> bytes:
        """Return an inlined batch as the bytes of an Arrow IPC stream."""
        with translated(self._shown):
            row = self._connection.execute(
                "SELECT rows FROM inlined WHERE segment_id = :id", {"id": segment_id}
            ).fetchone()
        if row is None:
            raise OperationalError(
                f'the catalog of "{self._shown}" lacks inlined rows', code=sqlstate.DATA_CORRUPTED
            )
        return bytes(row[0])

    def allocate(self, column_id: int, count: int) -> int:
        """Hand out `count` numbers of an identity column; returns the first. Never rolled back."""
        with translated(self._shown):
            run = self._connection.execute
            run("BEGIN IMMEDIATE")
            try:
                row = run(
                    "SELECT next_value FROM sequence WHERE column_id = :id", {"id": column_id}
                ).fetchone()
                first = int(row[0]) if row is not None else 1
                run(
                    "INSERT INTO sequence VALUES (:id, :next) "
                    "ON CONFLICT (column_id) DO UPDATE SET next_value = :next",
                    {"id": column_id, "next": first + count},
                )
                run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    run("ROLLBACK")
                raise
        return first

    def commit(
        self,
        base: Snapshot,
        changes: Sequence["Change"],
        adapt: Callable[[Snapshot], Sequence["Change"]] | None = None,
        operation: str = "",
        seen: Snapshot | None = None,
    ) -> Snapshot:
        """Write a transaction's changes as the next version and return the new snapshot.

        `seen` is what the changes make of `base`, where that is known.

        Where another transaction came between, `adapt` sees its snapshot and returns the changes
        that fit it, or refuses; without it the changes stay as they are, unless they conflict.
        `operation` says what the version did. Raises OperationalError: 40001 where both changed
        the same, 55P03, 53100, 58030.
        """
        # Imported for the first commit: who only reads does not wait for it.
        from vsql.catalog.conflicts import refuse_conflicts
        from vsql.catalog.writing import write_change
        from vsql.core.changes import PutStatistics, apply

        with translated(self._shown):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                newest_version = self._newest_version()
                newest = base
                if newest_version != base.version:
                    newest = self._reader.read(newest_version)
                    if adapt is not None:
                        changes = adapt(newest)
                    else:
                        refuse_conflicts(base, newest, changes)
                version = newest_version + 1
                self._connection.execute(
                    "INSERT INTO version VALUES (:version, :now, :operation)",
                    {
                        "version": version,
                        "now": time.time_ns() // 1000,
                        "operation": operation,
                    },
                )
                for one in changes:
                    write_change(self._connection, one, version)
                    if isinstance(one, PutStatistics):
                        self._reader.forget_segment(one.segment_id)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        if newest is not base or seen is None:
            seen = newest
            for one in changes:
                seen = apply(seen, one)
            self._data_version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        self._reader.begin_with(seen)
        return replace(seen, version=version)

    def _newest_version(self) -> int:
        row = self._connection.execute("SELECT COALESCE(MAX(version), 0) FROM version").fetchone()
        return int(row[0])

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Any]:
        """Return the rows of a query of the catalog; raises OperationalError."""
        with translated(self._shown):
            return self._connection.execute(sql, parameters or {}).fetchall()

    def change(self, statements: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Run statements in one transaction beside the versions; raises OperationalError."""
        with translated(self._shown):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for sql, parameters in statements:
                    self._connection.execute(sql, parameters)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def shrink(self) -> None:
        """Give free pages back to the file system; nothing where another connection is reading."""
        with translated(self._shown):
            try:
                self._connection.execute("VACUUM")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) and "busy" not in str(error):
                    raise

    def copy_to(self, path: Path) -> None:
        """Write a consistent copy of the catalog; raises OperationalError."""
        with translated(str(path)):
            target = sqlite3.connect(path)
            try:
                self._connection.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")
            finally:
                target.close()

    def set_busy_timeout(self, milliseconds: int) -> None:
        """Set how long a writer waits for another."""
        self._connection.execute(f"PRAGMA busy_timeout = {int(milliseconds)}")

    def close(self) -> None:
        """Close the connection."""
        with translated(self._shown):
            self._connection.close()
