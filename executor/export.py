"""EXPORT and IMPORT DATABASE: a script and a Parquet file per table, for any other program."""

import json
import re
from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import Error, OperationalError
from vsql.core.schema import Column, NamedObject, Partitioning
from vsql.core.snapshot import TableSnapshot
from vsql.executor.context import Context
from vsql.executor.copy import copy_to
from vsql.executor.scan import pick
from vsql.executor.seal import batch_of
from vsql.executor.type_names import operator_class
from vsql.grammar.parse import parse_query
from vsql.grammar.utility_statements import CopyTo
from vsql.planner.facts import Facts
from vsql.planner.resolve import table_name

SCRIPT = "database.sql"
_FILE = re.compile(r"^(COPY .* FROM ')([^'/]+\.parquet)(';)$", re.MULTILINE)


def export_database(path: str, facts: Facts, context: Context) -> int:
    """Write all tables into a folder; returns how many. Raises OperationalError."""
    folder = Path(path).expanduser()
    tables = [t for t in facts.tables.values() if not t.table.temporary]
    before = [f"CREATE SCHEMA {quoted(n)};" for n in context.snapshot.named("schema")]
    after: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, table in enumerate(tables, 1):
            context.check_interrupt()
            if context.progress is not None:
                context.progress("exporting", (number - 1) / len(tables))
            file = folder / f"{number:04d}.parquet"
            names = [c.name for c in table.table.columns if c.generated is None]
            rows = pa.Table.from_batches([batch_of(table.table, pick((), table, context))])
            copy_to(CopyTo(exp.null(), str(file), "parquet", {}), rows.select(names), context)
            shown = ", ".join(quoted(name) for name in names)
            before.append(create_statement(table))
            before += _partitions(table)
            before.append(f"COPY {relation(table.table.name)} ({shown}) FROM '{file.name}';")
            after += [*_index_statements(table), *_comments(table)]
        for named in context.snapshot.named("alias").values():
            after.append(f"CREATE ALIAS {relation(named.name)} FOR {relation(named.body)};")
        after += _views(context)
        (folder / SCRIPT).write_text("\n".join([*before, *after]) + "\n", encoding="utf-8")
    except OSError as error:
        raise OperationalError(
            f'cannot write the export "{path}": {error.strerror or error}', code=sqlstate.IO_ERROR
        ) from None
    return len(tables)


def _views(context: Context) -> list[str]:
    """Return the statements that make the views, each behind those that it reads.

    A view over what is gone cannot be made: its statement is a comment, so that nothing is lost.
    """
    views = context.snapshot.named("view")
    done: dict[str, str] = {}

    def add(view: NamedObject, around: frozenset[str]) -> None:
        for table in parse_query(view.body).find_all(exp.Table):
            read = views.get(table_name(table))
            if read is not None and read.name not in {*done, *around}:
                add(read, around | {read.name})
        text = f"CREATE VIEW {relation(view.name)} AS {view.body};"
        try:
            context.host.outputs_of(view.body)
        except Error as error:
            text = "\n".join(f"-- {line}" for line in (error.message, *text.splitlines()))
        done[view.name] = text

    for view in views.values():
        if view.name not in done:
            add(view, frozenset((view.name,)))
    return list(done.values())


def script_of(path: str) -> str:
    """Return the script of an export, its files found; raises OperationalError (58P01)."""
    folder = Path(path).expanduser()
    try:
        text = (folder / SCRIPT).read_text(encoding="utf-8")
    except OSError:
        raise OperationalError(
            f'"{path}" holds no export: it has no {SCRIPT}', code=sqlstate.UNDEFINED_FILE
        ) from None
    shown = str(folder.absolute()).replace("'", "''")
    return _FILE.sub(lambda found: f"{found[1]}{shown}/{found[2]}{found[3]}", text)


def quoted(name: str) -> str:
    """Return a name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def relation(name: str) -> str:
    """Return a qualified name as SQL writes it."""
    return ".".join(quoted(part) for part in name.split(".", 1))


def create_statement(table: TableSnapshot) -> str:
    """Return the CREATE TABLE statement of a table, without its other indexes."""
    owner = table.table
    parts = [_column(column) for column in owner.columns]
    if owner.primary_key:
        parts.append(f"PRIMARY KEY ({', '.join(map(quoted, owner.primary_key))})")
    for index in table.indexes:
        if index.unique and index.key_columns != owner.primary_key:
            columns = ", ".join(map(quoted, index.key_columns))
            parts.append(f"CONSTRAINT {quoted(index.name)} UNIQUE ({columns})")
    for check in owner.checks:
        parts.append(f"CONSTRAINT {quoted(check.name)} CHECK ({check.condition})")
    text = f"CREATE TABLE {relation(owner.name)} ({', '.join(parts)})"
    properties = {n: v for n, v in owner.properties.items() if n != "cluster_by"}
    if properties:
        given = ", ".join(
            f"{n} = '{v.replace(chr(39), chr(39) * 2)}'" for n, v in properties.items()
        )
        text += f" WITH ({given})"
    if owner.partitioning is not None:
        text += _partition_by(owner.partitioning)
    if owner.clustered_by:
        text += f" CLUSTER BY ({', '.join(map(quoted, owner.clustered_by))})"
    return text + ";"


def _partitions(table: TableSnapshot) -> list[str]:
    parts = table.table.partitioning
    return [
        f"CREATE PARTITION {quoted(name)} ON {relation(table.table.name)} "
        f"VALUES ({', '.join(_constant(json.loads(value)) for value in values)});"
        for name, values in (parts.parts if parts is not None else ())
    ]


def _constant(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


def _comments(table: TableSnapshot) -> list[str]:
    name = relation(table.table.name)
    found = [(f"TABLE {name}", table.table.comment)]
    found += [(f"COLUMN {name}.{quoted(c.name)}", c.comment) for c in table.table.columns]
    return [f"COMMENT ON {what} IS {_constant(text)};" for what, text in found if text is not None]


def _partition_by(partitioning: Partitioning) -> str:
    column = quoted(partitioning.column)
    if partitioning.kind == "key":
        return f" PARTITION BY KEY ({column}) PARTITIONS {partitioning.count}"
    return f" PARTITION BY LIST ({column})"


def _column(column: Column) -> str:
    text = f"{quoted(column.name)} {column.type}"
    if not column.nullable:
        text += " NOT NULL"
    if column.default is not None:
        text += f" DEFAULT {column.default}"
    if column.identity is not None:
        # An import gives the numbers that there are, which ALWAYS would refuse.
        text += " GENERATED BY DEFAULT AS IDENTITY"
    if column.generated is not None:
        text += f" GENERATED ALWAYS AS ({column.generated}) STORED"
    return text


def _index_statements(table: TableSnapshot) -> list[str]:
    statements: list[str] = []
    for index in table.indexes:
        if index.unique:
            continue
        plain = index.key.startswith('"') and index.key.count('"') == 2
        key = index.key if plain else f"({index.key})"
        metric = "" if index.metric is None else f" {operator_class(index, table)}"
        options = ", ".join(f"{name} = {value}" for name, value in index.options.items())
        with_ = f" WITH ({options})" if options else ""
        statements.append(
            f"CREATE INDEX {quoted(index.name)} ON {relation(table.table.name)} "
            f"USING {index.kind} ({key}{metric}){with_};"
        )
    return statements
