"""Runs a plan: the one place that knows which operator does which node."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.core.types import BIGINT
from vsql.executor.context import Context
from vsql.executor.fields import field_of
from vsql.executor.result import Result, table_result
from vsql.executor.scan import pick, run_count, run_lookup, run_scan
from vsql.executor.take import take_column
from vsql.executor.topk import TopKOperator, run_batch
from vsql.executor.vectors import vector_parameter
from vsql.planner.nodes import (
    ORDINAL,
    BatchTopK,
    Count,
    FunctionInput,
    Fusion,
    Lookup,
    OrderedScan,
    OutsideInput,
    Plan,
    Remainder,
    Scan,
    Subquery,
    SystemInput,
    TableInput,
    TopK,
    Widening,
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


def run_remainder(plan: Remainder, context: Context) -> Result:
    """Return what DuckDB makes of the inputs."""
    widening = plan.widening
    own = None if widening is None else widening.search
    inputs = {name: _input(source, context) for name, source in plan.inputs if name != own}
    bound = {key: context.parameter(key) for key in plan.parameters}
    # DuckDB is imported when it is first needed.
    from vsql.executor.remainder import as_vectors

    for key, type_ in plan.vector_parameters:
        bound[key] = vector_parameter(bound[key], type_)
    if widening is None:
        table = context.relational().query(plan.sql, inputs, bound)
    else:
        table = _widened(plan, widening, inputs, bound, context)
    return table_result(as_vectors(table, plan.vectors) if plan.vectors else table)


def _widened(
    plan: Remainder,
    widening: Widening,
    inputs: dict[str, pa.Table],
    bound: dict[str, Any],
    context: Context,
) -> pa.Table:
    from vsql.executor.widening import widened

    search = dict(plan.inputs)[widening.search]
    assert isinstance(search, TopK)

    def query(searched: pa.Table, context: Context) -> pa.Table:
        return context.relational().query(plan.sql, {**inputs, widening.search: searched}, bound)

    return widened(widening, search, partial(_input, search), query, context)


def _input(source: Any, context: Context) -> pa.Table:
    match source:
        case TableInput():
            return _table_input(source, context)
        case OutsideInput():
            table = context.outside[source.table].select(list(source.columns))
            return _numbered(table, source.ordinal)
        case FunctionInput():
            from vsql.executor.table_functions import run_function

            return run_function(source, context)
        case SystemInput():
            from vsql.executor.system_rows import system_rows

            return system_rows(source, context)
        case BatchTopK():
            return run_batch(source, _outer_vectors(source, context), context)
        case _:
            table = run(source, context).table
            return _numbered(table, ORDINAL if isinstance(source, TopK | Fusion) else None)


def _outer_vectors(batch: BatchTopK, context: Context) -> Any:
    if batch.outer in context.outside:
        return context.outside[batch.outer].column(batch.query_column)
    wanted = TableInput(batch.outer, (batch.query_column,))
    return _table_input(wanted, context).column(0)


def _table_input(source: TableInput, context: Context) -> pa.Table:
    table = context.table(source.table)
    picked = pick(source.conjuncts, table, context)
    arrays = []
    for name in source.columns:
        column = table.table.column(name)
        if picked:
            arrays.append(take_column(picked, column))
        else:
            arrays.append(pa.array([], type=column.type.arrow))
    columns = [table.table.column(name) for name in source.columns]
    fields = [field_of(c.name, c.type, c.type.arrow) for c in columns]
    return _numbered(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), source.ordinal)


def _numbered(table: pa.Table, ordinal: str | None) -> pa.Table:
    if ordinal is None:
        return table
    return table.append_column(ordinal, pa.array(range(table.num_rows), BIGINT.arrow))


def _ordered_scan(plan: OrderedScan, context: Context) -> Result:
    # Arrow's kernels take long to import, and a first search needs none.
    from vsql.executor.ordered_scan import run_ordered_scan

    return run_ordered_scan(plan, context)


_OPERATORS: dict[type[Any], Callable[[Any, Context], Result]] = {
    Scan: run_scan,
    OrderedScan: _ordered_scan,
    Lookup: run_lookup,
    Count: run_count,
    Remainder: run_remainder,
}
