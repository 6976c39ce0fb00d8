"""Functions that give rows: `SELECT * FROM vsql_segments()` and its like."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.core.snapshot import TableSnapshot
from vsql.executor.analyze import statistics_rows
from vsql.executor.context import Context
from vsql.executor.memory import memory_rows
from vsql.executor.moments import version_number
from vsql.executor.recall import measured_recall
from vsql.executor.values import value_of
from vsql.executor.versions import changes_table, versions_table
from vsql.planner.facts import Facts
from vsql.planner.relational_nodes import FunctionInput


def run_function(source: FunctionInput, context: Context) -> pa.Table:
    """Return the rows of a table function; raises ProgrammingError for wrong arguments."""
    arguments = [
        value_of(node.expression if isinstance(node, exp.Kwarg) else node, context)
        for node in source.arguments
    ]
    return _FUNCTIONS[source.function](arguments, context)


def _table(arguments: list[Any], context: Context) -> TableSnapshot:
    name = str(arguments[0])
    return Facts(context.snapshot.tables).require(name.removeprefix("public."))


def _tables(arguments: list[Any], context: Context) -> list[TableSnapshot]:
    return [_table(arguments, context)] if arguments else list(context.snapshot.tables.values())


def _listing(rows: list[dict[str, Any]], fields: dict[str, pa.DataType]) -> pa.Table:
    return pa.table(
        {name: pa.array([row[name] for row in rows], type_) for name, type_ in fields.items()}
    )


def _segments(arguments: list[Any], context: Context) -> pa.Table:
    rows = [
        {
            "table_name": table.table.name,
            "segment_id": f"{segment.id:016x}",
            "state": "growing" if segment.is_inlined else "sealed",
            "partition": segment.partition or None,
            "rows": segment.row_count,
            "deleted": segment.deleted_count,
            "bytes": segment.byte_size,
            "indexes": len({file.index_id for file in segment.index_files}),
            "file": segment.name,
        }
        for table in _tables(arguments, context)
        for segment in table.segments
    ]
    text, number = pa.string(), pa.int64()
    return _listing(
        rows,
        {
            "table_name": text,
            "segment_id": text,
            "state": text,
            "partition": text,
            "rows": number,
            "deleted": number,
            "bytes": number,
            "indexes": number,
            "file": text,
        },
    )


def _indexes(arguments: list[Any], context: Context) -> pa.Table:
    rows = []
    for table in _tables(arguments, context):
        for index in table.indexes:
            files = [f for s in table.sealed for f in s.index_files if f.index_id == index.id]
            covered = {file.segment_id for file in files}
            rows.append(
                {
                    "table_name": table.table.name,
                    "index_name": index.name,
                    "kind": index.kind,
                    "key": index.key,
                    "metric": index.metric.value if index.metric is not None else None,
                    "is_unique": index.unique,
                    "segments_built": len(covered),
                    "segments": len(table.sealed),
                    "rows_unindexed": sum(
                        s.live_count for s in table.segments if s.id not in covered
                    ),
                    "bytes": sum(file.byte_size for file in files),
                }
            )
    text, number = pa.string(), pa.int64()
    return _listing(
        rows,
        {
            "table_name": text,
            "index_name": text,
            "kind": text,
            "key": text,
            "metric": text,
            "is_unique": pa.bool_(),
            "segments_built": number,
            "segments": number,
            "rows_unindexed": number,
            "bytes": number,
        },
    )


def _versions(arguments: list[Any], context: Context) -> pa.Table:
    table_id = _table(arguments, context).table.id if arguments else None
    return versions_table(table_id, context)


def _jobs(arguments: list[Any], context: Context) -> pa.Table:
    text = pa.string()
    stamp = pa.timestamp("us", "UTC")
    return _listing(
        context.host.jobs(),
        {
            "job": text,
            "table_name": text,
            "state": text,
            "started_at": stamp,
            "seconds": pa.float64(),
            "message": text,
        },
    )


def _changes(arguments: list[Any], context: Context) -> pa.Table:
    if len(arguments) not in (2, 3):
        raise ProgrammingError(
            "vsql_changes takes a table, a version, and a last version",
            code=sqlstate.UNDEFINED_FUNCTION,
            hint="as in vsql_changes('t', 3, 7)",
        )
    last = context.snapshot.version if len(arguments) == 2 else version_number(arguments[2])
    return changes_table(_table(arguments, context), version_number(arguments[1]), last, context)


def _statistics(arguments: list[Any], context: Context) -> pa.Table:
    text, number = pa.string(), pa.int64()
    return _listing(
        statistics_rows(_tables(arguments, context)),
        {
            "table_name": text,
            "segment_id": text,
            "column_name": text,
            "path": text,
            "value_kind": text,
            "rows": number,
            "nulls": number,
            "distinct_values": number,
            "minimum": text,
            "maximum": text,
            "most_common_values": pa.list_(text),
            "most_common_counts": pa.list_(number),
            "histogram_bounds": pa.list_(text),
        },
    )


def _recall(arguments: list[Any], context: Context) -> pa.Table:
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        raise ProgrammingError(
            "vsql_recall takes the text of a query",
            code=sqlstate.UNDEFINED_FUNCTION,
            hint="as in vsql_recall(query => $$SELECT id FROM t ORDER BY e <=> '[1, 2]' LIMIT 5$$)",
        )
    number = pa.int64()
    return _listing(
        [measured_recall(arguments[0], context)],
        {
            "rows": number,
            "exact_rows": number,
            "found": number,
            "recall": pa.float64(),
            "milliseconds": pa.float64(),
            "exact_milliseconds": pa.float64(),
        },
    )


def _memory(arguments: list[Any], context: Context) -> pa.Table:
    return _listing(
        memory_rows(context),
        {"holder": pa.string(), "bytes": pa.int64(), "bytes_max": pa.int64(), "items": pa.int64()},
    )


def _machine(arguments: list[Any], context: Context) -> pa.Table:
    from vsql.executor.machine import machine_rows

    number = pa.float64()
    return _listing(
        machine_rows(context.snapshot.machine),
        {
            "name": pa.string(),
            "nanoseconds": number,
            "default_nanoseconds": number,
            "meaning": pa.string(),
            "measured_at": pa.timestamp("us", "UTC"),
        },
    )


_FUNCTIONS: dict[str, Callable[[list[Any], Context], pa.Table]] = {
    "vsql_segments": _segments,
    "vsql_indexes": _indexes,
    "vsql_versions": _versions,
    "vsql_jobs": _jobs,
    "vsql_changes": _changes,
    "vsql_statistics": _statistics,
    "vsql_recall": _recall,
    "vsql_memory": _memory,
    "vsql_machine": _machine,
}
