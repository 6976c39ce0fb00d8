"""What is known about the values of a column in one segment."""

from dataclasses import dataclass
from typing import Any

TEXT_MAX = 64
"""Longer texts are kept cut short: as a minimum, a maximum or a bound."""


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """Statistics of one column of one segment.

    `minimum` and `maximum` are Python values, None where unknown or where all is NULL;
    `common` holds the most frequent values with their counts, most frequent first;
    `histogram` holds the bounds of equi-depth buckets over the values that are not in `common`.
    For arrays, `common`, `distinct`, `minimum` and `maximum` are over the elements.
    """

    rows: int
    nulls: int
    distinct: int
    minimum: Any = None
    maximum: Any = None
    common: tuple[tuple[Any, int], ...] = ()
    histogram: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class PathStatistics:
    """Statistics of one JSON path of one segment, apart by what its values are.

    `absent` counts the rows without a value, or with null. In each of the others the rows that
    have a value of another kind count as NULL; `elements` is over the elements of lists. None
    where no row has a value of the kind.
    """

    rows: int
    absent: int
    numbers: ColumnStatistics | None = None
    strings: ColumnStatistics | None = None
    booleans: ColumnStatistics | None = None
    elements: ColumnStatistics | None = None
