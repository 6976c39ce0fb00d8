"""Bulk loading of Arrow batches, checked as COPY checks them; read once, batch by batch."""

from collections.abc import Iterator

import pyarrow as pa

from vsql.core import changes as change
from vsql.core import sqlstate
from vsql.core.changes import Change
from vsql.core.errors import DataError, ProgrammingError, did_you_mean
from vsql.core.schema import Column, Table, new_id
from vsql.core.snapshot import TableSnapshot
from vsql.executor.context import Context
from vsql.executor.copy import load_batches
from vsql.executor.define import refuse_taken_name
from vsql.executor.fields import column_type, incoming, type_of_field
from vsql.executor.written import Written
from vsql.planner.facts import Facts

MODES = ("create", "append", "replace", "create_append")


def ingest(
    name: str,
    reader: pa.RecordBatchReader,
    mode: str,
    facts: Facts,
    context: Context,
    *,
    temporary: bool = False,
) -> Written:
    """Return the changes that load all batches into the table `name`.

    `create` refuses a table that exists (42P07), `append` one that does not (42P01); `replace`
    drops what is there, `create_append` makes what is not. Raises ProgrammingError, DataError,
    IntegrityError.
    """
    if mode not in MODES:
        raise ProgrammingError(
            f'"{mode}" is no way to ingest',
            code=sqlstate.INVALID_PARAMETER_VALUE,
            hint=did_you_mean(mode, MODES),
        )
    exists = name in context.snapshot.tables
    made: list[Change] = []
    if mode == "append" or (mode == "create_append" and exists):
        table = facts.require(name)
    else:
        if mode == "replace" and exists:
            made.append(change.DropTable(facts.require(name).table.id))
        else:
            refuse_taken_name(name, context.snapshot, None)
        table = TableSnapshot(
            _table_for(name, incoming(reader.schema.empty_table()).schema, temporary)
        )
        made.append(change.AddTable(table.table))
    loaded = load_batches(table, _tables(reader), (), context)
    return Written((*made, *loaded.changes), loaded.count)


def _table_for(name: str, schema: pa.Schema, temporary: bool) -> Table:
    columns = tuple(
        Column(new_id(), field.name, column_type(type_of_field(field), field.name), field.nullable)
        for field in schema
    )
    if not columns:
        raise ProgrammingError(
            "a table needs at least one column", code=sqlstate.INVALID_TABLE_DEFINITION
        )
    if len({column.name for column in columns}) < len(columns):
        raise ProgrammingError("a column name occurs twice", code=sqlstate.DUPLICATE_COLUMN)
    return Table(new_id(), name, columns, temporary=temporary)


def _tables(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"cannot read the batches: {str(error).splitlines()[0]}") from None
        yield incoming(pa.Table.from_batches([batch]))
