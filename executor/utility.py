"""Statements that are no query and no write of rows: one function each, found by its type."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vsql.core.changes import Change, PutMachine
from vsql.executor import (
    alter,
    backup,
    copy,
    ddl,
    export,
    integrity,
    maintain,
    objects,
    show,
    versions,
)
from vsql.executor.analyze import analyze
from vsql.executor.context import Context
from vsql.executor.external import check_external_access
from vsql.executor.modify import truncate
from vsql.executor.result import Result, table_result
from vsql.executor.run import run
from vsql.executor.seal import seal_when_due
from vsql.grammar import utility_statements as st
from vsql.grammar.statements import Statement
from vsql.planner.facts import Facts
from vsql.planner.plan import plan_query


@dataclass(frozen=True, slots=True)
class Done:
    """What a statement did: changes to stage, or rows to show."""

    tag: str
    changes: tuple[Change, ...] = ()
    count: int = -1
    result: Result | None = None


def run_utility(statement: Statement, facts: Facts, context: Context) -> Done:
    """Run a utility statement; raises what it raises, always a vsql error."""
    definition = _DEFINITIONS.get(type(statement))
    if definition is not None:
        tag, define = definition
        return Done(tag, define(statement, facts, context))
    if isinstance(statement, _EXTERNAL):
        check_external_access(context.settings)
    return _OTHERS[type(statement)](statement, facts, context)


_EXTERNAL = (st.CopyFrom, st.CopyTo, st.ExportDatabase, st.BackupDatabase)


_Define = Callable[[Any, Facts, Context], tuple[Change, ...]]
_DEFINITIONS: dict[type[Any], tuple[str, _Define]] = {
    st.CreateTable: ("CREATE TABLE", ddl.create_table),
    st.DropTable: ("DROP TABLE", ddl.drop_table),
    st.CreateIndex: ("CREATE INDEX", ddl.create_index),
    st.DropIndex: ("DROP INDEX", ddl.drop_index),
    st.AlterTable: ("ALTER TABLE", alter.alter_table),
    st.AlterIndex: ("ALTER INDEX", alter.alter_index),
    st.CreatePartition: ("CREATE PARTITION", alter.create_partition),
    st.DropPartition: ("DROP PARTITION", alter.drop_partition),
    st.CreateSchema: ("CREATE SCHEMA", objects.create_schema),
    st.DropSchema: ("DROP SCHEMA", objects.drop_schema),
    st.CreateView: ("CREATE VIEW", objects.create_view),
    st.DropView: ("DROP VIEW", objects.drop_view),
    st.PutAlias: ("ALIAS", objects.put_alias),
    st.DropAlias: ("DROP ALIAS", objects.drop_alias),
    st.CommentOn: ("COMMENT", objects.comment_on),
    st.RestoreTable: ("RESTORE TABLE", versions.restore_table),
    st.UndropTable: ("UNDROP TABLE", versions.undrop_table),
}


def _create_table_as(statement: st.CreateTableAs, facts: Facts, context: Context) -> Done:
    changes, count = ddl.create_table_as(statement, facts, context)
    return Done(f"SELECT {count}", changes, count)


def _truncate(statement: st.Truncate, facts: Facts, context: Context) -> Done:
    tables = [facts.require(name) for name in statement.tables]
    return Done("TRUNCATE TABLE", tuple(one for table in tables for one in truncate(table)))


def _copy_from(statement: st.CopyFrom, facts: Facts, context: Context) -> Done:
    loaded = copy.copy_from(statement, facts, context)
    return Done(f"COPY {loaded.count}", loaded.changes, loaded.count)


def _copy_to(statement: st.CopyTo, facts: Facts, context: Context) -> Done:
    rows = run(plan_query(statement.query, facts), context).table
    assert rows is not None
    count = copy.copy_to(statement, rows, context)
    return Done(f"COPY {count}", (), count)


def _flush(statement: st.Flush, facts: Facts, context: Context) -> Done:
    staged = [
        one
        for table in _tables(statement.table, facts)
        for one in seal_when_due(table, context, now=True)
    ]
    return Done("FLUSH", tuple(staged))


def _load(statement: st.LoadTable, facts: Facts, context: Context) -> Done:
    from vsql.executor.memory import load_table

    read = load_table(facts.require(statement.table, statement.span), context)
    return Done("LOAD TABLE", (), read)


def _release(statement: st.ReleaseTable, facts: Facts, context: Context) -> Done:
    from vsql.executor.memory import release_table

    release_table(facts.require(statement.table, statement.span), context)
    return Done("RELEASE TABLE")


def _optimize(statement: st.Optimize, facts: Facts, context: Context) -> Done:
    staged = [
        one
        for table in _tables(statement.table, facts)
        for one in maintain.optimize(table, context, full=statement.full)
    ]
    return Done("OPTIMIZE", tuple(staged))


def _analyze(statement: st.Analyze, facts: Facts, context: Context) -> Done:
    staged = [one for table in _tables(statement.table, facts) for one in analyze(table, context)]
    return Done("ANALYZE", tuple(staged))


def _analyze_machine(statement: st.AnalyzeMachine, facts: Facts, context: Context) -> Done:
    from vsql.executor.machine import analyze_machine

    return Done("ANALYZE MACHINE", (PutMachine(analyze_machine(context)),))


def _tables(name: str | None, facts: Facts) -> list[Any]:
    return [facts.require(name)] if name is not None else list(facts.tables.values())


def _extension(statement: st.Extension, facts: Facts, context: Context) -> Done:
    objects.check_extension(statement)
    return Done(f"{'CREATE' if statement.present else 'DROP'} EXTENSION")


def _vacuum(statement: st.Vacuum, facts: Facts, context: Context) -> Done:
    context.host.refuse_inside_transaction("VACUUM")
    collected = context.host.collect()
    return Done(f"VACUUM {collected.files}", (), collected.files)


def _check(statement: st.CheckDatabase, facts: Facts, context: Context) -> Done:
    found, repairs = integrity.check_database(context)
    return Done("CHECK DATABASE", repairs, result=table_result(found, "CHECK DATABASE"))


def _backup(statement: st.BackupDatabase, facts: Facts, context: Context) -> Done:
    if statement.restore:
        return Done("RESTORE DATABASE", backup.restore(statement.path, context))
    context.host.refuse_inside_transaction("BACKUP DATABASE")
    count = backup.backup(statement.path, context)
    return Done(f"BACKUP {count}", (), count)


def _export(statement: st.ExportDatabase, facts: Facts, context: Context) -> Done:
    if statement.load:
        context.host.run_script(export.script_of(statement.path))
        return Done("IMPORT DATABASE")
    return Done(f"EXPORT {export.export_database(statement.path, facts, context)}")


def _shown(show: Callable[[Any, Facts, Context], Result]) -> Callable[..., Done]:
    return lambda statement, facts, context: Done("SHOW", result=show(statement, facts, context))


_OTHERS: dict[type[Any], Callable[[Any, Facts, Context], Done]] = {
    st.CreateTableAs: _create_table_as,
    st.Truncate: _truncate,
    st.CopyFrom: _copy_from,
    st.CopyTo: _copy_to,
    st.Flush: _flush,
    st.LoadTable: _load,
    st.ReleaseTable: _release,
    st.Optimize: _optimize,
    st.Analyze: _analyze,
    st.AnalyzeMachine: _analyze_machine,
    st.Extension: _extension,
    st.Vacuum: _vacuum,
    st.CheckDatabase: _check,
    st.BackupDatabase: _backup,
    st.ExportDatabase: _export,
    st.ShowTables: _shown(lambda statement, facts, context: show.show_tables(facts, context)),
    st.ShowIndexes: _shown(
        lambda statement, facts, context: show.show_indexes(statement.table, facts)
    ),
    st.ShowColumns: _shown(
        lambda statement, facts, context: show.show_columns(statement.table, facts)
    ),
    st.ShowVersions: _shown(versions.show_versions),
}
