"""Bulk loading of Arrow data, as ADBC's cursors have it.

Source: https://arrow.apache.org/adbc/current/python/api/adbc_driver_manager.html (adbc_ingest).
"""

import uuid
from typing import TYPE_CHECKING, Any

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError

if TYPE_CHECKING:
    from vsql.driver.cursor import Cursor

MODES = ("append", "create", "replace", "create_append")


def ingest(cursor: "Cursor", table_name: str, data: Any, mode: str, *, temporary: bool) -> int:
    """Load data into a table; returns the number of rows. See `Cursor.adbc_ingest`."""
    if mode not in MODES:
        raise ProgrammingError(
            f'there is no mode "{mode}"',
            code=sqlstate.INVALID_PARAMETER_VALUE,
            hint=f"known: {', '.join(MODES)}",
        )
    connection = cursor.connection
    target = ".".join('"' + part.replace('"', '""') + '"' for part in table_name.split("."))
    source = f"vsql_ingest_{uuid.uuid4().hex}"
    connection.register(source, data)
    try:
        columns = ", ".join(
            '"' + name.replace('"', '""') + '"' for name in connection.registered_columns(source)
        )
        if mode == "replace":
            cursor.execute(f"DROP TABLE IF EXISTS {target}")
        if mode != "append":
            kind = "TEMPORARY TABLE" if temporary else "TABLE"
            unless = "IF NOT EXISTS " if mode == "create_append" else ""
            cursor.execute(
                f"CREATE {kind} {unless}{target} AS SELECT {columns} FROM {source} WITH NO DATA"
            )
        cursor.execute(f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {source}")
        return cursor.rowcount
    finally:
        connection.unregister(source)
