"""Durations in words, such as those that versions and rows are kept."""

import re

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError

_UNITS = {
    "second": 1,
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "week": 604_800,
}
_PART = r"(?i)\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\b"
_SHORT = {"s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day"}


def microseconds_long(text: str) -> int:
    """Return a duration such as '30 days' or '1 hour 30 minutes'; raises ProgrammingError."""
    total, place = 0.0, 0
    stripped = text.strip()
    if stripped == "0":
        return 0
    while place < len(stripped) or not stripped:
        found = re.compile(_PART).match(stripped, place)
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
