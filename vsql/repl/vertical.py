"""The format `vertical`: one block per row, one line per column."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from vsql.repl.cells import BOLD, DIM, cell_width, pad, paint
from vsql.repl.result import Column, Rows, Style, row_count_line
from vsql.repl.values import escape_controls, short_text


def vertical(rows: Rows, style: Style) -> Iterator[str]:
    """Yield each row as a block of `name │ value` lines, then the count."""
    remaining = iter(rows.values)
    shown = list(islice(remaining, style.rows_max))
    yield from vertical_records(rows.columns, shown, style)
    yield row_count_line(len(shown) + sum(1 for _ in remaining), len(shown))


def vertical_records(
    columns: Sequence[Column], values: Iterable[tuple[Any, ...]], style: Style
) -> Iterator[str]:
    """Yield the blocks alone."""
    names = [escape_controls(column.name) for column in columns]
    width = max((cell_width(name) for name in names), default=0)
    for number, row in enumerate(values, start=1):
        title = f"─[ RECORD {number} ]"
        yield paint(title + "─" * max(0, 30 - len(title)), DIM, style.colour) + "\n"
        for name, column, value in zip(names, columns, row, strict=True):
            if value is None:
                text = paint("NULL", DIM, style.colour)
            else:
                text = short_text(value, column.type_name, float_digits=style.float_digits)
            yield f"{paint(pad(name, width), BOLD, style.colour)} │ {text}".rstrip(" ") + "\n"
