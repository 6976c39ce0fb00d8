"""INSERT, UPDATE and DELETE: plans to changes of the catalog. Nothing is visible until a commit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyroaring import BitMap
from sqlglot import exp

from vsql.core import changes as change
from vsql.core.changes import Change
from vsql.core.errors import ProgrammingError
from vsql.core.schema import Column
from vsql.core.snapshot import SegmentFacts, TableSnapshot
from vsql.executor.build_index import build_all
from vsql.executor.coerce import from_arrow_column, from_values
from vsql.executor.context import Context
from vsql.executor.keys import check_new_keys
from vsql.executor.run import run, run_subqueries
from vsql.executor.scan import pick
from vsql.executor.take import Picked, take_column
from vsql.executor.values import value_of
from vsql.grammar.parse import parse_expression
from vsql.planner.bind import is_constant
from vsql.planner.nodes import Conjunct, DeleteRows, InsertRows, UpdateRows


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did: the changes to stage, and how many rows it touched."""

    changes: tuple[Change, ...]
    count: int


def insert(plan: InsertRows, parameter_sets: Sequence[dict[str, Any]], context: Context) -> Written:
    """Return the changes of an INSERT, once per set of parameters, all in one batch."""
    table = context.table(plan.table)
    if plan.source is not None:
        batch = _rows_of_query(plan, table, context)
    else:
        batch = _rows_of_values(plan, parameter_sets, table, context)
    check_new_keys(table, batch, context)
    return Written(add_rows(table, [batch], context), batch.num_rows)


def _rows_of_values(
    plan: InsertRows,
    parameter_sets: Sequence[dict[str, Any]],
    table: TableSnapshot,
    context: Context,
) -> pa.RecordBatch:
    given: dict[str, list[Any]] = {name: [] for name in plan.columns}
    count = len(plan.rows) * len(parameter_sets)
    for parameters in parameter_sets:
        context.parameters = parameters
        for row in plan.rows:
            for name, node in zip(plan.columns, row, strict=True):
                given[name].append(
                    _default(table.table.column(name), context)
                    if _is_default(node)
                    else value_of(node, context)
                )
    arrays = [
        from_values(given[column.name], column)
        if column.name in given
        else from_values([_default(column, context)] * count, column)
        for column in table.table.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=table.table.arrow_schema)


def _is_default(node: exp.Expr) -> bool:
    return isinstance(node, exp.Var) and node.name.upper() == "DEFAULT"


def _default(column: Column, context: Context) -> Any:
    if column.default is None:
        return None
    return value_of(parse_expression(column.default), context)


def _rows_of_query(plan: InsertRows, table: TableSnapshot, context: Context) -> pa.RecordBatch:
    assert plan.source is not None
    rows = run(plan.source, context).table
    assert rows is not None
    if rows.num_columns != len(plan.columns):
        raise ProgrammingError(
            f"the query gives {rows.num_columns} columns, but {len(plan.columns)} are to be filled",
            hint="columns: " + ", ".join(plan.columns),
        )
    return stored_batch(table, dict(zip(plan.columns, rows.columns, strict=True)), context)


def stored_batch(
    table: TableSnapshot,
    given: dict[str, Any],
    context: Context,
    first_row: int = 1,
) -> pa.RecordBatch:
    """Return Arrow columns as a batch of the table; missing columns get their defaults."""
    count = len(next(iter(given.values()))) if given else 0
    arrays = []
    for column in table.table.columns:
        if column.name in given:
            arrays.append(from_arrow_column(given[column.name], column, first_row))
        else:
            arrays.append(from_values([_default(column, context)] * count, column, first_row))
    return pa.RecordBatch.from_arrays(arrays, schema=table.table.arrow_schema)


def add_rows(
    table: TableSnapshot, batches: Iterable[pa.RecordBatch], context: Context
) -> tuple[Change, ...]:
    """Return the changes that add checked rows: inlined where they are few, else a segment."""
    collected = list(batches)
    count = sum(batch.num_rows for batch in collected)
    size = sum(batch.nbytes for batch in collected)
    if not count:
        return ()
    store = context.resources.store
    few = count < context.settings["seal_rows"] and size < context.settings["seal_bytes"]
    if few:
        batch = pa.Table.from_batches(collected).combine_chunks().to_batches()[0]
        batch = pa.RecordBatch.from_arrays(batch.columns, schema=table.table.arrow_schema)
        return (change.AddSegment(store.inline_segment(table.table, batch), batch),)
    return sealed_segment(table, collected, context)


def sealed_segment(
    table: TableSnapshot, batches: Iterable[pa.RecordBatch], context: Context
) -> tuple[Change, ...]:
    """Return the changes that add a sealed segment with all its indexes built."""
    facts: SegmentFacts = context.resources.store.write_segment(table.table, batches)
    built = build_all(table, facts, context)
    return (change.AddSegment(facts), *built)


def seal_when_due(
    table: TableSnapshot, context: Context, *, now: bool = False
) -> tuple[Change, ...]:
    """Return the changes that turn a table's inlined rows into a segment, once they are many."""
    inlined = table.inlined
    rows = sum(segment.row_count for segment in inlined)
    size = sum(segment.byte_size for segment in inlined)
    due = rows >= context.settings["seal_rows"] or size >= context.settings["seal_bytes"]
    if not inlined or not (due or now):
        return ()
    growing = TableSnapshot(table.table, inlined, table.indexes)
    picked = pick((), growing, context)
    removed = tuple(change.RemoveSegment(table.table.id, s.id) for s in inlined)
    if not picked:
        return removed
    arrays = [_combined(take_column(picked, column)) for column in table.table.columns]
    batch = pa.RecordBatch.from_arrays(arrays, schema=table.table.arrow_schema)
    return (*sealed_segment(table, [batch], context), *removed)


def _combined(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def delete(plan: DeleteRows, context: Context) -> Written:
    """Return the changes of a DELETE: row numbers beside the segments they are in."""
    run_subqueries(plan.subqueries, context)
    table = context.table(plan.table)
    picked = _matching(plan.conjuncts, table, context)
    return Written(_deletes(table, picked), _count(picked))


def update(plan: UpdateRows, context: Context) -> Written:
    """Return the changes of an UPDATE: the old rows deleted, the new ones added."""
    run_subqueries(plan.subqueries, context)
    table = context.table(plan.table)
    picked = _matching(plan.conjuncts, table, context)
    count = _count(picked)
    if not count:
        return Written((), 0)
    old = {column.name: _combined(take_column(picked, column)) for column in table.table.columns}
    assigned = dict(plan.assignments)
    arrays = [
        _new_value(assigned[column.name], column, old, count, context)
        if column.name in assigned
        else old[column.name]
        for column in table.table.columns
    ]
    batch = pa.RecordBatch.from_arrays(arrays, schema=table.table.arrow_schema)
    deletes = _deletes(table, picked)
    if set(assigned) & set(table.table.primary_key):
        _check_keys_after(deletes, table, batch, context)
    return Written((*deletes, *add_rows(table, [batch], context)), count)


def _check_keys_after(
    deletes: tuple[Change, ...], table: TableSnapshot, batch: pa.RecordBatch, context: Context
) -> None:
    snapshot = context.snapshot
    for staged in deletes:
        snapshot = change.apply(snapshot, staged)
    check_new_keys(snapshot.tables[table.table.name], batch, context)


def _new_value(
    node: exp.Expr, column: Column, old: dict[str, Any], count: int, context: Context
) -> pa.Array:
    if _is_default(node):
        return from_values([_default(column, context)] * count, column)
    if is_constant(node):
        return from_values([value_of(node, context)] * count, column)
    names = {c.name for c in node.find_all(exp.Column)}
    if isinstance(node, exp.Column):
        return from_arrow_column(old[node.name], column)
    used = {name: old[name] for name in names}
    value = context.relational().expression(node, used, context.parameters)
    return from_arrow_column(value, column)


def _matching(
    conjuncts: tuple[Conjunct, ...], table: TableSnapshot, context: Context
) -> list[Picked]:
    picked = pick(conjuncts, table, context)
    return [
        Picked(p.segment, np.arange(p.segment.row_count) if p.rows is None else p.rows)
        for p in picked
    ]


def _count(picked: list[Picked]) -> int:
    return sum(len(p.rows) for p in picked if p.rows is not None)


def _deletes(table: TableSnapshot, picked: list[Picked]) -> tuple[Change, ...]:
    staged: list[Change] = []
    for part in picked:
        assert part.rows is not None
        for segment_id, row_count, rows in part.segment.locate(part.rows):
            assert len(rows) <= row_count
            bits = BitMap(np.asarray(rows, dtype=np.uint32))
            staged.append(
                change.AddDeletes(table.table.id, segment_id, bits.serialize(), len(rows))
            )
    return tuple(staged)
