"""EXPLAIN and EXPLAIN ANALYZE: the plan's text, the access paths it weighs, and what happened."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import pyarrow as pa

from vsql.core.machine import Machine
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import JSON, TEXT
from vsql.executor.context import Context
from vsql.executor.prune import pruned_count
from vsql.executor.result import Result
from vsql.executor.search import search_facts
from vsql.executor.trace import Trace
from vsql.executor.values import count_of
from vsql.planner.choose import Choice, SearchFacts, consider
from vsql.planner.explain import explain
from vsql.planner.nodes import TopK
from vsql.planner.relational_nodes import BatchTopK, Remainder
from vsql.planner.search_nodes import Fusion, JoinedBatch

DEFAULT_LIMIT = 10


def explained(
    plan: Any,
    context: Context,
    execute: Callable[[], Result] | None,
    format_: Literal["text", "json"],
    spent: Mapping[str, int],
) -> Result:
    """Return the plan as rows of text, or as one JSON document; `execute` runs it for ANALYZE.

    `spent` is what was spent before, in nanoseconds by phase.
    """
    lines = [*explain(plan), *_pruned(plan, context)]
    weighed = [list(_weighed(search, context)) for search in searches_of(plan)]
    actual: list[str] = []
    if execute is not None:
        context.trace = Trace(phases=dict(spent))
        started = time.perf_counter_ns()
        result = execute()
        done = time.perf_counter_ns()
        result.gather()
        context.trace.add("fetch", time.perf_counter_ns() - done)
        actual = _actual(context.trace, result, time.perf_counter_ns() - started)
    if format_ == "json":
        conditions = list(_conditions(plan, context))
        document = {"plan": lines, "conditions": conditions, "paths": weighed, "actual": actual}
        whole = pa.table({"QUERY PLAN": pa.array([json.dumps(document, indent=2)], pa.string())})
        return Result("EXPLAIN", whole, (JSON,), 1)
    lines = [*lines, *(line for part in weighed for line in part), *actual]
    table = pa.table({"QUERY PLAN": pa.array(lines, pa.string())})
    return Result("EXPLAIN", table, (TEXT,), len(lines))


def _pruned(plan: Any, context: Context) -> Iterator[str]:
    """Tell how many segments the predicates leave out, for each table that has some."""
    for node in _parts(plan):
        conjuncts, name = getattr(node, "conjuncts", ()), getattr(node, "table", "")
        if not conjuncts or name not in context.snapshot.tables:
            continue
        pruned, total = pruned_count(conjuncts, context.table(name), context)
        if total:
            yield f"{name}: {pruned} of {total} segments pruned"


def _conditions(plan: Any, context: Context) -> Iterator[dict[str, Any]]:
    """Yield what is known of each conjunct over a table: the share of rows that it keeps."""
    for node in _parts(plan):
        for conjunct in getattr(node, "conjuncts", ()):
            yield {
                "table": getattr(node, "table", ""),
                "condition": conjunct.text,
                "selectivity": conjunct.selectivity,
                "index": conjunct.condition is not None,
                "nanoseconds_per_row": context.snapshot.machine.cost(conjunct.row_work),
            }


def _parts(plan: Any) -> Iterator[Any]:
    yield plan
    for name in ("source", "search", "joined"):
        inner = getattr(plan, name, None)
        if inner is not None:
            yield from _parts(inner)
    if isinstance(plan, Remainder):
        for _, source in plan.inputs:
            yield from _parts(source)


def searches_of(plan: Any) -> Iterator[TopK]:
    """Yield the vector searches inside a plan."""
    match plan:
        case TopK():
            yield plan
        case BatchTopK() | JoinedBatch():
            yield plan.search
        case Fusion():
            yield from plan.searches
        case Remainder():
            for _, source in plan.inputs:
                yield from searches_of(source)
    inner = getattr(plan, "source", None)
    if inner is not None:
        yield from searches_of(inner)


def _weighed(plan: TopK, context: Context) -> Iterator[str]:
    table = context.table(plan.table)
    k = DEFAULT_LIMIT
    if plan.limit is not None:
        try:
            k = count_of(plan.limit, "LIMIT", context) or DEFAULT_LIMIT
        except Exception:  # an unbound parameter: EXPLAIN still shows the shape of the plan
            k = DEFAULT_LIMIT
    share = math.prod(conjunct.selectivity for conjunct in plan.conjuncts)
    segments = _segment_facts(plan, table, share, k, context.snapshot.machine)
    for number, facts in enumerate(segments, 1):
        yield (
            f"segment {number}: {facts.rows} rows, about {facts.matches:.0f} match, top {facts.k}"
        )
        for rank, choice in enumerate(consider(facts, context.settings)):
            yield f"  {'->' if rank == 0 else '  '} {_path(choice)}"


def _segment_facts(
    plan: TopK, table: TableSnapshot, share: float, k: int, machine: Machine
) -> Iterator[SearchFacts]:
    column = table.table.column(plan.column)
    for segment in table.sealed:
        yield search_facts(
            plan,
            column,
            segment,
            machine,
            rows=segment.row_count,
            matches=share * segment.live_count,
            filtered=bool(plan.conjuncts) or segment.deleted_count > 0,
            k=k,
        )
    growing = sum(segment.live_count for segment in table.inlined)
    if growing:
        yield search_facts(
            plan,
            column,
            None,
            machine,
            rows=growing,
            matches=share * growing,
            filtered=bool(plan.conjuncts),
            k=k,
        )


def _path(choice: Choice) -> str:
    where = f" on {choice.structure}" if choice.structure is not None else ""
    if math.isinf(choice.nanoseconds):
        return f"{choice.path.title}{where}: not possible, {choice.reason}"
    effort = f", effort {choice.effort}" if choice.structure is not None else ""
    return f"{choice.path.title}{where}: cost {choice.nanoseconds / 1e3:.0f} us{effort}"


def _actual(trace: Trace, result: Result, nanoseconds: int) -> list[str]:
    rows = result.row_count if result.row_count >= 0 else 0
    lines = [f"actual: {rows} rows in {nanoseconds / 1e6:.3f} ms"]
    lines += [f"  {note}" for note in trace.notes]
    lines.append(
        f"  exact distances: {trace.distances}, predicate masks: {trace.mask_hits} kept, "
        f"{trace.mask_misses} evaluated"
    )
    lines += [f"  {phase}: {spent / 1e6:.3f} ms" for phase, spent in trace.phases.items()]
    return lines
