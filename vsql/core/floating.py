"""Floating-point values as SQL compares them: one zero, one NaN."""

import numpy as np
import pyarrow as pa


def canonical(values: pa.Array) -> pa.Array:
    """Return floating values, same type and length, with 0.0 for -0.0 and one NaN for all.

    Arrow orders -0.0 and 0.0 as equal but hashes them apart, and so every NaN by its own bits.
    """
    import pyarrow.compute as pc

    zeros = pc.add(values, pa.scalar(0.0, values.type))
    is_nan = pc.is_nan(zeros)
    if not pc.any(is_nan).as_py():
        return zeros
    return pc.if_else(is_nan, pa.scalar(np.nan, values.type), zeros)
