"""Which access path searches one segment: the five paths, their costs, and the cheapest.

The same function runs twice: when a plan is explained, over estimates, and when a segment is
searched, over the true number of matching rows. Costs are nanoseconds: those of an index are read
off the curve that was measured on the segment's own vectors when it was built, the others are
counted work at what the machine takes for it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from vsql.core.machine import BUILT_IN, CALL, CHOICE, RELATIONAL_CALL, Machine, Work
from vsql.core.protocols import Shape
from vsql.core.snapshot import CurvePoint

# Where an exact distance takes so many times what it took at build, the machine is another one; up
# to there what was measured over the segment itself is nearer to the truth than made-up rows.
_SAME_MACHINE = 3.0
# A first look at how dense the matches are around the query, before a graph takes a bitmap.
PROBE_ROWS = 50
# How much longer a graph is searched under a filter, for each power of ten that it leaves out: the
# fewer of the first neighbours match, the less does their number tell, and few call for effort.
_BITMAP_SEARCHES_THINNER = 0.3
# What a scan of the lists costs, in searches without a filter that scan as many: every list is put
# in order; and the fewer rows a filter keeps, the farther lie those that follow the vectors, which
# nobody knows before (the columns of benchmarks/recall.py's filters show it).
_SCAN_SEARCHES = 1.2
_SCAN_SEARCHES_FARTHER = 1.05
# What exact search does beside its rows, in rankings of a handful of rows.
_CALLS = 2.0
# What a graph's effort is worth at a depth where it was not measured.
_DEEPER = 0.75
# Asking for more candidates than this share of what there is would be a scan in disguise.
WIDEST_SHARE = 0.25


class AccessPath(Enum):
    """How a segment is searched; the value is the setting's word, `title` what EXPLAIN prints."""

    EXACT = "exact"
    INDEX = "index"
    BITMAP = "bitmap"
    SCAN = "scan"
    POSTFILTER = "postfilter"

    @property
    def title(self) -> str:
        return _TITLES[self]


_TITLES = {
    AccessPath.EXACT: "exact over matches",
    AccessPath.INDEX: "index search",
    AccessPath.BITMAP: "index with bitmap",
    AccessPath.SCAN: "quantised scan with bitmap",
    AccessPath.POSTFILTER: "post-filter, widening",
}


@dataclass(frozen=True, slots=True)
class Structure:
    """One structure that could serve, and what was measured of it."""

    name: str
    shape: Shape
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True)
class SearchFacts:
    """What the choice depends on, for one segment and one top-k.

    `matches` of `rows` pass the filter, `filtered` tells whether there is one (deleted rows and
    NULL vectors count as one); `distance` is the work of an exact one; `exact_nanoseconds` what it
    took when an index was built, 0 where none was; `mask_nanoseconds` is what evaluating the
    predicate over the whole segment still costs; `mask_known` tells that it is done already.
    """

    rows: int
    matches: float
    filtered: bool
    k: int
    distance: Work
    structures: tuple[Structure, ...] = ()
    exact_nanoseconds: float = 0.0
    mask_nanoseconds: float = 0.0
    mask_known: bool = False
    machine: Machine = BUILT_IN

    @property
    def slowness(self) -> float:
        """How many times what was measured when an index was built the same takes here."""
        if self.machine.measured_us is None or not self.exact_nanoseconds:
            return 1.0
        ratio = self.machine.cost(self.distance) / self.exact_nanoseconds
        return 1.0 if 1 / _SAME_MACHINE <= ratio <= _SAME_MACHINE else ratio


@dataclass(frozen=True, slots=True)
class Choice:
    """One path with its estimated cost; infinite where it can't serve, and `reason` says why.

    `share_max` is the largest share of matching rows around the query for which the curve promises
    the target; `reorder_factor` is as in the curve.
    """

    path: AccessPath
    structure: str | None
    effort: int
    nanoseconds: float
    reason: str = ""
    share_max: float = 1.0
    reorder_factor: int = 1


def consider(facts: SearchFacts, settings: Mapping[str, Any]) -> tuple[Choice, ...]:
    """Return every path for this segment, cheapest first.

    `settings` are target_recall, ef_search, nprobe and access_path. A forced path stands first
    wherever it can serve at all.
    """
    choices = [_exact(facts)]
    for structure in facts.structures:
        effort = int(settings["ef_search" if structure.shape is Shape.GRAPH else "nprobe"])
        searches = _Searches(facts, structure, float(settings["target_recall"]), effort)
        choices.append(_index(searches))
        choices.append(_bitmap(searches) if structure.shape is Shape.GRAPH else _scan(searches))
        choices.append(_postfilter(searches))
    forced = settings["access_path"]
    return tuple(
        sorted(
            choices,
            key=lambda c: (
                math.isinf(c.nanoseconds),
                c.path.value != forced,
                c.nanoseconds,
            ),
        )
    )


@dataclass(frozen=True, slots=True)
class _Searches:
    """One structure under one target: how hard it must work to find a given depth."""

    facts: SearchFacts
    structure: Structure
    target: float
    forced_effort: int

    def at(self, depth: float) -> tuple[int, float] | None:
        """Return (effort, nanoseconds) that reach the target at `depth`, or None."""
        if self.forced_effort:
            return self.forced_effort, self.cost(self.forced_effort, depth)
        found = effort_for(self.structure.curve, depth, self.target)
        return None if found is None else (found[0], found[1] * self.facts.slowness)

    def cost(self, effort: int, depth: float) -> float:
        """Return the nanoseconds of a search at some effort and depth."""
        return _cost(self.structure.curve, depth, effort) * self.facts.slowness

    def choice(self, path: AccessPath, effort: int, nanoseconds: float) -> Choice:
        # That of k, however deep a filter makes the search go: its matches may all be near.
        factor = _reorder_factor(self.structure.curve, self.facts.k)
        return Choice(path, self.structure.name, effort, nanoseconds, reorder_factor=factor)

    def refuse(self, path: AccessPath, reason: str) -> Choice:
        effort = self.forced_effort or max((p.effort for p in self.structure.curve), default=1)
        return Choice(path, self.structure.name, effort, math.inf, reason)


def _exact(facts: SearchFacts) -> Choice:
    machine = facts.machine
    each = facts.exact_nanoseconds * facts.slowness or machine.cost(facts.distance)
    cost = _CALLS * machine.constant(CALL) + facts.matches * (each + machine.constant(CHOICE))
    cost += facts.mask_nanoseconds
    return Choice(AccessPath.EXACT, None, 0, cost)


def _index(searches: _Searches) -> Choice:
    if searches.facts.filtered:
        return searches.refuse(AccessPath.INDEX, "there is a filter")
    found = searches.at(searches.facts.k)
    if found is None:
        return searches.refuse(AccessPath.INDEX, "the target recall is beyond its curve")
    return searches.choice(AccessPath.INDEX, *found)


def _bitmap(searches: _Searches) -> Choice:
    facts = searches.facts
    if not facts.filtered:
        return searches.refuse(AccessPath.BITMAP, "there is no filter")
    found = searches.at(_depth(facts))
    if found is None:
        return searches.refuse(AccessPath.BITMAP, "the filter keeps too few rows for a graph")
    effort, cost = found
    cost *= 1.0 + _BITMAP_SEARCHES_THINNER * math.log10(_depth(facts) / facts.k)
    cost += searches.cost(PROBE_ROWS, PROBE_ROWS)
    return searches.choice(AccessPath.BITMAP, effort, cost + facts.mask_nanoseconds)


def _scan(searches: _Searches) -> Choice:
    facts = searches.facts
    if not facts.filtered:
        return searches.refuse(AccessPath.SCAN, "there is no filter")
    found = searches.at(_depth(facts))
    if found is None:
        return searches.refuse(AccessPath.SCAN, "the target recall is beyond its curve")
    effort = found[0]
    times = _SCAN_SEARCHES + _SCAN_SEARCHES_FARTHER * math.log10(_depth(facts) / facts.k)
    cost = times * searches.cost(effort, facts.k)
    choice = searches.choice(AccessPath.SCAN, effort, cost + facts.mask_nanoseconds)
    if searches.forced_effort:
        return choice
    share = _densest_share(searches.structure.curve, facts.k, _depth(facts), searches.target)
    return replace(choice, share_max=share)


def _postfilter(searches: _Searches) -> Choice:
    facts = searches.facts
    if not facts.filtered:
        return searches.refuse(AccessPath.POSTFILTER, "there is no filter")
    if facts.mask_known:
        return searches.refuse(AccessPath.POSTFILTER, "the matching rows are known")
    depth = _depth(facts) * 1.5
    if depth > facts.rows * WIDEST_SHARE:
        return searches.refuse(AccessPath.POSTFILTER, "the filter keeps too few rows")
    found = searches.at(depth)
    if found is None:
        return searches.refuse(AccessPath.POSTFILTER, "the target recall is beyond its curve")
    effort, cost = found
    # The predicate is evaluated over few rows, where the call is what it costs.
    cost += facts.machine.constant(RELATIONAL_CALL)
    return searches.choice(AccessPath.POSTFILTER, effort, cost)


def _depth(facts: SearchFacts) -> float:
    """How deep an unfiltered search must go to meet k matching rows, if the filter is random."""
    return facts.k * facts.rows / max(facts.matches, 1.0)


def _densest_share(curve: tuple[CurvePoint, ...], k: int, depth: float, target: float) -> float:
    """Return the largest share of matches around a query for which codes keep the target.

    Where all rows around it match, the k nearest matches are no deeper than k, and short codes
    that tell the nearest 1000 rows from the rest may not tell the nearest 10 from the next.
    """
    measured = {point.depth for point in curve}
    depths = sorted({float(k), depth, *(float(d) for d in measured if k < d < depth)})
    recalls = [_best_recall(curve, each) for each in depths]
    for place in range(len(depths) - 1, 0, -1):
        low, high = recalls[place - 1], recalls[place]
        if low < target:
            share = max(0.0, high - target) / max(high - low, 1e-9)
            shallower = math.pow(depths[place] / depths[place - 1], share)
            return min(1.0, k / depths[place] * shallower)
    return 1.0


def _reorder_factor(curve: tuple[CurvePoint, ...], depth: float) -> int:
    """Return the factor of the deepest measurement above `depth`: nearer rows are blurred more."""
    factors = {point.depth: point.reorder_factor for point in curve}
    reached = [each for each in factors if each <= depth]
    return factors[max(reached) if reached else min(factors)] if factors else 1


def _best_recall(curve: tuple[CurvePoint, ...], depth: float) -> float:
    """Return the recall at `depth` of the most effort measured, linear in its logarithm."""
    best: dict[int, float] = {}
    for point in curve:
        best[point.depth] = max(best.get(point.depth, 0.0), point.recall)
    low = max((d for d in best if d <= depth), default=min(best))
    high = min((d for d in best if d >= depth), default=max(best))
    if low >= high:
        return best[low]
    share = math.log(depth / low) / math.log(high / low)
    return best[low] + share * (best[high] - best[low])


def effort_for(
    curve: tuple[CurvePoint, ...], depth: float, target: float
) -> tuple[int, float] | None:
    """Return the least (effort, nanoseconds) whose recall at `depth` is the target, or None.

    Between measured settings both are interpolated; beyond the deepest measurement nothing is
    promised.
    """
    if not curve or depth > max(point.depth for point in curve):
        return None
    previous: tuple[int, float, float] | None = None
    for effort in sorted({point.effort for point in curve}):
        recall, cost = _interpolated(curve, depth, effort=effort)
        if recall >= target:
            if previous is None or recall == previous[1]:
                return effort, cost
            share = (target - previous[1]) / (recall - previous[1])
            between = math.ceil(previous[0] + share * (effort - previous[0]))
            return between, previous[2] + share * (cost - previous[2])
        previous = (effort, recall, cost)
    return None


def _cost(curve: tuple[CurvePoint, ...], depth: float, effort: int) -> float:
    """Return the nanoseconds of a search, linear between the efforts that were measured."""
    efforts = {point.effort for point in curve}
    low = max((each for each in efforts if each <= effort), default=min(efforts, default=effort))
    high = min((each for each in efforts if each >= effort), default=low)
    cost = _interpolated(curve, depth, effort=low)[1]
    if high == low:
        return cost
    share = (effort - low) / (high - low)
    return cost + share * (_interpolated(curve, depth, effort=high)[1] - cost)


def _interpolated(
    curve: tuple[CurvePoint, ...], depth: float, *, effort: int
) -> tuple[float, float]:
    """Return (recall, nanoseconds) at `effort` and `depth`, linear in the logarithm of depth.

    A graph is measured at a depth from an effort on that reaches it. Between two depths, a smaller
    effort finds at depth 200 what half of it finds at 100, or a little less.
    """
    nearest = min((point.effort for point in curve), key=lambda e: abs(e - effort), default=effort)
    points = sorted((p for p in curve if p.effort == nearest), key=lambda p: p.depth)
    if not points:
        return 0.0, math.inf
    deepest = points[-1]
    if depth > deepest.depth and any(p.depth > deepest.depth for p in curve):
        lesser = [p for p in curve if p.depth == deepest.depth]
        scaled = _DEEPER * effort * deepest.depth / depth
        return _at_effort(lesser, scaled), deepest.nanoseconds
    below = [p for p in points if p.depth <= depth] or points[:1]
    above = [p for p in points if p.depth >= depth] or points[-1:]
    low, high = below[-1], above[0]
    if low.depth >= high.depth:
        return low.recall, low.nanoseconds
    share = math.log(max(depth, low.depth) / low.depth) / math.log(high.depth / low.depth)
    recall = low.recall + share * (high.recall - low.recall)
    return recall, low.nanoseconds + share * (high.nanoseconds - low.nanoseconds)


def _at_effort(points: list[CurvePoint], effort: float) -> float:
    """Return the recall at an effort, linear between measured ones; 0 below the least."""
    points = sorted(points, key=lambda p: p.effort)
    below = [p for p in points if p.effort <= effort]
    above = [p for p in points if p.effort >= effort]
    if not below:
        return 0.0
    low, high = below[-1], above[0] if above else below[-1]
    if low.effort == high.effort:
        return low.recall
    share = (effort - low.effort) / (high.effort - low.effort)
    return low.recall + share * (high.recall - low.recall)
