"""Runs a search whose rows are joined with tables by their keys."""

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa

from vsql.core.snapshot import TableSnapshot
from vsql.executor.context import Context
from vsql.executor.fields import field_of
from vsql.executor.result import Result
from vsql.executor.scan import pick
from vsql.executor.take import take_column
from vsql.executor.values import count_of
from vsql.planner.nodes import JOIN_KEYS, JoinedSearch, KeyedJoin, Plan

Prepare = Callable[[Plan, Context], Callable[[Context], Result]]
_Columns = dict[str, pa.Array | pa.ChunkedArray]
_Rows = list[int | None]
"""Row numbers of one relation, one for each row of the join; None where there is no partner."""


class JoinedSearchOperator:
    """A joined search made ready for one snapshot.

    Once the nearest rows had too few partners, the plan that looks for more runs from the start.
    """

    def __init__(self, plan: JoinedSearch, prepare: Prepare, context: Context) -> None:
        self._plan = plan
        self._prepare = prepare
        self._search = prepare(plan.source, context)
        self._other: Callable[[Context], Result] | None = None

    def __call__(self, context: Context) -> Result:
        """Return the joined rows, nearest first."""
        if self._other is None:
            found = self._joined(context)
            if found is not None:
                return found
            assert self._plan.otherwise is not None
            self._other = self._prepare(self._plan.otherwise, context)
        return self._other(context)

    def _joined(self, context: Context) -> Result | None:
        """Return the rows, None where there may be more than the search found."""
        plan = self._plan
        offset = count_of(plan.offset, "OFFSET", context) or 0
        limit = count_of(plan.limit, "LIMIT", context)
        searched = self._search(context).table
        assert searched is not None
        nearest: _Columns = dict(zip(searched.column_names, searched.columns, strict=True))
        relations = [nearest]
        rows: list[_Rows] = [list(range(searched.num_rows))]
        for number, join in enumerate(plan.joins, 1):
            place, name = join.left
            keys = _taken(relations[place][name], rows[place]).to_pylist()
            names = [o.column for o in plan.outputs if o.relation == number]
            names += [column for side, column in (j.left for j in plan.joins) if side == number]
            found = _partners(join, names, keys, context)
            at, partners = _matched(keys, found[join.key].to_pylist(), outer=join.outer)
            rows = [[known[row] for row in at] for known in rows]
            rows.append(partners)
            relations.append(found)
        count = len(rows[0])
        if plan.otherwise is not None and count < (limit or 0) == searched.num_rows:
            return None
        until = None if limit is None else offset + limit
        columns = [
            _taken(relations[o.relation][o.column], rows[o.relation][offset:until])
            for o in plan.outputs
        ]
        fields = [
            field_of(o.name, o.type, column.type)
            for o, column in zip(plan.outputs, columns, strict=True)
        ]
        table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
        if context.trace is not None:
            context.trace.notes.append(f"{searched.num_rows} nearest rows gave {count} joined ones")
        types = tuple(output.type for output in plan.outputs)
        return Result(f"SELECT {table.num_rows}", table, types, table.num_rows)


def _taken(column: pa.Array | pa.ChunkedArray, rows: _Rows) -> pa.Array | pa.ChunkedArray:
    return column.take(pa.array(rows, pa.int64()))


def _partners(join: KeyedJoin, names: list[str], keys: list[object], context: Context) -> _Columns:
    """Return the key and some columns of the rows of a table whose key is among some."""
    table: TableSnapshot = context.table(join.table)
    wanted = sorted({key for key in keys if key is not None}, key=str)
    own = replace(context, parameters={**context.parameters, JOIN_KEYS: wanted})
    picked = pick(join.conjuncts, table, own) if wanted else []
    found: _Columns = {}
    for name in (join.key, *names):
        column = table.table.column(name)
        empty = pa.array([], column.type.arrow)
        found[name] = take_column(picked, column) if picked else empty
    return found


def _matched(keys: list[object], others: list[object], *, outer: bool) -> tuple[list[int], _Rows]:
    """Return the places of equal keys on both sides; with `outer` every left one at least once."""
    places: dict[object, list[int]] = {}
    for place, key in enumerate(others):
        places.setdefault(key, []).append(place)
    at: list[int] = []
    partners: _Rows = []
    lone: _Rows = [None] if outer else []
    for place, key in enumerate(keys):
        found = lone if key is None else places.get(key, lone)
        at.extend([place] * len(found))
        partners.extend(found)
    return at, partners
