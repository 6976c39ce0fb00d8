"""What a statement gives back: Arrow, or a count of changed rows."""

from dataclasses import dataclass

import pyarrow as pa

from vsql.core.types import SqlType, from_arrow
from vsql.planner.nodes import Output


@dataclass(frozen=True, slots=True)
class Result:
    """`table` is None where a statement returns no rows; `tag` is PostgreSQL's command tag."""

    tag: str
    table: pa.Table | None = None
    types: tuple[SqlType, ...] = ()
    row_count: int = -1


def rows_result(table: pa.Table, outputs: tuple[Output, ...]) -> Result:
    """Return the result of a native query."""
    count = table.num_rows
    return Result(f"SELECT {count}", table, tuple(output.type for output in outputs), count)


def table_result(table: pa.Table, tag: str | None = None) -> Result:
    """Return the result that an Arrow table is, its types read off Arrow."""
    types = tuple(from_arrow(field.type) for field in table.schema)
    return Result(tag or f"SELECT {table.num_rows}", table, types, table.num_rows)
