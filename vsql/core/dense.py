"""Dense vectors as columns store them, and as the 32-bit floats that everything computes with.

| type | numpy |
|---|---|
| VECTOR | float32 |
| HALFVEC | float16 |
| BFLOATVEC | uint16: the bits of a bfloat16, which are the upper half of a float32's |
| INT8VEC | int8 |

numpy and Arrow have no bfloat16. No other vector is made of uint16, so the dtype tells.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core.types import Family

Stored = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

DTYPES: Mapping[Family, Any] = {
    Family.VECTOR: np.float32,
    Family.HALFVEC: np.float16,
    Family.BFLOATVEC: np.uint16,
    Family.INT8VEC: np.int8,
}
INT8_MIN, INT8_MAX = -128, 127
_EXPONENT = np.uint16(0x7F80)
_NAN = np.uint16(0x7FC0)


def floats(vectors: Stored) -> Floats:
    """Return stored vectors of any shape as float32, exactly: a copy unless they are that already.

    Callers give a block at a time: a column is never widened whole.
    """
    if vectors.dtype != np.uint16:
        return vectors.astype(np.float32, copy=False)
    result = np.empty(vectors.shape, dtype=np.float32)
    widen(vectors, result)
    return result


def widen(vectors: Stored, into: Floats) -> None:
    """Write stored vectors as float32 into an array of their shape."""
    if vectors.dtype != np.uint16:
        np.copyto(into, vectors)
        return
    bits = into.view(np.uint32)
    np.copyto(bits, vectors)
    np.left_shift(bits, 16, out=bits)


def shown(vectors: Stored) -> Stored:
    """Return stored vectors in a type that numpy has: bfloat16 as float32, all others as is."""
    return floats(vectors) if vectors.dtype == np.uint16 else vectors


def stored(numbers: Stored, family: Family) -> Stored:
    """Return numbers rounded to what a family stores: to nearest, ties to even.

    Numbers beyond a float's range become infinity; for INT8VEC the caller has checked the range
    (`beyond_int8`). BFLOATVEC rounds to a float32 first, as torch and ml_dtypes do.
    """
    if family is Family.INT8VEC:
        if np.issubdtype(numbers.dtype, np.floating):
            numbers = np.rint(numbers)
        return numbers.astype(np.int8)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = numbers.astype(np.float32 if family is Family.BFLOATVEC else DTYPES[family])
    if family is not Family.BFLOATVEC:
        return rounded
    bits = rounded.view(np.uint32)
    upper = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    # The payload of a NaN may be in the lower half alone.
    upper[np.isnan(rounded)] = _NAN
    return upper


def beyond_int8(numbers: Stored) -> npt.NDArray[np.bool_]:
    """Return which numbers INT8VEC cannot hold once rounded; NaN is among them."""
    rounded = np.rint(numbers) if np.issubdtype(numbers.dtype, np.floating) else numbers
    beyond: npt.NDArray[np.bool_] = ~((rounded >= INT8_MIN) & (rounded <= INT8_MAX))
    return beyond


def finite(vectors: Stored) -> npt.NDArray[np.bool_]:
    """Return which elements of stored vectors are neither NaN nor infinity."""
    if vectors.dtype == np.uint16:
        return np.asarray((vectors & _EXPONENT) != _EXPONENT)
    return np.isfinite(vectors)
