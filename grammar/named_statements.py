"""PREPARE, EXECUTE and DECLARE: a head of their own around a statement that sqlglot reads."""

import re
from collections.abc import Callable

from sqlglot import exp

from vsql.core import sqlstate, types
from vsql.core.errors import ProgrammingError, Span
from vsql.core.types import SqlType
from vsql.grammar import statements as st
from vsql.grammar import utility_statements as ut

_NAME = r'("(?:[^"]|"")+"|[A-Za-z_]\w*)'
_PREPARE = re.compile(rf"prepare\s+{_NAME}\s*(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*)?as\b", re.I)
_EXECUTE = re.compile(rf"execute\s+{_NAME}\s*", re.I)
_DECLARE = re.compile(
    rf"declare\s+{_NAME}((?:\s+(?:binary|asensitive|insensitive|no\s+scroll|scroll))*)"
    r"\s+cursor(?:\s+(with|without)\s+hold)?\s+for\b",
    re.I,
)
_TYPE = re.compile(r"\s*([A-Za-z_][\w ]*?)\s*(?:\(([\d,\s]*)\))?\s*((?:\[\s*\]\s*)*)\s*")

ReadSql = Callable[[str], tuple[st.Statement, tuple[str, ...]]]
"""Reads a query or a write from a text that is padded with blanks; gives its parameters too."""


def parse_named(
    word: str, padded: str, start: int, read: ReadSql
) -> tuple[ut.Utility, tuple[str, ...]]:
    """Return the statement and its parameters' keys; raises ProgrammingError (42601)."""
    return _READERS[word](padded, start, read)


def _prepare(padded: str, start: int, read: ReadSql) -> tuple[ut.Utility, tuple[str, ...]]:
    match = _head(_PREPARE, padded, start, "PREPARE name [(type, ...)] AS statement")
    body = " " * match.end() + padded[match.end() :]
    _, keys = read(body)
    named = [key for key in keys if not key.isdigit()]
    if named:
        raise ProgrammingError(
            f"a prepared statement has no names for its parameters: :{named[0]}",
            code=sqlstate.SYNTAX_ERROR,
            hint="write $1, $2 or ?",
        )
    count = max((int(key) for key in keys), default=0)
    declared = _types(match.group(2) or "", Span(match.start(2), match.end(2)))
    return ut.Prepare(_name(match.group(1)), declared, count, body.strip()), ()


def _types(text: str, span: Span) -> tuple[SqlType | None, ...]:
    """Return the types of a list, None for a vector of any dimension."""
    result: list[SqlType | None] = []
    for part in re.split(r",(?![^()]*\))", text) if text.strip() else []:
        match = _TYPE.fullmatch(part)
        if match is None:
            raise ProgrammingError("not a type", code=sqlstate.SYNTAX_ERROR, span=span)
        arguments = tuple(int(n) for n in match.group(2).split(",")) if match.group(2) else ()
        name = match.group(1)
        vague = not arguments and name.upper() in (*types.VECTOR_FAMILIES, "UNKNOWN")
        depth = match.group(3).count("[")
        result.append(None if vague else types.named(name, arguments, depth))
    return tuple(result)


def _execute(padded: str, start: int, read: ReadSql) -> tuple[ut.Utility, tuple[str, ...]]:
    match = _head(_EXECUTE, padded, start, "EXECUTE name [(value, ...)]")
    rest = padded[match.end() :].strip()
    if not rest:
        return ut.Execute(_name(match.group(1)), ()), ()
    if not (rest.startswith("(") and rest.endswith(")")):
        raise ProgrammingError(
            "syntax error: EXECUTE name [(value, ...)]",
            code=sqlstate.SYNTAX_ERROR,
            span=Span(match.end(), match.end() + len(rest)),
        )
    # The values are what a SELECT of one row gives; SELECT takes the place of the parenthesis.
    values = padded[match.end() :].rstrip()[1:-1]
    if not values.strip():
        return ut.Execute(_name(match.group(1)), ()), ()
    blank = max(0, match.end() + 1 - len("SELECT "))
    statement, keys = read(f"{' ' * blank}SELECT {values}")
    assert isinstance(statement, st.Query)
    arguments: tuple[exp.Expr, ...] = tuple(statement.tree.expressions)
    return ut.Execute(_name(match.group(1)), arguments), keys


def _declare(padded: str, start: int, read: ReadSql) -> tuple[ut.Utility, tuple[str, ...]]:
    match = _head(_DECLARE, padded, start, "DECLARE name [SCROLL] CURSOR [WITH HOLD] FOR query")
    body = " " * match.end() + padded[match.end() :]
    statement, keys = read(body)
    if not isinstance(statement, st.Query):
        raise ProgrammingError(
            "a cursor is declared for a query",
            code=sqlstate.SYNTAX_ERROR,
            span=Span(start, start + 7),
        )
    words = match.group(2).lower().split()
    hold = (match.group(3) or "").lower() == "with"
    name = _name(match.group(1))
    return ut.DeclareCursor(name, body.strip(), "no" not in words, hold), keys


def _head(pattern: re.Pattern[str], padded: str, start: int, shape: str) -> re.Match[str]:
    match = pattern.match(padded, start)
    if match is None:
        end = len(padded.rstrip())
        raise ProgrammingError(
            f"syntax error: {shape}", code=sqlstate.SYNTAX_ERROR, span=Span(start, end)
        )
    return match


def _name(written: str) -> str:
    return written[1:-1].replace('""', '"') if written.startswith('"') else written.lower()


_READERS = {"prepare": _prepare, "execute": _execute, "declare": _declare}
