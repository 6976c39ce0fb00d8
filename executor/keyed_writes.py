"""executemany of UPDATE and DELETE by primary key: all its sets as one batch.

What an ORM's unit of work sends. One set after the other would read, and rewrite, the growing rows
each time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from sqlglot import exp

from vsql.core.changes import Change
from vsql.core.errors import DataError
from vsql.core.snapshot import TableSnapshot
from vsql.executor.coerce import from_values
from vsql.executor.context import Context
from vsql.executor.keys import UniqueKey, find_keys, key_of, unique_keys
from vsql.executor.modify import deletes_of, updated
from vsql.executor.seal import add_rows
from vsql.executor.take import Picked
from vsql.executor.values import value_of
from vsql.executor.written import Written
from vsql.planner.bind import is_constant
from vsql.planner.write_nodes import DeleteRows, UpdateRows

Sets = Sequence[Mapping[str, Any]]


def keyed_write(plan: UpdateRows | DeleteRows, sets: Sets, context: Context) -> Written | None:
    """Return the changes of all sets, None where they must be run one after the other.

    Of two sets with one key the later holds; both count, as they would in turn.
    """
    table = context.table(plan.table)
    key = next((key for key in unique_keys(table) if key.primary), None)
    nodes = None if key is None else _key_values(plan, key)
    if key is None or nodes is None or not _is_simple(plan, table):
        return None
    contexts = [replace(context, parameters=dict(one)) for one in sets]
    try:
        columns = [
            from_values(
                [value_of(node, own) for own in contexts],
                # A NULL is no key, and no mistake: nothing equals it.
                replace(table.table.column(name), nullable=True),
            )
            for name, node in nodes.items()
        ]
    except DataError:
        # A value that is no key: a comparison with it finds nothing, or says what is wrong.
        return None
    keys = key_of(columns)
    last = {value: number for number, value in enumerate(keys.to_pylist())}
    chosen = np.array([number for value, number in last.items() if value is not None], np.int64)
    picked, numbers = _found(keys.take(pa.array(chosen)), chosen, key, table, context)
    known = {keys[number].as_py() for number in numbers.tolist()}
    count = sum(value in known for value in keys.to_pylist())
    deletes = deletes_of(table, picked)
    if isinstance(plan, DeleteRows):
        return Written(deletes, len(numbers))
    return Written((*deletes, *_added(plan, picked, numbers, contexts, table, context)), count)


def _is_simple(plan: UpdateRows | DeleteRows, table: TableSnapshot) -> bool:
    if plan.joined is not None or plan.subqueries or plan.returning is not None:
        return False
    if isinstance(plan, DeleteRows):
        return True
    keyed = {name for key in unique_keys(table) for name in key.columns}
    return all(name not in keyed and is_constant(node) for name, node in plan.assignments)


def _key_values(plan: UpdateRows | DeleteRows, key: UniqueKey) -> dict[str, exp.Expr] | None:
    """Return what each column of the key must equal, where the predicate is that and no more."""
    found: dict[str, exp.Expr] = {}
    for conjunct in plan.conjuncts:
        node = conjunct.expression.unnest()
        if not isinstance(node, exp.EQ):
            return None
        for column, value in ((node.this, node.expression), (node.expression, node.this)):
            if isinstance(column, exp.Column) and is_constant(value):
                found[column.name] = value
    if len(found) != len(plan.conjuncts) or set(found) != set(key.columns):
        return None
    return {name: found[name] for name in key.columns}


def _found(
    keys: pa.Array,
    numbers: np.ndarray[Any, np.dtype[np.int64]],
    key: UniqueKey,
    table: TableSnapshot,
    context: Context,
) -> tuple[list[Picked], np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the rows that have a key, and the number of the set of each."""
    picked: list[Picked] = []
    owners: list[np.ndarray[Any, np.dtype[np.int64]]] = [np.empty(0, np.int64)]
    for segment in context.segments(table):
        rows = find_keys(keys, key, table, segment, context)
        hits = np.flatnonzero(rows >= 0)
        if len(hits):
            picked.append(Picked(segment, rows[hits]))
            owners.append(numbers[hits])
    return picked, np.concatenate(owners)


def _added(
    plan: UpdateRows,
    picked: list[Picked],
    numbers: np.ndarray[Any, np.dtype[np.int64]],
    contexts: Sequence[Context],
    table: TableSnapshot,
    context: Context,
) -> tuple[Change, ...]:
    if not picked:
        return ()
    values = {
        name: from_values(
            [value_of(node, contexts[number]) for number in numbers.tolist()],
            table.table.column(name),
        )
        for name, node in plan.assignments
    }
    return add_rows(
        table, [updated(dict(plan.assignments), values, picked, table, context)], context
    )
