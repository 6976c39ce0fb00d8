"""vsql: a vector database that speaks SQL.

>>> import vsql
>>> with vsql.connect(":memory:") as connection:
...     connection.execute("SELECT 6 * 7").fetchone()
(42,)

This module holds PEP 249's module interface. It loads no library: `connect` does.
"""

import os
from typing import TYPE_CHECKING, Any

from vsql.core.errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
)
from vsql.core.version import VERSION
from vsql.driver.type_objects import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    VECTOR,
    Binary,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)

if TYPE_CHECKING:
    from vsql.core.sparse import SparseVector
    from vsql.driver.connection import Connection

__version__ = VERSION
apilevel = "2.0"
threadsafety = 2
paramstyle = "qmark"


def connect(
    database: "str | os.PathLike[str]" = ":memory:",
    *,
    autocommit: bool = False,
    read_only: bool = False,
    **settings: Any,
) -> "Connection":
    """Open the database in the directory `database`, or a private one for ":memory:".

    A directory that does not exist is made, unless `read_only`. `settings` are those that
    `SET` knows. Raises OperationalError where the database can't be opened, ProgrammingError
    for a setting that does not exist. Source: PEP 249, "Constructors".
    """
    from vsql.driver.connection import Connection

    return Connection.open(database, autocommit=autocommit, read_only=read_only, settings=settings)


def __getattr__(name: str) -> Any:
    # Its module loads numpy and pyarrow.
    if name == "SparseVector":
        from vsql.core.sparse import SparseVector

        return SparseVector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "VECTOR",
    "Binary",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "SparseVector",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]
