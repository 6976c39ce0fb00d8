"""Runs the relational rest: inputs made by vsql, and DuckDB's SQL over them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core.bits import are_set
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import BIGINT
from vsql.executor.context import Context
from vsql.executor.dictionaries import dictionaries
from vsql.executor.fields import field_of
from vsql.executor.ranker import ranker_of
from vsql.executor.remainder import as_vectors
from vsql.executor.result import Result, table_result
from vsql.executor.run import prepare
from vsql.executor.scan import pick
from vsql.executor.take import Picked, take_column
from vsql.executor.values import query_vector
from vsql.planner.nodes import Plan, TopK
from vsql.planner.relational_nodes import (
    ORDINAL,
    BatchTopK,
    ComputedDistance,
    FunctionInput,
    Numbered,
    OutsideInput,
    Remainder,
    SystemInput,
    TableInput,
    Widening,
)
from vsql.planner.search_nodes import Fusion

Inputs = dict[str, pa.Table]


class RemainderOperator:
    """A remainder made ready for one snapshot.

    A whole table is the same table each time: it is kept, and DuckDB reads it again as it is.
    """

    def __init__(self, plan: Remainder, _: Context) -> None:
        self._plan = plan
        self._kept: Inputs = {}
        self._ready: dict[str, Callable[[Context], Result]] = {}

    def __call__(self, context: Context) -> Result:
        """Return what DuckDB makes of the inputs."""
        plan, widening = self._plan, self._plan.widening
        own = None if widening is None else widening.search
        inputs: Inputs = {}
        for name, source in plan.inputs:
            if name != own:
                inputs[name] = self._input(name, source, inputs, context)
        bound = {key: context.parameter(key) for key in plan.parameters}
        if plan.typed_parameters:
            from vsql.executor.coerce import typed_parameter

            for key, type_ in plan.typed_parameters:
                bound[key] = typed_parameter(bound[key], type_)
        if widening is None:
            table = context.relational().query(plan.sql, inputs, bound, self._kept)
        else:
            table = self._widened(widening, inputs, bound, context)
        return table_result(as_vectors(table, plan.vectors) if plan.vectors else table)

    def _widened(
        self, widening: Widening, inputs: Inputs, bound: dict[str, Any], context: Context
    ) -> pa.Table:
        from vsql.executor.widening import widened

        search = dict(self._plan.inputs)[widening.search]
        assert isinstance(search, TopK)

        def query(searched: pa.Table, context: Context) -> pa.Table:
            everything = {**inputs, widening.search: searched}
            return context.relational().query(self._plan.sql, everything, bound, self._kept)

        read = partial(self._read, widening.search, search, {})
        return widened(widening, search, read, query, context)

    def _input(self, name: str, source: Any, inputs: Inputs, context: Context) -> pa.Table:
        known = self._kept.get(name)
        if known is not None:
            return known
        table = self._read(name, source, inputs, context)
        if isinstance(source, TableInput) and _is_whole(source, context):
            self._kept[name] = table
        return table

    def _read(self, name: str, source: Any, inputs: Inputs, context: Context) -> pa.Table:
        if isinstance(source, BatchTopK):
            from vsql.executor.batch import run_batch

            return run_batch(source, inputs[source.outer].column(source.query_column), context)
        plan, ordinal = source, None
        if isinstance(source, Numbered):
            plan, ordinal = source.source, source.ordinal
        elif isinstance(source, TopK | Fusion):
            ordinal = ORDINAL
        if not isinstance(plan, Plan):
            return _read_rows(source, context)
        operator = self._ready.get(name)
        if operator is None:
            operator = self._ready[name] = prepare(plan, context)
        return _numbered(operator(context).table, ordinal)


def _is_whole(source: TableInput, context: Context) -> bool:
    """Whether an input is all rows of a table, read where they lie, now and later."""
    table = context.table(source.table)
    if source.conjuncts or source.distances or "ttl" in table.table.properties:
        return False
    return all(part.rows is None for part in pick((), table, context))


def _read_rows(source: Any, context: Context) -> pa.Table:
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
    raise AssertionError(source)


def _table_input(source: TableInput, context: Context) -> pa.Table:
    table = context.table(source.table)
    picked = [] if context.describes else pick(source.conjuncts, table, context)
    arrays, fields = [], []
    for name in source.columns:
        column = table.table.column(name)
        array = dictionaries(picked, column, context)
        if array is None and picked:
            array = take_column(picked, column)
        elif array is None:
            array = pa.array([], type=column.type.arrow)
        arrays.append(array)
        fields.append(field_of(column.name, column.type, array.type))
    for computed in source.distances:
        arrays.append(_distances(computed, table, picked, context))
        fields.append(pa.field(computed.name, pa.float64()))
    return _numbered(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), source.ordinal)


def _distances(
    computed: ComputedDistance, table: TableSnapshot, picked: list[Picked], context: Context
) -> pa.ChunkedArray:
    """Return the distance of each picked row, NULL where its vector is, or the query's."""
    column = table.table.column(computed.column)
    query = query_vector(computed.query, column.type, column.name, context)
    chunks = []
    for part in picked:
        rows = part.numbers
        if query is None:
            chunks.append(pa.nulls(len(rows), pa.float64()))
            continue
        ranker = ranker_of(context, part.segment, column, computed.metric)
        distances = ranker.distances(query, rows).astype(np.float64)
        valid = part.segment.vector_bits(column.id)
        missing = None if valid is None else ~are_set(valid, rows)
        chunks.append(pa.array(distances, mask=missing, from_pandas=False))
    return pa.chunked_array(chunks, type=pa.float64())


def _numbered(table: pa.Table, ordinal: str | None) -> pa.Table:
    if ordinal is None:
        return table
    return table.append_column(ordinal, pa.array(range(table.num_rows), BIGINT.arrow))
