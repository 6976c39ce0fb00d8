"""No foreign exception reaches a user: what libraries raise becomes an error of vsql's."""

import re
from contextlib import AbstractContextManager
from types import TracebackType

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


def own_errors(text: str | None = None) -> AbstractContextManager[None]:
    """Let vsql errors alone leave the block; they learn the statement and where its mistake is."""
    return _Guard(text)


class _Guard(AbstractContextManager[None]):
    # A class: every statement passes two of these, and a generator takes three times as long.
    __slots__ = ("_text",)

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            _explain(error, self._text)


def _explain(error: Exception, text: str | None) -> None:
    """Tell an error of vsql what is known of the statement; raise one for any other."""
    match error:
        case Error():
            if error.statement is None:
                error.statement = text
            if error.span is None and text is not None and error.sqlstate in _NAMED:
                error.span = _place_of_name(error.message, text)
        case RecursionError():
            raise ProgrammingError(
                "the statement is nested too deeply", code=sqlstate.STATEMENT_TOO_COMPLEX
            ) from None
        case MemoryError():
            raise OperationalError("out of memory", code=sqlstate.OUT_OF_MEMORY) from None
        case OSError():
            raise OperationalError(
                f"the file system refused: {error.strerror or error}", code=sqlstate.IO_ERROR
            ) from None
        case OverflowError():
            raise DataError(
                f"a value is beyond what Python's own types hold: {error}",
                code=sqlstate.DATETIME_FIELD_OVERFLOW,
                hint="dates and times reach from year 1 to 9999; fetch_arrow_table() and casts to"
                " TEXT have no such bound",
            ) from None
        case _:  # a bug of ours
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
