"""SELECTs that run natively: top-k, point lookup, filtered scan, count; everything else is None.

A SELECT over one stored table without grouping, windows or joins is tried in that order. What it
projects must be columns of the table, or the distance that it is ordered by; the caller wraps
anything richer in a remainder.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from vsql.planner.facts import Facts
from vsql.planner.nodes import Subquery, TopK
from vsql.planner.select import (
    Single,
    ordering_of,
    projected,
    reads_elsewhere,
    search_plan,
    single_table,
)

if TYPE_CHECKING:
    from vsql.planner.scan_nodes import Count, Lookup, OrderedScan, Scan
    from vsql.planner.search_nodes import Fusion

    _Native = Count | Scan | Lookup | OrderedScan | TopK | Fusion

Lift = Callable[[exp.Select], tuple[exp.Select, tuple[Subquery, ...]]]


@dataclass(frozen=True, slots=True)
class Planning:
    """What each query of a statement is planned with.

    `settings` are the statement's own (SEARCH PARAMS); `lift` takes the subqueries out of a search.
    """

    facts: Facts
    settings: Mapping[str, str]
    lift: Lift


def native_query(tree: exp.Expr, planning: Planning) -> "_Native | None":
    """Return the native plan of a query over one table, or None where it needs DuckDB.

    Raises ProgrammingError for unknown columns.
    """
    single = single_table(tree, planning.facts)
    if single is None:
        return None
    lifted, subqueries = planning.lift(single.tree)
    plan = _native_plan(replace(single, tree=lifted), planning.settings)
    return replace(plan, subqueries=subqueries) if plan is not None and subqueries else plan


def _native_plan(single: Single, settings: Mapping[str, str]) -> "_Native | None":
    """Return the native plan of the SELECT, or None where it needs DuckDB.

    Raises ProgrammingError for unknown columns.
    """
    if reads_elsewhere(single.where):
        return None
    ordering = ordering_of(single)
    if ordering is None:
        # Imported for the first scan: a first search does not wait for it.
        from vsql.planner.scans import scan_plan

        return scan_plan(single)
    outputs = projected(single, ordering)
    return None if outputs is None else search_plan(single, ordering, outputs, settings)
