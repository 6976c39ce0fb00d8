"""SQLite's errors in the words of this database."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from vsql.catalog.layout import FILE_NAME
from vsql.core import sqlstate
from vsql.core.errors import DatabaseError, OperationalError


@contextmanager
def translated(shown: str) -> Iterator[None]:
    """Raise SQLite's errors and the system's, inside, as OperationalError or DatabaseError."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, shown) from None
    except OSError as error:
        raise OperationalError(
            f'cannot open "{shown}": {error.strerror or error}', code=sqlstate.IO_ERROR
        ) from None


def translate(error: sqlite3.Error, shown: str) -> DatabaseError:
    """Return vsql's error for one of SQLite's; `shown` is the catalog's place."""
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
