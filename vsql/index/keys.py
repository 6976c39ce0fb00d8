"""Keys of scalar indexes: every scalar type in a form that sorts and searches natively in Arrow.

| SQL type | stored key |
|---|---|
| REAL | double, so that comparing with a constant happens in double precision |
| DOUBLE PRECISION | double; -0.0 becomes 0.0 |
| DECIMAL | 16 bytes, big-endian, sign bit flipped |
| UUID | bytes |
| all others | as they are |

NaN sorts last and equals itself, as in PostgreSQL; strings sort by code point.
"""

import datetime
import uuid
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Condition
from vsql.core.types import Family, SqlType

_INDEXABLE = frozenset(Family) - {
    Family.INTERVAL,
    Family.JSON,
    Family.ARRAY,
    Family.VECTOR,
    Family.HALFVEC,
    Family.BIT,
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
        # Arrow orders -0.0 and 0.0 as equal but hashes them apart; SQL knows one zero.
        import pyarrow.compute as pc

        return pc.add(values.cast(pa.float64()), 0.0)
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


def bounds(condition: Condition, type_: pa.DataType) -> tuple[pa.Array, pa.Array] | None:
    """Return a range's ends as arrays of length one, or of length zero where an end is open."""
    low = needles(() if condition.low is None else (condition.low,), type_)
    high = needles(() if condition.high is None else (condition.high,), type_)
    return None if low is None or high is None else (low, high)


def key_metadata(type_: pa.DataType) -> dict[bytes, bytes]:
    """Return schema metadata that remembers the key's own type."""
    return {b"vsql:key": pa.schema([("key", type_)]).serialize().to_pybytes()}


def key_type(schema: pa.Schema) -> pa.DataType:
    """Return the key's own type; raises ValueError where the file doesn't say."""
    stored = (schema.metadata or {}).get(b"vsql:key")
    if stored is None:
        raise ValueError("the index file does not name the type of its key")
    return pa.ipc.read_schema(pa.py_buffer(stored)).field(0).type
