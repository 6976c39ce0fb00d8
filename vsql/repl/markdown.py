"""The format `markdown`: a table as GitHub reads it."""

from collections.abc import Iterator, Sequence

from vsql.repl.result import Rows, Style
from vsql.repl.values import NUMERIC_TYPES, short_text


def markdown(rows: Rows, style: Style) -> Iterator[str]:
    """Yield a GitHub-flavoured table; pipes are escaped and line breaks become <br>."""
    yield _line([_escaped(column.name) for column in rows.columns])
    yield _line(["---:" if column.type_name in NUMERIC_TYPES else "---" for column in rows.columns])
    for row in rows.values:
        yield _line(
            [
                "NULL" if value is None else _cell(value, column.type_name, style)
                for value, column in zip(row, rows.columns, strict=True)
            ]
        )


def _cell(value: object, type_name: str, style: Style) -> str:
    if isinstance(value, str):
        return _escaped(value)
    return _escaped(short_text(value, type_name, float_digits=style.float_digits))


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return "<br>".join(escaped.splitlines())


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"
