"""What users bind: objects of Arrow, numpy, data frames or their own."""

from typing import Any

import numpy as np
import pyarrow as pa

REFUSALS = (pa.ArrowException, ArithmeticError, LookupError, SystemError, TypeError, ValueError)
"""What conversions raise for what they do not take.

Arrow's own errors, decimal's and Python's; LookupError and SystemError come of objects that Arrow
takes for sequences.
"""


def plain(value: Any) -> Any:
    """Return what a value of Arrow, a data frame or pgvector's Python package holds."""
    if isinstance(value, pa.ListScalar) and value.is_valid:
        value = value.values
    if isinstance(value, pa.Array):
        return value.to_numpy(zero_copy_only=False)
    if isinstance(value, pa.Scalar):
        return _of_scalar(value)
    if hasattr(value, "to_numpy"):
        # A data frame's time has the method too, and is no array.
        array = value.to_numpy()
        return array if isinstance(array, np.ndarray) else value
    return value


def _of_scalar(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except REFUSALS:
        return value  # A date or time that Python has no value for.
