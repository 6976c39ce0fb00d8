"""The catalog's connection: load a snapshot, commit changes.

A commit is one SQLite transaction, so atomicity, durability and locking between processes are
SQLite's. Write-ahead logging lets readers go on while one writer writes; `synchronous = FULL`
keeps an acknowledged commit through a loss of power.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from vsql.catalog.conflicts import refuse_conflicts
from vsql.catalog.layout import FORMAT_VERSION, MIGRATIONS, TABLES
from vsql.catalog.text_form import (
    read_machine,
    read_statistics,
    read_table,
    write_columns,
    write_details,
    write_machine,
    write_statistics,
)
from vsql.core import changes as change
from vsql.core import sqlstate
from vsql.core.changes import Change, apply
from vsql.core.distance import Metric
from vsql.core.errors import DatabaseError, OperationalError, ProgrammingError
from vsql.core.machine import BUILT_IN, Machine
from vsql.core.schema import EMPTY, Index, NamedObject, Table
from vsql.core.snapshot import CurvePoint, IndexFile, SegmentFacts, Snapshot, TableSnapshot

FILE_NAME = "catalog.sqlite"
_LIVING = "added <= :version AND (removed IS NULL OR removed > :version)"


class Catalog:
    """One connection to a database's catalog; one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, shown: str) -> None:
        self._connection = connection
        self._probe = connection.cursor()
        self._shown = shown
        self._data_version = -1
        self._known_tables: dict[tuple[int, int], Table] = {}
        self._known_segments: dict[int, SegmentFacts] = {}
        self._last: Mapping[str, TableSnapshot] = {}

    @classmethod
    def open(cls, root: Path | None, *, read_only: bool, busy_timeout_ms: int) -> "Catalog":
        """Open the catalog in a folder, or one in memory for None; makes what is missing.

        Raises OperationalError: 58P01 for a missing folder that may not be made, XX001 for a file
        that is no catalog, 0A000 for one of a newer format, 55P03 while another writes too long.
        """
        shown = ":memory:" if root is None else str(root)
        with _translated(shown):
            if root is None:
                connection = _connect(":memory:", uri=False)
            elif read_only:
                connection = _open_read_only(root)
            else:
                connection = _open_writable(root)
            connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout_ms)}")
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
            catalog = cls(connection, shown)
            catalog._check_format(create=not read_only)
        return catalog

    @classmethod
    def open_file(cls, path: Path) -> "Catalog":
        """Open a copy of a catalog by its own path, to read it."""
        with _translated(str(path)):
            return cls(_connect(str(path), uri=False), str(path))

    def _check_format(self, *, create: bool) -> None:
        run = self._connection.execute
        exists = run("SELECT 1 FROM sqlite_master WHERE name = 'database_fact'").fetchone()
        if exists is None:
            if not create:
                raise OperationalError(
                    f'"{self._shown}" is not a vsql database', code=sqlstate.UNDEFINED_FILE
                )
            run("BEGIN IMMEDIATE")
            for statement in TABLES.split(";"):
                run(statement)
            run(
                "INSERT OR IGNORE INTO database_fact VALUES ('format_version', :format)",
                {"format": str(FORMAT_VERSION)},
            )
            run("COMMIT")
        found = self._format()
        if found > FORMAT_VERSION:
            raise OperationalError(
                f'"{self._shown}" has format {found}, and this vsql reads up to {FORMAT_VERSION}',
                code=sqlstate.FEATURE_NOT_SUPPORTED,
                hint="it was written by a newer vsql: upgrade",
            )
        if found < FORMAT_VERSION:
            if not create:
                raise OperationalError(
                    f'"{self._shown}" has format {found}: it must be migrated to {FORMAT_VERSION}',
                    code=sqlstate.FEATURE_NOT_SUPPORTED,
                    hint="open it once without read_only",
                )
            self._migrate()

    def _format(self) -> int:
        row = self._connection.execute(
            "SELECT value FROM database_fact WHERE name = 'format_version'"
        ).fetchone()
        return int(row[0]) if row is not None else 0

    def _migrate(self) -> None:
        """Bring an older catalog to today's format, in one transaction."""
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        try:
            for older in range(self._format(), FORMAT_VERSION):
                for statement in MIGRATIONS[older].split(";"):
                    run(statement)
                run(
                    "UPDATE database_fact SET value = :format WHERE name = 'format_version'",
                    {"format": str(older + 1)},
                )
            run("COMMIT")
        except BaseException:
            run("ROLLBACK")
            raise

    def changed(self) -> bool:
        """Whether another connection has committed since the last load by this one."""
        # Every statement asks: no context manager, no new cursor.
        try:
            row = self._probe.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error as error:
            raise _translate(error, self._shown) from None
        return bool(row[0] != self._data_version)

    def load(self) -> Snapshot:
        """Return the newest committed version; raises OperationalError."""
        with _translated(self._shown), self._reading():
            self._data_version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return self._read(self._newest_version())

    def load_version(self, version: int) -> Snapshot:
        """Return an older version; raises ProgrammingError (22023) where it is not kept."""
        with _translated(self._shown), self._reading():
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
            return self._read(version)

    def version_at(self, microseconds: int) -> int:
        """Return the newest version committed until a time, in microseconds since 1970.

        Raises ProgrammingError (22023) where none that old is kept.
        """
        with _translated(self._shown):
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

    def _read(self, version: int) -> Snapshot:
        run = self._connection.execute
        at = {"version": version}
        tables: dict[int, Table] = {}
        for row in run(
            "SELECT id, name, primary_key, columns, details, added FROM table_ "
            f"WHERE {_LIVING} ORDER BY added, rowid",
            at,
        ):
            key = (row[0], row[5])
            if key not in self._known_tables:
                self._known_tables[key] = read_table(*row[:5])
            tables[row[0]] = self._known_tables[key]
        indexes: dict[int, list[Index]] = {id_: [] for id_ in tables}
        for row in run(f"SELECT * FROM index_ WHERE {_LIVING} ORDER BY added, rowid", at):
            id_, table_id, name, kind, written, metric, unique, options = row[:8]
            known = MappingProxyType(json.loads(options)) if options != "{}" else EMPTY
            how = Metric(metric) if metric is not None else None
            index = Index(id_, table_id, name, kind, written, how, bool(unique), known)
            indexes[table_id].append(index)
        segments = self._read_segments(at, {i.id for group in indexes.values() for i in group})
        settings = run(f"SELECT name, value FROM setting WHERE {_LIVING}", at).fetchall()
        by_name = {
            table.name: self._same_or_new(
                TableSnapshot(table, tuple(segments.get(table.id, ())), tuple(indexes[table.id]))
            )
            for table in tables.values()
        }
        self._last = by_name
        objects = {
            (row[1], row[2]): NamedObject(*row)
            for row in run(
                f"SELECT id, kind, name, body, comment FROM object_ WHERE {_LIVING} ORDER BY rowid",
                at,
            )
        }
        return Snapshot(version, by_name, dict(settings), objects, self._read_machine())

    def _read_machine(self) -> Machine:
        row = self._connection.execute(
            "SELECT value FROM database_fact WHERE name = 'machine'"
        ).fetchone()
        return BUILT_IN if row is None else read_machine(row[0])

    def _same_or_new(self, table: TableSnapshot) -> TableSnapshot:
        """Return the table as it was loaded before, where it is the same: caches know it by it."""
        before = self._last.get(table.table.name)
        if (
            before is not None
            and before.table is table.table
            and before.indexes == table.indexes
            and len(before.segments) == len(table.segments)
            and all(a is b for a, b in zip(before.segments, table.segments, strict=True))
        ):
            return before
        return table

    def _read_segments(
        self, at: dict[str, int], index_ids: set[int]
    ) -> dict[int, list[SegmentFacts]]:
        run = self._connection.execute
        deletes: dict[int, list[tuple[bytes, int]]] = {}
        for segment_id, rows, count in run(
            f"SELECT segment_id, rows, row_count FROM deleted WHERE {_LIVING} "
            "ORDER BY added, rowid",
            at,
        ):
            deletes.setdefault(segment_id, []).append((bytes(rows), count))
        files: dict[int, list[IndexFile]] = {}
        for row in run("SELECT * FROM index_file WHERE added <= :version ORDER BY rowid", at):
            if row[0] in index_ids:
                curve = tuple(CurvePoint(*point) for point in json.loads(row[6]))
                files.setdefault(row[1], []).append(
                    IndexFile(row[0], row[1], row[2], row[3], row[4], row[5], curve, row[7])
                )
        segments: dict[int, list[SegmentFacts]] = {}
        for row in run(
            "SELECT id, table_id, row_count, byte_size, name, checksum, statistics, partition, "
            f"rewritten FROM segment WHERE {_LIVING} ORDER BY added, rowid",
            at,
        ):
            gone = deletes.get(row[0], [])
            segments.setdefault(row[1], []).append(
                self._segment(row, gone, tuple(files.get(row[0], ())))
            )
        return segments

    def _segment(
        self, row: Sequence[Any], gone: list[tuple[bytes, int]], files: tuple[IndexFile, ...]
    ) -> SegmentFacts:
        id_, table_id, row_count, byte_size, name, checksum, statistics = row[:7]
        deletes = tuple(rows for rows, _ in gone)
        known = self._known_segments.get(id_)
        if known is not None and known.deletes == deletes and known.index_files == files:
            return known
        if known is not None:
            columns, paths = known.statistics, known.paths
        else:
            columns, paths = read_statistics(statistics)
        facts = SegmentFacts(
            id_,
            table_id,
            row_count,
            byte_size,
            name,
            checksum,
            deletes,
            sum(count for _, count in gone),
            columns,
            paths,
            files,
            row[7],
            bool(row[8]),
        )
        self._known_segments[id_] = facts
        return facts

    def inlined_rows(self, segment_id: int) -> bytes:
        """Return an inlined batch as the bytes of an Arrow IPC stream."""
        with _translated(self._shown):
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
        with _translated(self._shown):
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
        changes: Sequence[Change],
        adapt: Callable[[Snapshot], Sequence[Change]] | None = None,
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
        with _translated(self._shown):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                newest_version = self._newest_version()
                newest = base
                if newest_version != base.version:
                    newest = self._read(newest_version)
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
                    self._write(one, version)
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
        self._last = seen.tables
        return replace(seen, version=version)

    def _newest_version(self) -> int:
        row = self._connection.execute("SELECT COALESCE(MAX(version), 0) FROM version").fetchone()
        return int(row[0])

    def _write(self, one: Change, version: int) -> None:
        run = self._connection.execute
        match one:
            case change.AddTable(table):
                self._write_table(table, version)
            case change.AlterTable(table):
                self._remove("table_", table.id, version)
                self._write_table(table, version)
            case change.DropTable(table_id):
                self._remove("table_", table_id, version)
                for name in ("segment", "index_"):
                    run(
                        f"UPDATE {name} SET removed = ? WHERE table_id = ? AND removed IS NULL",
                        (version, table_id),
                    )
            case change.PutObject(named):
                self._remove_object(named.kind, named.name, version)
                run(
                    "INSERT INTO object_ VALUES (?, ?, ?, ?, ?, ?, NULL)",
                    (named.id, named.kind, named.name, named.body, named.comment, version),
                )
            case change.DropObject(kind, name):
                self._remove_object(kind, name, version)
            case change.UndoDeletes(_, segment_id, after, _, _):
                run(
                    "UPDATE deleted SET removed = ? WHERE segment_id = ? AND added > ? "
                    "AND removed IS NULL",
                    (version, segment_id, after),
                )
            case change.AlterIndex(index):
                self._remove("index_", index.id, version)
                self._write_index(index, version)
            case change.AddSegment(segment, rows):
                self._write_segment(segment, rows, version)
            case change.RemoveSegment(_, segment_id, moved):
                run(
                    "UPDATE segment SET removed = ?, moved = ? WHERE id = ? AND removed IS NULL",
                    (version, int(moved), segment_id),
                )
            case change.AddDeletes(table_id, segment_id, bits, count, carried):
                run(
                    "INSERT INTO deleted VALUES (?, ?, ?, ?, ?, NULL, ?)",
                    (segment_id, table_id, bits, count, version, int(carried)),
                )
            case change.AddIndex(index):
                self._write_index(index, version)
            case change.DropIndex(_, index_id):
                self._remove("index_", index_id, version)
            case change.AddIndexFile(_, file):
                curve = json.dumps(
                    [
                        [p.effort, p.depth, p.recall, p.nanoseconds, p.reorder_factor]
                        for p in file.curve
                    ]
                )
                run(
                    "DELETE FROM index_file WHERE index_id = ? AND segment_id = ? "
                    "AND structure = ?",
                    (file.index_id, file.segment_id, file.structure),
                )
                run(
                    "INSERT INTO index_file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        file.index_id,
                        file.segment_id,
                        file.structure,
                        file.name,
                        file.byte_size,
                        file.checksum,
                        curve,
                        file.exact_nanoseconds,
                        version,
                    ],
                )
            case change.PutStatistics(_, segment_id, statistics, paths):
                self._known_segments.pop(segment_id, None)
                run(
                    "UPDATE segment SET statistics = ? WHERE id = ?",
                    (write_statistics(statistics, paths), segment_id),
                )
            case change.PutSetting(name, value):
                run(
                    "UPDATE setting SET removed = ? WHERE name = ? AND removed IS NULL",
                    (version, name),
                )
                if value is not None:
                    run("INSERT INTO setting VALUES (?, ?, ?, NULL)", (name, value, version))
            case change.PutMachine(machine):
                run(
                    "INSERT INTO database_fact VALUES ('machine', :value) "
                    "ON CONFLICT (name) DO UPDATE SET value = :value",
                    {"value": write_machine(machine)},
                )

    def _remove(self, table: str, id_: int, version: int) -> None:
        self._connection.execute(
            f"UPDATE {table} SET removed = ? WHERE id = ? AND removed IS NULL", (version, id_)
        )

    def _remove_object(self, kind: str, name: str, version: int) -> None:
        self._connection.execute(
            "UPDATE object_ SET removed = ? WHERE kind = ? AND name = ? AND removed IS NULL",
            (version, kind, name),
        )

    def _forget_same_version(self, name: str, id_: int, version: int) -> None:
        """Remove a definition that the same commit replaced: no version ever saw it."""
        self._connection.execute(f"DELETE FROM {name} WHERE id = ? AND added = ?", (id_, version))

    def _write_table(self, table: Table, version: int) -> None:
        self._forget_same_version("table_", table.id, version)
        self._connection.execute(
            "INSERT INTO table_ VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (
                table.id,
                table.name,
                json.dumps(table.primary_key),
                write_columns(table.columns),
                write_details(table),
                version,
            ),
        )

    def _write_index(self, index: Index, version: int) -> None:
        self._forget_same_version("index_", index.id, version)
        self._connection.execute(
            "INSERT INTO index_ VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            [
                index.id,
                index.table_id,
                index.name,
                index.kind,
                index.key,
                index.metric.value if index.metric is not None else None,
                int(index.unique),
                json.dumps(dict(index.options)),
                version,
            ],
        )

    def _write_segment(
        self, segment: SegmentFacts, rows: pa.RecordBatch | None, version: int
    ) -> None:
        self._connection.execute(
            "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, 0)",
            [
                segment.id,
                segment.table_id,
                segment.row_count,
                segment.byte_size,
                segment.name,
                segment.checksum,
                write_statistics(segment.statistics, segment.paths),
                segment.partition,
                int(segment.rewritten),
                version,
            ],
        )
        if rows is not None:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, rows.schema) as writer:
                writer.write_batch(rows)
            self._connection.execute(
                "INSERT OR IGNORE INTO inlined VALUES (?, ?)",
                (segment.id, memoryview(sink.getvalue())),
            )

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Any]:
        """Return the rows of a query of the catalog; raises OperationalError."""
        with _translated(self._shown):
            return self._connection.execute(sql, parameters or {}).fetchall()

    def change(self, statements: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Run statements in one transaction beside the versions; raises OperationalError."""
        with _translated(self._shown):
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
        with _translated(self._shown):
            try:
                self._connection.execute("VACUUM")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) and "busy" not in str(error):
                    raise

    def copy_to(self, path: Path) -> None:
        """Write a consistent copy of the catalog; raises OperationalError."""
        with _translated(str(path)):
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
        with _translated(self._shown):
            self._connection.close()


def _connect(target: str, *, uri: bool) -> sqlite3.Connection:
    return sqlite3.connect(target, uri=uri, isolation_level=None, check_same_thread=False)


def _open_writable(root: Path) -> sqlite3.Connection:
    if root.exists() and not root.is_dir():
        raise OperationalError(
            f'"{root}" is a file; a database is a folder', code=sqlstate.IO_ERROR
        )
    others = root.exists() and any(root.iterdir()) and not (root / FILE_NAME).exists()
    if others:
        raise OperationalError(
            f'folder "{root}" holds other files and is not a vsql database',
            code=sqlstate.UNDEFINED_FILE,
            hint="name a new or an empty folder",
        )
    root.mkdir(parents=True, exist_ok=True)
    return _connect(str(root / FILE_NAME), uri=False)


def _open_read_only(root: Path) -> sqlite3.Connection:
    path = root / FILE_NAME
    if not path.is_file():
        raise OperationalError(f'database "{root}" does not exist', code=sqlstate.UNDEFINED_FILE)
    connection = _connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        # A folder that can't be written to has no place for SQLite's shared memory.
        connection.close()
        connection = _connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    return connection


@contextmanager
def _translated(shown: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, shown) from None
    except OSError as error:
        raise OperationalError(
            f'cannot open "{shown}": {error.strerror or error}', code=sqlstate.IO_ERROR
        ) from None


def _translate(error: sqlite3.Error, shown: str) -> DatabaseError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return OperationalError(
            f'another process is writing to "{shown}"',
            code=sqlstate.LOCK_NOT_AVAILABLE,
            hint="try again, or raise busy_timeout_ms",
        )
    if "full" in text:
        return OperationalError(f'no space left for "{shown}"', code=sqlstate.DISK_FULL)
    if "not a database" in text or "malformed" in text:
        return OperationalError(
            f'"{shown}/{FILE_NAME}" is damaged or no catalog: {text}', code=sqlstate.DATA_CORRUPTED
        )
    if "readonly" in text or "read-only" in text:
        return OperationalError(
            f'"{shown}" cannot be written to', code=sqlstate.READ_ONLY_SQL_TRANSACTION
        )
    return OperationalError(f'cannot use the catalog of "{shown}": {text}', code=sqlstate.IO_ERROR)
