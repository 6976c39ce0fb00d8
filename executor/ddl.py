"""CREATE, DROP, and what SHOW and DESCRIBE tell: statements to changes, the catalog to rows."""

import warnings
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
from sqlglot import exp

from vsql.core import changes as change
from vsql.core import sqlstate
from vsql.core.changes import Change
from vsql.core.distance import METRIC_BY_OPERATOR_CLASS, Metric
from vsql.core.errors import (
    DatabaseError,
    IntegrityError,
    ProgrammingError,
    Span,
    did_you_mean,
)
from vsql.core.schema import DYNAMIC, NO_CONSTRAINT, Column, Index, Partitioning, Table, new_id
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import JSON, VECTOR_FAMILIES, Family, SqlType, from_arrow, named
from vsql.executor.build_index import build
from vsql.executor.context import Context
from vsql.executor.define import (
    check_column,
    check_properties,
    free_name,
    key_index,
    new_check,
    new_column,
    refuse_taken_name,
)
from vsql.executor.fields import column_type
from vsql.executor.incoming import stored_batch
from vsql.executor.keys import keys_in, repeats, unique_keys
from vsql.executor.run import run
from vsql.executor.scan import pick
from vsql.executor.seal import add_rows, batch_of, seal_when_due
from vsql.executor.type_names import type_named
from vsql.grammar import utility_statements as st
from vsql.grammar.parse import parse_expression
from vsql.grammar.render import render
from vsql.index import registry
from vsql.planner.bind import bind_columns, type_name
from vsql.planner.facts import Facts, unknown_column
from vsql.planner.plan import plan_query


def create_table(statement: st.CreateTable, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of CREATE TABLE; raises ProgrammingError (42P07, 42701, 42P16)."""
    snapshot = context.snapshot
    if statement.name in snapshot.tables and statement.if_not_exists:
        return ()
    refuse_taken_name(statement.name, snapshot, statement.span)
    columns = tuple(
        new_column(d, nullable=d.nullable and d.name not in statement.primary_key)
        for d in statement.columns
    )
    _check_columns(statement, columns)
    if statement.properties.get("dynamic") == "true":
        columns = (*columns, Column(new_id(), DYNAMIC, JSON))
    table = Table(
        new_id(),
        statement.name,
        columns,
        statement.primary_key,
        properties=check_properties(statement.properties, columns),
        partitioning=_partitioning(statement, columns),
        temporary=statement.temporary,
    )
    for column in columns:
        check_column(column, TableSnapshot(table), context)
    indexes: list[Index] = []
    base = table.name.rpartition(".")[2]
    if table.primary_key:
        name = statement.primary_key_name or f"{base}_pkey"
        indexes.append(key_index(table, table.primary_key, name, statement.span))
    for written, names in statement.uniques:
        name = written or f"{base}_{'_'.join(names)}_key"
        name = name if written else free_name(name, [i.name for i in indexes])
        indexes.append(key_index(table, names, name, statement.span))
    for check_name, condition in statement.checks:
        known = TableSnapshot(table, (), tuple(indexes))
        table = replace(
            table, checks=(*table.checks, new_check(check_name, condition, known, context))
        )
    return (change.AddTable(table), *(change.AddIndex(index) for index in indexes))


def _partitioning(statement: st.CreateTable, columns: tuple[Column, ...]) -> Partitioning | None:
    written = statement.partition_by
    if written is None:
        return None
    column = next((c for c in columns if c.name == written.column), None)
    if column is None:
        raise unknown_column(written.column, columns, statement.span, "PARTITION BY")
    if column.type.is_vector or column.type.family in (Family.JSON, Family.ARRAY):
        raise ProgrammingError(
            f'column "{column.name}" of type {column.type} cannot partition a table',
            code=sqlstate.INVALID_TABLE_DEFINITION,
            span=statement.span,
        )
    if written.kind == "key" and not 1 <= written.count <= 4096:
        raise ProgrammingError(
            f"a table has 1 to 4096 partitions, not {written.count}",
            code=sqlstate.INVALID_PARAMETER_VALUE,
            span=statement.span,
        )
    return Partitioning(written.kind, written.column, written.count)


def create_table_as(
    statement: st.CreateTableAs, facts: Facts, context: Context
) -> tuple[tuple[Change, ...], int]:
    """Return the changes of CREATE TABLE AS, and the number of rows."""
    if statement.name in context.snapshot.tables and statement.if_not_exists:
        return (), 0
    refuse_taken_name(statement.name, context.snapshot, statement.span)
    rows = run(plan_query(statement.query, facts), context)
    found = rows.table
    assert found is not None
    names = statement.columns or tuple(found.column_names)
    if len(names) != found.num_columns:
        raise ProgrammingError(
            f"{len(names)} names are given, but the query has {found.num_columns} columns",
            code=sqlstate.SYNTAX_ERROR,
            span=statement.span,
        )
    columns = tuple(
        Column(new_id(), name, column_type(type_, name))
        for name, type_ in zip(names, rows.types, strict=True)
    )
    if len(set(names)) < len(names):
        raise ProgrammingError(
            "a column name occurs twice in the query",
            code=sqlstate.DUPLICATE_COLUMN,
            span=statement.span,
        )
    table = Table(
        new_id(),
        statement.name,
        columns,
        properties=check_properties(statement.properties, columns),
        temporary=statement.temporary,
    )
    empty = TableSnapshot(table)
    batch = stored_batch(empty, dict(zip(names, found.columns, strict=True)), context)
    return (change.AddTable(table), *add_rows(empty, [batch], context)), batch.num_rows


def _check_columns(statement: st.CreateTable, columns: tuple[Column, ...]) -> None:
    if not columns:
        raise ProgrammingError(
            "a table needs at least one column", code=sqlstate.INVALID_TABLE_DEFINITION
        )
    seen: set[str] = set()
    for definition in statement.columns:
        if definition.name in seen:
            raise ProgrammingError(
                f'column "{definition.name}" is defined twice',
                code=sqlstate.DUPLICATE_COLUMN,
                span=definition.span,
            )
        seen.add(definition.name)
    for name in statement.primary_key:
        column = next((c for c in columns if c.name == name), None)
        if column is None:
            raise unknown_column(name, columns, statement.span, "PRIMARY KEY")
        if column.type.is_vector or column.type.family in (Family.JSON, Family.ARRAY):
            raise ProgrammingError(
                f'column "{name}" of type {column.type} cannot be a primary key',
                code=sqlstate.INVALID_TABLE_DEFINITION,
                span=statement.span,
            )


def drop_table(statement: st.DropTable, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of DROP TABLE; raises ProgrammingError (42P01)."""
    staged: list[Change] = []
    for name in statement.names:
        if name not in context.snapshot.tables and statement.if_exists:
            continue
        staged.append(change.DropTable(facts.require(name).table.id))
    return tuple(staged)


def create_index(statement: st.CreateIndex, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of CREATE INDEX, its structures built; raises DatabaseError."""
    # An index covers what is there: rows that were still growing are sealed first.
    sealed = seal_when_due(facts.require(statement.table, statement.span), context, now=True)
    snapshot = context.snapshot
    for staged_change in sealed:
        snapshot = change.apply(snapshot, staged_change)
    context = replace(context, snapshot=snapshot)
    table = snapshot.tables[statement.table]
    if statement.unique:
        return (*sealed, *_create_unique_index(statement, table, context))
    node = bind_columns(parse_expression(statement.key), table, table.table.name)
    key = render(node)
    # An index over several columns answers for the first: the rest is for those who read it.
    node = node.expressions[0] if isinstance(node, exp.Tuple) else node
    column = table.table.find(node.name) if isinstance(node, exp.Column) else None
    type_ = column.type if column is not None else _key_type(node, table, context)
    kind = registry.canonical(statement.kind or registry.default_kind(type_))
    if kind == registry.DEFAULT_VECTOR_KIND and not type_.is_vector:
        kind = _automatic_kind(type_, column, table)
    metric = _metric(statement, type_)
    name = statement.name or _free_name(statement, column, context)
    schema = statement.table.rpartition(".")[0]
    if _find_index(f"{schema}.{name}" if schema else name, context.snapshot.tables) is not None:
        if statement.if_not_exists:
            return ()
        raise ProgrammingError(
            f'index "{name}" already exists', code=sqlstate.DUPLICATE_TABLE, span=statement.span
        )
    registry.check(kind, type_, metric, statement.options)
    if metric is not None and column is None:
        warnings.warn(
            f'index "{name}" speeds nothing up: searches by an expression are exact',
            UserWarning,
            stacklevel=2,
        )
    index = Index(new_id(), table.table.id, name, kind, key, metric, options=statement.options)
    staged: list[Change] = [*sealed, change.AddIndex(index)]
    for facts_of_segment in table.sealed:
        staged.extend(build(index, table, facts_of_segment, context))
    return tuple(staged)


def _automatic_kind(type_: SqlType, column: Column | None, table: TableSnapshot) -> str:
    """Return the kind that AUTOINDEX chooses by type and statistics."""
    known = [s.statistics[column.id] for s in table.sealed if column and column.id in s.statistics]
    distinct = max((s.distinct for s in known), default=table.live_count)
    return registry.automatic_kind(type_, sum(s.rows for s in known), distinct)


def _create_unique_index(
    statement: st.CreateIndex, table: TableSnapshot, context: Context
) -> tuple[Change, ...]:
    """Return the changes of CREATE UNIQUE INDEX over columns; raises IntegrityError (23505)."""
    if not statement.columns:
        raise ProgrammingError(
            "a UNIQUE index is over columns, not over an expression",
            code=sqlstate.FEATURE_NOT_SUPPORTED,
            span=statement.span,
        )
    base = f"{table.table.name.rpartition('.')[2]}_{'_'.join(statement.columns)}_idx"
    schema = table.table.name.rpartition(".")[0]
    known = [
        i.name
        for t in context.snapshot.tables.values()
        for i in t.indexes
        if t.table.name.rpartition(".")[0] == schema
    ]
    name = statement.name or free_name(base, known)
    if name in known:
        if statement.if_not_exists:
            return ()
        raise ProgrammingError(
            f'index "{name}" already exists', code=sqlstate.DUPLICATE_TABLE, span=statement.span
        )
    staged = add_unique(table, statement.columns, name, statement.span, context)
    return tuple(
        replace(one, index=replace(one.index, options={NO_CONSTRAINT: "true"}))
        if isinstance(one, change.AddIndex)
        else one
        for one in staged
    )


def add_unique(
    table: TableSnapshot,
    columns: tuple[str, ...],
    name: str,
    span: Span | None,
    context: Context,
) -> tuple[Change, ...]:
    """Return the changes that add a unique key; raises IntegrityError (23505) for repeated ones."""
    index = key_index(table.table, columns, name, span)
    (key,) = unique_keys(TableSnapshot(table.table, (), (index,)))
    every = [keys_in(key, batch_of(table.table, [p])) for p in pick((), table, context)]
    whole = pa.chunked_array(every).combine_chunks() if every else pa.array([], pa.int64())
    repeated = repeats(whole)
    if len(repeated):
        raise IntegrityError(
            f'cannot create unique index "{name}": ({", ".join(columns)}) = '
            f"({whole[int(repeated[0])].as_py()}) occurs more than once",
            code=sqlstate.UNIQUE_VIOLATION,
        )
    staged: list[Change] = [change.AddIndex(index)]
    for segment in table.sealed:
        staged.extend(build(index, table, segment, context))
    return tuple(staged)


def _metric(statement: st.CreateIndex, type_: SqlType) -> Metric | None:
    written = statement.operator_class
    if written in METRIC_BY_OPERATOR_CLASS and not written.startswith(type_.family.value.lower()):
        raise ProgrammingError(
            f'operator class "{written}" does not accept data type {type_}',
            code=sqlstate.DATATYPE_MISMATCH,
            span=statement.span,
        )
    if not type_.is_vector:
        if written is not None and written not in _SCALAR_CLASSES:
            raise _unknown_class(written, statement)
        return None
    if written is None:
        return Metric.HAMMING if type_.family is Family.BIT else Metric.COSINE
    metric = METRIC_BY_OPERATOR_CLASS.get(written)
    if metric is None:
        raise _unknown_class(written, statement)
    return metric


_SCALAR_CLASSES = ("text_ops", "int4_ops", "int8_ops", "float8_ops", "text_pattern_ops")


def _unknown_class(name: str, statement: st.CreateIndex) -> DatabaseError:
    return ProgrammingError(
        f'operator class "{name}" does not exist',
        code=sqlstate.UNDEFINED_OBJECT,
        span=statement.span,
        hint=did_you_mean(name, METRIC_BY_OPERATOR_CLASS),
    )


def _key_type(node: exp.Expr, table: TableSnapshot, context: Context) -> SqlType:
    if isinstance(node, exp.Cast) and type_named(node.to).is_vector:
        # To DuckDB every vector is a list of floats.
        return type_named(node.to)
    columns = {
        c.name: pa.array([], table.table.column(c.name).type.arrow)
        for c in node.find_all(exp.Column)
    }
    found = from_arrow(context.relational().expression(node, columns, {}).type)
    if isinstance(node, exp.Cast) and type_name(node.to) in VECTOR_FAMILIES:
        # DuckDB has one type for all vectors, of 32-bit floats.
        sizes = tuple(int(size.name) for size in node.to.expressions)
        return named(type_name(node.to), sizes)
    return found


def _free_name(statement: st.CreateIndex, column: Column | None, context: Context) -> str:
    base = f"{statement.table}_{column.name if column is not None else 'expr'}_idx"
    name, number = base, 0
    while _find_index(name, context.snapshot.tables) is not None:
        number += 1
        name = f"{base}{number}"
    return name


def _find_index(
    name: str, tables: Mapping[str, TableSnapshot]
) -> tuple[TableSnapshot, Index] | None:
    """Return an index by its name, which is unique within the schema of its table."""
    for table in tables.values():
        schema = table.table.name.rpartition(".")[0]
        for index in table.indexes:
            if name == (f"{schema}.{index.name}" if schema else index.name):
                return table, index
    return None


def _only_index(
    name: str, tables: Mapping[str, TableSnapshot]
) -> tuple[TableSnapshot, Index] | None:
    """Return the one index of a name in whatever schema, None where there are none or several."""
    found = [(table, i) for table in tables.values() for i in table.indexes if i.name == name]
    return found[0] if len(found) == 1 else None


def drop_index(statement: st.DropIndex, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of DROP INDEX; raises ProgrammingError (42704, 42809)."""
    staged: list[Change] = []
    for name in statement.names:
        found = _find_index(name, context.snapshot.tables)
        if found is None:
            found = _only_index(name, context.snapshot.tables)
        if found is None:
            if statement.if_exists:
                continue
            known = [i.name for t in context.snapshot.tables.values() for i in t.indexes]
            raise ProgrammingError(
                f'index "{name}" does not exist',
                code=sqlstate.UNDEFINED_OBJECT,
                hint=did_you_mean(name, known),
            )
        table, index = found
        if index.unique and index.key_columns == table.table.primary_key:
            raise ProgrammingError(
                f'index "{name}" holds the primary key of "{table.table.name}"',
                code=sqlstate.WRONG_OBJECT_TYPE,
            )
        staged.append(change.DropIndex(table.table.id, index.id))
    return tuple(staged)
