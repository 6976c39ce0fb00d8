"""Rows on their way in: defaults, identities, generated columns, and every constraint but keys."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import IntegrityError, ProgrammingError
from vsql.core.schema import DYNAMIC, INSERTED_AT, Column, Table
from vsql.core.snapshot import TableSnapshot
from vsql.core.sparse import text_of_struct
from vsql.core.types import is_sparse
from vsql.executor.coerce import from_arrow_column, from_values
from vsql.executor.context import Context
from vsql.executor.values import value_of
from vsql.grammar.parse import parse_expression
from vsql.planner.bind import is_constant
from vsql.planner.write import is_default
from vsql.planner.write_nodes import InsertRows


def rows_of_values(
    plan: InsertRows,
    parameter_sets: Sequence[dict[str, Any]],
    table: TableSnapshot,
    context: Context,
) -> pa.RecordBatch:
    """Return the rows of VALUES, once per set of parameters, as one batch."""
    given: dict[str, list[Any]] = {name: [] for name in plan.columns}
    count = len(plan.rows) * len(parameter_sets)
    for parameters in parameter_sets:
        context.parameters = parameters
        for row in plan.rows:
            for name, node in zip(plan.columns, row, strict=True):
                column = table.table.find(name)
                if column is None:
                    given[name].append(value_of(node, context))
                elif is_default(node):
                    given[name].append(_single_default(column, context))
                else:
                    _refuse_given(column, plan.overriding)
                    given[name].append(value_of(node, context))
    _gather_dynamic(given, table.table, count)
    arrays: dict[str, Any] = {}
    for name, values in given.items():
        column = table.table.column(name)
        if column.generated is None:
            arrays[name] = from_values(values, column)
    return completed(table, arrays, count, context)


def rows_of_query(plan: InsertRows, rows: pa.Table, table: TableSnapshot, context: Context) -> Any:
    """Return the rows of a query's result as a batch of the table."""
    columns = plan.columns
    if rows.num_columns != len(columns):
        raise ProgrammingError(
            f"the query gives {rows.num_columns} columns, but {len(columns)} are to be filled",
            hint="columns: " + ", ".join(columns),
        )
    given: dict[str, Any] = dict(zip(columns, rows.columns, strict=True))
    for name in columns:
        column = table.table.find(name)
        if column is None:
            given[name] = given[name].to_pylist()
        else:
            _refuse_given(column, plan.overriding)
    _gather_dynamic(given, table.table, rows.num_rows)
    if isinstance(given.get(DYNAMIC), list):
        given[DYNAMIC] = from_values(given[DYNAMIC], table.table.column(DYNAMIC))
    return stored_batch(table, given, context)


def _gather_dynamic(given: dict[str, Any], table: Table, count: int) -> None:
    """Put the values that have no column together as one JSON object per row; NULL is left out."""
    names = [name for name in given if table.find(name) is None]
    if not names:
        return
    values = {name: given.pop(name) for name in names}
    if DYNAMIC in given:
        raise ProgrammingError(
            f'"{DYNAMIC}" and keys of it ({names[0]}) cannot be given together',
            code=sqlstate.DUPLICATE_COLUMN,
        )
    given[DYNAMIC] = [
        {name: _plain(column[row]) for name, column in values.items() if column[row] is not None}
        for row in range(count)
    ]


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _refuse_given(column: Column, overriding: bool) -> None:
    if column.generated is not None or (column.identity == "always" and not overriding):
        raise ProgrammingError(
            f'column "{column.name}" is generated always: no value can be given for it',
            code=sqlstate.GENERATED_ALWAYS,
            hint="leave it out, or write DEFAULT",
        )


def stored_batch(
    table: TableSnapshot, given: Mapping[str, Any], context: Context, first_row: int = 1
) -> pa.RecordBatch:
    """Return Arrow columns as a batch of the table; missing columns get their defaults."""
    count = len(next(iter(given.values()))) if given else 0
    arrays = {
        name: from_arrow_column(values, table.table.column(name), first_row)
        for name, values in given.items()
    }
    return completed(table, arrays, count, context, first_row)


def completed(
    table: TableSnapshot,
    arrays: Mapping[str, pa.Array],
    count: int,
    context: Context,
    first_row: int = 1,
) -> pa.RecordBatch:
    """Return a batch of `count` rows from the stored columns given; the others are filled in.

    Raises IntegrityError (23502, 23514) naming constraint, column and row.
    """
    filled = dict(arrays)
    for column in table.table.columns:
        if column.name not in filled and column.generated is None:
            filled[column.name] = _defaults(column, count, context, first_row)
    return constrained(table.table, filled, count, context, first_row)


def constrained(
    table: Table,
    filled: Mapping[str, pa.Array],
    count: int,
    context: Context,
    first_row: int = 1,
) -> pa.RecordBatch:
    """Return full rows as a batch: generated columns computed, CHECK constraints checked."""
    arrays = dict(filled)
    for column in table.columns:
        if column.generated is not None:
            value = _over_rows(column.generated, arrays, count, context)
            arrays[column.name] = from_arrow_column(value, column, first_row)
    for check in table.checks:
        passed = _over_rows(check.condition, arrays, count, context)
        if not pa.types.is_boolean(passed.type):
            passed = passed.cast(pa.bool_())
        failed = np.flatnonzero(~passed.fill_null(True).to_numpy(zero_copy_only=False))
        if len(failed):
            row = int(failed[0])
            raise IntegrityError(
                f'row {first_row + row} of table "{table.name}" violates check "{check.name}": '
                f"{check.condition}; {_shown(check.condition, arrays, row)}",
                code=sqlstate.CHECK_VIOLATION,
            )
    if INSERTED_AT in table.stored_columns and INSERTED_AT.name not in arrays:
        now = datetime.datetime.now(datetime.UTC)
        arrays[INSERTED_AT.name] = pa.array([now] * count, INSERTED_AT.type.arrow)
    ordered = [arrays[column.name] for column in table.stored_columns]
    return pa.RecordBatch.from_arrays(ordered, schema=table.arrow_schema)


def _over_rows(text: str, arrays: Mapping[str, pa.Array], count: int, context: Context) -> Any:
    from sqlglot import exp

    node = parse_expression(text)
    names = {column.name for column in node.find_all(exp.Column)}
    used = {name: arrays[name] for name in arrays if name in names}
    return context.relational().expression(node, used, {}, length=count)


def _shown(text: str, arrays: Mapping[str, pa.Array], row: int) -> str:
    from sqlglot import exp

    names = dict.fromkeys(c.name for c in parse_expression(text).find_all(exp.Column))
    values = {name: arrays[name][row] for name in names if name in arrays}
    return ", ".join(f"{name} = {_written(value)}" for name, value in values.items())


def _written(value: pa.Scalar) -> str:
    plain = value.as_py()
    return text_of_struct(plain) if is_sparse(value.type) and value.is_valid else repr(plain)


def _single_default(column: Column, context: Context) -> Any:
    if column.identity is not None:
        return context.allocate(column.id, 1)
    if column.default is None:
        return None
    return value_of(parse_expression(column.default), context)


def _defaults(column: Column, count: int, context: Context, first_row: int) -> pa.Array:
    if column.identity is not None:
        first = context.allocate(column.id, count) if count else 1
        return from_arrow_column(pa.array(range(first, first + count), pa.int64()), column)
    if column.default is None:
        return from_values([None] * count, column, first_row)
    node = parse_expression(column.default)
    if count > 1 and not is_steady(column.default):
        # random() and its like: another value for every row.
        value = context.relational().expression(node, {}, {}, length=count)
        return from_arrow_column(value, column, first_row)
    return from_values([value_of(node, context)] * count, column, first_row)


def is_steady(text: str) -> bool:
    """Whether a default gives every row the same value: it calls no function but the clock's."""
    from sqlglot import exp

    clocks = exp.CurrentTimestamp | exp.CurrentDate | exp.CurrentTime | exp.Cast | exp.Array
    node = parse_expression(text)

    def is_clock(call: exp.Expr) -> bool:
        return isinstance(call, clocks) or (isinstance(call, exp.Anonymous) and call.name == "now")

    return is_constant(node) and all(map(is_clock, node.find_all(exp.Func)))
