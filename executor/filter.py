"""Predicates to row masks, kept: over an immutable segment a repeated predicate is a look-up."""

import time
from collections.abc import Hashable
from typing import Any

import numpy as np

from vsql.core.protocols import Bits
from vsql.core.snapshot import TableSnapshot
from vsql.executor.context import Context
from vsql.executor.row_mask import RowMask, intersect
from vsql.planner.nodes import Conjunct
from vsql.storage.segment import OpenSegment


def mask_of(
    conjuncts: tuple[Conjunct, ...],
    table: TableSnapshot,
    segment: OpenSegment,
    context: Context,
    valid: Bits | None = None,
) -> RowMask | None:
    """Return the live rows that pass every conjunct, None where that is all rows.

    `valid` further restricts the rows, as a vector column's validity does.
    """
    if not conjuncts and segment.live is None and valid is None:
        return None
    key = _mask_key(conjuncts, segment, context, valid is not None)
    known = _kept(key, context)
    if known is not None:
        return known
    started = time.perf_counter_ns()
    given = [bits for bits in (segment.live, valid) if bits is not None]
    if conjuncts:
        # Imported for the first filter: a search without one does not wait for it.
        from vsql.executor.conjuncts import evaluate

        mask = evaluate(conjuncts, table, segment, context, given)
    else:
        mask = intersect(given, segment.row_count)
    if context.trace is not None:
        context.trace.mask_misses += 1
        context.trace.add("filter", time.perf_counter_ns() - started)
    if key is not None and mask is not None:
        context.resources.masks.put(key, mask, mask.bits.nbytes + 8 * mask.count)
    return mask


def kept_mask(
    conjuncts: tuple[Conjunct, ...], segment: OpenSegment, context: Context, valid: Bits | None
) -> RowMask | None:
    """Return what `mask_of` gives for conjuncts where that is kept, None where it is not."""
    return _kept(_mask_key(conjuncts, segment, context, valid is not None), context)


def _kept(key: Hashable, context: Context) -> RowMask | None:
    known: RowMask | None = None if key is None else context.resources.masks.get(key)
    if known is not None and context.trace is not None:
        context.trace.mask_hits += 1
    return known


def _mask_key(
    conjuncts: tuple[Conjunct, ...], segment: OpenSegment, context: Context, restricted: bool
) -> Hashable:
    """Return what identifies a mask, None where it can't be kept."""
    if segment.cache_key is None:
        return None
    values: list[Hashable] = []
    for conjunct in conjuncts:
        if "RANDOM(" in conjunct.text:
            return None
        values.append(conjunct.text)
        for name in conjunct.parameters:
            value = _hashable(context.parameter(name))
            if value is None:
                return None
            values.append(value)
    return (segment.cache_key, restricted, *values)


def _hashable(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.tobytes())
    if isinstance(value, list | tuple):
        return (type(value).__name__, *map(_hashable, value))
    try:
        hash(value)
    except (TypeError, ValueError):
        return None
    return (type(value).__name__, value)
