"""Vector search over one segment: choose the path for its true number of matches, and walk it.

Every path ends in exact distances, computed from the column itself, so a distance is the same
whichever path found it. No path returns fewer than k rows while k match: when an index comes back
short, exact search takes over.
"""

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vsql.core.distance import Metric
from vsql.core.machine import Machine, distance_work
from vsql.core.protocols import Rows, Shape, Vectors, VectorSearcher
from vsql.core.schema import Column
from vsql.core.snapshot import SegmentFacts, TableSnapshot
from vsql.executor.context import Context
from vsql.executor.filter import kept_mask, mask_of
from vsql.executor.interim import INTERIM_ROWS, candidates
from vsql.executor.open_index import open_index
from vsql.executor.ranker import ranker_of
from vsql.executor.row_mask import RowMask
from vsql.index import registry
from vsql.index.exact import length_of
from vsql.planner.choose import (
    PROBE_ROWS,
    WIDEST_SHARE,
    AccessPath,
    Choice,
    SearchFacts,
    Structure,
    consider,
)
from vsql.planner.nodes import Conjunct, TopK
from vsql.storage.growing import GrowingSegment
from vsql.storage.segment import OpenSegment

if TYPE_CHECKING:
    from vsql.index.growing_codes import GrowingCodes

_POSTFILTER_ROUNDS = 3
_WIDENING = 4
# So many of the top k, from the second half of the candidates: more of them lie beyond.
_LAST_SHARE = 0.05
# A mask that keeps more than this share, without a predicate, are deleted rows and NULLs.
_MOSTLY_LIVE = 0.7
# How far the matches among the first neighbours may exceed their share by chance.
_CHANCE_DEVIATIONS = 2.0
# How much further than its share a random filter's nearest matches may lie by chance.
_DENSITY_TOLERANCE = 1.25

Distances = npt.NDArray[np.float32]


@dataclass(slots=True)
class Search:
    """One top-k over one table, its query bound.

    `total` counts the live rows of the table. `choices` remembers paths by what they depend on, for
    as long as the settings stay the same. No row farther than `bound` is among the nearest k: so
    far is the k-th of the segments before.
    """

    plan: TopK
    table: TableSnapshot
    column: Column
    query: npt.NDArray[Any]
    k: int
    total: int
    choices: dict[object, Choice]
    bound: float = math.inf
    _unit: Vectors | None = None

    @property
    def unit(self) -> Vectors:
        """The query as index structures want it; exact search does without."""
        if self._unit is None:
            self._unit = unit_vector(self.query, self.plan.metric)
        return self._unit


def search_segment(
    search: Search, segment: OpenSegment, context: Context
) -> tuple[Rows, Distances]:
    """Return at least the k nearest matching rows of a segment with distances, or all that match.

    In order of (distance, row); ties with the last one may be left in.
    """
    plan = search.plan
    valid = segment.vector_bits(search.column.id)
    forced = context.settings["access_path"] == AccessPath.POSTFILTER.value
    mask = None
    if plan.conjuncts and not forced:
        mask = kept_mask(plan.conjuncts, segment, context, valid)
    if mask is None:
        lazy = _lazy_choice(search, segment, context, forced=forced)
        found = None if lazy is None else _postfilter(search, segment, lazy, context)
        if found is not None:
            return found
        mask = mask_of(plan.conjuncts, search.table, segment, context, valid)
    matches = segment.row_count if mask is None else mask.count
    if matches == 0 or search.k == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    if isinstance(segment, GrowingSegment):
        interim = _interim(search, segment, mask, matches, context)
        if interim is not None:
            return interim
    choice = choice_of(search, segment, matches, mask is not None, context)
    if mask is not None and choice.share_max < 1.0:
        choice = _choice_by_density(search, segment, choice, mask, context)
    if context.trace is None:
        return _walk(search, segment, choice, mask, context)
    started = time.perf_counter_ns()
    found = _walk(search, segment, choice, mask, context)
    context.trace.notes.append(
        f"{choice.path.title}"
        + (f" on {choice.structure} (effort {choice.effort})" if choice.structure else "")
        + f": {matches} of {segment.row_count} rows match, {len(found[0])} returned, "
        + f"{(time.perf_counter_ns() - started) / 1e6:.3f} ms, "
        + f"estimated {choice.nanoseconds / 1e6:.3f} ms"
    )
    context.trace.add("search", time.perf_counter_ns() - started)
    return found


def choice_of(
    search: Search, segment: OpenSegment, matches: int, masked: bool, context: Context
) -> Choice:
    """Choose a path; few deleted rows are no filter: an index passes over them on its way."""
    few = masked and not search.plan.conjuncts and matches > _MOSTLY_LIVE * segment.row_count
    forced = context.settings["access_path"] != "auto"
    return choose(search, segment, matches, masked and (forced or not few), context)


def _choice_by_density(
    search: Search, segment: OpenSegment, choice: Choice, mask: RowMask, context: Context
) -> Choice:
    """Choose without a structure whose codes blur the matches, where these are dense around the
    query.
    """
    if context.settings["access_path"] != "auto" or choice.structure is None:
        return choice
    searcher = searcher_of(search, segment, choice.structure, context)
    share, probed = _share_nearby(search, searcher, choice.effort, mask)
    chance = math.sqrt(probed * choice.share_max * (1.0 - choice.share_max))
    if (share - choice.share_max) * probed <= _CHANCE_DEVIATIONS * chance:
        return choice
    key = (segment.cache_key, "without", choice.structure, mask.count, search.k)
    known = search.choices.get(key)
    if known is not None:
        return known
    facts = _facts(search, segment, mask.count, True, context)
    others = tuple(s for s in facts.structures if s.name != choice.structure)
    best = consider(replace(facts, structures=others), context.settings)[0]
    return _remember(search, key, best)


def _remember(search: Search, key: tuple[object, ...], choice: Choice) -> Choice:
    """Keep a choice for the next query; the first of `key` says of which rows, None if of none."""
    if key[0] is not None:
        search.choices[key] = choice
    return choice


def _interim(
    search: Search,
    segment: GrowingSegment,
    mask: RowMask | None,
    matches: int,
    context: Context,
) -> tuple[Rows, Distances] | None:
    """Search growing rows through their codes, where there are some and it pays."""
    codes = segment.growing.codes.get((search.column.id, search.plan.metric))
    if codes is None or matches < INTERIM_ROWS // 2 or search.k * 4 > matches:
        return None
    if context.settings["access_path"] not in ("auto", AccessPath.INDEX.value):
        return None
    wanted = wanted_candidates(codes, search.k, 1, context)
    found = _within_bound(search, segment, codes, mask, matches, wanted, context)
    if found is None:
        rows = candidates(codes, search.unit, wanted, mask, segment.row_count)
        found = _ranked(search, segment, rows, context)
        if len(found[0]) < min(search.k, matches) or _short(found[1]):
            return None
    if context.trace is not None:
        context.trace.notes.append(
            f"codes of growing rows: {matches} of {segment.row_count} rows match, "
            f"{len(found[0])} returned"
        )
    return found


def _within_bound(
    search: Search,
    segment: GrowingSegment,
    codes: "GrowingCodes",
    mask: RowMask | None,
    matches: int,
    wanted: int,
    context: Context,
) -> tuple[Rows, Distances] | None:
    """Return the growing rows that may be among the nearest k, None where these are not few.

    Beside many other rows few of them are, and few candidates hold these.
    """
    if search.bound == math.inf:
        return None
    expected = math.ceil(search.k * matches / search.total) + 1
    fewer = wanted_candidates(codes, expected, 1, context)
    if fewer >= wanted:
        return None
    rows = candidates(codes, search.unit, fewer, mask, segment.row_count)
    ranker = ranker_of(context, segment, search.column, search.plan.metric)
    found = ranker.within(search.query, rows, search.bound)
    if found is None or len(found[0]) > expected:
        return None
    if context.trace is not None:
        context.trace.distances += len(rows)
    return found


def search_facts(
    plan: TopK,
    column: Column,
    segment: SegmentFacts | None,
    machine: Machine,
    *,
    rows: int,
    matches: float,
    filtered: bool,
    k: int,
    mask_nanoseconds: float | None = 0.0,
) -> SearchFacts:
    """Return what the choice of a path depends on; `segment` is None for rows that grow.

    `mask_nanoseconds` is what finding the matches still costs, None where they are known.
    """
    every = segment.index_files if segment is not None else ()
    files = [file for file in every if file.index_id in plan.index_ids]
    return SearchFacts(
        rows=rows,
        matches=matches,
        filtered=filtered,
        k=k,
        distance=distance_work(column.type, plan.metric),
        structures=tuple(
            Structure(file.structure, registry.vector_kind(file.structure).shape, file.curve)
            for file in files
        ),
        exact_nanoseconds=max((file.exact_nanoseconds for file in files), default=0.0),
        mask_nanoseconds=mask_nanoseconds or 0.0,
        mask_known=mask_nanoseconds is None,
        machine=machine,
    )


def choose(
    search: Search,
    segment: OpenSegment,
    matches: float,
    filtered: bool,
    context: Context,
    mask_nanoseconds: float | None = None,
) -> Choice:
    """Return the cheapest path over a segment of which `matches` rows pass; remembered.

    `mask_nanoseconds` is what finding these still costs, None where they are known.
    """
    key = (segment.cache_key, matches, filtered, search.k, mask_nanoseconds)
    known = search.choices.get(key)
    if known is not None:
        return known
    facts = _facts(search, segment, matches, filtered, context, mask_nanoseconds)
    return _remember(search, key, consider(facts, context.settings)[0])


def _facts(
    search: Search,
    segment: OpenSegment,
    matches: float,
    filtered: bool,
    context: Context,
    mask_nanoseconds: float | None = None,
) -> SearchFacts:
    return search_facts(
        search.plan,
        search.column,
        segment.facts,
        context.snapshot.machine,
        rows=segment.row_count,
        matches=matches,
        filtered=filtered,
        k=search.k,
        mask_nanoseconds=mask_nanoseconds,
    )


def _lazy_choice(
    search: Search, segment: OpenSegment, context: Context, *, forced: bool
) -> Choice | None:
    """Return a post-filter where the predicate is so dear that evaluating it everywhere loses."""
    conjuncts = search.plan.conjuncts
    if not conjuncts or segment.is_growing or not search.plan.index_ids:
        return None
    machine = context.snapshot.machine
    per_row = sum(machine.cost(conjunct.row_work) for conjunct in conjuncts)
    cost = per_row * segment.row_count
    if not forced and (cost < 2_000_000 or any(c.condition is not None for c in conjuncts)):
        return None
    share = _product(conjuncts)
    estimated = max(1.0, share * segment.row_count)
    choice = choose(search, segment, estimated, True, context, cost)
    return choice if choice.path is AccessPath.POSTFILTER else None


def _product(conjuncts: tuple[Conjunct, ...]) -> float:
    share = 1.0
    for conjunct in conjuncts:
        share *= conjunct.selectivity
    return share


def _walk(
    search: Search,
    segment: OpenSegment,
    choice: Choice,
    mask: RowMask | None,
    context: Context,
) -> tuple[Rows, Distances]:
    matches = segment.row_count if mask is None else mask.count
    if choice.path is AccessPath.EXACT or choice.structure is None:
        return _exact(search, segment, mask, context)
    searcher = searcher_of(search, segment, choice.structure, context)
    if mask is not None and choice.path is AccessPath.SCAN:
        return _scan(search, segment, choice, searcher, mask, context)
    candidates = wanted_candidates(searcher, search.k, choice.reorder_factor, context)
    effort = choice.effort
    bits = None if mask is None else mask.bits
    if mask is not None and choice.path is AccessPath.BITMAP:
        denser = _effort_by_density(search, segment, choice, searcher, mask, context)
        if denser is None:
            return _exact(search, segment, mask, context)
        effort = denser
    rows = searcher.search(search.unit.reshape(1, -1), candidates, max(effort, 1), bits)[0]
    if rows[-1] < 0:
        rows = rows[rows >= 0]
    found = _ranked(search, segment, rows, context)
    if len(found[0]) < min(search.k, matches) or _short(found[1]):
        return _exact(search, segment, mask, context)
    return found


def _scan(
    search: Search,
    segment: OpenSegment,
    choice: Choice,
    searcher: VectorSearcher,
    mask: RowMask,
    context: Context,
) -> tuple[Rows, Distances]:
    """Rank the matches in the lists around the query, more where their codes tell them apart less.

    How many candidates hold the top k was measured around queries. Matches far from one are about
    equally far, and the true nearest may stand anywhere among them.
    """
    wanted = wanted_candidates(searcher, search.k, choice.reorder_factor, context)
    effort = max(choice.effort, 1)
    is_fixed = int(context.settings["reorder_k"]) > 0
    while True:
        rows = searcher.search_dense(search.unit, wanted, effort, mask.bits, _DENSITY_TOLERANCE)
        rows = rows[rows >= 0]
        found = _ranked(search, segment, rows, context)
        if len(found[0]) < min(search.k, mask.count) or _short(found[1]):
            break
        if is_fixed or len(rows) != wanted:
            return found
        last = rows[max(search.k, wanted // 2) :].tolist()
        if len(set(found[0].tolist()).intersection(last)) <= _LAST_SHARE * search.k:
            return found
        wanted *= _WIDENING
        if wanted > WIDEST_SHARE * mask.count:
            break
    return _exact(search, segment, mask, context)


def _short(distances: Distances) -> bool:
    """A NaN among the nearest: zero vectors crowd out what has a distance."""
    return len(distances) > 0 and bool(distances[-1] != distances[-1])


def wanted_candidates(
    searcher: "VectorSearcher | GrowingCodes", k: int, factor: int, context: Context
) -> int:
    """Return how many candidates to rank exactly: as many as the codes need, or `reorder_k`."""
    asked = int(context.settings["reorder_k"])
    return max(asked, k) if asked else factor * searcher.candidates(k)


def _effort_by_density(
    search: Search,
    segment: OpenSegment,
    choice: Choice,
    searcher: Any,
    mask: RowMask,
    context: Context,
) -> int | None:
    """Return the effort that the matches around the query call for, None where a graph starves.

    A filter that correlates with the vectors is thinner, or denser, near the query than overall:
    the first neighbours tell.
    """
    forced = int(context.settings["ef_search"])
    if forced:
        return forced
    share, _ = _share_nearby(search, searcher, PROBE_ROWS, mask)
    overall = mask.count / mask.row_count
    if share == 0.0:
        return None
    if share >= overall:
        return choice.effort
    best = _bitmap_at(search, segment, choice.structure, share * mask.row_count, context)
    serves = best.path is AccessPath.BITMAP and best.nanoseconds != float("inf")
    return best.effort if serves else None


def _bitmap_at(
    search: Search, segment: OpenSegment, structure: str | None, matches: float, context: Context
) -> Choice:
    """Return the choice if it were by bitmap on one structure; remembered."""
    # Of 50 neighbours so and so many match: there are few shares, and each query has one.
    key = (segment.cache_key, "bitmap", structure, matches, search.k)
    known = search.choices.get(key)
    if known is not None:
        return known
    facts = _facts(search, segment, matches, True, context)
    own = tuple(s for s in facts.structures if s.name == structure)
    settings = {**context.settings, "access_path": AccessPath.BITMAP.value}
    return _remember(search, key, consider(replace(facts, structures=own), settings)[0])


def _share_nearby(
    search: Search, searcher: VectorSearcher, effort: int, mask: RowMask
) -> tuple[float, int]:
    """Return the share of matches among the first neighbours of the query, and their number."""
    near = searcher.search(search.unit.reshape(1, -1), PROBE_ROWS, effort, None)[0]
    near = near[near >= 0]
    return (float(mask.contains(near).mean()) if len(near) else 0.0), len(near)


def searcher_of(search: Search, segment: OpenSegment, structure: str, context: Context) -> Any:
    """Return an opened structure of one of the indexes that serve the search."""
    assert segment.facts is not None
    for file in segment.facts.index_files:
        if file.structure == structure and file.index_id in search.plan.index_ids:
            return open_index(file, context)
    raise AssertionError(structure)


def _exact(
    search: Search, segment: OpenSegment, mask: RowMask | None, context: Context
) -> tuple[Rows, Distances]:
    rows = np.arange(segment.row_count, dtype=np.int64) if mask is None else mask.rows
    return _ranked(search, segment, rows, context)


def _ranked(
    search: Search, segment: OpenSegment, rows: Rows, context: Context
) -> tuple[Rows, Distances]:
    if context.trace is not None:
        context.trace.distances += len(rows)
    ranker = ranker_of(context, segment, search.column, search.plan.metric)
    return ranker.best(search.query, rows, search.k)


def _postfilter(
    search: Search, segment: OpenSegment, choice: Choice, context: Context
) -> tuple[Rows, Distances] | None:
    """Search without the predicate, evaluate it on what comes back, widen until k rows pass."""
    assert choice.structure is not None
    kind = registry.vector_kind(choice.structure)
    searcher = searcher_of(search, segment, choice.structure, context)
    share = max(_product(search.plan.conjuncts), 1e-3)
    depth = min(segment.row_count, int(search.k / share * 1.5) + 10)
    base = mask_of((), search.table, segment, context, segment.vector_bits(search.column.id))
    bits = None if base is None else base.bits
    for _ in range(_POSTFILTER_ROUNDS):
        effort = max(choice.effort, depth if kind.shape is Shape.GRAPH else choice.effort)
        rows = searcher.search(search.unit.reshape(1, -1), depth, effort, bits)[0]
        rows = rows[rows >= 0]
        passed = _passing_rows(search, segment, rows, context)
        if len(passed) >= search.k:
            if context.trace is not None:
                context.trace.notes.append(
                    f"{choice.path.title} on {choice.structure} (effort {effort}): "
                    f"{len(passed)} of the nearest {len(rows)} pass"
                )
            return _ranked(search, segment, passed, context)
        depth *= _WIDENING
        if depth > WIDEST_SHARE * segment.row_count:
            break
    return None


def _passing_rows(search: Search, segment: OpenSegment, rows: Rows, context: Context) -> Rows:
    from vsql.executor.conjuncts import passing

    for conjunct in search.plan.conjuncts:
        passed = passing(conjunct, search.table, segment, context, rows)
        flags = passed.fill_null(False).to_numpy(zero_copy_only=False)
        rows = rows[flags]
        if not len(rows):
            break
    return np.ascontiguousarray(rows)


def unit_vector(query: Vectors, metric: Metric) -> Vectors:
    """Return the query as index structures want it: float32, normalised for cosine; bits packed."""
    if metric.over_bits:
        return query
    vector: Vectors = query.astype(np.float32, copy=False)
    if metric is Metric.COSINE:
        length = length_of(vector)
        if 0 < length < math.inf:
            vector = vector / np.float32(length)
    return vector
