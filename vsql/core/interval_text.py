"""Intervals written as PostgreSQL reads them: '1 year 2 mons -3 days 04:05:06.5', 'P1Y2M3DT4H'.

Months, days and time stand beside each other, since no number of days makes a month. Source:
PostgreSQL's documentation, "Interval Input".
"""

import re
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa

# In months, days and seconds.
_UNITS: dict[str, tuple[int, int, Decimal]] = {
    "millennium": (12_000, 0, Decimal(0)),
    "century": (1_200, 0, Decimal(0)),
    "decade": (120, 0, Decimal(0)),
    "year": (12, 0, Decimal(0)),
    "month": (1, 0, Decimal(0)),
    "week": (0, 7, Decimal(0)),
    "day": (0, 1, Decimal(0)),
    "hour": (0, 0, Decimal(3_600)),
    "minute": (0, 0, Decimal(60)),
    "second": (0, 0, Decimal(1)),
    "millisecond": (0, 0, Decimal("0.001")),
    "microsecond": (0, 0, Decimal("0.000001")),
}
_OTHER_NAMES = {
    "millennia": "millennium",
    "mil": "millennium",
    "centuries": "century",
    "cent": "century",
    "c": "century",
    "dec": "decade",
    "yr": "year",
    "y": "year",
    "mon": "month",
    "w": "week",
    "d": "day",
    "hr": "hour",
    "h": "hour",
    "min": "minute",
    "m": "minute",
    "sec": "second",
    "s": "second",
    "msec": "millisecond",
    "ms": "millisecond",
    "usec": "microsecond",
    "us": "microsecond",
}
_PART = re.compile(
    r"\s*(?:(?P<sign>[+-]?)(?P<hours>\d+):(?P<minutes>\d\d?)(?::(?P<seconds>\d\d?(?:\.\d+)?))?"
    r"|(?P<count>[+-]?(?:\d+\.?\d*|\.\d+))\s*(?P<unit>[a-z]+))(?![\w.:])",
    re.IGNORECASE,
)
_AGO = re.compile(r"\s+ago\s*$", re.IGNORECASE)
_COUNT = r"([+-]?\d+(?:\.\d+)?)"
_ISO = re.compile(
    "P"
    + "".join(f"(?:{_COUNT}{letter})?" for letter in "YMWD")
    + "(?:T"
    + "".join(f"(?:{_COUNT}{letter})?" for letter in "HMS")
    + ")?",
)
_ISO_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")
_DAYS_OF_MONTH = 30
_SECONDS_OF_DAY = 86_400


def read_interval(text: str) -> pa.MonthDayNano:
    """Return the interval that a text means; raises ValueError where it means none."""
    stripped = text.strip()
    backward = _AGO.search(stripped)
    counted = _iso(stripped) if stripped.startswith("P") else _parts(_AGO.sub("", stripped))
    months, days, seconds = Decimal(0), Decimal(0), Decimal(0)
    found = False
    for count, unit in counted:
        own_months, own_days, own_seconds = _UNITS[unit]
        months += count * own_months
        days += count * own_days
        seconds += count * own_seconds
        found = True
    if not found:
        raise ValueError(text)
    # What is left of a month is days, and of a day time, as in '1.5 months'.
    days += months % 1 * _DAYS_OF_MONTH
    seconds += days % 1 * _SECONDS_OF_DAY
    sign = -1 if backward else 1
    whole = (int(months), int(days), int(round(seconds, 6) * 1_000_000_000))
    return pa.MonthDayNano([sign * number for number in whole])


def _iso(text: str) -> Iterator[tuple[Decimal, str]]:
    found = _ISO.fullmatch(text)
    for count, unit in zip(found.groups() if found else (), _ISO_UNITS, strict=False):
        if count is not None:
            yield Decimal(count), unit


def _parts(text: str) -> Iterator[tuple[Decimal, str]]:
    place = 0
    while place < len(text):
        found = _PART.match(text, place)
        if found is None:
            raise ValueError(text)
        place = found.end()
        if found["count"] is not None:
            yield Decimal(found["count"]), _unit(found["unit"].lower())
            continue
        sign = -1 if found["sign"] == "-" else 1
        for name, unit in (("hours", "hour"), ("minutes", "minute"), ("seconds", "second")):
            yield sign * Decimal(found[name] or 0), unit


def _unit(written: str) -> str:
    for name in (written, written.removesuffix("s")):
        known = _OTHER_NAMES.get(name, name)
        if known in _UNITS:
            return known
    raise ValueError(written)


def interval_text(months: int, days: int, nanoseconds: int) -> str:
    """Return an interval as text that `read_interval` reads back: '1 year 2 months 04:05:06'."""
    parts = [
        _counted(int(months / 12), "year"),
        _counted(months - int(months / 12) * 12, "month"),
        _counted(days, "day"),
    ]
    if nanoseconds or not any(parts):
        parts.append(_clock(nanoseconds))
    return " ".join(part for part in parts if part)


def _counted(count: int, unit: str) -> str:
    if not count:
        return ""
    return f"{count} {unit}" if abs(count) == 1 else f"{count} {unit}s"


def _clock(nanoseconds: int) -> str:
    seconds, left = divmod(abs(nanoseconds) // 1_000, 1_000_000)
    minutes, second = divmod(seconds, 60)
    fraction = f".{left:06d}".rstrip("0") if left else ""
    sign = "-" if nanoseconds < 0 else ""
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{fraction}"
