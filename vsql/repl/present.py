"""Results and errors as text: the output formats by name, and how an error is shown."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from vsql.core.errors import Error
from vsql.repl.cells import RED, paint
from vsql.repl.comma_separated import comma_separated
from vsql.repl.json_array import json_array
from vsql.repl.markdown import markdown
from vsql.repl.result import Rows, Style
from vsql.repl.table import table
from vsql.repl.vertical import vertical

Format = Callable[[Rows, Style], Iterator[str]]

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "table": table,
        "csv": comma_separated,
        "json": json_array,
        "markdown": markdown,
        "vertical": vertical,
    }
)

# Programs read these, so nothing but data may stand between the results.
DATA_FORMATS = frozenset({"csv", "json"})


def present(rows: Rows, format_name: str, style: Style) -> Iterator[str]:
    """Yield the text of `rows` in one of FORMATS, piece by piece."""
    return FORMATS[format_name](rows, style)


def error_text(error: Exception, *, colour: bool = False, location: str = "") -> str:
    """Return an error as the user sees it: `ERROR 42703: message`, the place, the hint.

    `location` is "FILE:LINE" for a script. Anything but a vsql error is a bug and says so.
    """
    prefix = f"{location}: " if location else ""
    if isinstance(error, Error):
        first, _, rest = str(error).partition("\n")
        head = paint(f"ERROR {error.sqlstate}:", RED, colour)
        return f"{prefix}{head} {first}\n" + (f"{rest}\n" if rest else "")
    head = paint("internal error:", RED, colour)
    detail = " ".join(str(error).split())
    return f"{prefix}{head} {type(error).__name__}: {detail}, please report\n"


def duration_text(seconds: float) -> str:
    """Return the line that `\\timing` shows, in milliseconds."""
    return f"Time: {seconds * 1000:,.3f} ms\n"
