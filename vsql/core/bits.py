"""One bit per row, least significant first: what lives, what has a value, what passes a filter."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core.protocols import Bits, Rows


def are_set(bits: Bits, rows: Rows) -> npt.NDArray[np.bool_]:
    """Return which of `rows` have their bit set, in the order of `rows`."""
    found: npt.NDArray[Any] = bits[rows >> 3] >> (rows & 7).astype(np.uint8) & 1
    return found.astype(bool)


def is_set(bits: Bits, row: int) -> bool:
    """Whether one row has its bit set."""
    return bool(bits[row >> 3] >> (row & 7) & 1)
