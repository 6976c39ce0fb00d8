"""Arrow to Python rows, and outside data to Arrow."""

import uuid
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core.errors import InterfaceError
from vsql.core.types import Family, SqlType

Row = tuple[Any, ...]


def rows_of(table: pa.Table, types: tuple[SqlType, ...]) -> list[Row]:
    """Return the rows as tuples; vectors are numpy arrays, UUIDs `uuid.UUID`, JSON text."""
    columns = [_values(c, t) for c, t in zip(table.columns, types, strict=True)]
    return list(zip(*columns, strict=True)) if columns else [()] * table.num_rows


def _values(column: Any, type_: SqlType) -> list[Any]:
    if type_.family in (Family.VECTOR, Family.HALFVEC):
        return [None if v is None else v for v in _vectors(column)]
    values: list[Any] = column.to_pylist()
    if type_.family is Family.UUID:
        return [uuid.UUID(bytes=v) if isinstance(v, bytes) else v for v in values]
    return values


def _vectors(column: pa.ChunkedArray) -> list[Any]:
    result: list[Any] = []
    for chunk in column.chunks:
        width = chunk.type.list_size
        flat = chunk.values.slice(chunk.offset * width, len(chunk) * width)
        matrix = np.array(flat.to_numpy(zero_copy_only=False)).reshape(-1, width)
        valid = chunk.is_valid().to_pylist() if chunk.null_count else [True] * len(chunk)
        result.extend(row if ok else None for row, ok in zip(matrix, valid, strict=True))
    return result


def numpy_columns(table: pa.Table, types: tuple[SqlType, ...]) -> dict[str, Any]:
    """Return each column as a numpy array; vectors without NULL as a matrix."""
    result: dict[str, Any] = {}
    for name, column, type_ in zip(table.column_names, table.columns, types, strict=True):
        if type_.family in (Family.VECTOR, Family.HALFVEC) and not column.null_count:
            vectors = _vectors(column)
            result[name] = np.stack(vectors) if vectors else np.empty((0, type_.dimension))
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
        if hasattr(data, "__arrow_c_stream__"):
            return pa.table(data)
        if type(data).__module__.startswith("pandas"):
            return pa.Table.from_pandas(data, preserve_index=False)
    except pa.ArrowException as error:
        raise InterfaceError(f"cannot read this as a table: {error}") from None
    raise InterfaceError(
        f"cannot register a {type(data).__name__}",
        hint="give an Arrow table, a record batch reader, a data frame, or a dict of columns",
    )
