"""Columns of chosen rows, gathered from several segments into Arrow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core.protocols import Rows
from vsql.core.scattered import are_scattered
from vsql.core.schema import Column, Table
from vsql.executor.context import column_of
from vsql.executor.fields import field_of
from vsql.planner.nodes import Output
from vsql.storage.segment import OpenSegment


@dataclass(frozen=True, slots=True)
class Picked:
    """Rows of one segment, None for all."""

    segment: OpenSegment
    rows: Rows | None

    @property
    def numbers(self) -> Rows:
        """The numbers of the rows in their segment."""
        return np.arange(self.segment.row_count) if self.rows is None else self.rows

    @property
    def count(self) -> int:
        return self.segment.row_count if self.rows is None else len(self.rows)


@dataclass(slots=True)
class PickedRows:
    """The rows of a native query, chosen but not yet read.

    `order` puts the rows of all parts one after the other into their final order, None where they
    stand in it. `distances`, in the final order, fill the outputs without a column; rows beyond
    them have none.
    """

    picked: list[Picked]
    table: Table
    outputs: tuple[Output, ...]
    distances: npt.NDArray[np.floating[Any]] | None = None
    order: Rows | None = None

    @property
    def row_count(self) -> int:
        if self.order is not None:
            return len(self.order)
        return sum([part.count for part in self.picked])

    def gather(self) -> pa.Table:
        """Return the rows as Arrow."""
        if not self.picked:
            arrays = [pa.array([], type=output.type.arrow) for output in self.outputs]
            return pa.Table.from_arrays(arrays, names=[output.name for output in self.outputs])
        filled = None
        if self.distances is not None:
            filled = from_numpy(self.distances.astype(np.float64))
            missing = self.row_count - len(self.distances)
            if missing:
                filled = pa.concat_arrays([filled, pa.nulls(missing, pa.float64())])
        return take_outputs(self.picked, self.table, self.outputs, filled, self.order)


def from_numpy(values: npt.NDArray[Any]) -> pa.Array:
    """Return numbers as Arrow, in place; `pa.array` would import pandas to look at them."""
    values = np.ascontiguousarray(values)
    type_ = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(type_, len(values), [None, pa.py_buffer(values)])


def take_column(
    picked: Sequence[Picked], column: Column, order: Rows | None = None
) -> pa.Array | pa.ChunkedArray:
    """Return one column of the picked rows, one segment after the other, then put in `order`."""
    chunks = []
    for part in picked:
        if part.rows is None:
            chunks.append(column_of(part.segment, column))
        else:
            chunks.append(_taken(part.segment, part.rows, column))
    if len(chunks) == 1:
        return chunks[0] if order is None else chunks[0].take(from_numpy(order))
    whole = pa.chunked_array(chunks, type=column.type.arrow)
    return whole if order is None else whole.combine_chunks().take(from_numpy(order))


def _taken(segment: OpenSegment, rows: Rows, column: Column) -> pa.Array:
    if are_scattered(len(rows), segment.row_count):
        array = segment.scattered(column.id, column.type.arrow)
    else:
        array = column_of(segment, column)
    return array.take(from_numpy(rows))


def take_outputs(
    picked: Sequence[Picked],
    table: Table,
    outputs: tuple[Output, ...],
    distances: pa.Array | None = None,
    order: Rows | None = None,
) -> pa.Table:
    """Return the output columns of the picked rows; `distances` are in the final order."""
    arrays: dict[str, pa.Array | pa.ChunkedArray] = {}
    columns = []
    for output in outputs:
        if output.column is None:
            columns.append(distances)
            continue
        if output.column not in arrays:
            arrays[output.column] = take_column(picked, table.column(output.column), order)
        columns.append(arrays[output.column])
    fields = [
        field_of(output.name, output.type, column.type)
        for output, column in zip(outputs, columns, strict=True)
        if column is not None
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def slice_picked(picked: list[Picked], offset: int, limit: int | None) -> list[Picked]:
    """Return `limit` of the picked rows after the first `offset`, as SQL's LIMIT and OFFSET."""
    result: list[Picked] = []
    for part in picked:
        count = part.count
        skipped = min(offset, count)
        offset -= skipped
        wanted = count - skipped if limit is None else min(limit, count - skipped)
        if wanted <= 0:
            continue
        if limit is not None:
            limit -= wanted
        if skipped == 0 and wanted == count:
            result.append(part)
            continue
        if part.rows is None:
            rows: Rows = np.arange(skipped, skipped + wanted, dtype=np.int64)
        else:
            rows = part.rows[skipped : skipped + wanted]
        result.append(Picked(part.segment, rows))
    return result
