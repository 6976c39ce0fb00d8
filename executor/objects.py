"""Schemas, views, aliases and comments: names beside tables."""

from dataclasses import replace

from vsql.core import changes as change
from vsql.core import sqlstate
from vsql.core.changes import Change
from vsql.core.errors import Error, NotSupportedError, ProgrammingError, did_you_mean
from vsql.core.schema import NamedObject, new_id
from vsql.executor.context import Context
from vsql.executor.define import refuse_taken_name
from vsql.grammar import utility_statements as st
from vsql.planner.facts import Facts, unknown_column

# What is built in under the name of an extension of PostgreSQL.
_EXTENSIONS = ("vector", "plpgsql")


def check_extension(statement: st.Extension) -> None:
    """Raise NotSupportedError (0A000) for an extension that is not built in.

    One that is may be created again, and dropped: who comes from pgvector begins with that.
    """
    for name in statement.names:
        if name not in _EXTENSIONS and (statement.present or not statement.may_differ):
            raise NotSupportedError(
                f'extension "{name}" is not available',
                span=statement.span,
                hint=f"built in: {', '.join(_EXTENSIONS)}",
            )


def create_schema(statement: st.CreateSchema, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of CREATE SCHEMA; raises ProgrammingError (42P06)."""
    known = {"public", *context.snapshot.named("schema")}
    if statement.name in known:
        if statement.if_not_exists:
            return ()
        raise ProgrammingError(
            f'schema "{statement.name}" already exists', code=sqlstate.DUPLICATE_SCHEMA
        )
    return (change.PutObject(NamedObject(new_id(), "schema", statement.name)),)


def drop_schema(statement: st.DropSchema, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of DROP SCHEMA; raises ProgrammingError (3F000, 2BP01)."""
    staged: list[Change] = []
    for name in statement.names:
        if ("schema", name) not in context.snapshot.objects:
            if statement.if_exists:
                continue
            raise ProgrammingError(
                f'schema "{name}" does not exist'
                if name != "public"
                else 'schema "public" cannot be dropped',
                code=sqlstate.UNDEFINED_SCHEMA,
                hint=did_you_mean(name, context.snapshot.named("schema")),
            )
        inside = f"{name}."
        tables = [t for n, t in context.snapshot.tables.items() if n.startswith(inside)]
        others = [o for o in context.snapshot.objects.values() if o.name.startswith(inside)]
        if (tables or others) and not statement.cascade:
            first = tables[0].table.name if tables else others[0].name
            raise ProgrammingError(
                f'schema "{name}" is not empty: it holds "{first}"',
                code=sqlstate.DEPENDENT_OBJECTS,
                hint="use DROP SCHEMA … CASCADE to drop what is in it too",
            )
        staged += [change.DropTable(table.table.id) for table in tables]
        staged += [change.DropObject(o.kind, o.name) for o in others]
        staged.append(change.DropObject("schema", name))
    return tuple(staged)


def create_view(statement: st.CreateView, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of CREATE VIEW; raises ProgrammingError (42P07, 42701), as its query."""
    known = context.snapshot.objects.get(("view", statement.name))
    if known is not None and statement.if_not_exists:
        return ()
    if known is None or not statement.or_replace:
        refuse_taken_name(statement.name, context.snapshot, statement.span)
    body, before = statement.query, ""
    if statement.columns:
        given = ", ".join('"' + name.replace('"', '""') + '"' for name in statement.columns)
        before = "SELECT * FROM ("
        body = f"{before}{body}) AS vsql_view ({given})"
    try:
        context.host.outputs_of(body)
    except Error as error:
        if error.span is not None and error.statement is None:
            error.span = error.span.moved(statement.query_span.start - len(before))
        raise
    outputs = context.host.outputs_of(statement.query, as_relation=False)
    names = statement.columns or tuple(name for name, _ in outputs)
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise ProgrammingError(
            f'column "{repeated}" is specified more than once',
            code=sqlstate.DUPLICATE_COLUMN,
            span=statement.span,
            hint="give one of them another name with AS",
        )
    identity = known.id if known is not None else new_id()
    return (change.PutObject(NamedObject(identity, "view", statement.name, body)),)


def drop_view(statement: st.DropView, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of DROP VIEW; raises ProgrammingError (42P01)."""
    return _drop("view", statement.names, statement.if_exists, context)


def drop_alias(statement: st.DropAlias, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of DROP ALIAS; raises ProgrammingError (42P01)."""
    return _drop("alias", statement.names, statement.if_exists, context)


def _drop(
    kind: str, names: tuple[str, ...], if_exists: bool, context: Context
) -> tuple[Change, ...]:
    staged: list[Change] = []
    for name in names:
        if (kind, name) in context.snapshot.objects:
            staged.append(change.DropObject(kind, name))
        elif not if_exists:
            raise ProgrammingError(
                f'{kind} "{name}" does not exist',
                code=sqlstate.UNDEFINED_TABLE,
                hint=did_you_mean(name, context.snapshot.named(kind)),
            )
    return tuple(staged)


def put_alias(statement: st.PutAlias, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of CREATE ALIAS or ALTER ALIAS; raises ProgrammingError (42P01, 42P07)."""
    facts.require(statement.table)
    known = context.snapshot.objects.get(("alias", statement.name))
    if statement.exists and known is None:
        raise ProgrammingError(
            f'alias "{statement.name}" does not exist',
            code=sqlstate.UNDEFINED_TABLE,
            hint=did_you_mean(statement.name, context.snapshot.named("alias")),
        )
    if not statement.exists:
        refuse_taken_name(statement.name, context.snapshot)
    identity = known.id if known is not None else new_id()
    return (change.PutObject(NamedObject(identity, "alias", statement.name, statement.table)),)


def comment_on(statement: st.CommentOn, facts: Facts, context: Context) -> tuple[Change, ...]:
    """Return the changes of COMMENT ON; raises ProgrammingError (42P01, 42703)."""
    if statement.kind in ("view", "schema"):
        known = context.snapshot.objects.get((statement.kind, statement.name))
        if known is None:
            raise ProgrammingError(
                f'{statement.kind} "{statement.name}" does not exist',
                code=sqlstate.UNDEFINED_OBJECT,
            )
        return (change.PutObject(replace(known, comment=statement.text)),)
    table = facts.require(statement.name).table
    if statement.column is None:
        return (change.AlterTable(replace(table, comment=statement.text)),)
    if table.find(statement.column) is None:
        raise unknown_column(statement.column, table.columns, None, f'table "{table.name}"')
    columns = tuple(
        replace(c, comment=statement.text) if c.name == statement.column else c
        for c in table.columns
    )
    return (change.AlterTable(replace(table, columns=columns)),)
