"""Runs a plan: the one place that knows which operator does which node."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.executor.context import Context
from vsql.executor.result import Result
from vsql.planner.nodes import Plan, Subquery

Operator = Callable[[Context], Result]
"""A plan made ready to run; good for the snapshot and the settings that it was made with."""


# Each module is imported for the first plan of its kind: no search waits for the scans.
_FUNCTIONS: Mapping[str, str] = {
    "Scan": "scan:run_scan",
    "OrderedScan": "ordered_scan:run_ordered_scan",
    "Lookup": "scan:run_lookup",
    "Count": "scan:run_count",
}
"""What runs a plan of this kind: module:function, called with plan and context."""
_CLASSES: Mapping[str, str] = {
    "TopK": "topk:TopKOperator",
    "Fusion": "fusion:FusionOperator",
    "JoinedSearch": "joined_search:JoinedSearchOperator",
    "JoinedBatch": "joined_batch:JoinedBatchOperator",
    "Remainder": "relational:RemainderOperator",
}
"""The same for those that keep something from one run to the next: made of plan and context."""


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
    kind = type(plan).__name__
    if kind in _FUNCTIONS:
        return partial(_loaded(_FUNCTIONS[kind]), plan)
    operator: Operator = _loaded(_CLASSES[kind])(plan, context)
    return operator


@cache
def _loaded(where: str) -> Any:
    module, attribute = where.split(":")
    return getattr(importlib.import_module(f"vsql.executor.{module}"), attribute)


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
