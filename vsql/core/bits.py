"""One bit per row, least significant first: what lives, what has a value, what passes a filter."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core.protocols import Bits, Rows


def packed(flags: npt.NDArray[Any]) -> Bits:
    """Return one bit per flag, read-only: what is counted of such bits may be remembered."""
    bits = np.packbits(flags, bitorder="little")
    bits.flags.writeable = False
    return bits


def bits_of(rows: npt.NDArray[Any], count: int) -> Bits:
    """Return the bits of `count` rows, those of `rows` set; read-only."""
    flags = np.zeros(count, dtype=np.bool_)
    flags[rows] = True
    return packed(flags)


def rows_of(bits: Bits, count: int) -> Rows:
    """Return the rows below `count` that have their bit set, ascending."""
    return np.flatnonzero(np.unpackbits(bits, count=count, bitorder="little"))


def are_set(bits: Bits, rows: Rows) -> npt.NDArray[np.bool_]:
    """Return which of `rows` have their bit set, in the order of `rows`."""
    found: npt.NDArray[Any] = bits[rows >> 3] >> (rows & 7).astype(np.uint8) & 1
    return found.astype(bool)


def is_set(bits: Bits, row: int) -> bool:
    """Whether one row has its bit set."""
    return bool(bits[row >> 3] >> (row & 7) & 1)


def within(bits: Bits, rows: Rows) -> Rows:
    """Return those of `rows` that have their bit set, in their order; a row may lie beyond them."""
    rows = rows[rows < 8 * len(bits)]
    kept: Rows = rows[are_set(bits, rows)]
    return kept
