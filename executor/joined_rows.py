"""The rows of a join that was made by places: columns of each relation, gathered side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Rows
from vsql.executor.fields import field_of
from vsql.executor.result import Result
from vsql.planner.search_nodes import JoinedOutput

Columns = Mapping[str, pa.Array | pa.ChunkedArray]


def taken(column: pa.Array | pa.ChunkedArray, rows: Rows) -> pa.Array | pa.ChunkedArray:
    """Return the values of some rows, NULL for row -1."""
    rows = np.ascontiguousarray(rows, np.int64)
    # From buffers: `pa.array` would import pandas to look at them.
    valid = pa.py_buffer(np.packbits(rows >= 0, bitorder="little"))
    return column.take(pa.Array.from_buffers(pa.int64(), len(rows), [valid, pa.py_buffer(rows)]))


def joined_result(
    outputs: tuple[JoinedOutput, ...], relations: Sequence[Columns], rows: Sequence[Rows]
) -> Result:
    """Return the joined rows; `rows` are, for each relation, the places of its part of them."""
    columns = [taken(relations[o.relation][o.column], rows[o.relation]) for o in outputs]
    fields = [field_of(o.name, o.type, c.type) for o, c in zip(outputs, columns, strict=True)]
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    types = tuple(output.type for output in outputs)
    return Result(f"SELECT {table.num_rows}", table, types, table.num_rows)
