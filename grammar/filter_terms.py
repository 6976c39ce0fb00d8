"""What the parts of a filter are while it is read, and the errors that have a place.

A `Constant` is folded as soon as it is read, so that `7 / 2` is 3 before it meets a column.
"""

import datetime
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import NotSupportedError, ProgrammingError, Span


@dataclass(frozen=True, slots=True)
class Duration:
    """An ISO 8601 duration: (number, SQL unit) pairs, largest unit first."""

    parts: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """A bool, int, float, str, list of such, `datetime` or `Duration`; `bound` from a {name}."""

    value: Any
    span: Span
    bound: bool = False

    @property
    def is_number(self) -> bool:
        return isinstance(self.value, int | float) and not isinstance(self.value, bool)

    @property
    def kind(self) -> str:
        """The type's name in messages."""
        return "list" if isinstance(self.value, list) else _KINDS.get(type(self.value), "time")


_KINDS: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "float",
    str: "string",
    datetime.datetime: "timestamp",
    Duration: "interval",
}


@dataclass(frozen=True, slots=True)
class Template:
    """A `{name}` whose value comes later; `value` where it is an SQL expression already."""

    name: str
    span: Span
    value: exp.Expr | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A column, a path below it, or an array's element; `bare` without parentheses."""

    node: exp.Expr
    is_path: bool
    span: Span
    bare: bool = True


@dataclass(frozen=True, slots=True)
class Computed:
    """Arithmetic over a field (`kind` "number" or "moment"), or an array's length ("length")."""

    node: exp.Expr
    kind: str
    span: Span


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition: its parts, and how they are joined ("and", "or"; "leaf" for one part).

    `sampled` where a part is random_sample, which only the end of an AND may be.
    """

    parts: tuple[exp.Expr, ...]
    joined: str
    span: Span
    sampled: bool = False

    @property
    def node(self) -> exp.Expr:
        """The condition as one expression, left-deep as SQL's own reader builds it."""
        kind = exp.Or if self.joined == "or" else exp.And
        result = self.parts[0]
        for part in self.parts[1:]:
            result = kind(this=result, expression=part)
        return result


Term = Constant | Template | Field | Computed | Predicate


def refused(
    message: str, span: Span, hint: str | None = None, code: str = sqlstate.SYNTAX_ERROR
) -> ProgrammingError:
    """Return the error for a filter that reads well and means nothing."""
    return ProgrammingError(message, code=code, span=span, hint=hint)


def unsupported(message: str, span: Span, hint: str | None = None) -> NotSupportedError:
    """Return the error for what Milvus has and vsql doesn't."""
    return NotSupportedError(message, span=span, hint=hint)


def around(*spans: Span) -> Span:
    """Return the span from the first to the last."""
    return Span(min(span.start for span in spans), max(span.end for span in spans))
