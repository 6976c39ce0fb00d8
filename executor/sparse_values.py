"""Sparse vectors from whatever a user binds, and from Arrow columns.

| a value | says |
|---|---|
| `vsql.SparseVector`, or pgvector's class of that name | itself |
| text `'{1:0.5,3:2}/5'` | indices from 1, and the dimension |
| dict `{0: 0.5, 2: 2}` | indices from 0; the column's dimension |
| pair `([0, 2], [0.5, 2])` | indices from 0 and values; the column's dimension |
| one row of a sparse scipy matrix | itself |
| list, tuple, array of numbers | all elements |
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import DataError
from vsql.core.sparse import (
    SparseRows,
    SparseVector,
    elements_of,
    expected_dimensions,
)
from vsql.core.types import SPARSE_NONZERO_MAX, SqlType
from vsql.executor.bound_values import plain

_FIELDS = ("dimension", "indices", "values")


def to_sparse(value: Any, type_: SqlType, where: str) -> SparseVector:
    """Return one vector of `type_`, of any dimension where it names none; raises DataError.

    `where` names the place for messages.
    """
    prefix = f"{where}: "
    wanted = type_.arguments[0] if type_.arguments else None
    found = _found(value, wanted, type_, prefix)
    if wanted is not None and found.dimensions() != wanted:
        raise expected_dimensions(wanted, found.dimensions(), prefix)
    return found


def _found(value: Any, wanted: int | None, type_: SqlType, prefix: str) -> SparseVector:
    if isinstance(value, SparseVector):
        return value
    if is_sparse_value(value):
        return SparseVector.of(value.indices(), value.values(), value.dimensions(), prefix)
    value = plain(value)
    if isinstance(value, str):
        return SparseVector.from_text(value, prefix)
    if isinstance(value, Mapping):
        if set(value) == set(_FIELDS):
            dimension, indices, values = (value[name] for name in _FIELDS)
            return SparseVector.of(indices, values, dimension, prefix)
        return SparseVector.of(list(value), list(value.values()), _known(wanted, prefix), prefix)
    if _is_pair(value):
        return SparseVector.of(value[0], value[1], _known(wanted, prefix), prefix)
    parts = elements_of(value, prefix)
    if parts is None:
        raise DataError(
            f"{prefix}expected {type_}, got {type(value).__name__}",
            code=sqlstate.DATATYPE_MISMATCH,
            hint="bind a SparseVector, text as '{1:0.5}/3', a dict {index: value} from index 0, "
            "a pair (indices, values), a row of a scipy matrix, or a list of all elements",
        )
    return SparseVector.of(*parts, prefix)


def is_sparse_value(value: Any) -> bool:
    """Whether a value is vsql's SparseVector, or pgvector's, which has the same methods."""
    return callable(getattr(value, "indices", None)) and callable(
        getattr(value, "dimensions", None)
    )


def _known(wanted: int | None, prefix: str) -> int:
    if wanted is None:
        raise DataError(
            f"{prefix}the dimension of this sparse vector is not known",
            code=sqlstate.DATA_EXCEPTION,
            hint="cast it, as in ?::sparsevec(30522), or bind a vsql.SparseVector",
        )
    return wanted


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(part, list | tuple | np.ndarray) for part in value)
    )


def sparse_column(array: pa.Array, type_: SqlType, column: str, first_row: int) -> pa.Array | None:
    """Return a stored column from one of structs of indices and values, None from any other.

    Raises DataError that names the column and the row.
    """
    if not pa.types.is_struct(array.type):
        return None
    names = {array.type.field(number).name for number in range(array.type.num_fields)}
    if not {"indices", "values"} <= names <= set(_FIELDS):
        return None

    def prefix(row: int) -> str:
        return f'column "{column}", row {first_row + row}: '

    rows, missing = _rows(array, names, type_, prefix), None
    if array.null_count:
        missing = array.is_null().to_numpy(zero_copy_only=False)

    present = np.ones(len(rows), dtype=bool) if missing is None else ~missing
    wrong = np.flatnonzero((rows.dimensions != type_.dimension) & present)
    if len(wrong):
        row = int(wrong[0])
        raise expected_dimensions(type_.dimension, int(rows.dimensions[row]), prefix(row))
    if _is_stored_form(rows, type_.dimension):
        return rows.to_arrow(missing)
    vectors = []
    for row in range(len(rows)):
        indices, values = rows[row].arrays
        vectors.append(SparseVector.of(indices, values, type_.dimension, prefix(row)))
    return SparseRows.of(vectors).to_arrow(missing)


def _rows(
    array: pa.Array, names: set[str], type_: SqlType, prefix: Callable[[int], str]
) -> SparseRows:
    # Not before it is needed: the first search of a process waits for every import.
    import pyarrow.compute as pc

    indices = _flat(pc.struct_field(array, "indices"), pa.int32(), prefix)
    values = _flat(pc.struct_field(array, "values"), pa.float32(), prefix)
    if "dimension" in names:
        given = _as(pc.struct_field(array, "dimension"), pa.int32(), pa.int32(), prefix)
        dimensions = given.fill_null(type_.dimension)
    else:
        dimensions = pa.array(np.full(len(array), type_.dimension, dtype=np.int32))
    different = pc.not_equal(indices.value_lengths(), values.value_lengths())
    wrong = np.flatnonzero(different.to_numpy(zero_copy_only=False))
    if len(wrong):
        raise DataError(
            f"{prefix(int(wrong[0]))}a sparse vector needs a value for each index",
            code=sqlstate.DATATYPE_MISMATCH,
        )
    return SparseRows.read(pa.StructArray.from_arrays([dimensions, indices, values], list(_FIELDS)))


def _flat(lists: pa.Array, element: pa.DataType, prefix: Callable[[int], str]) -> pa.Array:
    """Return lists that begin at 0, none of them NULL; raises DataError for NULL elements."""
    lists = _as(lists, pa.large_list(element), pa.list_(element), prefix)
    flat = lists.flatten()
    offsets = np.zeros(len(lists) + 1, dtype=np.int32)
    lengths = lists.value_lengths().fill_null(0)
    np.cumsum(lengths.to_numpy(zero_copy_only=False), out=offsets[1:])
    if flat.null_count:
        place = int(flat.is_null().to_numpy(zero_copy_only=False).argmax())
        row = int(offsets.searchsorted(place, side="right")) - 1
        raise DataError(
            f"{prefix(row)}a sparse vector holds a NULL", code=sqlstate.NULL_VALUE_NOT_ALLOWED
        )
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def _as(
    array: pa.Array, wanted: pa.DataType, shown: pa.DataType, prefix: Callable[[int], str]
) -> pa.Array:
    """Return an array in another type; raises DataError that names the first row of none."""
    # Unsafe for floats alone, which are rounded; an index beyond 32 bits is none.
    safe = not (pa.types.is_large_list(wanted) and pa.types.is_floating(wanted.value_type))
    try:
        return array.cast(wanted, safe=safe)
    except pa.ArrowException:
        rows = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False)).tolist()
        row = next((n for n in rows if not _casts(array.take(pa.array([n])), wanted, safe)), 0)
        raise DataError(
            f"{prefix(row)}cannot read {array.type} as {shown}", code=sqlstate.DATATYPE_MISMATCH
        ) from None


def _casts(array: pa.Array, wanted: pa.DataType, safe: bool) -> bool:
    try:
        array.cast(wanted, safe=safe)
    except pa.ArrowException:
        return False
    return True


def _is_stored_form(rows: SparseRows, dimension: int) -> bool:
    """Whether all rows are sorted, without zeros, and such that a column may hold them."""
    indices, values = rows.indices, rows.values
    if not len(indices):
        return True
    ascending = np.empty(len(indices), dtype=bool)
    np.greater(indices[1:], indices[:-1], out=ascending[1:])
    ascending[rows.offsets[:-1][rows.counts > 0]] = True
    return bool(
        ascending.all()
        and 0 <= indices.min() <= indices.max() < dimension
        and np.isfinite(values).all()
        and values.all()
        and rows.counts.max() <= SPARSE_NONZERO_MAX
    )
