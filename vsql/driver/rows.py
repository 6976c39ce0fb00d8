"""Arrow to Python rows, and outside data to Arrow."""

import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.dense import shown
from vsql.core.errors import InterfaceError
from vsql.core.schema import Column
from vsql.core.sparse import SparseRows, SparseVector
from vsql.core.types import Family, SqlType
from vsql.executor.fields import numbers_in
from vsql.executor.result import Result
from vsql.executor.take import Picked, PickedRows, from_numpy

Row = tuple[Any, ...]


# Up to this many rows, single values are read where they lie; beyond, whole columns are gathered.
_FEW_ROWS = 128


def rows_of(result: Result) -> list[Row]:
    """Return the rows as tuples; vectors are numpy arrays, sparse ones SparseVectors, JSON text."""
    source = result.source
    if isinstance(source, PickedRows) and result.row_count <= _FEW_ROWS:
        return (
            list(zip(*_few(source, result.row_count), strict=True))
            if source.outputs
            else [()] * result.row_count
        )
    table = result.table
    assert table is not None
    columns = [_values(c, t) for c, t in zip(table.columns, result.types, strict=True)]
    return list(zip(*columns, strict=True)) if columns else [()] * table.num_rows


def _few(rows: PickedRows, count: int) -> Iterator[list[Any]]:
    """Yield the columns of few rows, value by value: gathering ten costs more than reading them."""
    for output in rows.outputs:
        if output.column is None:
            assert rows.distances is not None
            values = rows.distances.tolist()
            yield values + [None] * (count - len(values))
            continue
        column = rows.table.column(output.column)
        values = []
        for part in rows.picked:
            values += _some(part, column)
        yield values if rows.order is None else [values[place] for place in rows.order.tolist()]


def _some(part: Picked, column: Column) -> list[Any]:
    segment, wanted, type_ = part.segment, part.rows, column.type
    if type_.is_vector:
        array = segment.column(column.id, type_.arrow)
        taken = array if wanted is None else array.take(from_numpy(wanted))
        return _values(pa.chunked_array([taken]), type_)
    rows = np.arange(segment.row_count) if wanted is None else wanted
    return _as_python(segment.reader(column.id, type_)(rows), type_)


def _values(column: Any, type_: SqlType) -> list[Any]:
    if type_.is_dense:
        return _vectors(column)
    if type_.is_sparse:
        return _sparse_vectors(column)
    return _as_python(column.to_pylist(), type_)


def _as_python(values: list[Any], type_: SqlType) -> list[Any]:
    if type_.family is Family.UUID:
        return [uuid.UUID(bytes=v) if isinstance(v, bytes) else v for v in values]
    if type_.element is not None and type_.element.is_sparse:
        return [None if v is None else [_of_struct(x) for x in v] for v in values]
    return values


def _of_struct(value: Any) -> SparseVector | None:
    if value is None:
        return None
    return SparseVector.of(value["indices"], value["values"], value["dimension"])


def _vectors(column: pa.ChunkedArray) -> list[Any]:
    result: list[Any] = []
    for chunk in column.chunks:
        width = chunk.type.list_size
        flat = numbers_in(chunk.values.slice(chunk.offset * width, len(chunk) * width))
        matrix = np.array(shown(flat)).reshape(-1, width)
        valid = chunk.is_valid().to_pylist() if chunk.null_count else [True] * len(chunk)
        result.extend(row if ok else None for row, ok in zip(matrix, valid, strict=True))
    return result


def _sparse_vectors(column: pa.ChunkedArray) -> list[Any]:
    result: list[Any] = []
    for chunk in column.chunks:
        rows = SparseRows.read(chunk)
        valid = chunk.is_valid().to_pylist() if chunk.null_count else [True] * len(chunk)
        result.extend(rows[number].copy() if ok else None for number, ok in enumerate(valid))
    return result


def numpy_columns(table: pa.Table, types: tuple[SqlType, ...]) -> dict[str, Any]:
    """Return each column as a numpy array; vectors without NULL as a matrix."""
    result: dict[str, Any] = {}
    for name, column, type_ in zip(table.column_names, table.columns, types, strict=True):
        if type_.is_dense and not column.null_count:
            vectors = _vectors(column)
            result[name] = np.stack(vectors) if vectors else np.empty((0, type_.dimension))
        elif type_.is_sparse:
            result[name] = np.array([*_sparse_vectors(column), None], dtype=object)[:-1]
        else:
            result[name] = column.to_numpy()
    return result


def arrow_table(data: Any) -> pa.Table:
    """Return outside data as an Arrow table; raises InterfaceError for what is none."""
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    try:
        if isinstance(data, pa.RecordBatchReader):
            return data.read_all()
        if isinstance(data, dict):
            return pa.table(data)
        # Before its Arrow stream, which would hold the index too.
        if _is_pandas(data):
            return pa.Table.from_pandas(data, preserve_index=False)
        if hasattr(data, "__arrow_c_stream__"):
            return pa.table(data)
    except pa.ArrowException as error:
        raise _no_table(error) from None
    raise InterfaceError(
        f"cannot read {type(data).__name__} as a table",
        code=sqlstate.INVALID_PARAMETER_VALUE,
        hint="give an Arrow table, a record batch reader, a data frame, or a dict of columns",
    )


def arrow_reader(data: Any) -> pa.RecordBatchReader:
    """Return outside data as a reader of record batches, nothing copied that need not be.

    Raises InterfaceError for what is no table.
    """
    if isinstance(data, pa.RecordBatchReader):
        return data
    try:
        known = isinstance(data, pa.Table | pa.RecordBatch) or _is_pandas(data)
        if not known and hasattr(data, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(data)
    except pa.ArrowException as error:
        raise _no_table(error) from None
    return arrow_table(data).to_reader()


def _no_table(error: pa.ArrowException) -> InterfaceError:
    return InterfaceError(
        f"cannot read this as a table: {error}", code=sqlstate.INVALID_PARAMETER_VALUE
    )


def _is_pandas(data: Any) -> bool:
    return type(data).__module__.startswith("pandas")
