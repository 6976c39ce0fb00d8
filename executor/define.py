"""From a column's or a constraint's definition to what the catalog keeps, checked."""

from collections.abc import Iterable, Mapping, Sequence

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.durations import microseconds_long
from vsql.core.errors import ProgrammingError, Span, did_you_mean
from vsql.core.schema import Check, Column, Index, Table, new_id, split_names
from vsql.core.snapshot import Snapshot, TableSnapshot
from vsql.core.types import Family, SqlType, from_arrow
from vsql.executor.coerce import from_values
from vsql.executor.context import Context
from vsql.executor.values import value_of
from vsql.grammar import utility_statements as st
from vsql.grammar.parse import parse_expression
from vsql.grammar.render import render
from vsql.index import registry
from vsql.planner.bind import bind_columns
from vsql.planner.facts import unknown_column

PROPERTIES = ("ttl", "cluster_by", "dynamic")


def new_column(definition: st.ColumnDefinition, *, nullable: bool) -> Column:
    """Return the column of a definition; raises ProgrammingError (42611)."""
    if definition.identity is not None and not definition.type.is_integer:
        raise ProgrammingError(
            f'identity column "{definition.name}" must be of an integer type',
            code=sqlstate.INVALID_COLUMN_DEFINITION,
            span=definition.span,
        )
    given = (definition.identity, definition.generated, definition.default)
    if sum(part is not None for part in given) > 1:
        raise ProgrammingError(
            f'column "{definition.name}" has more than one of DEFAULT, IDENTITY and GENERATED',
            code=sqlstate.SYNTAX_ERROR,
            span=definition.span,
        )
    return Column(
        new_id(),
        definition.name,
        definition.type,
        nullable,
        definition.default,
        definition.identity,
        definition.generated,
    )


def check_column(column: Column, table: TableSnapshot, context: Context) -> None:
    """Raise where a default is no value of the column, or a generated one reads what it can't."""
    if column.default is not None:
        value = value_of(parse_expression(column.default), context)
        from_values([value], Column(column.id, column.name, column.type))
    if column.generated is not None:
        names = _columns_of(column.generated, table)
        others = {c.name for c in table.table.columns if c.generated is not None}
        if column.name in names or names & others:
            raise ProgrammingError(
                f'generated column "{column.name}" cannot read a generated column',
                code="42P17",
            )
        _type_of(column.generated, table, context)


def new_check(name: str | None, condition: str, table: TableSnapshot, context: Context) -> Check:
    """Return a CHECK constraint; raises ProgrammingError (42703, 42804, 42710)."""
    names = sorted(_columns_of(condition, table))
    base = "_".join([table.table.name, *names[:1], "check"])
    taken = constraint_names(table)
    shown = name or free_name(base, taken)
    if shown in taken:
        raise ProgrammingError(
            f'constraint "{shown}" already exists', code=sqlstate.DUPLICATE_OBJECT
        )
    found = _type_of(condition, table, context)
    if found.family is not Family.BOOLEAN:
        raise ProgrammingError(
            f"a CHECK must be of type boolean, not {found}: {condition}",
            code=sqlstate.DATATYPE_MISMATCH,
        )
    return Check(shown, condition)


def _columns_of(text: str, table: TableSnapshot) -> set[str]:
    node = bind_columns(parse_expression(text), table, table.table.name)
    return {column.name for column in node.find_all(exp.Column)}


def _type_of(text: str, table: TableSnapshot, context: Context) -> SqlType:
    import pyarrow as pa

    names = _columns_of(text, table)
    empty = {n: pa.array([], table.table.column(n).type.arrow) for n in names}
    value = context.relational().expression(parse_expression(text), empty, {})
    return from_arrow(value.type)


def constraint_names(table: TableSnapshot) -> set[str]:
    """Return the names of the constraints of a table."""
    return {c.name for c in table.table.checks} | {i.name for i in table.indexes if i.unique}


def free_name(base: str, taken: Iterable[str]) -> str:
    """Return a name that is not taken: the base, or the base with a number."""
    known = set(taken)
    name, number = base, 0
    while name in known:
        number += 1
        name = f"{base}{number}"
    return name


def key_index(table: Table, columns: Sequence[str], name: str, span: Span | None) -> Index:
    """Return the unique index of a key; raises ProgrammingError (42703, 42P16)."""
    for column_name in columns:
        column = table.find(column_name)
        if column is None:
            raise unknown_column(column_name, table.columns, span, "a key")
        if column.type.is_vector or column.type.family in (Family.JSON, Family.ARRAY):
            raise ProgrammingError(
                f'column "{column_name}" of type {column.type} cannot be part of a key',
                code=sqlstate.INVALID_TABLE_DEFINITION,
                span=span,
            )
    if len(set(columns)) < len(columns):
        raise ProgrammingError(
            "a key names a column twice", code=sqlstate.DUPLICATE_COLUMN, span=span
        )
    key = ", ".join(render(exp.column(exp.to_identifier(name, quoted=True))) for name in columns)
    return Index(new_id(), table.id, name, registry.canonical("BTREE"), key, unique=True)


def check_properties(
    properties: Mapping[str, str | None], columns: Sequence[Column]
) -> dict[str, str]:
    """Return a table's properties, checked; raises ProgrammingError (22023, 42703)."""
    for name, value in properties.items():
        if name not in PROPERTIES:
            raise ProgrammingError(
                f'a table has no property "{name}"',
                code=sqlstate.INVALID_PARAMETER_VALUE,
                hint=did_you_mean(name, PROPERTIES) or "known: " + ", ".join(PROPERTIES),
            )
        if value is None:
            continue
        if name == "ttl":
            microseconds_long(value)
        if name == "dynamic" and value not in ("true", "false"):
            raise ProgrammingError(
                f'property "dynamic" is true or false, not {value}',
                code=sqlstate.INVALID_PARAMETER_VALUE,
            )
        if name == "cluster_by":
            for column_name in split_names(value):
                if not any(column.name == column_name for column in columns):
                    raise unknown_column(column_name, tuple(columns), None, "CLUSTER BY")
    return {name: value for name, value in properties.items() if value is not None}


def refuse_taken_name(name: str, snapshot: Snapshot, span: Span | None = None) -> None:
    """Raise ProgrammingError (42P07, 3F000) where a relation can't have this name."""
    schema, dot, _ = name.rpartition(".")
    if dot and ("schema", schema) not in snapshot.objects:
        raise ProgrammingError(
            f'schema "{schema}" does not exist',
            code=sqlstate.UNDEFINED_SCHEMA,
            span=span,
            hint=did_you_mean(schema, [*snapshot.named("schema"), "public"]),
        )
    for kind in ("view", "alias"):
        if (kind, name) in snapshot.objects:
            raise ProgrammingError(
                f'{kind} "{name}" already exists', code=sqlstate.DUPLICATE_TABLE, span=span
            )
    if name in snapshot.tables:
        raise ProgrammingError(
            f'table "{name}" already exists',
            code=sqlstate.DUPLICATE_TABLE,
            span=span,
            hint="use CREATE TABLE IF NOT EXISTS, or drop it first",
        )
