"""Rows on their way to a screen or a file."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and the SQL name of its type's family."""

    name: str
    type_name: str = "TEXT"


@dataclass(frozen=True, slots=True)
class Rows:
    """The columns of a result and its rows, which may be read once only."""

    columns: tuple[Column, ...]
    values: Iterable[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Style:
    """How to present: `width` in terminal columns (None: unlimited), `rows_max` for tables.

    `colour` allows terminal escapes; `float_digits` rounds floats for a reader.
    """

    width: int | None = None
    colour: bool = False
    rows_max: int = 10_000
    float_digits: int | None = None


def row_count_line(count: int, shown: int | None = None) -> str:
    """Return the line under a result: "(1 row)", "(20,000 rows, the first 10,000 shown)"."""
    line = f"{count:,} row{'' if count == 1 else 's'}"
    if shown is not None and shown < count:
        line += f", the first {shown:,} shown"
    return f"({line})\n"
