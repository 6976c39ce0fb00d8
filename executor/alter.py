"""ALTER TABLE: a new definition of a table; rows are only written again where they must be.

Adding a column writes nothing, whatever the table's size: rows that were there before have the
column's initial value, which the definition keeps. Widening a type writes nothing either: columns
are read in today's type.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from sqlglot import exp

from vsql.core import changes as change
from vsql.core import sqlstate
from vsql.core.changes import Change
from vsql.core.errors import IntegrityError, ProgrammingError, did_you_mean
from vsql.core.schema import Column, Index, Table, joined_names
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import Family, SqlType
from vsql.executor.coerce import from_arrow_column, from_values
from vsql.executor.context import Context, column_of
from vsql.executor.ddl import add_unique
from vsql.executor.define import (
    check_column,
    check_properties,
    constraint_names,
    free_name,
    new_check,
    new_column,
    refuse_taken_name,
)
from vsql.executor.incoming import constrained, is_steady
from vsql.executor.scan import pick
from vsql.executor.seal import add_rows, batch_of
from vsql.executor.values import value_of
from vsql.grammar import utility_statements as st
from vsql.grammar.parse import parse_expression
from vsql.grammar.render import render
from vsql.planner.facts import Facts, unknown_column
from vsql.storage.segment import encode_value

_WIDER: dict[Family, tuple[Family, ...]] = {
    Family.SMALLINT: (Family.INTEGER, Family.BIGINT),
    Family.INTEGER: (Family.BIGINT,),
    Family.REAL: (Family.DOUBLE,),
}


def alter_table(statement: st.AlterTable, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of ALTER TABLE, all its parts in order; raises DatabaseError."""
    if statement.if_exists and statement.table not in context.snapshot.tables:
        return ()
    name = facts.require(statement.table, statement.span).table.name
    staged: list[Change] = []
    for alteration in statement.alterations:
        table = context.snapshot.tables[name]
        for one in _ALTERATIONS[type(alteration)](alteration, table, context):
            staged.append(one)
            if isinstance(one, change.AlterTable):
                name = one.table.name
            context.staged.batches.update(change.inlined_by((one,)))
            context = replace(context, snapshot=change.apply(context.snapshot, one))
    return tuple(staged)


def _altered(table: TableSnapshot, **changed: Any) -> Change:
    return change.AlterTable(replace(table.table, **changed))


def _column(name: str, table: TableSnapshot) -> Column:
    column = table.table.find(name)
    if column is None:
        raise unknown_column(name, table.table.columns, None, f'table "{table.table.name}"')
    return column


def _with(table: TableSnapshot, column: Column) -> Change:
    columns = tuple(column if c.id == column.id else c for c in table.table.columns)
    return _altered(table, columns=columns)


def _add_column(one: st.AddColumn, table: TableSnapshot, context: Context) -> tuple[Change, ...]:
    definition = one.definition
    if table.table.find(definition.name) is not None:
        if one.if_not_exists:
            return ()
        raise ProgrammingError(
            f'column "{definition.name}" of table "{table.table.name}" already exists',
            code=sqlstate.DUPLICATE_COLUMN,
            span=definition.span,
        )
    if definition.primary_key:
        raise ProgrammingError(
            "a PRIMARY KEY is defined when the table is created",
            code=sqlstate.FEATURE_NOT_SUPPORTED,
            span=definition.span,
        )
    column = new_column(definition, nullable=definition.nullable)
    empty = not table.live_count
    wider = replace(table, table=replace(table.table, columns=(*table.table.columns, column)))
    check_column(column, wider, context)
    if column.default is not None and is_steady(column.default):
        value = value_of(parse_expression(column.default), context)
        column = replace(column, initial=encode_value(from_values([value], column)))
    computed = column.identity is not None or column.generated is not None
    computed = computed or (column.default is not None and column.initial is None)
    if not column.nullable and column.initial is None and not computed and not empty:
        raise IntegrityError(
            f'column "{column.name}" is NOT NULL, and the rows of "{table.table.name}" '
            "would have no value for it",
            code=sqlstate.NOT_NULL_VIOLATION,
            hint="give it a DEFAULT",
        )
    wider = replace(table, table=replace(table.table, columns=(*table.table.columns, column)))
    staged: list[Change] = [change.AlterTable(wider.table)]
    if computed and not empty:
        staged += _rewritten(table, wider, context)
    for name, condition in definition.checks:
        check = new_check(name, condition, wider, context)
        wider = replace(wider, table=replace(wider.table, checks=(*wider.table.checks, check)))
        staged.append(change.AlterTable(wider.table))
    if definition.unique:
        taken = constraint_names(table)
        name = free_name(f"{table.table.name}_{column.name}_key", taken)
        staged += add_unique(wider, (column.name,), name, definition.span, context)
    return tuple(staged)


def _rewritten(before: TableSnapshot, after: TableSnapshot, context: Context) -> list[Change]:
    """Return the changes that write all rows again, the columns that are new computed."""
    from vsql.executor.incoming import completed

    whole = batch_of(before.table, pick((), before, context))
    arrays = {column.name: whole.column(column.name) for column in before.table.stored_columns}
    batch = completed(after, arrays, whole.num_rows, context)
    removed: list[Change] = [
        change.RemoveSegment(before.table.id, s.id, rewritten=True) for s in before.segments
    ]
    return [*removed, *_as_rewritten(add_rows(after, [batch], context))]


def _as_rewritten(changes: tuple[Change, ...]) -> list[Change]:
    return [
        replace(one, segment=replace(one.segment, rewritten=True))
        if isinstance(one, change.AddSegment)
        else one
        for one in changes
    ]


def _drop_column(one: st.DropColumn, table: TableSnapshot, context: Context) -> tuple[Change, ...]:
    if table.table.find(one.name) is None and one.if_exists:
        return ()
    column = _column(one.name, table)
    owner = table.table
    if one.name in owner.primary_key:
        raise ProgrammingError(
            f'column "{one.name}" is part of the primary key', code=sqlstate.DEPENDENT_OBJECTS
        )
    if owner.partitioning is not None and owner.partitioning.column == one.name:
        raise ProgrammingError(
            f'column "{one.name}" partitions the table', code=sqlstate.DEPENDENT_OBJECTS
        )
    if len(owner.columns) == 1:
        raise ProgrammingError(
            "a table needs at least one column", code=sqlstate.INVALID_TABLE_DEFINITION
        )
    readers = [c.name for c in owner.columns if c.generated and one.name in _names(c.generated)]
    if readers:
        raise ProgrammingError(
            f'generated column "{readers[0]}" reads column "{one.name}"',
            code=sqlstate.DEPENDENT_OBJECTS,
        )
    columns = tuple(c for c in owner.columns if c.id != column.id)
    checks = tuple(check for check in owner.checks if one.name not in _names(check.condition))
    properties = dict(owner.properties)
    if one.name in owner.clustered_by:
        del properties["cluster_by"]
    dropped = [
        change.DropIndex(owner.id, i.id) for i in table.indexes if one.name in columns_read(i)
    ]
    altered = _altered(table, columns=columns, checks=checks, properties=properties)
    return (*dropped, altered)


def _names(text: str) -> set[str]:
    return {column.name for column in parse_expression(text).find_all(exp.Column)}


def columns_read(index: Index) -> set[str]:
    """Return the names of the columns that the key of an index reads."""
    return set(index.key_columns) or _names(index.key)


def _rename_column(
    one: st.RenameColumn, table: TableSnapshot, context: Context
) -> tuple[Change, ...]:
    column = _column(one.name, table)
    if table.table.find(one.new_name) is not None:
        raise ProgrammingError(
            f'column "{one.new_name}" of table "{table.table.name}" already exists',
            code=sqlstate.DUPLICATE_COLUMN,
        )

    def renamed(text: str) -> str:
        tree = parse_expression(text).copy()
        for node in list(tree.find_all(exp.Column)):
            if node.name == one.name:
                node.set("this", exp.to_identifier(one.new_name, quoted=True))
        return render(tree)

    owner = table.table
    columns = tuple(
        replace(
            c,
            name=one.new_name if c.id == column.id else c.name,
            generated=renamed(c.generated) if c.generated is not None else None,
        )
        for c in owner.columns
    )
    properties = dict(owner.properties)
    if owner.clustered_by:
        names = [one.new_name if n == one.name else n for n in owner.clustered_by]
        properties["cluster_by"] = joined_names(names)
    parts = owner.partitioning
    if parts is not None and parts.column == one.name:
        parts = replace(parts, column=one.new_name)
    altered = _altered(
        table,
        columns=columns,
        primary_key=tuple(one.new_name if n == one.name else n for n in owner.primary_key),
        checks=tuple(replace(c, condition=renamed(c.condition)) for c in owner.checks),
        properties=properties,
        partitioning=parts,
    )
    indexes = []
    for index in table.indexes:
        if one.name not in columns_read(index):
            continue
        if index.unique:
            keys = [one.new_name if n == one.name else n for n in index.key_columns]
            quoted = [render(exp.column(exp.to_identifier(k, quoted=True))) for k in keys]
            indexes.append(change.AlterIndex(replace(index, key=", ".join(quoted))))
        else:
            indexes.append(change.AlterIndex(replace(index, key=renamed(index.key))))
    return (altered, *indexes)


def _set_type(one: st.SetType, table: TableSnapshot, context: Context) -> tuple[Change, ...]:
    column = _column(one.name, table)
    if column.type == one.type:
        return ()
    new = replace(column, type=one.type)
    after = replace(
        table,
        table=replace(
            table.table,
            columns=tuple(new if c.id == column.id else c for c in table.table.columns),
        ),
    )
    widened = _is_wider(column.type, one.type)
    if widened and column.type.arrow == one.type.arrow:
        return (change.AlterTable(after.table),)
    indexed = [i for i in table.indexes if one.name in columns_read(i)]
    if widened and not indexed:
        return (change.AlterTable(after.table),)
    # The rows must be checked or converted: they are written again under the new type.
    whole = batch_of(table.table, pick((), table, context))
    arrays = {c.name: whole.column(c.name) for c in table.table.stored_columns}
    arrays[one.name] = from_arrow_column(arrays[one.name], new)
    batch = constrained(after.table, arrays, whole.num_rows, context)
    removed = tuple(
        change.RemoveSegment(table.table.id, s.id, rewritten=True) for s in table.segments
    )
    added = _as_rewritten(add_rows(after, [batch], context))
    return (change.AlterTable(after.table), *removed, *added)


def _is_wider(old: SqlType, new: SqlType) -> bool:
    """Whether every value of the old type is one of the new, read as it lies."""
    if new.family in _WIDER.get(old.family, ()):
        return True
    texts = (Family.VARCHAR, Family.TEXT)
    if old.family in texts and new.family in texts:
        no_limit = not new.arguments
        return no_limit or bool(old.arguments and new.arguments[0] >= old.arguments[0])
    return False


def _set_default(one: st.SetDefault, table: TableSnapshot, context: Context) -> tuple[Change, ...]:
    column = _column(one.name, table)
    if column.generated is not None or column.identity is not None:
        raise ProgrammingError(
            f'column "{one.name}" is generated: it has no DEFAULT', code=sqlstate.SYNTAX_ERROR
        )
    new = replace(column, default=one.default)
    check_column(new, table, context)
    return (_with(table, new),)


def _set_nullable(
    one: st.SetNullable, table: TableSnapshot, context: Context
) -> tuple[Change, ...]:
    column = _column(one.name, table)
    if one.nullable and one.name in table.table.primary_key:
        raise ProgrammingError(
            f'column "{one.name}" is part of the primary key',
            code=sqlstate.INVALID_TABLE_DEFINITION,
        )
    if not one.nullable:
        for part in pick((), table, context):
            array = column_of(part.segment, column)
            kept = array if part.rows is None else array.take(pa.array(np.asarray(part.rows)))
            if kept.null_count:
                raise IntegrityError(
                    f'column "{one.name}" of table "{table.table.name}" contains NULL',
                    code=sqlstate.NOT_NULL_VIOLATION,
                )
    return (_with(table, replace(column, nullable=one.nullable)),)


def _rename_table(
    one: st.RenameTable, table: TableSnapshot, context: Context
) -> tuple[Change, ...]:
    schema, dot, _ = table.table.name.rpartition(".")
    name = f"{schema}{dot}{one.new_name}"
    refuse_taken_name(name, context.snapshot)
    return (_altered(table, name=name),)


def _set_properties(
    one: st.SetProperties, table: TableSnapshot, context: Context
) -> tuple[Change, ...]:
    given = check_properties(one.properties, table.table.columns)
    if "dynamic" in one.properties:
        raise ProgrammingError(
            "whether a table is dynamic is said when it is created",
            code=sqlstate.FEATURE_NOT_SUPPORTED,
        )
    removed = [name for name, value in one.properties.items() if value is None]
    kept = {n: v for n, v in table.table.properties.items() if n not in removed}
    return (_altered(table, properties={**kept, **given}),)


def _add_check(one: st.AddCheck, table: TableSnapshot, context: Context) -> tuple[Change, ...]:
    check = new_check(one.name, one.condition, table, context)
    owner = replace(table.table, checks=(*table.table.checks, check))
    whole = batch_of(table.table, pick((), table, context))
    arrays = {c.name: whole.column(c.name) for c in owner.stored_columns}
    constrained(replace(owner, checks=(check,)), arrays, whole.num_rows, context)
    return (change.AlterTable(owner),)


def _add_unique(one: st.AddUnique, table: TableSnapshot, context: Context) -> tuple[Change, ...]:
    taken = constraint_names(table)
    base = f"{table.table.name}_{'_'.join(one.columns)}_key"
    name = one.name or free_name(base, taken)
    if name in taken:
        raise ProgrammingError(
            f'constraint "{name}" already exists', code=sqlstate.DUPLICATE_OBJECT
        )
    return add_unique(table, one.columns, name, None, context)


def _drop_constraint(
    one: st.DropConstraint, table: TableSnapshot, context: Context
) -> tuple[Change, ...]:
    owner = table.table
    if any(check.name == one.name for check in owner.checks):
        return (_altered(table, checks=tuple(c for c in owner.checks if c.name != one.name)),)
    index = next((i for i in table.indexes if i.unique and i.name == one.name), None)
    if index is not None and index.key_columns != owner.primary_key:
        return (change.DropIndex(owner.id, index.id),)
    if index is not None:
        raise ProgrammingError(
            "a PRIMARY KEY cannot be dropped", code=sqlstate.FEATURE_NOT_SUPPORTED
        )
    if one.if_exists:
        return ()
    raise ProgrammingError(
        f'constraint "{one.name}" of table "{owner.name}" does not exist',
        code=sqlstate.UNDEFINED_OBJECT,
        hint=did_you_mean(one.name, constraint_names(table)),
    )


def create_partition(
    statement: st.CreatePartition, facts: Facts, context: Context
) -> tuple[Change, ...]:
    """Return the changes of CREATE PARTITION; raises ProgrammingError (42P16, 42710)."""
    import json

    table = facts.require(statement.table)
    parts = _lists(table.table)
    column = table.table.column(parts.column)
    if any(name == statement.name for name, _ in parts.parts):
        raise ProgrammingError(
            f'partition "{statement.name}" already exists', code=sqlstate.DUPLICATE_OBJECT
        )
    values = [value_of(parse_expression(text), context) for text in statement.values]
    stored = from_values(values, column).to_pylist()
    texts = tuple(json.dumps(value, default=str) for value in stored)
    taken = {text: name for name, known in parts.parts for text in known}
    for text in texts:
        if text in taken:
            raise ProgrammingError(
                f'{text} belongs to partition "{taken[text]}" already',
                code=sqlstate.DUPLICATE_OBJECT,
            )
    new = replace(parts, parts=(*parts.parts, (statement.name, texts)))
    return (_altered(table, partitioning=new),)


def drop_partition(
    statement: st.DropPartition, facts: Facts, context: Context
) -> tuple[Change, ...]:
    """Return the changes of DROP PARTITION: its rows go with it."""
    from vsql.executor.modify import deletes_of
    from vsql.executor.seal import with_rows
    from vsql.storage.partition import rows_in

    table = facts.require(statement.table)
    parts = _lists(table.table)
    if not any(name == statement.name for name, _ in parts.parts):
        raise ProgrammingError(
            f'partition "{statement.name}" of table "{table.table.name}" does not exist',
            code=sqlstate.UNDEFINED_OBJECT,
            hint=did_you_mean(statement.name, [name for name, _ in parts.parts]),
        )
    column = table.table.column(parts.column)
    doomed = []
    for part in with_rows(pick((), table, context)):
        assert part.rows is not None
        inside = rows_in(statement.name, column_of(part.segment, column), parts)
        rows = part.rows[inside[part.rows]]
        if len(rows):
            doomed.append(replace(part, rows=rows))
    left = replace(parts, parts=tuple(p for p in parts.parts if p[0] != statement.name))
    return (*deletes_of(table, doomed), _altered(table, partitioning=left))


def _lists(table: Table) -> Any:
    if table.partitioning is None or table.partitioning.kind != "list":
        raise ProgrammingError(
            f'table "{table.name}" is not partitioned by list',
            code=sqlstate.INVALID_TABLE_DEFINITION,
            hint="CREATE TABLE … PARTITION BY LIST (column)",
        )
    return table.partitioning


def alter_index(statement: st.AlterIndex, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of ALTER INDEX … RENAME TO; raises ProgrammingError (42704, 42P07)."""
    known = {i.name: i for t in facts.tables.values() for i in t.indexes}
    if statement.name not in known:
        raise ProgrammingError(
            f'index "{statement.name}" does not exist',
            code=sqlstate.UNDEFINED_OBJECT,
            hint=did_you_mean(statement.name, known),
        )
    if statement.new_name in known:
        raise ProgrammingError(
            f'index "{statement.new_name}" already exists', code=sqlstate.DUPLICATE_TABLE
        )
    return (change.AlterIndex(replace(known[statement.name], name=statement.new_name)),)


_ALTERATIONS: dict[type[Any], Any] = {
    st.AddColumn: _add_column,
    st.DropColumn: _drop_column,
    st.RenameColumn: _rename_column,
    st.SetType: _set_type,
    st.SetDefault: _set_default,
    st.SetNullable: _set_nullable,
    st.RenameTable: _rename_table,
    st.SetProperties: _set_properties,
    st.AddCheck: _add_check,
    st.AddUnique: _add_unique,
    st.DropConstraint: _drop_constraint,
}
