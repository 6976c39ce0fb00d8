"""Rows that expire: WITH (ttl = '30 days') hides a row once it is that old."""

import copy
import time
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core.bits import packed
from vsql.core.durations import microseconds_long
from vsql.core.schema import INSERTED_AT, Table
from vsql.core.types import TIMESTAMPTZ
from vsql.storage.segment import OpenSegment


def unexpired(segments: tuple[OpenSegment, ...], table: Table) -> tuple[OpenSegment, ...]:
    """Return the segments with expired rows as if they were deleted."""
    cutoff = time.time_ns() // 1_000 - microseconds_long(table.properties["ttl"])
    return tuple(_without_expired(segment, cutoff) for segment in segments)


def _without_expired(segment: OpenSegment, cutoff: int) -> OpenSegment:
    inserted = segment.column(INSERTED_AT.id, TIMESTAMPTZ.arrow).cast(pa.int64())
    # Rows of a time when the table had no such rule have no time: they stay.
    times = inserted.fill_null(np.iinfo(np.int64).max).to_numpy()
    fresh = times > cutoff
    if fresh.all():
        return segment
    bits = packed(fresh)
    if segment.live is not None:
        bits = bits & segment.live
        bits.flags.writeable = False
    # The protocol is read-only, for those who share a segment; a copy is not shared yet.
    left = copy.copy(segment)
    own: Any = left
    own.live = bits
    if segment.cache_key is not None:
        # Rows expire in the order of their times: how many are fresh tells which.
        own.cache_key = (segment.cache_key, int(fresh.sum()))
    return left
