"""What vectors of every kind are refused for, in pgvector's words."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core import sqlstate
from vsql.core.errors import DataError
from vsql.core.types import Family


def check_finite(numbers: npt.NDArray[Any], family: Family, prefix: str = "") -> None:
    """Raise DataError (22000) where one of the floats is NaN or infinite."""
    if not np.isfinite(numbers).all():
        word = "NaN" if np.isnan(numbers).any() else "infinite value"
        name = family.value.lower()
        raise DataError(f"{prefix}{word} not allowed in {name}", code=sqlstate.DATA_EXCEPTION)


def check_same_dimensions(left: npt.NDArray[Any], right: npt.NDArray[Any], family: Family) -> None:
    """Raise DataError (22000) where the vectors of a pair have different dimensions."""
    wrong = np.flatnonzero(left != right)
    if len(wrong):
        raise DataError(
            f"different {family.value.lower()} dimensions {left[wrong[0]]} and {right[wrong[0]]}",
            code=sqlstate.DATA_EXCEPTION,
        )


def check_range(numbers: npt.NDArray[Any]) -> None:
    """Raise DataError (22003) where a result became infinite."""
    if np.isinf(numbers).any():
        raise out_of_range("overflow")


def out_of_range(word: str) -> DataError:
    """Return the error for a result that its type does not hold: overflow or underflow."""
    return DataError(f"value out of range: {word}", code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE)
