"""SHOW and DESCRIBE: what there is, as rows."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from vsql.core.schema import Column
from vsql.core.settings import SETTINGS
from vsql.executor.context import Context
from vsql.executor.result import Result, table_result
from vsql.planner.facts import Facts


def show_tables(facts: Facts, context: Context) -> Result:
    """Return name, rows, segments and bytes of every table."""
    rows: list[dict[str, Any]] = []
    for name, table in sorted(facts.tables.items()):
        size = sum(segment.byte_size for segment in table.segments)
        rows.append(_row(name, table.live_count, len(table.segments), size))
    for name, columns in sorted(facts.outside.items()):
        outside = context.outside[name]
        assert len(columns) == outside.num_columns
        rows.append(_row(name, outside.num_rows, 0, outside.nbytes))
    fields = [("name", pa.string()), ("rows", pa.int64())]
    return _listing(rows, [*fields, ("segments", pa.int64()), ("bytes", pa.int64())])


def _row(name: str, rows: int, segments: int, size: int) -> dict[str, Any]:
    return {"name": name, "rows": rows, "segments": segments, "bytes": size}


def show_indexes(name: str | None, facts: Facts) -> Result:
    """Return the indexes of one table, or of all, with how many segments have them built."""
    tables = [facts.require(name)] if name is not None else list(facts.tables.values())
    rows = []
    for table in tables:
        for index in table.indexes:
            files = [f for s in table.sealed for f in s.index_files if f.index_id == index.id]
            built = len({file.segment_id for file in files})
            rows.append(
                {
                    "name": index.name,
                    "table": table.table.name,
                    "kind": index.kind,
                    "key": index.key,
                    "metric": index.metric.value if index.metric is not None else None,
                    "built": f"{built}/{len(table.sealed)}",
                    "bytes": sum(file.byte_size for file in files),
                }
            )
    texts = [(n, pa.string()) for n in ("name", "table", "kind", "key", "metric", "built")]
    return _listing(rows, [*texts, ("bytes", pa.int64())])


def show_columns(name: str, facts: Facts) -> Result:
    """Return column, type, nullable, default and key of each column of a table."""
    columns = facts.columns(name)
    key = () if name in facts.outside else facts.require(name).table.primary_key
    rows = [
        {
            "column": column.name,
            "type": str(column.type),
            "nullable": column.nullable,
            "default": _shown_default(column),
            "key": "primary" if column.name in key else None,
        }
        for column in columns or ()
    ]
    fields = [("column", pa.string()), ("type", pa.string()), ("nullable", pa.bool_())]
    return _listing(rows, [*fields, ("default", pa.string()), ("key", pa.string())])


def _shown_default(column: Column) -> str | None:
    if column.identity is not None:
        word = "ALWAYS" if column.identity == "always" else "BY DEFAULT"
        return f"GENERATED {word} AS IDENTITY"
    if column.generated is not None:
        return f"GENERATED ALWAYS AS ({column.generated})"
    return column.default


def show_settings(settings: Mapping[str, Any], name: str | None) -> Result:
    """Return one setting, or all with their meanings."""
    if name is not None:
        return _listing([{name: str(settings[name])}], [(name, pa.string())])
    rows = [
        {"name": known, "value": str(settings[known]), "meaning": setting.meaning}
        for known, setting in sorted(SETTINGS.items())
    ]
    return _listing(rows, [(n, pa.string()) for n in ("name", "value", "meaning")])


def _listing(rows: list[dict[str, Any]], fields: list[tuple[str, pa.DataType]]) -> Result:
    arrays = [pa.array([row[name] for row in rows], type_) for name, type_ in fields]
    table = pa.Table.from_arrays(arrays, names=[name for name, _ in fields])
    return table_result(table, "SHOW")
