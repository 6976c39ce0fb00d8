"""What `vsql.core.vector_functions` names, computed over Arrow lists of 32-bit floats.

DuckDB calls a kernel for some thousand rows at a time. What is NULL in any argument is NULL in the
result, and no kernel sees it. The numbers, and the errors, are pgvector's: sums in 64 bits where it
sums in 64 bits, HALFVEC rounded to 16 bits after each operation. BFLOATVEC is rounded likewise, but
its sums once; what leaves the range of INT8VEC is an error, as with PostgreSQL's integers.
"""

from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core import sqlstate
from vsql.core.dense import beyond_int8, finite, floats, stored
from vsql.core.errors import DataError
from vsql.core.sparse import SparseRows, expected_dimensions, row_sums
from vsql.core.types import DENSE, Family
from vsql.core.vector_checks import (
    check_finite,
    check_range,
    check_same_dimensions,
    out_of_range,
)
from vsql.core.vector_functions import Kind, Operation
from vsql.core.vector_text import (
    check_dimension,
    empty_vector,
    parse_vector,
    real_text,
    vector_text,
)
from vsql.executor.sparse_kernels import SPARSE_KERNELS

Floats = npt.NDArray[np.float32]
Offsets = npt.NDArray[np.int64]
Kernel = Callable[..., pa.Array]


def kernels() -> Iterator[tuple[str, list[str], str, Kernel]]:
    """Yield name, parameter types, result type and kernel of every function DuckDB may call."""
    for family in DENSE:
        for operation, kernel in _KERNELS.items():
            yield (
                operation.function(family),
                [kind.value for kind in operation.parameters],
                operation.result.value,
                partial(_called, partial(_with_family, kernel, family), operation.parameters),
            )
    for sparse, kernel in SPARSE_KERNELS.items():
        yield (
            sparse.function,
            [kind.value for kind in sparse.parameters],
            sparse.result.value,
            partial(_called, kernel, sparse.parameters),
        )


def _with_family(kernel: Kernel, family: Family, *arguments: Any) -> pa.Array:
    return kernel(*arguments, family)


def _called(kernel: Kernel, parameters: tuple[Kind, ...], *columns: pa.ChunkedArray) -> pa.Array:
    arrays = [_combined(column) for column in columns]
    missing = [array for array in arrays if array.null_count]
    present: pa.Array | None = None
    if missing:
        valid = reduce(pc.and_, (array.is_valid() for array in missing))
        arrays = [array.filter(valid) for array in arrays]
        # Each row's place among those without a NULL.
        places = np.cumsum(valid.to_numpy(zero_copy_only=False)) - 1
        present = pc.if_else(valid, pa.array(places), pa.scalar(None, pa.int64()))
    arguments = [_argument(a, kind) for a, kind in zip(arrays, parameters, strict=True)]
    with np.errstate(all="ignore"):
        result = kernel(*arguments)
    return result if present is None else result.take(present)


def _combined(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _argument(array: pa.Array, kind: Kind) -> Any:
    if kind is Kind.SPARSE:
        return SparseRows.read(array)
    if kind in (Kind.VECTOR, Kind.NUMBERS):
        return Vectors.read(array)
    return array.to_numpy(zero_copy_only=False) if kind is Kind.INTEGER else array


class Vectors:
    """Vectors of possibly different dimensions, one after the other: (sum of dimensions,)."""

    __slots__ = ("flat", "offsets")

    def __init__(self, flat: Floats, offsets: Offsets) -> None:
        self.flat = flat
        self.offsets = offsets

    @classmethod
    def read(cls, array: pa.Array) -> "Vectors":
        """Return the lists of an Arrow array without NULLs; raises DataError for NULL elements."""
        offsets = array.offsets.to_numpy().astype(np.int64)
        values = array.values
        flat = values.slice(offsets[0], offsets[-1] - offsets[0])
        if flat.null_count:
            raise DataError("array must not contain nulls", code=sqlstate.NULL_VALUE_NOT_ALLOWED)
        return cls(flat.to_numpy(zero_copy_only=False), offsets - offsets[0])

    @property
    def dimensions(self) -> Offsets:
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[Floats]:
        for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            yield self.flat[start:end]

    def sums(self, numbers: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the sum over each vector of one number per element, in 64 bits."""
        return row_sums(numbers, self.offsets)


def _lists(flat: npt.NDArray[Any], offsets: Offsets) -> pa.Array:
    values = pa.array(flat.astype(np.float32, copy=False))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)


def _rounded(flat: npt.NDArray[Any], family: Family) -> Floats:
    """Return numbers as the family holds them; raises DataError (22003) for an overflow."""
    if family is Family.INT8VEC and beyond_int8(flat).any():
        raise out_of_range("overflow")
    rounded = floats(stored(flat, family))
    check_range(rounded)
    return rounded


def _elementwise(operation: Any, left: Vectors, right: Vectors, family: Family) -> pa.Array:
    check_same_dimensions(left.dimensions, right.dimensions, family)
    result = _rounded(operation(left.flat, right.flat), family)
    if operation is np.multiply and ((result == 0) & (left.flat != 0) & (right.flat != 0)).any():
        raise out_of_range("underflow")
    return _lists(result, left.offsets)


def _concatenate(left: Vectors, right: Vectors, family: Family) -> pa.Array:
    offsets = left.offsets + right.offsets
    if len(left):
        check_dimension(int(np.diff(offsets).max()))
    parts = [part for pair in zip(left, right, strict=True) for part in pair]
    return _lists(np.concatenate(parts) if parts else left.flat, offsets)


def _l1_distance(left: Vectors, right: Vectors, family: Family) -> pa.Array:
    check_same_dimensions(left.dimensions, right.dimensions, family)
    return pa.array(left.sums(np.abs(left.flat - right.flat)))


def _norm(vectors: Vectors, family: Family) -> pa.Array:
    return pa.array(_norms(vectors))


def _norms(vectors: Vectors) -> npt.NDArray[np.float64]:
    result: npt.NDArray[np.float64] = np.sqrt(vectors.sums(np.square(vectors.flat, dtype=float)))
    return result


def _normalize(vectors: Vectors, family: Family) -> pa.Array:
    norms = _norms(vectors)
    # A vector of zeros stays one.
    divisors = np.repeat(np.where(norms > 0, norms, 1.0), vectors.dimensions)
    return _lists(_rounded(vectors.flat / divisors, family), vectors.offsets)


def _subvector(vectors: Vectors, first: Any, count: Any, family: Family) -> pa.Array:
    starts = np.maximum(first.astype(np.int64), 1)
    ends = np.minimum(first.astype(np.int64) + count, vectors.dimensions + 1)
    if ((count < 1) | (ends <= starts)).any():
        raise empty_vector()
    picked = [v[s - 1 : e - 1] for v, s, e in zip(vectors, starts, ends, strict=True)]
    offsets = np.concatenate(([0], np.cumsum(ends - starts)))
    return _lists(np.concatenate(picked) if picked else vectors.flat, offsets)


def _quantize(vectors: Vectors, family: Family) -> pa.Array:
    digits = (vectors.flat > 0).astype(np.uint8) + ord("0")
    offsets = pa.py_buffer(vectors.offsets.astype(np.int32))
    return pa.StringArray.from_buffers(len(vectors), offsets, pa.py_buffer(digits))


def _from_array(arrays: Vectors, family: Family) -> pa.Array:
    """Return arrays of numbers as vectors."""
    if len(arrays) and not arrays.dimensions.all():
        raise empty_vector()
    numbers = arrays.flat.astype(np.float32)
    check_finite(numbers, family)
    if family is Family.INT8VEC and (numbers != np.rint(numbers)).any():
        raise DataError(
            "int8vec holds whole numbers alone",
            code=sqlstate.DATA_EXCEPTION,
            hint="a cast from vector rounds: ARRAY[1.5]::vector::int8vec",
        )
    return _round(Vectors(numbers, arrays.offsets), family)


def _round(vectors: Vectors, family: Family) -> pa.Array:
    """Return vectors of another family as vectors of this one."""
    name = family.value.lower()
    if family is Family.INT8VEC:
        beyond = np.flatnonzero(beyond_int8(vectors.flat))
    else:
        beyond = np.flatnonzero(~finite(stored(vectors.flat, family)))
    if len(beyond):
        raise DataError(
            f'"{real_text(str(vectors.flat[beyond[0]]))}" is out of range for type {name}',
            code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE,
        )
    return _lists(floats(stored(vectors.flat, family)), vectors.offsets)


def _parse(texts: pa.Array, family: Family) -> pa.Array:
    numbers = (np.array(parse_vector(text, family)) for text in texts.to_pylist())
    rows = [floats(stored(row, family)) for row in numbers]
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    return _lists(np.concatenate(rows) if rows else np.empty(0), offsets)


def _show(vectors: Vectors, family: Family) -> pa.Array:
    return pa.array([vector_text(map(str, vector)) for vector in vectors], pa.string())


def _reduce(columns: pa.Array, family: Family, *, average: bool) -> pa.Array:
    """Return one vector for each list of vectors, NULL where the list holds none."""
    found: list[Floats | None] = []
    for row in columns:
        lists = row.values.drop_null()
        if not len(lists):
            found.append(None)
            continue
        vectors = Vectors.read(lists)
        dimension = int(vectors.dimensions[0])
        other = vectors.dimensions[vectors.dimensions != dimension]
        if len(other):
            raise expected_dimensions(dimension, int(other[0]))
        matrix = vectors.flat.reshape(-1, dimension)
        if average:
            total = matrix.sum(axis=0, dtype=np.float64) / len(matrix)
        elif family is Family.HALFVEC:
            total = matrix.astype(np.float16).cumsum(axis=0, dtype=np.float16)[-1]
        else:
            total = matrix.sum(axis=0)
        found.append(_rounded(total, family))
    return pa.array(found, pa.list_(pa.float32()))


_KERNELS: dict[Operation, Kernel] = {
    Operation.ADD: partial(_elementwise, np.add),
    Operation.SUBTRACT: partial(_elementwise, np.subtract),
    Operation.MULTIPLY: partial(_elementwise, np.multiply),
    Operation.CONCATENATE: _concatenate,
    Operation.SUM: partial(_reduce, average=False),
    Operation.AVERAGE: partial(_reduce, average=True),
    Operation.L1_DISTANCE: _l1_distance,
    Operation.NORM: _norm,
    Operation.NORMALIZE: _normalize,
    Operation.SUBVECTOR: _subvector,
    Operation.QUANTIZE: _quantize,
    Operation.ROUND: _round,
    Operation.FROM_ARRAY: _from_array,
    Operation.PARSE: _parse,
    Operation.SHOW: _show,
}
