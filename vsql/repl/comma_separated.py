"""The format `csv`: RFC 4180, whole values, a header, NULL as an empty field."""

import csv
import io
from collections.abc import Iterator, Sequence

from vsql.repl.result import Rows, Style
from vsql.repl.values import full_text


def comma_separated(rows: Rows, style: Style) -> Iterator[str]:
    """Yield the header and one record per row; an empty text is quoted to tell it from NULL."""
    yield _record([column.name for column in rows.columns])
    for row in rows.values:
        yield _record(
            [
                None if value is None else full_text(value, column.type_name)
                for value, column in zip(row, rows.columns, strict=True)
            ]
        )


def _record(fields: Sequence[str | None]) -> str:
    return ",".join(_field(field) for field in fields) + "\r\n"


def _field(text: str | None) -> str:
    if text is None:
        return ""
    if not text:
        return '""'
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow([text])
    return buffer.getvalue()
