"""The catalog's connection: load a snapshot, commit changes.

A commit is one SQLite transaction, so atomicity, durability and locking between processes are
SQLite's. Write-ahead logging lets readers go on while one writer writes; `synchronous = FULL`
keeps an acknowledged commit through a loss of power.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from vsql.catalog.layout import FORMAT_VERSION, TABLES
from vsql.catalog.text_form import (
    read_columns,
    read_statistics,
    write_columns,
    write_statistics,
)
from vsql.core import changes as change
from vsql.core import sqlstate
from vsql.core.changes import Change, apply
from vsql.core.distance import Metric
from vsql.core.errors import DatabaseError, OperationalError
from vsql.core.schema import EMPTY, Index, Table
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
        row = run("SELECT value FROM database_fact WHERE name = 'format_version'").fetchone()
        found = int(row[0]) if row is not None else 0
        if found > FORMAT_VERSION:
            raise OperationalError(
                f'"{self._shown}" has format {found}, and this vsql reads up to {FORMAT_VERSION}',
                code=sqlstate.FEATURE_NOT_SUPPORTED,
                hint="it was written by a newer vsql: upgrade",
            )

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
        with _translated(self._shown):
            self._data_version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            self._connection.execute("BEGIN")
            try:
                return self._read()
            finally:
                self._connection.execute("COMMIT")

    def _read(self) -> Snapshot:
        run = self._connection.execute
        version = run("SELECT COALESCE(MAX(version), 0) FROM version").fetchone()[0]
        at = {"version": version}
        tables: dict[int, Table] = {}
        for row in run(f"SELECT * FROM table_ WHERE {_LIVING} ORDER BY added, rowid", at):
            id_, name, key, columns = row[:4]
            tables[id_] = Table(id_, name, read_columns(columns), tuple(json.loads(key)))
        indexes: dict[int, list[Index]] = {id_: [] for id_ in tables}
        for row in run(f"SELECT * FROM index_ WHERE {_LIVING} ORDER BY added, rowid", at):
            id_, table_id, name, kind, key, metric, unique, options = row[:8]
            known = MappingProxyType(json.loads(options)) if options != "{}" else EMPTY
            how = Metric(metric) if metric is not None else None
            index = Index(id_, table_id, name, kind, key, how, bool(unique), known)
            indexes[table_id].append(index)
        segments = self._read_segments(at, {i.id for group in indexes.values() for i in group})
        settings = run(f"SELECT name, value FROM setting WHERE {_LIVING}", at).fetchall()
        by_name = {
            table.name: TableSnapshot(
                table, tuple(segments.get(table.id, ())), tuple(indexes[table.id])
            )
            for table in tables.values()
        }
        return Snapshot(version, by_name, dict(settings))

    def _read_segments(
        self, at: dict[str, int], index_ids: set[int]
    ) -> dict[int, list[SegmentFacts]]:
        run = self._connection.execute
        deletes: dict[int, list[tuple[bytes, int]]] = {}
        for segment_id, rows, count in run(
            "SELECT segment_id, rows, row_count FROM deleted WHERE added <= :version "
            "ORDER BY added, rowid",
            at,
        ):
            deletes.setdefault(segment_id, []).append((bytes(rows), count))
        files: dict[int, list[IndexFile]] = {}
        for row in run("SELECT * FROM index_file WHERE added <= :version ORDER BY rowid", at):
            if row[0] in index_ids:
                curve = tuple(CurvePoint(*point) for point in json.loads(row[6]))
                index_id, segment_id, structure, name, byte_size, checksum = row[:6]
                file = IndexFile(
                    index_id, segment_id, structure, name, byte_size, checksum, curve, row[7]
                )
                files.setdefault(row[1], []).append(file)
        segments: dict[int, list[SegmentFacts]] = {}
        for row in run(f"SELECT * FROM segment WHERE {_LIVING} ORDER BY added, rowid", at):
            id_, table_id, row_count, byte_size, name, checksum, statistics = row[:7]
            gone = deletes.get(id_, [])
            facts = SegmentFacts(
                id_,
                table_id,
                row_count,
                byte_size,
                name,
                checksum,
                tuple(rows for rows, _ in gone),
                sum(count for _, count in gone),
                read_statistics(statistics),
                tuple(files.get(id_, ())),
            )
            segments.setdefault(table_id, []).append(facts)
        return segments

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

    def commit(
        self,
        base: Snapshot,
        changes: Sequence[Change],
        check: Callable[[Snapshot], None] | None,
    ) -> Snapshot:
        """Write a transaction's changes as the next version and return the new snapshot.

        `check` sees the newest snapshot where another transaction came between, and may refuse.
        Raises OperationalError: 40001 where both changed the same, 55P03, 53100, 58030.
        """
        with _translated(self._shown):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                newest = self._read() if self._newest_version() != base.version else base
                if newest is not base:
                    _refuse_conflicts(base, newest, changes)
                    if check is not None:
                        check(newest)
                version = newest.version + 1
                self._connection.execute(
                    "INSERT INTO version VALUES (:version, :now)",
                    {"version": version, "now": time.time_ns() // 1000},
                )
                for one in changes:
                    self._write(one, version)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        seen = newest
        for one in changes:
            seen = apply(seen, one)
        self._data_version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return Snapshot(version, seen.tables, seen.settings)

    def _newest_version(self) -> int:
        row = self._connection.execute("SELECT COALESCE(MAX(version), 0) FROM version").fetchone()
        return int(row[0])

    def _write(self, one: Change, version: int) -> None:
        run = self._connection.execute
        match one:
            case change.AddTable(table):
                key, columns = json.dumps(table.primary_key), write_columns(table.columns)
                run(
                    "INSERT INTO table_ VALUES (?, ?, ?, ?, ?, NULL)",
                    (table.id, table.name, key, columns, version),
                )
            case change.DropTable(table_id):
                run("UPDATE table_ SET removed = ? WHERE id = ?", (version, table_id))
                for name in ("segment", "index_"):
                    run(
                        f"UPDATE {name} SET removed = ? WHERE table_id = ? AND removed IS NULL",
                        (version, table_id),
                    )
            case change.AddSegment(segment, rows):
                self._write_segment(segment, rows, version)
            case change.RemoveSegment(_, segment_id):
                run("UPDATE segment SET removed = ? WHERE id = ?", (version, segment_id))
            case change.AddDeletes(table_id, segment_id, bits, count):
                run(
                    "INSERT INTO deleted VALUES (?, ?, ?, ?, ?)",
                    (segment_id, table_id, bits, count, version),
                )
            case change.AddIndex(index):
                metric = index.metric.value if index.metric is not None else None
                options = json.dumps(dict(index.options))
                run(
                    "INSERT INTO index_ VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                    [
                        index.id,
                        index.table_id,
                        index.name,
                        index.kind,
                        index.key,
                        metric,
                        int(index.unique),
                        options,
                        version,
                    ],
                )
            case change.DropIndex(_, index_id):
                run("UPDATE index_ SET removed = ? WHERE id = ?", (version, index_id))
            case change.AddIndexFile(_, file):
                curve = json.dumps(
                    [[p.effort, p.depth, p.recall, p.nanoseconds] for p in file.curve]
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
            case change.PutSetting(name, value):
                run(
                    "UPDATE setting SET removed = ? WHERE name = ? AND removed IS NULL",
                    (version, name),
                )
                if value is not None:
                    run("INSERT INTO setting VALUES (?, ?, ?, NULL)", (name, value, version))

    def _write_segment(
        self, segment: SegmentFacts, rows: pa.RecordBatch | None, version: int
    ) -> None:
        self._connection.execute(
            "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            [
                segment.id,
                segment.table_id,
                segment.row_count,
                segment.byte_size,
                segment.name,
                segment.checksum,
                write_statistics(segment.statistics),
                version,
            ],
        )
        if rows is not None:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, rows.schema) as writer:
                writer.write_batch(rows)
            self._connection.execute(
                "INSERT INTO inlined VALUES (?, ?)", (segment.id, memoryview(sink.getvalue()))
            )

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


def _refuse_conflicts(base: Snapshot, newest: Snapshot, changes: Sequence[Change]) -> None:
    """Raise OperationalError (40001) where two transactions changed the same."""
    old = {t.table.id: t for t in base.tables.values()}
    now = {t.table.id: t for t in newest.tables.values()}
    added = {one.table.id for one in changes if isinstance(one, change.AddTable)}
    for one in changes:
        if isinstance(one, change.AddTable) and one.table.name in newest.tables:
            raise _conflict(f'table "{one.table.name}" was created')
        table_id = _table_id(one)
        if table_id is None or table_id in added:
            continue
        if table_id not in now:
            raise _conflict(f'table "{old[table_id].table.name}" was dropped')
        before, after = old[table_id], now[table_id]
        if before.table != after.table or before.indexes != after.indexes:
            raise _conflict(f'table "{before.table.name}" was altered')
        if isinstance(one, change.AddDeletes | change.RemoveSegment):
            _refuse_same_rows(one.segment_id, before, after)


def _refuse_same_rows(segment_id: int, before: TableSnapshot, after: TableSnapshot) -> None:
    was = next((s for s in before.segments if s.id == segment_id), None)
    if was is None:
        return
    is_now = next((s for s in after.segments if s.id == segment_id), None)
    if is_now is None or is_now.deletes != was.deletes:
        raise _conflict(f'rows of table "{before.table.name}" were changed')


def _table_id(one: Change) -> int | None:
    match one:
        case change.AddSegment(segment):
            return segment.table_id
        case change.AddIndex(index):
            return index.table_id
        case change.AddTable() | change.PutSetting():
            return None
        case _:
            return one.table_id


def _conflict(what: str) -> OperationalError:
    return OperationalError(
        f"could not serialize access: {what} by another transaction",
        code=sqlstate.SERIALIZATION_FAILURE,
        hint="run the transaction again",
    )


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
