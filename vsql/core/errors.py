"""The errors that vsql raises: PEP 249's tree, each with a SQLSTATE.

    Exception
    ├── Warning
    └── Error
        ├── InterfaceError          the driver was used wrongly
        └── DatabaseError
            ├── DataError           a value does not fit
            ├── OperationalError    disk, locks, files, cancellation
            ├── IntegrityError      a constraint
            ├── InternalError       a bug of ours
            ├── ProgrammingError    syntax, unknown names, wrong parameters
            └── NotSupportedError

A user's mistake raises one of these; a mistake of ours asserts.
Source: PEP 249, "Exceptions"; PostgreSQL's appendix A for the codes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vsql.core import sqlstate


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a statement's text: offsets in characters, the end exclusive."""

    start: int
    end: int

    def moved(self, by: int) -> "Span":
        """Return the same piece in a text with `by` characters more before it."""
        return Span(self.start + by, self.end + by)


class Warning(Exception):
    """Important warnings, such as data truncations while inserting."""


class Error(Exception):
    """The base of every error that vsql raises.

    `message` is one sentence; `sqlstate` five characters; `span` the place in `statement`, where
    there is one; `hint` what to do.
    """

    default_sqlstate = sqlstate.INTERNAL_ERROR

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        span: Span | None = None,
        statement: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = code or self.default_sqlstate
        self.span = span
        self.statement = statement
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message,), dict(self.__dict__))

    @property
    def position(self) -> int | None:
        """The 1-based character position in the statement, as PostgreSQL reports it."""
        return None if self.span is None else self.span.start + 1

    def __str__(self) -> str:
        parts = [self.message]
        if self.span is not None and self.statement is not None:
            parts.append(underline(self.statement, self.span))
        if self.hint:
            parts.append(f"HINT: {self.hint}")
        return "\n".join(parts)


class InterfaceError(Error):
    """The driver was used wrongly: a closed cursor, a wrong argument."""

    default_sqlstate = sqlstate.CONNECTION_DOES_NOT_EXIST


class DatabaseError(Error):
    """Any error that the database itself reports."""


class DataError(DatabaseError):
    """A value that does not fit: wrong dimension, NaN, overflow, a failed cast."""

    default_sqlstate = sqlstate.DATA_EXCEPTION


class OperationalError(DatabaseError):
    """Files, locks, disk space, cancellation: not necessarily the user's fault."""

    default_sqlstate = sqlstate.IO_ERROR


class IntegrityError(DatabaseError):
    """A constraint is violated."""

    default_sqlstate = sqlstate.UNIQUE_VIOLATION


class InternalError(DatabaseError):
    """A bug in vsql."""

    default_sqlstate = sqlstate.INTERNAL_ERROR


class ProgrammingError(DatabaseError):
    """A mistake in the statement: syntax, unknown names, wrong number of parameters."""

    default_sqlstate = sqlstate.SYNTAX_ERROR


class NotSupportedError(DatabaseError):
    """Something that vsql does not do."""

    default_sqlstate = sqlstate.FEATURE_NOT_SUPPORTED


def underline(statement: str, span: Span, width: int = 100) -> str:
    """Return the line that holds `span`, cut to `width` characters, with a caret line under it."""
    start = max(0, min(span.start, len(statement)))
    line_start = statement.rfind("\n", 0, start) + 1
    line_end = statement.find("\n", start)
    line_end = len(statement) if line_end < 0 else line_end
    number = statement.count("\n", 0, start) + 1
    prefix = f"LINE {number}: "
    cut = max(line_start, start - width // 2)
    left = "..." if cut > line_start else ""
    shown = statement[cut : min(line_end, cut + width)]
    right = "..." if cut + width < line_end else ""
    caret = " " * (len(prefix) + len(left) + start - cut)
    length = max(1, min(span.end, line_end, cut + width) - start)
    return f"{prefix}{left}{shown}{right}\n{caret}{'^' * length}".replace("\t", " ")


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that looks most like `name`, or None if none is near."""
    import difflib

    known = list(dict.fromkeys(candidates))
    folded = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """Return a hint that names the nearest candidate, or lists a few when none is near."""
    known = list(dict.fromkeys(candidates))
    found = nearest(name, known)
    if found is not None:
        return f'did you mean "{found}"?'
    if known:
        return "known: " + ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
    return None
