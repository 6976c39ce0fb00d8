"""Range search, `WHERE e <=> :q < 0.3 ORDER BY e <=> :q LIMIT k`: the nearest within bounds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core import sqlstate
from vsql.core.errors import DataError
from vsql.core.protocols import Rows
from vsql.executor.context import Context
from vsql.executor.take import Picked
from vsql.executor.values import value_of
from vsql.planner.nodes import Bound

_DEPTH_MIN, _GROWTH = 100, 4


@dataclass(frozen=True, slots=True)
class Nearest:
    """Rows by segment, their distances in the final order, and that order, None where they stand
    in it; rows beyond the distances have none, since their vector is NULL.
    """

    picked: list[Picked]
    distances: npt.NDArray[np.float32]
    order: Rows | None


NOTHING = Nearest([], np.empty(0, np.float32), np.empty(0, np.int64))


def within(
    bounds: tuple[Bound, ...],
    k: int,
    total: int,
    search: Callable[[int, Context], Nearest],
    context: Context,
) -> Nearest:
    """Return the nearest k rows within the bounds; `search` gives the nearest of any depth.

    Rows that are too near come first and do not count: the search goes deeper for those behind.
    """
    limits = [_limit(bound, context) for bound in bounds]
    if any(limit is None for limit in limits):
        return NOTHING
    has_near = any(bound.far for bound in bounds)
    depth = min(total, max(_DEPTH_MIN, 2 * k)) if has_near else k
    while True:
        context.check_interrupt()
        found = search(depth, context)
        inside = np.ones(len(found.distances), dtype=bool)
        distances = found.distances.astype(np.float64)
        for bound, limit in zip(bounds, limits, strict=True):
            inside &= _COMPARED[bound.far, bound.inclusive](distances, limit)
        places = np.flatnonzero(inside)[:k]
        is_over = len(found.distances) < depth or depth >= total
        if len(places) >= k or is_over or _passed(bounds, limits, distances):
            whole = np.arange(len(inside)) if found.order is None else found.order
            return Nearest(found.picked, found.distances[places], whole[places])
        depth = min(total, depth * _GROWTH)


_COMPARED: dict[tuple[bool, bool], Callable[[Any, Any], Any]] = {
    (False, False): np.less,
    (False, True): np.less_equal,
    (True, False): np.greater,
    (True, True): np.greater_equal,
}


def _limit(bound: Bound, context: Context) -> float | None:
    value = value_of(bound.value, context)
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(
            f"a distance is compared with a number, not {value!r}",
            code=sqlstate.INVALID_TEXT_REPRESENTATION,
        ) from None


def _passed(
    bounds: tuple[Bound, ...], limits: list[float | None], distances: npt.NDArray[np.float64]
) -> bool:
    """Whether the farthest row found lies beyond an upper bound already."""
    if not len(distances):
        return True
    uppers = [limit for bound, limit in zip(bounds, limits, strict=True) if not bound.far]
    return any(limit is not None and bool(distances[-1] > limit) for limit in uppers)
