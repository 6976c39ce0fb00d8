"""The format `json`: one array of objects, an object per line."""

import json
from collections.abc import Iterator

from vsql.repl.result import Column, Rows, Style
from vsql.repl.values import json_value


def json_array(rows: Rows, style: Style) -> Iterator[str]:
    """Yield an array with one object per row; a repeated column name gets a number."""
    names = _distinct(rows.columns)
    opening = "["
    for row in rows.values:
        document = {
            name: json_value(value, column.type_name)
            for name, column, value in zip(names, rows.columns, row, strict=True)
        }
        yield f"{opening}\n  {json.dumps(document, ensure_ascii=False)}"
        opening = ","
    yield "[]\n" if opening == "[" else "\n]\n"


def _distinct(columns: tuple[Column, ...]) -> list[str]:
    """Return the names, each once: an object can't hold two values under one key."""
    taken: set[str] = set()
    names: list[str] = []
    for column in columns:
        name, number = column.name, 1
        while name in taken:
            number += 1
            name = f"{column.name}_{number}"
        taken.add(name)
        names.append(name)
    return names
