"""Runs a plan: the one place that knows which operator does which node."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.executor.context import Context
from vsql.executor.result import Result
from vsql.executor.scan import run_count, run_lookup, run_scan
from vsql.executor.topk import TopKOperator
from vsql.planner.nodes import (
    Count,
    Fusion,
    JoinedSearch,
    Lookup,
    OrderedScan,
    Plan,
    Remainder,
    Scan,
    Subquery,
    TopK,
)

Operator = Callable[[Context], Result]
"""A plan made ready to run; good for the snapshot and the settings that it was made with."""


def run(plan: Plan, context: Context) -> Result:
    """Return what a query plan gives; raises whatever an operator raises, always a vsql error."""
    return prepare(plan, context)(context)


def prepare(plan: Plan, context: Context) -> Operator:
    """Return the operator of a query plan."""
    operator = _operator(plan, context)
    if not plan.subqueries:
        return operator

    def after_subqueries(context: Context) -> Result:
        # Keys are numbered within one plan: a nested plan's must not replace those around it.
        own = replace(context, parameters=dict(context.parameters))
        run_subqueries(plan.subqueries, own)
        return operator(own)

    return after_subqueries


def _operator(plan: Plan, context: Context) -> Operator:
    if isinstance(plan, TopK):
        return TopKOperator(plan, context)
    if isinstance(plan, Fusion):
        from vsql.executor.fusion import FusionOperator

        return FusionOperator(plan, context)
    if isinstance(plan, JoinedSearch):
        from vsql.executor.joined_search import JoinedSearchOperator

        return JoinedSearchOperator(plan, prepare, context)
    if isinstance(plan, Remainder):
        from vsql.executor.relational import RemainderOperator

        return RemainderOperator(plan, prepare)
    return partial(_OPERATORS[type(plan)], plan)


def run_subqueries(subqueries: tuple[Subquery, ...], context: Context) -> None:
    """Run the subqueries of a plan and bind their values as parameters."""
    for subquery in subqueries:
        table = run(subquery.plan, context).table
        assert table is not None
        if table.num_columns != 1:
            raise ProgrammingError(
                "subquery must return only one column", code=sqlstate.SYNTAX_ERROR
            )
        column = table.column(0)
        if subquery.many:
            context.parameters[subquery.key] = column.to_pylist()
            continue
        if table.num_rows > 1:
            raise ProgrammingError(
                "more than one row returned by a subquery used as an expression",
                code=sqlstate.CARDINALITY_VIOLATION,
            )
        context.parameters[subquery.key] = _single(column)


def _single(column: pa.ChunkedArray) -> Any:
    if len(column) == 0:
        return None
    value = column[0]
    if isinstance(value, pa.FixedSizeListScalar):
        return None if not value.is_valid else value.values.to_numpy()
    return value.as_py()


def _ordered_scan(plan: OrderedScan, context: Context) -> Result:
    # Arrow's kernels take long to import, and a first search needs none.
    from vsql.executor.ordered_scan import run_ordered_scan

    return run_ordered_scan(plan, context)


_OPERATORS: dict[type[Any], Callable[[Any, Context], Result]] = {
    Scan: run_scan,
    OrderedScan: _ordered_scan,
    Lookup: run_lookup,
    Count: run_count,
}
