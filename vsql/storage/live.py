"""From deletes to the rows that live."""

from collections.abc import Sequence

import numpy as np

from vsql.core.bits import packed
from vsql.core.protocols import Bits
from vsql.core.snapshot import SegmentFacts


def live_bits(parts: Sequence[SegmentFacts]) -> Bits | None:
    """Return one bit per row of the segments in a row, None where nothing is deleted."""
    if not any(part.deletes for part in parts):
        return None
    from pyroaring import BitMap

    flags = np.ones(sum(part.row_count for part in parts), dtype=np.uint8)
    start = 0
    for part in parts:
        for deletes in part.deletes:
            deleted = np.array(BitMap.deserialize(deletes), dtype=np.int64)
            flags[start + deleted] = 0
        start += part.row_count
    return packed(flags)
