"""The rows that an expression is evaluated over."""

from dataclasses import dataclass

import pyarrow as pa

from vsql.core.protocols import Rows
from vsql.core.schema import Table
from vsql.executor.context import Context, column_of
from vsql.storage.segment import OpenSegment


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows of one segment: all, or those in `rows`."""

    context: Context
    table: Table
    segment: OpenSegment
    rows: Rows | None = None

    @property
    def length(self) -> int:
        return self.segment.row_count if self.rows is None else len(self.rows)

    def column(self, name: str) -> pa.Array:
        array = column_of(self.segment, self.table.column(name))
        return array if self.rows is None else array.take(pa.array(self.rows))
