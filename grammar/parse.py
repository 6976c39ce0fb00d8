"""Text to statements: the first keyword decides which of the two readers takes it.

SELECT, INSERT and their like are sqlglot's; everything else is `statements.lark`. Both report a
syntax error with its place in the text that the user wrote.
"""

import functools
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from vsql.core import sqlstate
from vsql.core.errors import DatabaseError, NotSupportedError, ProgrammingError, Span, did_you_mean
from vsql.grammar import statements as st
from vsql.grammar.lower import lower, statement_spans
from vsql.grammar.operators import check_nesting, pieces, rewrite

SQL_KEYWORDS = (
    *("select", "with", "values", "insert", "update", "delete", "merge", "upsert", "table"),
    *("from", "("),
)
QUERY_KEYWORDS = ("select", "with", "values", "table", "from", "(")
UTILITY_KEYWORDS = (
    *("create", "drop", "copy", "show", "describe", "desc", "set", "reset", "begin", "start"),
    *("commit", "end", "rollback", "abort", "flush", "alter", "comment", "truncate", "savepoint"),
    *("release", "optimize", "vacuum", "analyze", "check", "restore", "undrop", "backup"),
    *("export", "import", "deallocate", "fetch", "move", "close", "load", "warm"),
)
NAMED_KEYWORDS = ("prepare", "execute", "declare")
# What sqlglot warns of is refused here. Whoever set up logging still hears it; nobody else does.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*+([A-Za-z_]+|\(|\S)", re.DOTALL)
_JOIN = r"(?i)\bJOIN\s+\"?\Z"
# How far before a table its JOIN is looked for: blanks and a line's end may be between.
_NEAR = 100
_SEARCH_PARAMS = re.compile(r"\bSEARCH\s+PARAMS\s*\(([^()]*)\)\s*$", re.IGNORECASE)
_EXPLAIN = r"(?i)explain\b\s*(\(([^()]*)\)|(analyze|analyse)\b)?"
_PLACE = r"Line (\d+), Col: (\d+)"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A statement, the keys of its parameters, and its text."""

    statement: st.Statement
    parameters: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class ScriptPiece:
    """One statement of a script; `complete` where a semicolon ends it."""

    text: str
    start: int
    complete: bool


def parse(text: str, *, statement_bytes_max: int = 64 << 20, nesting_max: int = 1_000) -> Parsed:
    """Return the one statement of a text; raises ProgrammingError with its place.

    42601 for a syntax error, 54000 and 54001 for a text too long or nested too deeply.
    """
    if len(text) > statement_bytes_max:
        raise ProgrammingError(
            f"the statement has {len(text)} characters, more than {statement_bytes_max}",
            code=sqlstate.PROGRAM_LIMIT_EXCEEDED,
            hint="bind large values as parameters, or raise statement_bytes_max",
        )
    try:
        check_nesting(text, nesting_max)
        return _parse_one(text)
    except DatabaseError as error:
        error.statement = text
        raise


def _parse_one(text: str) -> Parsed:
    written = [span for span in statement_spans(text) if not _is_blank(text, span)]
    if not written:
        return Parsed(st.Empty(), (), text)
    if len(written) > 1:
        raise ProgrammingError(
            "only one statement can be run at a time",
            code=sqlstate.SYNTAX_ERROR,
            span=Span(written[1].start, written[1].end),
        )
    # Blanks keep every place where it is.
    padded = " " * written[0].start + text[written[0].start : written[0].end]
    match = _FIRST_WORD.match(padded)
    assert match is not None
    word, start = match.group(1).lower(), match.start(1)
    if word == "explain":
        return _explain(padded, start, text)
    if word == "upsert":
        inserted = _sql(f"{padded[:start]}INSERT{padded[match.end(1) :]}", text)
        assert isinstance(inserted.statement, st.Insert)
        return replace(inserted, statement=st.Insert(inserted.statement.tree, upsert=True))
    if word in SQL_KEYWORDS:
        return _sql(padded, text)
    if word in UTILITY_KEYWORDS:
        return Parsed(_utility(padded), (), text)
    if word in NAMED_KEYWORDS:
        return _named(word, padded, start, text)
    raise ProgrammingError(
        f'syntax error at or near "{match.group(1)}"',
        code=sqlstate.SYNTAX_ERROR,
        span=Span(start, match.end(1)),
        hint=did_you_mean(
            word, (*SQL_KEYWORDS[:-1], *UTILITY_KEYWORDS, *NAMED_KEYWORDS, "explain")
        ),
    )


def _is_blank(text: str, span: Span) -> bool:
    return _FIRST_WORD.match(text[span.start : span.end]) is None


def _explain(padded: str, start: int, text: str) -> Parsed:
    match = re.compile(_EXPLAIN).match(padded, start)
    assert match is not None
    analyze, format_ = bool(match.group(3)), "text"
    for option in (match.group(2) or "").split(","):
        words = option.lower().split()
        if not words:
            continue
        if words[0] in ("analyze", "analyse"):
            analyze = len(words) < 2 or words[1] in ("on", "true", "1")
        elif words[0] == "format" and words[1:] in (["text"], ["json"]):
            format_ = words[1]
        elif words[0] not in ("costs", "timing", "verbose", "buffers", "summary"):
            raise ProgrammingError(
                f'unknown EXPLAIN option "{option.strip()}"',
                code=sqlstate.SYNTAX_ERROR,
                span=Span(match.start(2), match.end(2)),
                hint="known: ANALYZE, FORMAT TEXT, FORMAT JSON",
            )
    following = _FIRST_WORD.match(padded, match.end())
    if following is None or following.group(1).lower() not in SQL_KEYWORDS:
        raise ProgrammingError(
            "EXPLAIN takes a query, INSERT, UPDATE, DELETE or MERGE",
            code=sqlstate.SYNTAX_ERROR,
            span=Span(following.start(1), following.end(1)) if following is not None else None,
        )
    inner = _sql(" " * match.end() + padded[match.end() :], text)
    assert isinstance(inner.statement, st.Query | st.Insert | st.Update | st.Delete | st.Merge)
    shape: Literal["json", "text"] = "json" if format_ == "json" else "text"
    return Parsed(st.Explain(inner.statement, analyze, shape), inner.parameters, text)


def _sql(padded: str, text: str) -> Parsed:
    body, settings = _search_params(padded)
    tree, parameters = _tree(body)
    _refuse_open_joins(tree, body)
    statement: st.Statement
    match tree:
        case exp.Insert():
            statement = st.Insert(tree)
        case exp.Update():
            statement = st.Update(tree)
        case exp.Merge():
            statement = st.Merge(tree)
        case exp.Delete():
            statement = st.Delete(tree)
        case exp.Query() | exp.Values():
            _refuse_into(tree)
            statement = st.Query(tree, settings)
        case _:
            raise _near(padded, Span(0, len(padded.strip())))
    return Parsed(statement, parameters, text)


def _refuse_open_joins(tree: exp.Expr, body: str) -> None:
    """A JOIN whose ON was forgotten pairs every row with every row: that is CROSS JOIN's to say."""
    for join in tree.find_all(exp.Join):
        given = ("on", "using", "method")
        if join.kind == "CROSS" or any(join.args.get(name) for name in given):
            continue
        name = join.this.find(exp.Identifier)
        start = 0 if name is None else name.meta.get("start", 0)
        # A comma makes a plain join too.
        is_written = re.compile(_JOIN).search(body, max(0, start - _NEAR), start) is not None
        if join.side or join.kind or is_written:
            raise ProgrammingError(
                "JOIN needs ON or USING",
                code=sqlstate.SYNTAX_ERROR,
                span=Span(start, name.meta["end"] + 1) if name is not None and start else None,
                hint="CROSS JOIN pairs every row with every row",
            )


def _refuse_into(tree: exp.Expr) -> None:
    if tree.args.get("into") or tree.args.get("locks"):
        raise NotSupportedError("SELECT INTO and FOR UPDATE are not supported")
    for cte in tree.find_all(exp.CTE):
        if isinstance(cte.this, exp.Insert | exp.Update | exp.Delete | exp.Merge):
            raise NotSupportedError("WITH takes queries, not INSERT, UPDATE, DELETE or MERGE")
    for select in tree.find_all(exp.Select):
        if not select.expressions and not select.args.get("from_"):
            raise ProgrammingError("SELECT needs at least one output", code=sqlstate.SYNTAX_ERROR)


def _search_params(body: str) -> tuple[str, Mapping[str, str]]:
    match = _SEARCH_PARAMS.search(body)
    if match is None:
        return body, {}
    settings: dict[str, str] = {}
    for item in match.group(1).split(","):
        name, equals, value = item.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ProgrammingError(
                "SEARCH PARAMS needs name = value",
                code=sqlstate.SYNTAX_ERROR,
                span=Span(match.start(1), match.end(1)),
            )
        settings[name.strip().lower()] = value.strip().strip("'")
    return body[: match.start()], settings


def _tree(body: str) -> tuple[exp.Expr, tuple[str, ...]]:
    rewritten = rewrite(body)
    try:
        trees = sqlglot.parse(rewritten.text, read="postgres")
    except SqlglotError as error:
        raise _syntax_error(error, body, rewritten.text, rewritten.original) from None
    if len(trees) != 1 or trees[0] is None or isinstance(trees[0], exp.Command):
        raise _near(body, Span(0, len(body)))
    return lower(trees[0], rewritten)


def _syntax_error(
    error: SqlglotError, body: str, sent: str, original: Callable[[int], int]
) -> ProgrammingError:
    details = getattr(error, "errors", None) or [{}]
    first: dict[str, Any] = details[0]
    line, column = int(first.get("line") or 0), int(first.get("col") or 0)
    if not line:
        found = re.search(_PLACE, str(error))
        line, column = (int(found[1]), int(found[2])) if found else (1, 1)
    near = first.get("highlight") or ""
    offset = sum(len(part) + 1 for part in sent.split("\n")[: line - 1]) + column
    start = max(0, original(max(0, offset - len(near))))
    shown = body[start : start + len(near)] if near else body[start : start + 1]
    if not shown.strip():
        return ProgrammingError(
            "syntax error at end of input",
            code=sqlstate.SYNTAX_ERROR,
            span=Span(max(0, len(body.rstrip()) - 1), len(body.rstrip())),
        )
    return ProgrammingError(
        f'syntax error at or near "{shown}"',
        code=sqlstate.SYNTAX_ERROR,
        span=Span(start, start + max(1, len(shown))),
    )


def _near(body: str, span: Span) -> ProgrammingError:
    match = _FIRST_WORD.match(body)
    word = match.group(1) if match is not None else ""
    start = match.start(1) if match is not None else span.start
    return ProgrammingError(
        f'syntax error at or near "{word}"',
        code=sqlstate.SYNTAX_ERROR,
        span=Span(start, start + max(1, len(word))),
    )


def _named(word: str, padded: str, start: int, text: str) -> Parsed:
    from vsql.grammar.named_statements import parse_named

    def read(body: str) -> tuple[st.Statement, tuple[str, ...]]:
        inner = _parse_one(body)
        if not isinstance(inner.statement, st.Query | st.Insert | st.Update | st.Delete | st.Merge):
            raise _near(body, Span(start, len(body)))
        return inner.statement, inner.parameters

    statement, keys = parse_named(word, padded, start, read)
    return Parsed(statement, keys, text)


def _utility(padded: str) -> st.Statement:
    from vsql.grammar.utility import parse_utility

    return parse_utility(padded)


@functools.lru_cache(maxsize=1024)
def parse_expression(text: str) -> exp.Expr:
    """Return one scalar expression; raises ProgrammingError (42601)."""
    tree, _ = _tree(f"SELECT {text}")
    outputs = tree.expressions if isinstance(tree, exp.Select) else []
    if len(outputs) != 1 or isinstance(outputs[0], exp.Alias):
        raise ProgrammingError(f"not one expression: {text[:60]}", code=sqlstate.SYNTAX_ERROR)
    expression: exp.Expr = outputs[0].unnest()
    return expression


def parse_query(text: str) -> exp.Expr:
    """Return the tree of a query; raises ProgrammingError (42601)."""
    match = _FIRST_WORD.match(text)
    if match is None or match.group(1).lower() not in QUERY_KEYWORDS:
        raise _near(text, Span(0, len(text)))
    statement = _sql(text, text).statement
    if not isinstance(statement, st.Query):
        raise _near(text, Span(0, len(text)))
    return statement.tree


def split_statements(text: str) -> tuple[ScriptPiece, ...]:
    """Return the statements of a script; an unfinished string or comment is incomplete."""
    try:
        spans = statement_spans(text)
    except ProgrammingError:
        return (ScriptPiece(text, 0, False),)
    result = []
    for number, span in enumerate(spans):
        if not _is_blank(text, span):
            piece = text[span.start : span.end]
            result.append(ScriptPiece(piece, span.start, number < len(spans) - 1))
    return tuple(result)


__all__ = [
    "Parsed",
    "ScriptPiece",
    "parse",
    "parse_expression",
    "parse_query",
    "pieces",
    "split_statements",
]
