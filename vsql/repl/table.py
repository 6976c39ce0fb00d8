"""The format `table`: aligned columns that fit the terminal, numbers to the right."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from vsql.repl.cells import BOLD, DIM, cell_width, cut, pad, paint
from vsql.repl.result import Column, Rows, Style, row_count_line
from vsql.repl.values import NUMERIC_TYPES, escape_controls, short_text
from vsql.repl.vertical import vertical_records

COLUMN_WIDTH_MIN = 8
_SEPARATOR = " │ "
_MARGIN = 1


def table(rows: Rows, style: Style) -> Iterator[str]:
    """Yield the lines of a table; where even narrow columns don't fit, one record per block."""
    remaining = iter(rows.values)
    shown = list(islice(remaining, style.rows_max))
    count = len(shown) + sum(1 for _ in remaining)
    headers = [escape_controls(column.name) for column in rows.columns]
    cells = [_row_cells(row, rows.columns, style) for row in shown]
    natural = [
        max(cell_width(text) for text in (header, *column))
        for header, column in zip(headers, _transposed(cells, len(headers)), strict=True)
    ]
    widths = fit_widths(natural, [_may_shrink(column) for column in rows.columns], style.width)
    if widths is None:
        yield from vertical_records(rows.columns, shown, style)
    else:
        yield from _aligned(headers, cells, shown, widths, rows.columns, style)
    yield row_count_line(count, len(shown))


def fit_widths(
    natural: Sequence[int], shrinkable: Sequence[bool], width: int | None
) -> list[int] | None:
    """Return column widths that fit `width`, narrowing the widest first; None if they can't.

    Numbers are never cut, for half a number is a wrong number; nor is a table's only column, for
    a terminal wraps it.
    """
    widths = list(natural)
    if width is None or len(widths) < 2:
        return widths
    room = width - len(_SEPARATOR) * (len(widths) - 1) - 2 * _MARGIN
    excess = sum(widths) - room
    while excess > 0:
        candidates = [
            place
            for place, wide in enumerate(widths)
            if shrinkable[place] and wide > COLUMN_WIDTH_MIN
        ]
        if not candidates:
            return None
        widest = max(candidates, key=lambda place: widths[place])
        others = [widths[place] for place in candidates if widths[place] < widths[widest]]
        floor = max([COLUMN_WIDTH_MIN, *others])
        step = max(1, min(excess, widths[widest] - floor))
        widths[widest] -= step
        excess -= step
    return widths


def _aligned(
    headers: Sequence[str],
    cells: Sequence[Sequence[str]],
    values: Sequence[tuple[Any, ...]],
    widths: Sequence[int],
    columns: Sequence[Column],
    style: Style,
) -> Iterator[str]:
    right = [column.type_name in NUMERIC_TYPES for column in columns]
    titles = [
        paint(pad(cut(header, wide), wide, right=to_right), BOLD, style.colour)
        for header, wide, to_right in zip(headers, widths, right, strict=True)
    ]
    yield _line(titles)
    yield "─" * _MARGIN + "─┼─".join("─" * wide for wide in widths) + "─" * _MARGIN + "\n"
    for texts, row in zip(cells, values, strict=True):
        yield _line(
            [
                paint(
                    pad(cut(text, wide), wide, right=to_right),
                    DIM,
                    style.colour and value is None,
                )
                for text, wide, to_right, value in zip(texts, widths, right, row, strict=True)
            ]
        )


def _line(cells: Sequence[str]) -> str:
    return (" " * _MARGIN + _SEPARATOR.join(cells)).rstrip(" ") + "\n"


def _row_cells(row: tuple[Any, ...], columns: Sequence[Column], style: Style) -> list[str]:
    return [
        "NULL"
        if value is None
        else short_text(value, column.type_name, float_digits=style.float_digits)
        for value, column in zip(row, columns, strict=True)
    ]


def _transposed(cells: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    return [[row[place] for row in cells] for place in range(width)]


def _may_shrink(column: Column) -> bool:
    return column.type_name not in NUMERIC_TYPES
