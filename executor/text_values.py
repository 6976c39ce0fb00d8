"""What text says as a value of a scalar type, as PostgreSQL reads an untyped literal.

One reading serves what is stored and what a column is compared with.
"""

import datetime
import decimal
import uuid
from typing import Any

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import DataError
from vsql.core.interval_text import read_interval
from vsql.core.types import Family, SqlType


def read_text(text: str, type_: SqlType) -> Any:
    """Return the value that text says; a DECIMAL has the digits that are written.

    Raises one of `vsql.executor.bound_values.REFUSALS`, or DataError (22P02).
    """
    match type_.family:
        case Family.UUID:
            return uuid.UUID(text).bytes
        case Family.BYTEA:
            return _hexadecimal(text) if text.startswith("\\x") else text.encode()
        case Family.INTERVAL:
            return read_interval(text)
        case Family.BOOLEAN:
            return _BOOLEANS[text.strip().lower()]
        case Family.TIME:
            return datetime.time.fromisoformat(text.strip())
        case Family.TIMESTAMPTZ:
            moment = datetime.datetime.fromisoformat(text.strip())
            return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
        case Family.DECIMAL:
            return decimal.Decimal(text.strip())
        case _:
            return pa.scalar(text.strip()).cast(type_.arrow).as_py()


_BOOLEANS = {
    **dict.fromkeys(("t", "true", "yes", "on", "1"), True),
    **dict.fromkeys(("f", "false", "no", "off", "0"), False),
}


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise DataError(
            f"invalid hexadecimal digits: {text[:40]!r}",
            code=sqlstate.INVALID_TEXT_REPRESENTATION,
        ) from None
