"""`matches('<filter>', name => value, …)` in SQL: the filter itself takes the call's place.

Values are bound, never pasted: a literal is checked as the filter's own constants are, anything
else (a parameter, a subquery) stands in the condition as it is written.
"""

from typing import Any, TypeGuard

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import DatabaseError, ProgrammingError, Span

FUNCTION = "matches"

IN_FILTER = "vsql_in_filter"
"""In the meta of the comparisons of a filter, which takes fewer types than SQL."""


def lower_matches(call: exp.Anonymous) -> exp.Expr:
    """Return the condition that the filter states; raises what `parse_filter` raises.

    The place of an error is in the statement, not in the filter. Also raises ProgrammingError
    (42601) where the arguments are not one string and `name => value` pairs.
    """
    # Lark and the grammar are read when the first filter comes.
    from vsql.grammar.filter import parse_filter

    literal = call.expressions[0] if call.expressions else None
    if not _is_text(literal):
        raise _misused(call)
    values: dict[str, Any] = {}
    for argument in call.expressions[1:]:
        if not isinstance(argument, exp.Kwarg):
            raise _misused(call)
        values[argument.this.name] = _value(argument.expression)
    try:
        condition = parse_filter(literal.this, values)
    except DatabaseError as error:
        error.statement = None
        error.span = _place(literal, error.span)
        raise
    for identifier in condition.find_all(exp.Identifier):
        _move(identifier, literal)
    for predicate in condition.find_all(exp.Predicate):
        predicate.meta[IN_FILTER] = True
    return exp.Paren(this=condition) if isinstance(condition, exp.Connector) else condition


def _is_text(node: exp.Expr | None) -> TypeGuard[exp.Expr]:
    """Whether a node is a string in one of its spellings: '…', $$…$$, E'…'."""
    if isinstance(node, exp.Literal):
        return bool(node.is_string)
    return isinstance(node, exp.RawString | exp.ByteString)


def _misused(call: exp.Anonymous) -> ProgrammingError:
    start = call.meta.get("start")
    return ProgrammingError(
        "matches takes the text of a filter, and values by name",
        code=sqlstate.SYNTAX_ERROR,
        span=None if start is None else Span(start, call.meta["end"] + 1),
        hint="as in matches('tag in {tags}', tags => :tags)",
    )


def _value(node: exp.Expr) -> Any:
    """Return what a literal says, and any other expression as it is."""
    match node.unnest():
        case exp.Literal() as literal if literal.is_string:
            return literal.this
        case exp.Literal() as literal:
            return int(literal.this) if literal.is_int else float(literal.this)
        case exp.Boolean() as boolean:
            return bool(boolean.this)
        case exp.Neg() as negative:
            value = _value(negative.this)
            return -value if isinstance(value, int | float) else node
        case exp.Array() as array:
            values = [_value(element) for element in array.expressions]
            return node if any(isinstance(v, exp.Expr) for v in values) else values
        case _:
            return node


def _move(identifier: exp.Identifier, literal: exp.Expr) -> None:
    if "start" not in identifier.meta:
        return
    start, end = identifier.meta["start"], identifier.meta["end"] + 1
    place = _place(literal, Span(start, end))
    if place is not None:
        identifier.meta.update(start=place.start, end=place.end - 1)


def _place(literal: exp.Expr, span: Span | None) -> Span | None:
    """Return the place in the statement of a place in the text of a literal."""
    if "start" not in literal.meta:
        return None
    start, end = literal.meta["start"], literal.meta["end"] + 1
    text = literal.this
    if span is not None and isinstance(literal, exp.RawString):
        quote = (end - start - len(text)) // 2
        return Span(start + quote + span.start, start + quote + span.end)
    # Only in a plain '…' does every character but the quote stand for itself.
    if span is None or end - start != len(text) + text.count("'") + 2:
        return Span(start, end)
    return Span(*(start + 1 + at + text.count("'", 0, at) for at in (span.start, span.end)))
