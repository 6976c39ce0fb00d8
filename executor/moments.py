"""Versions and times: what FOR VERSION AS OF and FOR TIMESTAMP AS OF say."""

import datetime
from typing import Any

from vsql.core import sqlstate
from vsql.core.errors import DataError, ProgrammingError


def version_number(value: Any) -> int:
    """Return a version as a number; raises ProgrammingError (22023)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().isdigit():
        return int(value)
    raise ProgrammingError(
        f"a version is a whole number, not {value!r}", code=sqlstate.INVALID_PARAMETER_VALUE
    )


def microseconds_of(value: Any) -> int:
    """Return a time as microseconds since 1970, UTC where it has no zone; raises DataError."""
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.datetime.fromisoformat(value)
        except ValueError:
            raise DataError(
                f"invalid timestamp '{value}'", code=sqlstate.INVALID_DATETIME_FORMAT
            ) from None
    if not isinstance(moment, datetime.datetime):
        raise DataError(f"{value!r} is no timestamp", code=sqlstate.INVALID_DATETIME_FORMAT)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return round(moment.timestamp() * 1_000_000)
