"""Versions and times: what FOR VERSION AS OF, FOR TIMESTAMP AS OF and RETENTION say."""

import datetime
import re
from typing import Any

from vsql.core import sqlstate
from vsql.core.errors import DataError, ProgrammingError

_UNITS = {
    "second": 1,
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "week": 604_800,
}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\b", re.IGNORECASE)
_SHORT = {"s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day"}


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


def microseconds_long(text: str) -> int:
    """Return a duration such as '30 days' or '1 hour 30 minutes'; raises ProgrammingError."""
    total, place = 0.0, 0
    stripped = text.strip()
    if stripped == "0":
        return 0
    while place < len(stripped):
        found = _PART.match(stripped, place)
        unit = found.group(2).lower() if found is not None else ""
        unit = _SHORT.get(unit, unit)
        if found is None or unit not in _UNITS:
            raise ProgrammingError(
                f"invalid duration '{text}'",
                code=sqlstate.INVALID_PARAMETER_VALUE,
                hint="as in '30 days', '24 hours', '90 seconds'",
            )
        total += float(found.group(1)) * _UNITS[unit]
        place = found.end()
    return round(total * 1_000_000)
