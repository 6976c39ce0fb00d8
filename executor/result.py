"""What a statement gives back: rows in Arrow, rows yet to be gathered, or a count of changes."""

from dataclasses import dataclass

import pyarrow as pa

from vsql.core.types import SqlType
from vsql.executor.fields import type_of_field
from vsql.executor.take import PickedRows
from vsql.planner.nodes import Output


@dataclass(slots=True)
class Result:
    """`source` is None where a statement returns no rows; `tag` is PostgreSQL's command tag."""

    tag: str
    source: pa.Table | PickedRows | None = None
    types: tuple[SqlType, ...] = ()
    row_count: int = -1

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        if isinstance(self.source, PickedRows):
            return [output.name for output in self.source.outputs]
        return [] if self.source is None else list(self.source.column_names)

    @property
    def table(self) -> pa.Table | None:
        """The rows as Arrow, gathered now where that is still to be done."""
        self.gather()
        assert not isinstance(self.source, PickedRows)
        return self.source

    def gather(self) -> None:
        """Read the columns of chosen rows now."""
        if isinstance(self.source, PickedRows):
            self.source = self.source.gather()


def picked_result(rows: PickedRows, types: tuple[SqlType, ...]) -> Result:
    """Return the result that chosen rows are; their columns are read when somebody asks."""
    count = rows.row_count
    return Result(f"SELECT {count}", rows, types, count)


def rows_result(table: pa.Table, outputs: tuple[Output, ...]) -> Result:
    """Return the result of a native query."""
    count = table.num_rows
    return Result(f"SELECT {count}", table, tuple(output.type for output in outputs), count)


def table_result(table: pa.Table, tag: str | None = None) -> Result:
    """Return the result that an Arrow table is, its types read off Arrow."""
    types = tuple(type_of_field(field) for field in table.schema)
    return Result(tag or f"SELECT {table.num_rows}", table, types, table.num_rows)
