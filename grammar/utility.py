"""Statements that are not standard SQL's, read by Lark. Imported when the first one comes."""

import functools
import re
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedEOF, UnexpectedInput, UnexpectedToken

from vsql.core import sqlstate, types
from vsql.core.errors import ProgrammingError, Span
from vsql.core.schema import joined_names
from vsql.core.types import Family, SqlType
from vsql.grammar import utility_statements as st
from vsql.grammar.parse import parse_expression, parse_query
from vsql.grammar.render import render

_SHOWN_EXPECTED = 6
# How much a word must be like an expected one to be taken for it: TABEL is 0.8 like TABLE.
_ALIKE = 0.6
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


def parse_utility(text: str) -> st.Utility:
    """Return the statement; raises ProgrammingError (42601), which says what was expected."""
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _syntax_error(error, text) from None
    node: _Node = tree.children[0]
    statement: st.Utility = _READERS[node.data](node, text)
    return statement


def _syntax_error(error: UnexpectedInput, text: str) -> ProgrammingError:
    expected = getattr(error, "accepts", None) or getattr(error, "expected", None) or set()
    words = sorted({str(_SYMBOLS.get(name, name.strip("_"))) for name in expected})
    hint = None
    if isinstance(error, UnexpectedToken):
        # A misspelt word is most likely the one that it resembles.
        word = str(error.token).upper()
        words.sort(key=lambda known: SequenceMatcher(None, word, known).ratio() < _ALIKE)
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


def _table(node: _Node) -> str:
    """Return a table's qualified name; the schema public goes without saying."""
    parts = [_name(name) for name in _trees(node, "name")]
    if len(parts) > 1 and parts[0] == "public":
        parts = parts[1:]
    if len(parts) > 2:
        raise ProgrammingError(
            "a name has a schema and a table, no more", code=sqlstate.SYNTAX_ERROR, span=_span(node)
        )
    return ".".join(parts)


def _tables(node: _Node) -> tuple[str, ...]:
    return tuple(_table(name) for name in _trees(node, "table_name"))


def _create_table(node: _Node, text: str) -> st.CreateTable:
    name = _tree(node, "table_name")
    columns = tuple(_column(column, text) for column in _trees(node, "column"))
    constrained = [_constraint(c) for c in _trees(node, "constrained")]
    declared = [_names(found) for _, found in constrained if found.data == "primary_key"]
    own = tuple(column.name for column in columns if column.primary_key)
    if len(declared) + bool(own) > 1 or len(own) > 1:
        raise ProgrammingError(
            "a table has one PRIMARY KEY",
            code=sqlstate.INVALID_TABLE_DEFINITION,
            span=_span(name),
            hint="for several columns: PRIMARY KEY (a, b)",
        )
    checks = [(n, _inside(f, text)) for n, f in constrained if f.data == "check"]
    uniques = [(n, _names(f)) for n, f in constrained if f.data == "unique_key"]
    return st.CreateTable(
        name=_table(name),
        columns=columns,
        primary_key=declared[0] if declared else own,
        primary_key_name=next((n for n, f in constrained if f.data == "primary_key"), None),
        if_not_exists=_tree(node, "if_not_exists") is not None,
        span=_span(name),
        checks=(*checks, *(check for column in columns for check in column.checks)),
        uniques=(*uniques, *((None, (c.name,)) for c in columns if c.unique)),
        properties=_properties(node),
        partition_by=_partition_by(node),
        temporary=_tree(node, "temporary") is not None,
    )


_WITH_DATA = re.compile(r"\s+with\s+(no\s+)?data\s*\Z", re.IGNORECASE)


def _create_table_as(node: _Node, text: str) -> st.CreateTableAs:
    name, columns = _tree(node, "table_name"), _tree(node, "name_list")
    source = _source(_tree(node, "query"), text)
    tail = _WITH_DATA.search(source)
    if tail is not None:
        source = source[: tail.start()]
        if tail.group(1):
            source = f"SELECT * FROM ({source}) AS nothing LIMIT 0"
    return st.CreateTableAs(
        name=_table(name),
        columns=_names(columns) if columns is not None else (),
        query=parse_query(source),
        if_not_exists=_tree(node, "if_not_exists") is not None,
        span=_span(name),
        properties=_properties(node),
        temporary=_tree(node, "temporary") is not None,
    )


def _constraint(node: _Node) -> tuple[str | None, _Node]:
    name = _tree(node, "constraint_name")
    return (_name(_trees(name, "name")[0]) if name is not None else None), node.children[-1]


def _inside(node: _Node, text: str) -> str:
    """Return the canonical SQL of the expression in the parentheses of a constraint."""
    return render(parse_expression(_source(_tree(node, "group"), text)))


def _properties(node: _Node) -> dict[str, str]:
    properties: dict[str, str] = {}
    for with_ in _trees(node, "with"):
        properties.update(_options(_tree(with_, "options")))
    for cluster in _trees(node, "cluster_by"):
        properties["cluster_by"] = joined_names(_names(cluster))
    return properties


_PARTITIONS = 16


def _partition_by(node: _Node) -> st.PartitionBy | None:
    by_key, by_list = _tree(node, "partition_by_key"), _tree(node, "partition_by_list")
    if by_key is not None:
        numbers = _tokens(by_key, "NUMBER")
        count = int(str(numbers[0])) if numbers else _PARTITIONS
        return st.PartitionBy("key", _names(by_key)[0], count)
    return None if by_list is None else st.PartitionBy("list", _names(by_list)[0], 0)


def _names(node: _Node) -> tuple[str, ...]:
    return tuple(_name(name) for name in _trees(node, "name"))


# PostgreSQL's names for a number that counts up by itself.
_SERIALS = {
    **dict.fromkeys(("SMALLSERIAL", "SERIAL2"), Family.SMALLINT),
    **dict.fromkeys(("SERIAL", "SERIAL4"), Family.INTEGER),
    **dict.fromkeys(("BIGSERIAL", "SERIAL8"), Family.BIGINT),
}


def _column(node: _Node, text: str) -> st.ColumnDefinition:
    name, type_node = node.children[0], node.children[1]
    found = [_constraint(child) for child in node.children[2:] if child.data == "constrained"]
    constraints = {child.data: child for _, child in found}
    default, generated = constraints.get("default"), constraints.get("generated")
    is_key = "is_key" in constraints
    identity = None
    if "identity_always" in constraints:
        identity = "always"
    serial = _SERIALS.get(" ".join(str(word) for word in type_node.children).upper())
    if "identity_default" in constraints or (identity is None and serial is not None):
        identity = "default"
    return st.ColumnDefinition(
        name=_name(name),
        type=_type(type_node) if serial is None else SqlType(serial),
        nullable=not ("not_null" in constraints or is_key or identity is not None),
        default=_default(default, text) if default is not None else None,
        primary_key=is_key,
        span=_span(name),
        unique="unique" in constraints,
        identity=identity,
        generated=_inside(generated, text) if generated is not None else None,
        checks=tuple((n, _inside(child, text)) for n, child in found if child.data == "check"),
    )


def _default(node: _Node, text: str) -> str:
    return render(parse_expression(_source(_tree(node, "default"), text)))


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
    return st.DropTable(_tables(node), _tree(node, "if_exists") is not None)


def _drop_index(node: _Node, text: str) -> st.DropIndex:
    return st.DropIndex(_tables(node), _tree(node, "if_exists") is not None)


def _alter_table(node: _Node, text: str) -> st.AlterTable:
    name = _tree(node, "table_name")
    alterations = tuple(
        _ALTERATIONS[child.data](child, text)
        for child in node.children
        if isinstance(child, Tree) and child.data in _ALTERATIONS
    )
    return st.AlterTable(
        _table(name), alterations, _tree(node, "if_exists") is not None, _span(name)
    )


def _add_constraint(node: _Node, text: str) -> st.Alteration:
    name, found = _constraint(node)
    if found.data == "check":
        return st.AddCheck(name, _inside(found, text))
    return st.AddUnique(name, _names(found))


_ALTERATIONS: dict[str, Any] = {
    "add_column": lambda node, text: st.AddColumn(
        _column(_tree(node, "column"), text), _tree(node, "if_not_exists") is not None
    ),
    "drop_column": lambda node, text: st.DropColumn(
        _names(node)[0], _tree(node, "if_exists") is not None
    ),
    "rename_column": lambda node, text: st.RenameColumn(*_names(node)),
    "rename_table": lambda node, text: st.RenameTable(_names(node)[0]),
    "set_type": lambda node, text: st.SetType(_names(node)[0], _type(_tree(node, "type"))),
    "set_default": lambda node, text: st.SetDefault(_names(node)[0], _default(node, text)),
    "drop_default": lambda node, text: st.SetDefault(_names(node)[0], None),
    "set_not_null": lambda node, text: st.SetNullable(_names(node)[0], False),
    "drop_not_null": lambda node, text: st.SetNullable(_names(node)[0], True),
    "add_constraint": _add_constraint,
    "drop_constraint": lambda node, text: st.DropConstraint(
        _names(node)[0], _tree(node, "if_exists") is not None
    ),
    "set_properties": lambda node, text: st.SetProperties(_options(_tree(node, "options"))),
    "reset_properties": lambda node, text: st.SetProperties(dict.fromkeys(_names(node))),
    "cluster_by": lambda node, text: st.SetProperties({"cluster_by": joined_names(_names(node))}),
}


def _create_view(node: _Node, text: str) -> st.CreateView:
    name, columns = _tree(node, "table_name"), _tree(node, "name_list")
    query_node = _tree(node, "query")
    query = _source(query_node, text)
    parse_query(query)
    return st.CreateView(
        name=_table(name),
        columns=_names(columns) if columns is not None else (),
        query=query,
        or_replace=bool(_tokens(node, "REPLACE")),
        if_not_exists=_tree(node, "if_not_exists") is not None,
        span=_span(name),
        query_span=_span(query_node),
    )


def _comment(node: _Node, text: str) -> st.CommentOn:
    kind = str(node.data).removeprefix("comment_")
    token = _tokens(node, "STRING", "NULL")[0]
    written = _string(token) if token.type == "STRING" else None
    name = _tree(node, "table_name")
    if kind != "column":
        return st.CommentOn(kind, _table(name), None, written)
    *table, column = [_name(part) for part in _trees(name, "name")]
    shown = [part for part in table if part != "public"]
    return st.CommentOn(kind, ".".join(shown), column, written)


def _create_partition(node: _Node, text: str) -> st.CreatePartition:
    values = tuple(_source(value, text) for value in _trees(node, "default"))
    return st.CreatePartition(_names(node)[0], _tables(node)[0], values)


def _restore_table(node: _Node, text: str) -> st.RestoreTable:
    table = _tables(node)[0]
    if node.data == "restore_to_version":
        return st.RestoreTable(table, int(str(_tokens(node, "NUMBER")[0])), None)
    return st.RestoreTable(table, None, _string(_tokens(node, "STRING")[0]))


def _read_only(node: _Node) -> bool | None:
    modes = [m.data for m in node.children if isinstance(m, Tree)]
    if "read_only" in modes:
        return True
    return False if "read_write" in modes else None


def _alias(node: _Node, *, exists: bool) -> st.PutAlias:
    name, table = _tables(node)
    return st.PutAlias(name, table, exists)


def _path(node: _Node) -> str:
    return _string(_tokens(node, "STRING")[0])


def _export_database(node: _Node, text: str) -> st.ExportDatabase:
    options = _options(_tree(node, "options"))
    if options.pop("format", "parquet").lower() != "parquet" or options:
        raise ProgrammingError(
            "an export is written as Parquet",
            code=sqlstate.INVALID_PARAMETER_VALUE,
            span=_span(node),
            hint="the only option is FORMAT parquet",
        )
    return st.ExportDatabase(_path(node), load=False)


def _only(names: tuple[str, ...]) -> str | None:
    return names[0] if names else None


def _create_index(node: _Node, text: str) -> st.CreateIndex:
    names, table = _trees(node, "name"), _tree(node, "table_name")
    key_node = _tree(node, "index_key")
    first = key_node.children[0]
    columns = _names(key_node)
    written = ['"' + column.replace('"', '""') + '"' for column in columns]
    source = written[0] if first.data == "name" else _source(first, text)
    if len(columns) > 1 and not _tokens(node, "UNIQUE"):
        source = f"({', '.join(written)})"
    classes = _tokens(key_node, "WORD")
    using = _tree(node, "using")
    with_ = _tree(node, "with")
    return st.CreateIndex(
        name=_name(names[0]) if names else None,
        table=_table(table),
        kind=str(_tokens(using, "WORD")[0]).upper() if using is not None else None,
        key=render(parse_expression(source)),
        columns=columns,
        operator_class=str(classes[0]).lower() if classes else None,
        options=_written_options(_tree(with_, "options")) if with_ is not None else {},
        unique=bool(_tokens(node, "UNIQUE")),
        if_not_exists=_tree(node, "if_not_exists") is not None,
        span=_span(table),
    )


def _options(node: _Node) -> dict[str, str]:
    return {name.lower(): value for name, value in _written_options(node).items()}


def _written_options(node: _Node) -> dict[str, str]:
    """Return options by their names as written: in an index's, M and m may differ."""
    if node is None:
        return {}
    result: dict[str, str] = {}
    for option in _trees(node, "option"):
        value = option.children[1]
        token: Any = value.children[0] if isinstance(value, Tree) else value
        result[str(option.children[0])] = _string(token) if token.type == "STRING" else str(token)
    return result


def _copy_from(node: _Node, text: str) -> st.CopyFrom:
    names = _tree(node, "names")
    options = _options(_tree(node, "options"))
    return st.CopyFrom(
        _tables(node)[0],
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
        query = parse_query(f"SELECT * FROM {_source(_tree(node, 'table_name'), text)}")
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


_STEPS = {
    "NEXT": (st.Direction.FORWARD, 1),
    "PRIOR": (st.Direction.BACKWARD, 1),
    "FIRST": (st.Direction.ABSOLUTE, 1),
    "LAST": (st.Direction.ABSOLUTE, -1),
}


def _fetch(node: _Node, text: str) -> st.FetchCursor:
    name, only_moves = _name(_trees(node, "name")[0]), bool(_tokens(node, "MOVE"))
    written = _tree(node, "fetch_direction")
    words = [] if written is None else written.children
    kinds = [token.type for token in words]
    direction, count = st.Direction.FORWARD, 1
    if kinds and kinds[0] in _STEPS:
        direction, count = _STEPS[kinds[0]]
    elif kinds and kinds[0] in ("ABSOLUTE", "RELATIVE", "FORWARD", "BACKWARD"):
        direction = st.Direction(kinds[0].lower())
    if kinds and kinds[-1] == "NUMBER":
        count = int(float(words[-1]))
    everything = bool(kinds) and kinds[-1] == "ALL"
    return st.FetchCursor(name, direction, None if everything else count, only_moves)


def _one_or_all(node: _Node) -> str | None:
    return None if _tokens(node, "ALL") else _names(node)[0]


_READERS: dict[str, Any] = {
    "deallocate": lambda node, text: st.Deallocate(_one_or_all(node)),
    "fetch": _fetch,
    "close": lambda node, text: st.CloseCursor(_one_or_all(node)),
    "create_table": _create_table,
    "create_table_as": _create_table_as,
    "drop_table": _drop_table,
    "alter_table": _alter_table,
    "alter_index": lambda node, text: st.AlterIndex(_tables(node)[0], _names(node)[0]),
    "create_index": _create_index,
    "drop_index": _drop_index,
    "create_extension": lambda node, text: st.Extension(
        _names(node)[:1], _tree(node, "if_not_exists") is not None, True, _span(node)
    ),
    "drop_extension": lambda node, text: st.Extension(
        _names(node), _tree(node, "if_exists") is not None, False, _span(node)
    ),
    "create_schema": lambda node, text: st.CreateSchema(
        _names(node)[0], _tree(node, "if_not_exists") is not None
    ),
    "drop_schema": lambda node, text: st.DropSchema(
        _names(node), _tree(node, "if_exists") is not None, bool(_tokens(node, "CASCADE"))
    ),
    "create_view": _create_view,
    "drop_view": lambda node, text: st.DropView(
        _tables(node), _tree(node, "if_exists") is not None
    ),
    "create_alias": lambda node, text: _alias(node, exists=False),
    "alter_alias": lambda node, text: _alias(node, exists=True),
    "drop_alias": lambda node, text: st.DropAlias(
        _tables(node), _tree(node, "if_exists") is not None
    ),
    "create_partition": _create_partition,
    "drop_partition": lambda node, text: st.DropPartition(_names(node)[0], _tables(node)[0]),
    "comment_table": _comment,
    "comment_view": _comment,
    "comment_schema": _comment,
    "comment_column": _comment,
    "truncate": lambda node, text: st.Truncate(_tables(node)),
    "copy_from": _copy_from,
    "copy_to": _copy_to,
    "show_tables": lambda node, text: st.ShowTables(),
    "show_indexes": lambda node, text: st.ShowIndexes(_only(_tables(node))),
    "show_columns": lambda node, text: st.ShowColumns(_tables(node)[0]),
    "show_versions": lambda node, text: st.ShowVersions(_tables(node)[0]),
    "describe": lambda node, text: st.ShowColumns(_tables(node)[0]),
    "show_all": lambda node, text: st.ShowSetting(None),
    "show_isolation": lambda node, text: st.ShowSetting("transaction_isolation"),
    "show_time_zone": lambda node, text: st.ShowSetting("timezone"),
    "show_setting": lambda node, text: st.ShowSetting(_setting_name(node)),
    "set": _set,
    "set_time_zone": _set,
    "set_transaction": lambda node, text: st.SetTransaction(_read_only(node)),
    "reset": lambda node, text: st.ResetSetting(_setting_name(node)),
    "reset_all": lambda node, text: st.ResetSetting(None),
    "begin": lambda node, text: st.Begin(_read_only(node)),
    "commit": lambda node, text: st.Commit(),
    "rollback": lambda node, text: st.Rollback(),
    "rollback_to": lambda node, text: st.RollbackTo(_names(node)[0]),
    "savepoint": lambda node, text: st.SetSavepoint(_names(node)[0]),
    "release": lambda node, text: st.ReleaseSavepoint(_names(node)[0]),
    "load": lambda node, text: st.LoadTable(_tables(node)[0], _span(node)),
    "release_table": lambda node, text: st.ReleaseTable(_tables(node)[0], _span(node)),
    "flush": lambda node, text: st.Flush(_only(_tables(node))),
    "optimize": lambda node, text: st.Optimize(_only(_tables(node)), bool(_tokens(node, "FULL"))),
    "vacuum": lambda node, text: st.Vacuum(),
    "analyze": lambda node, text: st.Analyze(_only(_tables(node))),
    "analyze_machine": lambda node, text: st.AnalyzeMachine(),
    "check_database": lambda node, text: st.CheckDatabase(),
    "restore_to_version": _restore_table,
    "restore_to_timestamp": _restore_table,
    "undrop_table": lambda node, text: st.UndropTable(_tables(node)[0]),
    "backup_database": lambda node, text: st.BackupDatabase(_path(node), restore=False),
    "restore_database": lambda node, text: st.BackupDatabase(_path(node), restore=True),
    "export_database": _export_database,
    "import_database": lambda node, text: st.ExportDatabase(_path(node), load=True),
}
