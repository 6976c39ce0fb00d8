"""INSERT, with what to do where a key is there already: refuse, pass over, or update."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.core.protocols import Rows
from vsql.core.schema import Column
from vsql.core.snapshot import TableSnapshot
from vsql.executor.coerce import from_arrow_column, from_values
from vsql.executor.context import Context
from vsql.executor.evaluate import not_boolean
from vsql.executor.incoming import constrained, rows_of_query, rows_of_values
from vsql.executor.keys import UniqueKey, check_new_keys, find_keys, keys_in, repeats, unique_keys
from vsql.executor.modify import check_keys_after, deletes_of
from vsql.executor.run import run
from vsql.executor.seal import add_rows, combined, one_batch
from vsql.executor.take import Picked, from_numpy, take_column
from vsql.executor.values import value_of
from vsql.executor.written import Written
from vsql.planner.bind import is_constant
from vsql.planner.plan import tables_of
from vsql.planner.relational_nodes import Remainder
from vsql.planner.write import is_default
from vsql.planner.write_nodes import EXCLUDED, Conflict, InsertRows


def insert(plan: InsertRows, parameter_sets: Sequence[dict[str, Any]], context: Context) -> Written:
    """Return the changes of an INSERT, once per set of parameters, all in one batch."""
    table = context.table(plan.table)
    if plan.source is not None:
        rows = run(plan.source, context).table
        assert rows is not None
        batch = rows_of_query(plan, rows, table, context)
    else:
        batch = rows_of_values(plan, parameter_sets, table, context)
    if plan.conflict is None:
        check_new_keys(table, batch, context)
        return Written(add_rows(table, [batch], context), batch.num_rows, (batch,))
    if not plan.conflict.assignments and not plan.conflict.repeats:
        return _insert_new(plan.conflict, batch, table, context)
    return _insert_or_update(plan.conflict, batch, table, context)


def is_one_batch(plan: InsertRows) -> bool:
    """Whether many sets make one batch: only VALUES reads parameters, and nothing other rows."""
    read: list[exp.Expr] = []
    if plan.conflict is not None:
        read += [value for _, value in plan.conflict.assignments]
        read += [plan.conflict.where] if plan.conflict.where is not None else []
    if plan.returning is not None:
        inner = plan.returning.plan
        if isinstance(inner, Remainder) and inner.parameters:
            return False
        if tables_of(inner) - {plan.returning.relation}:
            return False
    return plan.source is None and not any(node.find(exp.Placeholder) for node in read)


def _keys_of(conflict: Conflict, table: TableSnapshot) -> list[UniqueKey]:
    keys = unique_keys(table)
    wanted = [k for k in keys if not conflict.columns or set(k.columns) == set(conflict.columns)]
    if not wanted and conflict.columns:
        raise ProgrammingError("no unique key fits ON CONFLICT", code="42P10")
    return wanted


def _insert_new(
    conflict: Conflict, batch: pa.RecordBatch, table: TableSnapshot, context: Context
) -> Written:
    """DO NOTHING: leave out rows whose key is there, or stood in an earlier row."""
    kept = np.ones(batch.num_rows, dtype=bool)
    for key in _keys_of(conflict, table):
        keys = keys_in(key, batch)
        kept[repeats(keys)] = False
        for segment in context.segments(table):
            kept &= find_keys(keys, key, table, segment, context) < 0
    if not kept.all():
        batch = batch.take(from_numpy(np.flatnonzero(kept)))
    check_new_keys(table, batch, context)
    return Written(add_rows(table, [batch], context), batch.num_rows, (batch,))


def _insert_or_update(
    conflict: Conflict, batch: pa.RecordBatch, table: TableSnapshot, context: Context
) -> Written:
    key = _keys_of(conflict, table)[0]
    keys = keys_in(key, batch)
    repeated = repeats(keys)
    if len(repeated):
        if not conflict.repeats:
            raise ProgrammingError(
                f"row {int(repeated[0]) + 1} has the key of an earlier row: "
                "ON CONFLICT DO UPDATE cannot change a row a second time",
                code=sqlstate.CARDINALITY_VIOLATION,
                hint="make sure that no two rows of one INSERT have the same key",
            )
        batch = batch.take(from_numpy(_last_of_each(keys)))
        keys = keys_in(key, batch)
    picked: list[Picked] = []
    places: list[Rows] = []
    new = np.ones(batch.num_rows, dtype=bool)
    for segment in context.segments(table):
        rows = find_keys(keys, key, table, segment, context)
        hits = np.flatnonzero(rows >= 0)
        if len(hits):
            picked.append(Picked(segment, rows[hits]))
            places.append(hits)
            new[hits] = False
    fresh = batch if new.all() else batch.take(from_numpy(np.flatnonzero(new)))
    if not picked:
        check_new_keys(table, fresh, context)
        return Written(add_rows(table, [fresh], context), fresh.num_rows, (fresh,))
    excluded = batch.take(from_numpy(np.concatenate(places)))
    changed = _changed(conflict, picked, excluded, table, context)
    if changed is not None:
        picked, updated = changed
        deletes = deletes_of(table, picked)
        whole = one_batch(table.table, [updated, fresh]) if fresh.num_rows else updated
        check_keys_after(deletes, table, whole, context)
        return Written(
            (*deletes, *add_rows(table, [whole], context)), whole.num_rows, (updated, fresh)
        )
    check_new_keys(table, fresh, context)
    return Written(add_rows(table, [fresh], context), fresh.num_rows, (fresh,))


def _last_of_each(keys: pa.Array) -> Rows:
    reverse = keys.take(from_numpy(np.arange(len(keys))[::-1].copy()))
    kept = np.ones(len(keys), dtype=bool)
    kept[repeats(reverse)] = False
    return np.sort(len(keys) - 1 - np.flatnonzero(kept))


def _changed(
    conflict: Conflict,
    picked: list[Picked],
    excluded: pa.RecordBatch,
    table: TableSnapshot,
    context: Context,
) -> tuple[list[Picked], pa.RecordBatch] | None:
    """Return the rows to replace and what replaces them, None where WHERE leaves none."""
    reader = _Rows(picked, excluded, table, context)
    if conflict.where is not None:
        passed = reader.passed(conflict.where)
        kept = np.flatnonzero(passed)
        if not len(kept):
            return None
        if len(kept) < excluded.num_rows:
            picked = _kept(picked, passed)
            reader = _Rows(picked, excluded.take(from_numpy(kept)), table, context)
    assigned = dict(conflict.assignments)
    arrays = {
        column.name: reader.assigned(assigned[column.name], column)
        if column.name in assigned
        else reader.old(column.name)
        for column in table.table.columns
        if column.generated is None
    }
    return picked, constrained(table.table, arrays, reader.count, context)


def _kept(picked: list[Picked], passed: Any) -> list[Picked]:
    result: list[Picked] = []
    start = 0
    for part in picked:
        assert part.rows is not None
        flags = passed[start : start + len(part.rows)]
        start += len(part.rows)
        if flags.any():
            result.append(Picked(part.segment, part.rows[flags]))
    return result


class _Rows:
    """Rows that are there beside those that were to be inserted; columns are read when asked."""

    def __init__(
        self,
        picked: list[Picked],
        excluded: pa.RecordBatch,
        table: TableSnapshot,
        context: Context,
    ) -> None:
        self.count = excluded.num_rows
        self._picked = picked
        self._excluded = excluded
        self._table = table
        self._context = context

    def old(self, name: str) -> pa.Array:
        return combined(take_column(self._picked, self._table.table.column(name)))

    def assigned(self, node: exp.Expr, column: Column) -> pa.Array:
        if is_default(node):
            default = column.default
            return from_values([None if default is None else default] * self.count, column)
        if isinstance(node, exp.Column) and node.name.startswith(EXCLUDED):
            array = self._excluded.column(node.name.removeprefix(EXCLUDED))
            return array if array.type == column.type.arrow else from_arrow_column(array, column)
        if is_constant(node):
            return from_values([value_of(node, self._context)] * self.count, column)
        return from_arrow_column(self.value(node), column)

    def passed(self, condition: exp.Expr) -> npt.NDArray[np.bool_]:
        """Return for which rows a condition is true."""
        value = self.value(condition)
        if pa.types.is_null(value.type):
            return np.zeros(self.count, dtype=bool)
        if not pa.types.is_boolean(value.type):
            raise not_boolean(_as_written(condition), value.type)
        found: npt.NDArray[np.bool_] = value.fill_null(False).to_numpy(zero_copy_only=False)
        return found

    def value(self, node: exp.Expr) -> pa.Array:
        columns: dict[str, pa.Array] = {}
        for found in node.find_all(exp.Column):
            name = found.name
            if name.startswith(EXCLUDED):
                columns[name] = self._excluded.column(name.removeprefix(EXCLUDED))
            else:
                columns[name] = self.old(name)
        return self._context.relational().expression(
            node, columns, self._context.parameters, length=self.count
        )


def _as_written(node: exp.Expr) -> exp.Expr:
    """Return an expression with the rows that were to be inserted under their own name again."""
    return node.transform(
        lambda part: (
            exp.column(part.name.removeprefix(EXCLUDED), table="excluded")
            if isinstance(part, exp.Column) and part.name.startswith(EXCLUDED)
            else part
        )
    )
