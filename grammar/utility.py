"""Statements that are not standard SQL's, read by Lark. Imported when the first one comes."""

import functools
from pathlib import Path
from typing import Any, Literal

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedEOF, UnexpectedInput, UnexpectedToken

from vsql.core import sqlstate, types
from vsql.core.errors import ProgrammingError, Span
from vsql.core.types import SqlType
from vsql.grammar import statements as st
from vsql.grammar.parse import parse_expression, parse_query
from vsql.grammar.render import render

_SHOWN_EXPECTED = 6
_SYMBOLS = {
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "EQUAL": "=",
    "DOT": ".",
    "LSQB": "[",
    "RSQB": "]",
    "WORD": "a name",
    "QUOTED": "a quoted name",
    "STRING": "a 'string'",
    "NUMBER": "a number",
    "OPERATOR": "an operator",
    "$END": "the end",
}

_Node = Any


@functools.cache
def _parser() -> Lark:
    grammar = (Path(__file__).parent / "statements.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def parse_utility(text: str) -> st.Statement:
    """Return the statement; raises ProgrammingError (42601), which says what was expected."""
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _syntax_error(error, text) from None
    node: _Node = tree.children[0]
    statement: st.Statement = _READERS[node.data](node, text)
    return statement


def _syntax_error(error: UnexpectedInput, text: str) -> ProgrammingError:
    expected = getattr(error, "accepts", None) or getattr(error, "expected", None) or set()
    words = sorted({str(_SYMBOLS.get(name, name.strip("_"))) for name in expected})
    hint = None
    if words:
        more = ", ..." if len(words) > _SHOWN_EXPECTED else ""
        hint = "expected " + ", ".join(words[:_SHOWN_EXPECTED]) + more
    at_end = isinstance(error, UnexpectedEOF) or (
        isinstance(error, UnexpectedToken) and error.token.type == "$END"
    )
    if at_end:
        end = len(text.rstrip())
        return ProgrammingError(
            "syntax error at end of input",
            code=sqlstate.SYNTAX_ERROR,
            span=Span(max(0, end - 1), end),
            hint=hint,
        )
    start = error.pos_in_stream or 0
    shown = str(getattr(error, "token", text[start : start + 1]))
    return ProgrammingError(
        f'syntax error at or near "{shown}"',
        code=sqlstate.SYNTAX_ERROR,
        span=Span(start, start + max(1, len(shown))),
        hint=hint,
    )


def _trees(node: _Node, name: str) -> list[_Node]:
    return [c for c in node.children if isinstance(c, Tree) and c.data == name]


def _tree(node: _Node, name: str) -> _Node:
    found = _trees(node, name)
    return found[0] if found else None


def _tokens(node: _Node, *kinds: str) -> list[Token]:
    return [c for c in node.children if isinstance(c, Token) and c.type in kinds]


def _name(node: _Node) -> str:
    token: Any = node.children[0] if isinstance(node, Tree) else node
    if token.type == "QUOTED":
        return str(token)[1:-1].replace('""', '"')
    return str(token).lower()


def _string(token: Token) -> str:
    text = str(token)
    return text[text.index("'") + 1 : -1].replace("''", "'")


def _span(node: _Node) -> Span:
    if isinstance(node, Token):
        return Span(node.start_pos or 0, node.end_pos or 0)
    return Span(node.meta.start_pos, node.meta.end_pos)


def _source(node: _Node, text: str) -> str:
    span = _span(node)
    return text[span.start : span.end]


def _create_table(node: _Node, text: str) -> st.CreateTable:
    name = _trees(node, "name")[0]
    columns = tuple(_column(column, text) for column in _trees(node, "column"))
    declared = [_names(key) for key in _trees(node, "primary_key")]
    own = tuple(column.name for column in columns if column.primary_key)
    if len(declared) + bool(own) > 1 or len(own) > 1:
        raise ProgrammingError(
            "a table has one PRIMARY KEY",
            code=sqlstate.INVALID_TABLE_DEFINITION,
            span=_span(name),
            hint="for several columns: PRIMARY KEY (a, b)",
        )
    key = declared[0] if declared else own
    exists = _tree(node, "if_not_exists") is not None
    return st.CreateTable(_name(name), columns, key, exists, _span(name))


def _names(node: _Node) -> tuple[str, ...]:
    return tuple(_name(name) for name in _trees(node, "name"))


def _column(node: _Node, text: str) -> st.ColumnDefinition:
    name, type_node = node.children[0], node.children[1]
    constraints = {child.data: child for child in node.children[2:]}
    default = constraints.get("default")
    written = None
    if default is not None:
        written = render(parse_expression(_source(_tree(default, "default"), text)))
    is_key = "is_key" in constraints
    return st.ColumnDefinition(
        _name(name),
        _type(type_node),
        not ("not_null" in constraints or is_key),
        written,
        is_key,
        _span(name),
    )


def _type(node: _Node) -> SqlType:
    words = [str(c) for c in node.children if isinstance(c, Token)]
    arguments: tuple[int, ...] = ()
    given = _tree(node, "type_arguments")
    try:
        if given is not None:
            arguments = tuple(int(str(number)) for number in _tokens(given, "NUMBER"))
            words += [str(word) for word in _tokens(given, "WORD", "TIME", "ZONE")]
        return types.named(" ".join(words), arguments, len(_trees(node, "array")))
    except ValueError:
        raise ProgrammingError(
            "a type's arguments are whole numbers",
            code=sqlstate.INVALID_PARAMETER_VALUE,
            span=_span(node),
        ) from None
    except ProgrammingError as error:
        error.span = _span(node)
        raise


def _drop_table(node: _Node, text: str) -> st.DropTable:
    return st.DropTable(_names(node), _tree(node, "if_exists") is not None)


def _drop_index(node: _Node, text: str) -> st.DropIndex:
    return st.DropIndex(_names(node), _tree(node, "if_exists") is not None)


def _create_index(node: _Node, text: str) -> st.CreateIndex:
    names = _trees(node, "name")
    key_node = _tree(node, "index_key")
    first = key_node.children[0]
    source = f'"{_name(first)}"' if first.data == "name" else _source(first, text)
    classes = _tokens(key_node, "WORD")
    using = _tree(node, "using")
    with_ = _tree(node, "with")
    return st.CreateIndex(
        name=_name(names[0]) if len(names) > 1 else None,
        table=_name(names[-1]),
        kind=str(_tokens(using, "WORD")[0]).upper() if using is not None else None,
        key=render(parse_expression(source)),
        operator_class=str(classes[0]).lower() if classes else None,
        options=_options(_tree(with_, "options")) if with_ is not None else {},
        unique=bool(_tokens(node, "UNIQUE")),
        if_not_exists=_tree(node, "if_not_exists") is not None,
        span=_span(names[-1]),
    )


def _options(node: _Node) -> dict[str, str]:
    if node is None:
        return {}
    result: dict[str, str] = {}
    for option in _trees(node, "option"):
        value = option.children[1]
        token: Any = value.children[0] if isinstance(value, Tree) else value
        result[str(option.children[0]).lower()] = (
            _string(token) if token.type == "STRING" else str(token)
        )
    return result


def _copy_from(node: _Node, text: str) -> st.CopyFrom:
    names = _tree(node, "names")
    options = _options(_tree(node, "options"))
    return st.CopyFrom(
        _name(_trees(node, "name")[0]),
        _names(names) if names is not None else (),
        _string(_tokens(node, "STRING")[0]),
        options.pop("format", None),
        options,
    )


def _copy_to(node: _Node, text: str) -> st.CopyTo:
    group = _tree(node, "group")
    if group is not None:
        query = parse_query(_source(group, text)[1:-1])
    else:
        name = _name(_trees(node, "name")[0]).replace('"', '""')
        query = parse_query(f'SELECT * FROM "{name}"')
    options = _options(_tree(node, "options"))
    path = _string(_tokens(node, "STRING")[0])
    return st.CopyTo(query, path, options.pop("format", None), options)


def _setting_name(node: _Node) -> str:
    return ".".join(str(word).lower() for word in _tokens(_tree(node, "setting_name"), "WORD"))


def _set(node: _Node, text: str) -> st.SetSetting:
    values = [c for c in node.children if isinstance(c, Token)]
    scope: Literal["session", "local", "global"] = "session"
    for token in values:
        if token.type == "LOCAL":
            scope = "local"
        elif token.type == "GLOBAL":
            scope = "global"
    kept = [t for t in values if t.type not in ("SET", "SESSION", "LOCAL", "GLOBAL", "TO")]
    kept = [t for t in kept if t.type not in ("TIME", "ZONE")]
    texts = [_string(t) if t.type == "STRING" else str(t).strip('"') for t in kept]
    name = "timezone" if node.data == "set_time_zone" else _setting_name(node)
    return st.SetSetting(name, ", ".join(texts), scope)


def _show_indexes(node: _Node, text: str) -> st.ShowIndexes:
    names = _names(node)
    return st.ShowIndexes(names[0] if names else None)


def _flush(node: _Node, text: str) -> st.Flush:
    names = _names(node)
    return st.Flush(names[0] if names else None)


_READERS: dict[str, Any] = {
    "create_table": _create_table,
    "drop_table": _drop_table,
    "create_index": _create_index,
    "drop_index": _drop_index,
    "copy_from": _copy_from,
    "copy_to": _copy_to,
    "show_tables": lambda node, text: st.ShowTables(),
    "show_indexes": _show_indexes,
    "show_columns": lambda node, text: st.ShowColumns(_names(node)[0]),
    "describe": lambda node, text: st.ShowColumns(_names(node)[0]),
    "show_all": lambda node, text: st.ShowSetting(None),
    "show_setting": lambda node, text: st.ShowSetting(_setting_name(node)),
    "set": _set,
    "set_time_zone": _set,
    "reset": lambda node, text: st.ResetSetting(_setting_name(node)),
    "reset_all": lambda node, text: st.ResetSetting(None),
    "begin": lambda node, text: st.Begin(),
    "commit": lambda node, text: st.Commit(),
    "rollback": lambda node, text: st.Rollback(),
    "flush": _flush,
}
