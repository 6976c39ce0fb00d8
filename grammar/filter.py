"""The boolean filter language of Milvus, read into the same expressions as SQL's.

    price < 10 and meta["a"][0] == "x"   ->   price < 10 AND vsql_filter((meta -> 'a' -> 0) = 'x')

Where SQL means the same whatever a column's type is, a filter is plain SQL: `a == 1` is `a = 1`,
`a in ["x"]` is `a IN ('x')`, `a["b"]` is `(a -> 'b')`, `a["b"] is null` is `NOT vsql_exists(…)`,
`=~` is `~`, `ISO '…'` a timestamp, `random_sample(p)` is `RANDOM() < p`, a `{name}` a parameter.
The rest is plain SQL inside one of these functions, which say what Milvus's rules are:

`vsql_filter(p)`, p one comparison, IN, LIKE or ~
    p by the filter's types. An integer column takes integers only; a REAL column compares in 32
    bits, the constant rounded first; a string is a string and never read as a number or a time.
    An array's element is `(a -> n)`, n from 0, NULL beyond the end. A whole array is compared by
    = and <> with an array. Over JSON, numbers compare with numbers (an integer with a double as
    doubles, in IN exactly), strings with strings, booleans with booleans, arrays with arrays by =
    and <>; a missing path, JSON null and every other pair give NULL. Arithmetic over integers is
    exact: it neither wraps nor overflows; / truncates. `x IN ()` is false, and NULL where x is.
`vsql_array_length(x)`
    how many elements an array, or a JSON array, has; NULL for anything else. Inside vsql_filter.
`vsql_contains(x, v)`, `vsql_contains_all(x, ARRAY[…])`, `vsql_contains_any(x, ARRAY[…])`
    whether an array, or a JSON array, has v, all or any of the values as elements, equal as
    above; NULL where x is no array. Over JSON, no values at all give true for all and false for
    any, whatever x is.
`vsql_exists(x)`
    whether a JSON path leads to something other than null, {}, [] and nestings of only those.
`vsql_match_any(a, p)`, `_all(a, p)`, `_least(a, p, n)`, `_most(a, p, n)`, `_exact(a, p, n)`
    for how many elements of the array a, each read by p as `vsql_element()`, p is true.

A name that no column has is a key of the JSON column "$meta", where the table has one: so a bare
name follows JSON's rules there, without vsql_filter (`vsql.planner.filter_types`).
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import DatabaseError, ProgrammingError, Span
from vsql.grammar.filter_build import Builder
from vsql.grammar.filter_names import ELEMENT, MATCH_FUNCTIONS
from vsql.grammar.filter_terms import refused

NESTING_MAX = 100
"""How deeply brackets may be nested, as Milvus's proxy.maxExpressionDepth."""

_KEYWORDS = {
    "and": "_AND",
    "or": "_OR",
    "not": "NOT",
    "in": "IN",
    "like": "LIKE",
    "exists": "EXISTS",
    "iso": "ISO",
    "interval": "INTERVAL",
}
_WORDS = {word: kind for lower, kind in _KEYWORDS.items() for word in (lower, lower.upper())}
_WORDS |= dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), "BOOLEAN")
_BRACKET = re.compile(r"\"(?:[^\"\\\r\n]|\\.)*+\"|'(?:[^'\\\r\n]|\\.)*+'|[()\[\]]")
_SHOWN_EXPECTED = 8
_SHOWN_CHARACTERS = 20
_SYMBOLS = {
    "WORD": "a name",
    "INTEGER": "a number",
    "STRING": "a string",
    "_AND": "and",
    "_OR": "or",
    "NOT": "not",
    "IN": "in",
    "LIKE": "like",
    "EXISTS": "exists",
    "NULL_TEST": "is null",
    "EQUALITY": "==",
    "ORDER": "<",
    "SIGN": "+",
    "STAR": "*",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "LBRACE": "{",
    "RBRACE": "}",
    "COMMA": ",",
    "ASSIGN": "=",
    "$END": "the end",
}


def _keyword(token: Token) -> Token:
    kind = _WORDS.get(str(token))
    return token if kind is None else Token.new_borrow_pos(kind, token.value, token)


@functools.cache
def _parser() -> Lark:
    return Lark(
        (Path(__file__).parent / "filter.lark").read_text(encoding="utf-8"),
        start="condition",
        parser="lalr",
        lexer="basic",
        maybe_placeholders=False,
        lexer_callbacks={"WORD": _keyword},
    )


def parse_filter(text: str, values: Mapping[str, Any] | None = None) -> exp.Expr:
    """Return the condition that a filter states; a blank one is TRUE.

    A `{name}` becomes `exp.Placeholder(this=name)`, or where `values` are given its literal; an SQL
    expression among them stays as it is.

    Raises ProgrammingError with the place: 42601 for what can't be read or means nothing, 54001 for
    brackets nested more than 100 deep, 42883 for unknown functions, 22003 for numbers too large,
    42P02 where a value is missing; NotSupportedError for full-text, spatial and struct functions.
    """
    try:
        _check_nesting(text)
        condition = _condition(text, values)
        _check_elements(condition, text)
    except DatabaseError as error:
        error.statement = text
        raise
    return condition


def filter_to_sql(text: str) -> str:
    """Return the condition as SQL, its `{name}`s as parameters `:name`; raises as `parse_filter`.

    Also raises ProgrammingError (54001) where the condition is too deep to be written.
    """
    condition = parse_filter(text).transform(_named)
    try:
        return condition.sql(dialect="postgres", normalize_functions=False)
    except RecursionError:
        raise refused(
            "the filter is nested too deeply",
            Span(0, len(text)),
            "simplify the filter",
            sqlstate.STATEMENT_TOO_COMPLEX,
        ) from None


def _named(node: exp.Expr) -> exp.Expr:
    return exp.var(f":{node.name}") if isinstance(node, exp.Placeholder) else node


def _condition(text: str, values: Mapping[str, Any] | None) -> exp.Expr:
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _syntax_error(error, text) from None
    try:
        condition: exp.Expr = Builder(values).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, DatabaseError):
            raise error.orig_exc from None
        raise
    return condition


def _check_nesting(text: str) -> None:
    depth = 0
    for found in _BRACKET.finditer(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(found.group(), 0)
        if depth > NESTING_MAX:
            raise refused(
                f"brackets are nested more than {NESTING_MAX} deep",
                Span(found.start(), found.end()),
                "simplify the filter",
                sqlstate.STATEMENT_TOO_COMPLEX,
            )


def _check_elements(condition: exp.Expr, text: str) -> None:
    """Refuse a $ that is in no match_…()."""
    if "$" not in text:
        return
    for node in condition.walk(prune=_is_match):
        if isinstance(node, exp.Anonymous) and node.name == ELEMENT:
            raise refused("$ stands for an element inside match_…() only", Span(0, len(text)))


def _is_match(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and node.name in MATCH_FUNCTIONS


def _syntax_error(error: UnexpectedInput, text: str) -> ProgrammingError:
    expected = getattr(error, "accepts", None) or getattr(error, "expected", None) or set()
    words = [word for name, word in _SYMBOLS.items() if name in expected]
    hint = None
    if words and not isinstance(error, UnexpectedCharacters):
        more = ", ..." if len(words) > _SHOWN_EXPECTED else ""
        hint = "expected " + ", ".join(words[:_SHOWN_EXPECTED]) + more
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        end = len(text.rstrip())
        return refused("syntax error at end of input", Span(max(0, end - 1), end), hint)
    start = error.pos_in_stream or 0
    if isinstance(error, UnexpectedToken):
        shown = str(error.token)
    else:
        shown = text[start : start + 1]
        if shown in ("'", '"'):
            return refused("unterminated string", Span(start, start + 1))
    return refused(
        f'syntax error at or near "{shown[:_SHOWN_CHARACTERS]}"',
        Span(start, start + max(1, len(shown))),
        hint,
    )
