"""Keys of scalar indexes: every scalar type in a form that sorts and searches natively in Arrow.

| SQL type | stored key |
|---|---|
| REAL | double, so that comparing with a constant happens in double precision |
| DOUBLE PRECISION | double; -0.0 becomes 0.0, every NaN the same |
| DECIMAL | 16 bytes, big-endian, sign bit flipped |
| UUID | bytes |
| all others | as they are |

NaN sorts last and equals itself, as in PostgreSQL; strings sort by code point.
"""

import datetime
import functools
import importlib
import uuid
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core.floating import canonical
from vsql.core.protocols import Comparison, Condition
from vsql.core.types import DENSE, Family, SqlType

_INDEXABLE = frozenset(Family) - {
    Family.INTERVAL,
    Family.JSON,
    Family.ARRAY,
    *DENSE,
    Family.BIT,
    Family.SPARSEVEC,
    Family.NULL,
}
_SIGN_BIT = np.uint64(1 << 63)


def is_indexable(type_: SqlType) -> bool:
    """Whether keys of this type have one order that a scalar index can keep."""
    return type_.family in _INDEXABLE


def encode(values: pa.Array) -> pa.Array:
    """Return `values` in stored form, same length, NULLs kept."""
    type_ = values.type
    if pa.types.is_dictionary(type_):
        return encode(values.dictionary_decode())
    if pa.types.is_floating(type_):
        return canonical(values.cast(pa.float64()))
    if pa.types.is_decimal(type_):
        return _encode_decimal(values.cast(pa.decimal128(type_.precision, type_.scale)))
    if pa.types.is_fixed_size_binary(type_):
        return values.cast(pa.binary())
    return values


def _encode_decimal(values: pa.Array) -> pa.Array:
    words = np.frombuffer(values.buffers()[1], dtype="<u8").reshape(-1, 2)
    words = words[values.offset : values.offset + len(values)]
    # Big-endian two's complement sorts as bytes once the sign bit is flipped.
    swapped = np.empty((len(values), 2), dtype=">u8")
    swapped[:, 0] = words[:, 1] ^ _SIGN_BIT
    swapped[:, 1] = words[:, 0]
    fixed = pa.Array.from_buffers(
        pa.binary(16),
        len(values),
        [values.is_valid().buffers()[1] if values.null_count else None, pa.py_buffer(swapped)],
    )
    return fixed.cast(pa.binary())


def needles(values: tuple[Any, ...], type_: pa.DataType) -> pa.Array | None:
    """Return constants in the stored form of keys of `type_`, None where one has no exact form.

    A constant without an exact form (1.5 beside integers, a string beside dates) is left to the
    caller's own comparison, which knows SQL's conversions.
    """
    if any(_changes_silently(value, type_) for value in values):
        return None
    converted = [value.bytes if isinstance(value, uuid.UUID) else value for value in values]
    widened = pa.float64() if pa.types.is_floating(type_) else type_
    try:
        return encode(pa.array(converted, type=widened, from_pandas=False))
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None


def _changes_silently(value: Any, type_: pa.DataType) -> bool:
    """Whether pyarrow would convert `value` to `type_` and lose something without an error."""
    if value is None:
        return False
    if pa.types.is_boolean(type_):
        return not isinstance(value, (bool, np.bool_))
    if pa.types.is_integer(type_):
        return not isinstance(value, (int, np.integer)) or isinstance(value, bool)
    if pa.types.is_floating(type_):
        # Beyond 2**53 an integer may round to another double.
        return isinstance(value, int) and abs(value) > 1 << 53
    if pa.types.is_date(type_):
        return isinstance(value, datetime.datetime) or not isinstance(value, datetime.date)
    if pa.types.is_timestamp(type_):
        if not isinstance(value, datetime.datetime):
            return True
        return (value.tzinfo is None) != (type_.tz is None)
    if pa.types.is_time(type_):
        return not isinstance(value, datetime.time) or value.tzinfo is not None
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return not isinstance(value, str)
    return False


def sort_order(key: pa.Array) -> pa.Array:
    """Return the row numbers of stored keys in ascending order, NULLs last; equal keys by row."""
    return _compute("array_sort_indices")(key, null_placement="at_end")


def places(key: pa.Array, wanted: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return where each wanted key begins and ends in a sorted key; nowhere for NULL.

    `key` is stored form, ascending, NULLs last, with one value that is not NULL at least.
    """
    search = _compute("search_sorted")
    begins, ends = search(key, wanted, side="left"), search(key, wanted, side="right")
    if wanted.null_count:
        begins, ends = begins.fill_null(0), ends.fill_null(0)
    return begins.to_numpy().view(np.int64), ends.to_numpy().view(np.int64)


def matches(
    key: pa.Array, type_: pa.DataType, condition: Condition
) -> list[tuple[int, int]] | None:
    """Return the slices of a sorted key that satisfy a condition, ascending and disjoint.

    `key` is stored form of `type_`, ascending, NULLs last; None where a constant has no exact form.
    """
    present = len(key) - key.null_count
    slices: list[tuple[int, int]] | None
    match condition.comparison:
        case Comparison.IS_NULL:
            slices = [(present, len(key))]
        case Comparison.PREFIX:
            slices = _prefixed(key, present, condition.values[0], type_)
        case Comparison.SUBSTRINGS | Comparison.CONTAINS_ANY | Comparison.CONTAINS_ALL:
            return None
        case Comparison.RANGE:
            low = needles(() if condition.low is None else (condition.low,), type_)
            high = needles(() if condition.high is None else (condition.high,), type_)
            if low is None or high is None:
                return None
            slices = [_between(key, present, low, high, condition)]
        case _:
            wanted = needles(condition.values, type_)
            if wanted is None:
                return None
            slices = _equal(key, present, wanted)
    return None if slices is None else [(start, end) for start, end in slices if start < end]


def _equal(key: pa.Array, present: int, wanted: pa.Array) -> list[tuple[int, int]]:
    if wanted.null_count:
        wanted = wanted.drop_null()
    if not present or not len(wanted):
        return []
    begins, ends = places(key, wanted)
    slices = list(zip(begins.tolist(), ends.tolist(), strict=True))
    return slices if len(slices) == 1 else sorted(set(slices))


def _prefixed(
    key: pa.Array, present: int, prefix: str, type_: pa.DataType
) -> list[tuple[int, int]] | None:
    if not pa.types.is_string(type_):
        return None
    if not present:
        return []
    begin = int(places(key, pa.array([prefix], type_))[0][0])
    # Strings are in the order of their bytes: 0xFF comes after all that begin alike.
    after = pa.array([prefix.encode() + b"\xff"], pa.binary()).cast(pa.string(), safe=False)
    return [(begin, int(places(key, after)[0][0]))]


def _between(
    key: pa.Array, present: int, low: pa.Array, high: pa.Array, condition: Condition
) -> tuple[int, int]:
    start, end = 0, present
    if len(low) and present:
        begin, after = places(key, low)
        start = int((begin if condition.low_inclusive else after)[0])
    if len(high) and present:
        begin, after = places(key, high)
        end = int((after if condition.high_inclusive else begin)[0])
    return start, end


@functools.cache
def _compute(function: str) -> Any:
    # Loaded at the first use: it costs tens of milliseconds, and looking at kinds needs none of it.
    return getattr(importlib.import_module("pyarrow.compute"), function)


def equal_to_next(key: pa.Array) -> npt.NDArray[np.bool_]:
    """Return for each stored key but the last whether the next one is the same; none is NULL."""
    same = _compute("equal")(key.slice(1), key.slice(0, len(key) - 1))
    found: npt.NDArray[np.bool_] = same.to_numpy(zero_copy_only=False)
    return found


def key_metadata(type_: pa.DataType) -> dict[bytes, bytes]:
    """Return schema metadata that remembers the key's own type."""
    return {b"vsql:key": pa.schema([("key", type_)]).serialize().to_pybytes()}


def key_type(schema: pa.Schema) -> pa.DataType:
    """Return the key's own type; raises ValueError where the file doesn't say."""
    stored = (schema.metadata or {}).get(b"vsql:key")
    if stored is None:
        raise ValueError("the index file does not name the type of its key")
    return pa.ipc.read_schema(pa.py_buffer(stored)).field(0).type
