"""Functions whose PostgreSQL name or meaning is not DuckDB's, and that sqlglot leaves as they are.

Each is a template in DuckDB's words, where `_1` is the first argument. What is not here, sqlglot
translates or both know; what nobody knows, DuckDB refuses by name.
"""

import functools
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp, parse_one

from vsql.core import sqlstate
from vsql.core.array_text import read_array
from vsql.core.errors import DataError, NotSupportedError, ProgrammingError
from vsql.core.version import VERSION
from vsql.planner.bind import span_of

_FOUND = "CASE WHEN regexp_matches(_1, _2) THEN regexp_extract(_1, _2, {group}) END"
_QUOTED = "'''' || replace(CAST(_1 AS VARCHAR), '''', '''''') || ''''"
_NAME_QUOTED = (
    "CASE WHEN regexp_full_match(_1, '[a-z_][a-z0-9_$]*') THEN _1"
    " ELSE '\"' || replace(_1, '\"', '\"\"') || '\"' END"
)

_TEMPLATES: dict[tuple[str, int], str] = {
    ("array_fill", 2): "list_transform(range(_2[1]), lambda vsql_x: _1)",
    ("array_lower", 2): "CASE WHEN len(_1) > 0 THEN 1 END",
    ("array_positions", 2): "list_filter(range(1, len(_1) + 1),"
    " lambda vsql_x: _1[vsql_x] IS NOT DISTINCT FROM _2)",
    ("array_replace", 3): "list_transform(_1,"
    " lambda vsql_x: CASE WHEN vsql_x IS NOT DISTINCT FROM _2 THEN _3 ELSE vsql_x END)",
    ("array_upper", 2): "NULLIF(len(_1), 0)",
    # DuckDB's one clock that goes on within a query; to the millisecond, so never before now().
    ("clock_timestamp", 0): "greatest(now(), uuid_extract_timestamp(uuidv7()))",
    ("current_catalog", 0): "getvariable('vsql_database')",
    ("inet_client_addr", 0): "CAST(NULL AS VARCHAR)",
    ("inet_server_addr", 0): "CAST(NULL AS VARCHAR)",
    ("inet_server_port", 0): "CAST(NULL AS INTEGER)",
    ("pg_is_in_recovery", 0): "false",
    ("pg_postmaster_start_time", 0): "getvariable('vsql_started')",
    ("every", 1): "bool_and(_1)",
    ("octet_length", 1): "bit_length(_1) // 8",
    ("quote_ident", 1): _NAME_QUOTED,
    ("quote_literal", 1): _QUOTED,
    ("quote_nullable", 1): f"coalesce({_QUOTED}, 'NULL')",
    ("statement_timestamp", 0): "now()",
    ("string_to_table", 2): "unnest(string_split(_1, _2))",
    ("transaction_timestamp", 0): "now()",
    ("trim_array", 2): "_1[1 : len(_1) - _2]",
}

USER = "vsql"
SERVER_VERSION = f"PostgreSQL 18.0 (vsql {VERSION})"
"""What version() says: clients look for PostgreSQL's number, and choose their SQL by it."""
# Set on the executor's connection, since it is the database's, not the statement's.
_DATABASE = "getvariable('vsql_database')"

# What is written without parentheses of its own.
_OPERATORS = (exp.Binary, exp.Unary, exp.Between, exp.In)
# The flags of PostgreSQL's regular expressions in RE2's letters.
_FLAGS = {"g": "", "c": "c", "i": "i", "n": "m", "m": "m", "s": "s"}
_ENCODINGS = {
    "hex": ("lower(hex(_1))", "unhex(_1)"),
    "base64": ("base64(_1)", "from_base64(_1)"),
}


def translate_function(node: exp.Expr) -> exp.Expr:
    """Return a call of PostgreSQL's in DuckDB's words; any other node as it is.

    Raises ProgrammingError, NotSupportedError.
    """
    if isinstance(node, exp.Anonymous):
        return _named(node)
    translate = _TYPED.get(type(node))
    return node if translate is None else translate(node)


def _named(node: exp.Anonymous) -> exp.Expr:
    name, arguments = node.name.lower(), node.expressions
    if name in ("num_nulls", "num_nonnulls") and arguments:
        test = "_1 IS NULL" if name == "num_nulls" else "_1 IS NOT NULL"
        total: exp.Expr = exp.Literal.number(0)
        for argument in arguments:
            one = filled(f"CAST({test} AS INTEGER)", argument)
            total = exp.Add(this=total, expression=one)
        return exp.Paren(this=total)
    if name == "pg_backend_pid" and not arguments:
        # Asked anew: a fork is another process.
        return exp.Literal.number(os.getpid())
    if name in ("regexp_match", "regexp_matches") and len(arguments) in (2, 3):
        return _regexp_match(name, *arguments)
    template = _TEMPLATES.get((name, len(arguments)))
    return node if template is None else filled(template, *arguments)


def filled(template: str, *arguments: exp.Expr) -> exp.Expr:
    """Return the template with its arguments, in parentheses where it is an operator."""

    def fill(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and node.name[:1] == "_" and node.name[1:].isdigit():
            argument = arguments[int(node.name[1:]) - 1].copy()
            return _closed(argument)
        return node

    return _closed(_parsed(template).copy().transform(fill, copy=False))


def _closed(node: exp.Expr) -> exp.Expr:
    """Return a node that can stand beside any operator."""
    is_open = isinstance(node, _OPERATORS) and not isinstance(node, exp.Paren)
    return exp.Paren(this=node) if is_open else node


@functools.cache
def _parsed(template: str) -> exp.Expr:
    return parse_one(template, read="duckdb")


def _regexp_match(
    name: str, text: exp.Expr, pattern: exp.Expr, flags: exp.Expr | None = None
) -> exp.Expr:
    """The captured groups of a match, or the match itself, as an array; NULL for none.

    `regexp_match` gives the first; `regexp_matches` is a set, with the flag g of all.
    """
    if flags is not None and not isinstance(flags, exp.Literal):
        raise NotSupportedError(f"{name}() needs its flags written out", span=span_of(flags))
    written = "" if flags is None else flags.name
    for flag in written:
        if flag not in _FLAGS or (flag == "g" and name == "regexp_match"):
            raise DataError(
                f'{name}() does not know the flag "{flag}"',
                code=sqlstate.INVALID_PARAMETER_VALUE,
                span=span_of(flags) if flags is not None else None,
                hint="known: " + ", ".join(_FLAGS),
            )
    groups = _groups(pattern)
    numbers = range(1, groups + 1) if groups else range(1)
    options = "".join(_FLAGS[flag] for flag in written)
    parts = ", ".join(f"regexp_extract_all(_1, _2, {n}, '{options}')" for n in numbers)
    fields = ", ".join(f"vsql_x[{place}]" for place in range(1, len(numbers) + 1))
    matches = filled(f"list_transform(list_zip({parts}), lambda vsql_x: [{fields}])", text, pattern)
    if name == "regexp_match":
        return filled("_1[1]", matches)
    return filled("unnest(_1)" if "g" in written else "unnest(_1[1:1])", matches)


def _groups(pattern: exp.Expr) -> int:
    """Return how many groups a pattern that is written out captures."""
    if not isinstance(pattern, exp.Literal):
        return 0
    try:
        return re.compile(pattern.name).groups
    except re.error:
        return 0


def _format(node: exp.Expr) -> exp.Expr:
    """format(): %s, %I and %L in the order of their arguments; %% is a percent sign."""
    written, arguments = node.this, list(node.expressions)
    if not isinstance(written, exp.Literal):
        raise NotSupportedError("format() needs its text written out", hint="use concat()")
    pieces: list[exp.Expr] = [exp.Literal.string("")]
    used = 0
    for part in re.split(r"(%[sIL%])", written.name):
        if part == "%%":
            pieces.append(exp.Literal.string("%"))
        elif part in ("%s", "%I", "%L"):
            if used == len(arguments):
                raise ProgrammingError(
                    "too few arguments for format()", code=sqlstate.INVALID_PARAMETER_VALUE
                )
            shown = {
                "%s": "_1",
                "%I": _NAME_QUOTED,
                "%L": f"coalesce({_QUOTED}, 'NULL')",
            }[part]
            pieces.append(filled(shown, arguments[used]))
            used += 1
        elif "%" in part:
            raise ProgrammingError(
                f"format() does not know {part[part.index('%') :][:2]!r}",
                code=sqlstate.INVALID_PARAMETER_VALUE,
                hint="known: %s, %I, %L, %%",
            )
        elif part:
            pieces.append(exp.Literal.string(part))
    return exp.Anonymous(this="concat", expressions=pieces)


def _similar(node: exp.Expr) -> exp.Expr:
    """SIMILAR TO: SQL's % and _ inside of a regular expression that matches the whole text."""
    pattern = node.expression.unnest()
    if isinstance(pattern, exp.Literal):
        regular: exp.Expr = exp.Literal.string(_regular_expression(pattern.name))
    else:
        regular = filled("replace(replace(_1, '%', '.*'), '_', '.')", node.expression)
    return exp.Anonymous(this="regexp_full_match", expressions=[node.this, regular])


def _regular_expression(pattern: str) -> str:
    result: list[str] = []
    escaped = in_class = False
    for character in pattern:
        if escaped:
            result.append(re.escape(character))
        elif character == "\\":
            escaped = True
            continue
        elif in_class or character not in "%_.^$":
            result.append(character)
        else:
            result.append({"%": "(?s:.*)", "_": "(?s:.)"}.get(character, f"\\{character}"))
        in_class = not escaped and (character == "[" or (in_class and character != "]"))
        escaped = False
    return "".join(result)


def _coding(node: exp.Expr) -> exp.Expr:
    charset = node.args.get("charset")
    name = charset.name.lower() if isinstance(charset, exp.Literal) else None
    if name not in _ENCODINGS:
        raise DataError(
            "unrecognized encoding" + (f': "{name}"' if name else ""),
            code=sqlstate.INVALID_PARAMETER_VALUE,
            hint="known: hex, base64",
        )
    return filled(_ENCODINGS[name][isinstance(node, exp.Decode)], node.this)


def _like(node: exp.Expr) -> exp.Expr:
    """A backslash escapes in PostgreSQL's LIKE, unless ESCAPE says otherwise; not in DuckDB's."""
    pattern = node.expression.unnest()
    plain = isinstance(pattern, exp.Literal) and "\\" not in pattern.name
    if plain or isinstance(node.parent, exp.Escape) or isinstance(pattern, exp.Any | exp.All):
        return node
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


def _substring(node: exp.Expr) -> exp.Expr:
    start = node.args.get("start")
    if isinstance(start, exp.Literal) and start.is_string and node.args.get("length") is None:
        # The first captured group, if there is one.
        return filled(_FOUND.format(group=min(_groups(start), 1)), node.this, start)
    return node


def _concatenation(node: exp.Expr) -> exp.Expr:
    """`array || element`: DuckDB's || takes two arrays, or none."""
    left, right = node.this.unnest(), node.expression.unnest()
    if isinstance(left, exp.Array) and isinstance(right, exp.Literal | exp.Null):
        return filled("list_append(_1, _2)", node.this, node.expression)
    if isinstance(right, exp.Array) and isinstance(left, exp.Literal | exp.Null):
        return filled("list_prepend(_1, _2)", node.this, node.expression)
    return node


def _cast(node: exp.Expr) -> exp.Expr:
    """An explicit cast to VARCHAR(n) cuts what is longer, and '{1,2}' is an array.

    Raises NotSupportedError for a time with a zone, which no column keeps.
    """
    kind, value = node.args["to"], node.this
    if kind.this is exp.DataType.Type.TIMETZ:
        raise NotSupportedError(
            "type TIME WITH TIME ZONE is not supported",
            span=span_of(value),
            hint="use TIMESTAMPTZ, or TIME, which has no zone",
        )
    if kind.this is exp.DataType.Type.ARRAY and isinstance(value, exp.Literal):
        if value.is_string and value.name.lstrip().startswith("{"):
            node.set("this", _array(value))
        return node
    sized = kind.this in (exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR) and kind.expressions
    if not sized:
        return node
    return filled(f"left(CAST(_1 AS VARCHAR), {kind.expressions[0].name})", node.this)


def _array(text: exp.Literal) -> exp.Expr:
    try:
        return _elements(read_array(text.name))
    except ValueError:
        raise DataError(
            f"malformed array literal: {text.name!r}",
            code=sqlstate.INVALID_TEXT_REPRESENTATION,
            span=span_of(text),
            hint="""an array looks like '{1,2}' or '{a,"b c",NULL}'""",
        ) from None


def _elements(items: list[Any]) -> exp.Expr:
    found: list[exp.Expr] = []
    for item in items:
        if isinstance(item, list):
            found.append(_elements(item))
        else:
            found.append(exp.null() if item is None else exp.Literal.string(item))
    return exp.Array(expressions=found)


def _division(node: exp.Expr) -> exp.Expr:
    """An interval divided by a number: DuckDB multiplies intervals alone."""
    left = node.this.unnest()
    is_interval = isinstance(left, exp.Interval)
    return filled("_1 * (1.0 / _2)", node.this, node.expression) if is_interval else node


def _constant(text: str) -> Callable[[exp.Expr], exp.Expr]:
    return lambda node: exp.Literal.string(text)


# A clock that is a word is, to DuckDB, first the name of an output, which it is by default.
_CLOCKS: Mapping[type[exp.Expr], str] = {
    exp.CurrentDate: "today",
    exp.CurrentTime: "current_localtime",
    exp.CurrentTimestamp: "now",
    exp.Localtime: "current_localtime",
    exp.Localtimestamp: "current_localtimestamp",
}


def _clock(function: str) -> Callable[[exp.Expr], exp.Expr]:
    return lambda node: exp.Anonymous(this=function)


def _schemas(node: exp.Expr) -> exp.Expr:
    """The search path; with true as argument also what is searched without being named."""
    implicit = isinstance(node.this, exp.Boolean) and node.this.this
    return parse_one("['pg_catalog', 'public']" if implicit else "['public']", read="duckdb")


_TYPED: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    **{clock: _clock(function) for clock, function in _CLOCKS.items()},
    exp.CurrentCatalog: lambda node: filled(_DATABASE),
    exp.CurrentDatabase: lambda node: filled(_DATABASE),
    exp.CurrentRole: _constant(USER),
    exp.CurrentSchema: _constant("public"),
    exp.CurrentSchemas: _schemas,
    exp.CurrentUser: _constant(USER),
    exp.CurrentVersion: _constant(SERVER_VERSION),
    exp.SessionUser: _constant(USER),
    exp.ArraySize: lambda node: filled("NULLIF(len(_1), 0)", node.this),
    exp.Cast: _cast,
    exp.DPipe: _concatenation,
    exp.Decode: _coding,
    exp.Div: _division,
    exp.Encode: _coding,
    exp.Format: _format,
    exp.ILike: _like,
    exp.Like: _like,
    exp.Hex: lambda node: filled("lower(hex(_1))", node.this),
    exp.Normalize: lambda node: filled("nfc_normalize(_1)", node.this),
    exp.RegexpSubstr: lambda node: filled(_FOUND.format(group=0), node.this, node.expression),
    exp.SimilarTo: _similar,
    exp.Substring: _substring,
    exp.WidthBucket: lambda node: filled(
        "CASE WHEN _1 < _2 THEN 0 WHEN _1 >= _3 THEN _4 + 1"
        " ELSE CAST(floor((_1 - _2) * CAST(_4 AS DOUBLE) / (_3 - _2)) AS INTEGER) + 1 END",
        *_arguments(node),
    ),
}

KINDS = frozenset((exp.Anonymous, *_TYPED))
"""The nodes that `translate_function` may change."""


def _arguments(node: exp.Expr) -> list[exp.Expr]:
    return [value for value in node.args.values() if isinstance(value, exp.Expr)]
