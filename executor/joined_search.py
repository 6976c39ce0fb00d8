"""Runs a search whose rows are joined with tables by their keys."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Rows
from vsql.executor.context import Context
from vsql.executor.joined_rows import Columns, joined_result, taken
from vsql.executor.result import Result
from vsql.executor.run import prepare
from vsql.executor.scan import pick
from vsql.executor.take import take_column
from vsql.executor.values import count_of
from vsql.planner.search_nodes import JOIN_KEYS, JoinedSearch, KeyedJoin


class JoinedSearchOperator:
    """A joined search made ready for one snapshot.

    Once the nearest rows had too few partners, the plan that looks for more runs from the start.
    """

    def __init__(self, plan: JoinedSearch, context: Context) -> None:
        self._plan = plan
        self._search = prepare(plan.source, context)
        self._other: Callable[[Context], Result] | None = None

    def __call__(self, context: Context) -> Result:
        """Return the joined rows, nearest first."""
        if self._other is None:
            found = self._joined(context)
            if found is not None:
                return found
            assert self._plan.otherwise is not None
            self._other = prepare(self._plan.otherwise, context)
        return self._other(context)

    def _joined(self, context: Context) -> Result | None:
        """Return the rows, None where there may be more than the search found."""
        plan = self._plan
        offset = count_of(plan.offset, "OFFSET", context) or 0
        limit = count_of(plan.limit, "LIMIT", context)
        searched = self._search(context).table
        assert searched is not None
        nearest: Columns = dict(zip(searched.column_names, searched.columns, strict=True))
        relations: list[Columns] = [nearest]
        rows = [np.arange(searched.num_rows)]
        for number, join in enumerate(plan.joins, 1):
            place, name = join.left
            keys = taken(relations[place][name], rows[place])
            read = {o.column for o in plan.outputs if o.relation == number}
            read |= {column for side, column in (j.left for j in plan.joins) if side == number}
            found = _partners(join, read, keys, context)
            at, partners = _matched(keys, found[join.key], outer=join.outer)
            rows = [*(known[at] for known in rows), partners]
            relations.append(found)
        count = len(rows[0])
        if plan.otherwise is not None and count < (limit or 0) == searched.num_rows:
            return None
        until = None if limit is None else offset + limit
        result = joined_result(plan.outputs, relations, [part[offset:until] for part in rows])
        if context.trace is not None:
            context.trace.notes.append(f"{searched.num_rows} nearest rows gave {count} joined ones")
        return result


def _partners(
    join: KeyedJoin, names: set[str], keys: pa.Array | pa.ChunkedArray, context: Context
) -> Columns:
    """Return the key and some columns of the rows of a table whose key is among some."""
    table = context.table(join.table)
    wanted = keys.drop_null().unique().to_pylist()
    own = replace(context, parameters={**context.parameters, JOIN_KEYS: wanted})
    picked = pick(join.conjuncts, table, own) if wanted else []
    found: dict[str, pa.Array | pa.ChunkedArray] = {}
    for name in (join.key, *sorted(names)):
        column = table.table.column(name)
        found[name] = take_column(picked, column) if picked else pa.array([], column.type.arrow)
    return found


def _matched(
    keys: pa.Array | pa.ChunkedArray, others: pa.Array | pa.ChunkedArray, *, outer: bool
) -> tuple[Rows, Rows]:
    """Return the places of equal keys on both sides, -1 for no partner.

    With `outer` every left place comes at least once.
    """
    type_ = pa.int64() if pa.types.is_integer(others.type) else others.type
    chunks = [chunk for side in (keys, others) for chunk in _chunks(side.cast(type_))]
    encoded = pa.chunked_array(chunks, type_).combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy()
    left, right = codes[: len(keys)], codes[len(keys) :]
    order = right.argsort(kind="stable")
    first = np.searchsorted(right, left, side="left", sorter=order)
    counts = np.searchsorted(right, left, side="right", sorter=order) - first
    counts[left < 0] = 0
    repeats = np.maximum(counts, 1) if outer else counts
    at = np.repeat(np.arange(len(left)), repeats)
    nth = np.arange(len(at)) - (np.cumsum(repeats) - repeats)[at]
    partners = np.full(len(at), -1, dtype=np.int64)
    has_partner = counts[at] > 0
    partners[has_partner] = order[(first[at] + nth)[has_partner]]
    return at, partners


def _chunks(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]
