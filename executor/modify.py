"""UPDATE, DELETE, MERGE and TRUNCATE: rows are never changed in place, but replaced."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyroaring import BitMap
from sqlglot import exp

from vsql.core import changes as change
from vsql.core import sqlstate
from vsql.core.changes import Change
from vsql.core.errors import ProgrammingError
from vsql.core.protocols import Rows
from vsql.core.schema import Column
from vsql.core.snapshot import TableSnapshot
from vsql.executor.coerce import from_arrow_column, from_values
from vsql.executor.context import Context
from vsql.executor.incoming import completed, constrained
from vsql.executor.keys import check_new_keys
from vsql.executor.run import run, run_subqueries
from vsql.executor.scan import pick
from vsql.executor.seal import add_rows, batch_of, combined, one_batch, with_rows
from vsql.executor.take import Picked, from_numpy, take_column
from vsql.executor.values import value_of
from vsql.executor.written import Written
from vsql.grammar.parse import parse_expression
from vsql.planner.bind import is_constant
from vsql.planner.write import is_default
from vsql.planner.write_nodes import ACTION, ROW, DeleteRows, MergeAction, MergeRows, UpdateRows


def delete(plan: DeleteRows, context: Context) -> Written:
    """Return the changes of a DELETE: row numbers beside the segments they are in."""
    run_subqueries(plan.subqueries, context)
    table = context.table(plan.table)
    carried: dict[str, pa.Array] | None = None
    if plan.joined is not None:
        found = _joined_rows(plan.joined, context)
        picked, places = _picked_by_number(found.column(ROW), table, context)
        carried = _carried(found, plan.returning.carried if plan.returning else (), places)
    else:
        picked = with_rows(pick(plan.conjuncts, table, context))
    rows = (batch_of(table.table, picked),) if plan.returning is not None else ()
    return Written(deletes_of(table, picked), _count(picked), rows, carried)


def update(plan: UpdateRows, context: Context) -> Written:
    """Return the changes of an UPDATE: the old rows deleted, the new ones added."""
    run_subqueries(plan.subqueries, context)
    table = context.table(plan.table)
    values: dict[str, pa.Array] = {}
    carried: dict[str, pa.Array] | None = None
    if plan.joined is not None:
        found = _joined_rows(plan.joined, context)
        picked, places = _picked_by_number(found.column(ROW), table, context)
        names = [n for n, node in plan.assignments if not is_default(node)]
        values = {n: combined(found.column(n)).take(from_numpy(places)) for n in names}
        carried = _carried(found, plan.returning.carried if plan.returning else (), places)
    else:
        picked = with_rows(pick(plan.conjuncts, table, context))
    if not picked:
        return Written((), 0, (batch_of(table.table, []),), _no_rows(carried))
    batch = updated(dict(plan.assignments), values, picked, table, context)
    deletes = deletes_of(table, picked)
    keyed = {name for index in table.indexes if index.unique for name in index.key_columns}
    if keyed & {name for name, _ in plan.assignments} or any(c.generated for c in _columns(table)):
        check_keys_after(deletes, table, batch, context)
    added = add_rows(table, [batch], context)
    return Written((*deletes, *added), batch.num_rows, (batch,), carried)


def _columns(table: TableSnapshot) -> tuple[Column, ...]:
    return table.table.columns


def _no_rows(carried: dict[str, pa.Array] | None) -> dict[str, pa.Array] | None:
    return None if carried is None else {name: array.slice(0, 0) for name, array in carried.items()}


def updated(
    assigned: Mapping[str, exp.Expr],
    values: Mapping[str, pa.Array],
    picked: list[Picked],
    table: TableSnapshot,
    context: Context,
) -> pa.RecordBatch:
    """Return the new rows: assigned columns from their values, the others as they were."""
    count = _count(picked)
    old: dict[str, pa.Array] = {}

    def before(name: str) -> pa.Array:
        if name not in old:
            old[name] = combined(take_column(picked, table.table.column(name)))
        return old[name]

    arrays: dict[str, pa.Array] = {}
    for column in table.table.columns:
        if column.generated is not None:
            continue
        if column.name in values:
            arrays[column.name] = from_arrow_column(values[column.name], column)
        elif column.name in assigned:
            node = assigned[column.name]
            named = [] if is_default(node) else node.find_all(exp.Column)
            used = {c.name: before(c.name) for c in named}
            arrays[column.name] = _new_value(node, column, used, count, context)
        else:
            arrays[column.name] = before(column.name)
    return constrained(table.table, arrays, count, context)


def _new_value(
    node: exp.Expr, column: Column, old: Mapping[str, pa.Array], count: int, context: Context
) -> pa.Array:
    if is_default(node):
        if column.default is None:
            return from_values([None] * count, column)
        node = parse_expression(column.default)
    if is_constant(node):
        return from_values([value_of(node, context)] * count, column)
    if isinstance(node, exp.Column):
        return from_arrow_column(old[node.name], column)
    value = context.relational().expression(node, old, context.parameters)
    return from_arrow_column(value, column)


def merge(plan: MergeRows, context: Context) -> Written:
    """Return the changes of a MERGE, all its actions at once; raises 21000 where two clash."""
    table = context.table(plan.table)
    found = _joined_rows(plan.joined, context)
    numbers = combined(found.column(ROW))
    chosen = combined(found.column(ACTION)).cast(pa.int64()).fill_null(-1).to_numpy()
    touched = np.flatnonzero(
        np.isin(chosen, [n for n, a in enumerate(plan.actions) if a.kind in ("update", "delete")])
    )
    targets = numbers.take(from_numpy(touched))
    if len(targets) != len(targets.unique()):
        raise ProgrammingError(
            "MERGE cannot change a row of its target twice: several rows of the source match it",
            code=sqlstate.CARDINALITY_VIOLATION,
        )
    deletes: list[Change] = []
    added: list[pa.RecordBatch] = []
    removed: list[pa.RecordBatch] = []
    words: list[str] = []
    count = 0
    for number, action in enumerate(plan.actions):
        rows = np.flatnonzero(chosen == number)
        if not len(rows) or action.kind == "nothing":
            continue
        count += len(rows)
        if action.kind == "insert":
            added.append(_merged_insert(action, found, rows, table, context))
            words += ["INSERT"] * len(rows)
            continue
        picked, places = _picked_by_number(numbers.take(from_numpy(rows)), table, context)
        deletes += deletes_of(table, picked)
        if action.kind == "delete":
            if plan.returning is not None:
                removed.append(batch_of(table.table, picked))
            continue
        values = {
            column: combined(found.column(name)).take(from_numpy(rows[places]))
            for column, name in action.values
        }
        assigned = {column: exp.null() for column, _ in action.values}
        added.append(updated(assigned, values, picked, table, context))
        words += ["UPDATE"] * len(rows)
    batch = one_batch(table.table, added) if added else batch_of(table.table, [])
    check_keys_after(tuple(deletes), table, batch, context)
    words += ["DELETE"] * sum(part.num_rows for part in removed)
    actions = {ACTION: pa.array(words, pa.string())}
    changes = (*deletes, *add_rows(table, [batch], context))
    return Written(changes, count, (batch, *removed), actions)


def _merged_insert(
    action: MergeAction, found: pa.Table, rows: Rows, table: TableSnapshot, context: Context
) -> pa.RecordBatch:
    arrays = {
        name: from_arrow_column(
            combined(found.column(source)).take(from_numpy(rows)), table.table.column(name)
        )
        for name, source in action.values
    }
    return completed(table, arrays, len(rows), context)


def truncate(table: TableSnapshot) -> tuple[Change, ...]:
    """Return the changes that remove all rows of a table."""
    return tuple(change.RemoveSegment(table.table.id, s.id) for s in table.segments)


def _joined_rows(plan: Any, context: Context) -> pa.Table:
    table = run(plan, context).table
    assert table is not None
    return table


def _picked_by_number(
    numbers: pa.Array | pa.ChunkedArray, table: TableSnapshot, context: Context
) -> tuple[list[Picked], Rows]:
    """Return the rows that the target's row numbers mean, and where each stood first.

    Numbers count the live rows of the table, segment after segment.
    """
    wanted = combined(numbers).drop_null().to_numpy(zero_copy_only=False).astype(np.int64)
    unique, places = np.unique(wanted, return_index=True)
    picked: list[Picked] = []
    start = 0
    for part in with_rows(pick((), table, context)):
        assert part.rows is not None
        end = start + len(part.rows)
        inside = unique[(unique >= start) & (unique < end)]
        if len(inside):
            picked.append(Picked(part.segment, part.rows[inside - start]))
        start = end
    return picked, places


def _carried(found: pa.Table, names: Sequence[str], places: Rows) -> dict[str, pa.Array]:
    return {name: combined(found.column(name)).take(from_numpy(places)) for name in names}


def check_keys_after(
    deletes: tuple[Change, ...], table: TableSnapshot, batch: pa.RecordBatch, context: Context
) -> None:
    """Check the keys of new rows against what is left when others are deleted."""
    snapshot = context.snapshot
    for staged in deletes:
        snapshot = change.apply(snapshot, staged)
    check_new_keys(snapshot.tables[table.table.name], batch, context)


def _count(picked: Sequence[Picked]) -> int:
    return sum(len(p.rows) for p in picked if p.rows is not None)


def deletes_of(table: TableSnapshot, picked: Sequence[Picked]) -> tuple[Change, ...]:
    """Return the changes that delete picked rows."""
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
