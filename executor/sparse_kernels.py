"""What `vsql.core.vector_functions` names for sparse vectors, over Arrow columns without NULLs.

Numbers and errors are pgvector's.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.distance import Metric
from vsql.core.errors import DataError
from vsql.core.sparse import (
    SparseRows,
    SparseVector,
    expected_dimensions,
    sparse_text,
    too_many_values,
)
from vsql.core.types import SPARSE_NONZERO_MAX, Family
from vsql.core.vector_checks import check_finite, check_range
from vsql.core.vector_functions import SparseOperation
from vsql.core.vector_text import check_dimension
from vsql.index.sparse_exact import distances_of_pairs

# A record of a sort key: which sign the value has, where it stands, and the value itself.
_RECORD = np.dtype([("sign", "u1"), ("index", ">u4"), ("value", ">u4")])
_NEGATIVE, _POSITIVE = 1, 3
_STRUCT_TEXT = re.compile(r"\{'dimension': (\d+), 'indices': \[(.*)\], 'values': \[(.*)\]\}")


def _distance(metric: Metric, left: SparseRows, right: SparseRows) -> pa.Array:
    return pa.array(distances_of_pairs(metric, left, right).astype(np.float64))


def _norm(rows: SparseRows) -> pa.Array:
    return pa.array(rows.lengths())


def _normalize(rows: SparseRows) -> pa.Array:
    """Return unit vectors; what becomes 0 is dropped, and a vector without values stays one."""
    values = (rows.values / np.repeat(rows.lengths(), rows.counts)).astype(np.float32)
    check_range(values)
    return _without_zeros(SparseRows(rows.dimensions, rows.offsets, rows.indices, values))


def _without_zeros(rows: SparseRows) -> pa.Array:
    kept = rows.values != 0
    if kept.all():
        return rows.to_arrow()
    before = np.concatenate(([0], np.cumsum(kept)))
    return SparseRows(
        rows.dimensions, before[rows.offsets], rows.indices[kept], rows.values[kept]
    ).to_arrow()


def _sort_key(rows: SparseRows) -> pa.Array:
    """Return bytes that sort as vectors do element by element, the shorter first.

    A positive value makes the greater vector the further in front it stands, a negative one the
    smaller; the end of a vector sorts as something smaller than any value there.
    """
    ends = rows.offsets[1:] + np.arange(len(rows))
    records = np.zeros(len(rows.values) + len(rows), dtype=_RECORD)
    records["sign"][ends], records["index"][ends] = _NEGATIVE, rows.dimensions
    places = np.arange(len(rows.values)) + np.repeat(np.arange(len(rows)), rows.counts)
    positive = rows.values > 0
    bits = rows.values.view(np.uint32)
    records["sign"][places] = np.where(positive, _POSITIVE, _NEGATIVE)
    records["index"][places] = np.where(positive, ~rows.indices, rows.indices).view(np.uint32)
    records["value"][places] = np.where(positive, bits, ~bits)
    offsets = np.concatenate(([0], ends + 1)) * _RECORD.itemsize
    data = pa.py_buffer(records.tobytes())
    return pa.Array.from_buffers(
        pa.binary(), len(rows), [None, pa.py_buffer(offsets.astype(np.int32)), data]
    )


def _of_lists(lists: Any) -> pa.Array:
    """Return dense vectors, or arrays of numbers, as sparse ones."""
    dimensions = lists.dimensions
    if not dimensions.all():
        raise DataError("sparsevec must have at least 1 dimension", code=sqlstate.DATA_EXCEPTION)
    values = lists.flat.astype(np.float32)
    check_finite(values, Family.SPARSEVEC)
    indices = np.arange(len(values)) - np.repeat(lists.offsets[:-1], dimensions)
    offsets = np.asarray(lists.offsets, dtype=np.int64)
    found = SparseRows(dimensions.astype(np.int32), offsets, indices.astype(np.int32), values)
    if (found.sums(values != 0) > SPARSE_NONZERO_MAX).any():
        raise too_many_values()
    return _without_zeros(found)


def _to_lists(rows: SparseRows) -> pa.Array:
    for dimension in np.unique(rows.dimensions).tolist():
        check_dimension(dimension)
    offsets = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum(rows.dimensions, out=offsets[1:])
    dense = np.zeros(offsets[-1], dtype=np.float32)
    dense[np.repeat(offsets[:-1], rows.counts) + rows.indices] = rows.values
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(dense))


def _check_dimension(rows: SparseRows, wanted: Any) -> pa.Array:
    wrong = np.flatnonzero(rows.dimensions != wanted)
    if len(wrong):
        raise expected_dimensions(int(wanted[wrong[0]]), int(rows.dimensions[wrong[0]]))
    return rows.to_arrow()


def _parse(texts: pa.Array) -> pa.Array:
    return SparseRows.of([_of_text(text) for text in texts.to_pylist()]).to_arrow()


def _of_text(text: str) -> SparseVector:
    """Return the vector of a text, or of DuckDB's text of one.

    DuckDB writes that where the planner did not know that an expression gives a vector.
    """
    found = _STRUCT_TEXT.fullmatch(text)
    if found is None:
        return SparseVector.from_text(text)
    dimension, indices, values = found.groups()
    numbers = (part.split(", ") if part else [] for part in (indices, values))
    places, floats = (np.array(part, dtype=np.float64) for part in numbers)
    return SparseVector.of(places.astype(np.int64), floats, int(dimension))


def _show(rows: SparseRows) -> pa.Array:
    vectors = [rows[row] for row in range(len(rows))]
    return pa.array([sparse_text(*v.arrays, v.dimensions()) for v in vectors], pa.string())


SPARSE_KERNELS: Mapping[SparseOperation, Callable[..., pa.Array]] = {
    SparseOperation.L2_DISTANCE: partial(_distance, Metric.L2),
    SparseOperation.NEGATIVE_INNER_PRODUCT: partial(_distance, Metric.INNER_PRODUCT),
    SparseOperation.COSINE_DISTANCE: partial(_distance, Metric.COSINE),
    SparseOperation.L1_DISTANCE: partial(_distance, Metric.L1),
    SparseOperation.NORM: _norm,
    SparseOperation.NORMALIZE: _normalize,
    SparseOperation.SORT_KEY: _sort_key,
    SparseOperation.OF_VECTOR: _of_lists,
    SparseOperation.OF_ARRAY: _of_lists,
    SparseOperation.TO_VECTOR: _to_lists,
    SparseOperation.CHECK_DIMENSION: _check_dimension,
    SparseOperation.PARSE: _parse,
    SparseOperation.SHOW: _show,
}
