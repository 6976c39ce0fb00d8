"""No foreign exception reaches a user: what libraries raise becomes an error of vsql's."""

import contextlib
import re
from collections.abc import Iterator

from vsql.core import sqlstate
from vsql.core.errors import (
    DataError,
    Error,
    InternalError,
    OperationalError,
    ProgrammingError,
    Span,
)
from vsql.grammar.operators import pieces

_NAMED = (
    sqlstate.UNDEFINED_COLUMN,
    sqlstate.UNDEFINED_FUNCTION,
    sqlstate.AMBIGUOUS_COLUMN,
    sqlstate.UNDEFINED_TABLE,
)
_NAME_IN_MESSAGE = r'(?:column|table) "([^"]+)"|function (\w+) does'


@contextlib.contextmanager
def own_errors(text: str | None = None) -> Iterator[None]:
    """Let vsql errors alone leave the block; they learn the statement and where its mistake is."""
    try:
        yield
    except Error as error:
        if error.statement is None:
            error.statement = text
        if error.span is None and text is not None and error.sqlstate in _NAMED:
            error.span = _place_of_name(error.message, text)
        raise
    except RecursionError:
        raise ProgrammingError(
            "the statement is nested too deeply", code=sqlstate.STATEMENT_TOO_COMPLEX
        ) from None
    except MemoryError:
        raise OperationalError("out of memory", code=sqlstate.OUT_OF_MEMORY) from None
    except OSError as error:
        raise OperationalError(
            f"the file system refused: {error.strerror or error}", code=sqlstate.IO_ERROR
        ) from None
    except OverflowError as error:
        raise DataError(
            f"a value is beyond what Python's own types hold: {error}",
            code=sqlstate.DATETIME_FIELD_OVERFLOW,
            hint="dates and times reach from year 1 to 9999; fetch_arrow_table() and casts to TEXT"
            " have no such bound",
        ) from None
    except Exception as error:  # a bug of ours
        raise InternalError(
            f"internal error: {type(error).__name__}: {error}",
            statement=text,
            hint="please report this statement",
        ) from error


def _place_of_name(message: str, text: str) -> Span | None:
    """Return where the name that DuckDB complained of stands in the statement."""
    quoted = re.search(_NAME_IN_MESSAGE, message)
    if quoted is None:
        return None
    name = next(group for group in quoted.groups() if group)
    literals = [p for p in pieces(text) if p.kind in ("string", "escaped", "line_comment")]
    for found in re.finditer(rf"(?<![\w.]){re.escape(name)}(?!\w)", text, re.IGNORECASE):
        if not any(literal.start <= found.start() < literal.end for literal in literals):
            return Span(found.start(), found.end())
    return None
