"""Opening a catalog: its file, and the format of what is in it."""

import sqlite3
from pathlib import Path

from vsql.catalog.layout import FILE_NAME, FORMAT_VERSION, MIGRATIONS, TABLES
from vsql.core import sqlstate
from vsql.core.errors import OperationalError


def connect(target: str, *, uri: bool) -> sqlite3.Connection:
    """Return a connection that begins no transaction by itself and may go from thread to thread."""
    return sqlite3.connect(target, uri=uri, isolation_level=None, check_same_thread=False)


def open_writable(root: Path) -> sqlite3.Connection:
    """Return a connection to a folder's catalog; makes the folder. Raises OperationalError."""
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
    return connect(str(root / FILE_NAME), uri=False)


def open_read_only(root: Path) -> sqlite3.Connection:
    """Return a connection that only reads; raises OperationalError for a folder without one."""
    path = root / FILE_NAME
    if not path.is_file():
        raise OperationalError(f'database "{root}" does not exist', code=sqlstate.UNDEFINED_FILE)
    connection = connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        # A folder that can't be written to has no place for SQLite's shared memory.
        connection.close()
        connection = connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    return connection


def check_format(connection: sqlite3.Connection, shown: str, *, create: bool) -> None:
    """Bring a catalog to today's format, or make its tables, where `create` allows it.

    Raises OperationalError: 58P01 for what is no catalog, 0A000 for a format that can't be read.
    """
    run = connection.execute
    exists = run("SELECT 1 FROM sqlite_master WHERE name = 'database_fact'").fetchone()
    if exists is None:
        if not create:
            raise OperationalError(
                f'"{shown}" is not a vsql database', code=sqlstate.UNDEFINED_FILE
            )
        run("BEGIN IMMEDIATE")
        for statement in TABLES.split(";"):
            run(statement)
        run(
            "INSERT OR IGNORE INTO database_fact VALUES ('format_version', :format)",
            {"format": str(FORMAT_VERSION)},
        )
        run("COMMIT")
    found = _format(connection)
    if found > FORMAT_VERSION:
        raise OperationalError(
            f'"{shown}" has format {found}, and this vsql reads up to {FORMAT_VERSION}',
            code=sqlstate.FEATURE_NOT_SUPPORTED,
            hint="it was written by a newer vsql: upgrade",
        )
    if found < FORMAT_VERSION:
        if not create:
            raise OperationalError(
                f'"{shown}" has format {found}: it must be migrated to {FORMAT_VERSION}',
                code=sqlstate.FEATURE_NOT_SUPPORTED,
                hint="open it once without read_only",
            )
        _migrate(connection)


def _format(connection: sqlite3.Connection) -> int:
    row = connection.execute(
        "SELECT value FROM database_fact WHERE name = 'format_version'"
    ).fetchone()
    return int(row[0]) if row is not None else 0


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring an older catalog to today's format, in one transaction."""
    run = connection.execute
    run("BEGIN IMMEDIATE")
    try:
        for older in range(_format(connection), FORMAT_VERSION):
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
