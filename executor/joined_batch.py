"""Runs a batch of searches whose answers stand beside the rows that asked, in their order."""

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Rows
from vsql.core.types import Family
from vsql.executor.batch import nearest_of_each
from vsql.executor.context import Context
from vsql.executor.fields import type_of_field
from vsql.executor.joined_rows import Columns, joined_result, taken
from vsql.executor.result import Result
from vsql.executor.run import prepare
from vsql.executor.values import count_of
from vsql.planner.choose import Choice
from vsql.planner.relational_nodes import OutsideInput
from vsql.planner.search_nodes import JoinedBatch, JoinedOutput, SortKey

_ONE_FORM = frozenset({Family.TEXT, Family.REAL, Family.DATE, Family.VECTOR})
"""Types that Arrow holds in several ways, of which results have one."""


class JoinedBatchOperator:
    """A batch beside its rows made ready for one snapshot and one set of settings."""

    def __init__(self, plan: JoinedBatch, context: Context) -> None:
        self._plan = plan
        source = plan.source
        self._source = None if isinstance(source, OutsideInput) else prepare(source, context)
        self._choices: dict[object, Choice] = {}

    def __call__(self, context: Context) -> Result:
        """Return each row that asks with its nearest, in the order of ORDER BY or of the rows."""
        plan = self._plan
        offset = count_of(plan.offset, "OFFSET", context) or 0
        limit = count_of(plan.limit, "LIMIT", context)
        asking = self._asking(context)
        if limit == 0 or context.describes:
            asking = asking.slice(0, 0)
        vectors = asking.column(plan.query_column)
        answers = nearest_of_each(plan.search, vectors, context, self._choices)
        rows = _beside(asking.num_rows, answers.queries, outer=plan.outer)
        relations = [_columns(asking), _columns(answers.table)]
        if plan.order:
            order = _order(plan.order, relations, rows)
            rows = [part[order] for part in rows]
        until = None if limit is None else offset + limit
        return joined_result(plan.outputs, relations, [part[offset:until] for part in rows])

    def _asking(self, context: Context) -> pa.Table:
        plan, source = self._plan, self._plan.source
        if isinstance(source, OutsideInput):
            table = context.outside[source.table].select(list(source.columns))
            parts: tuple[JoinedOutput | SortKey, ...] = (*plan.outputs, *plan.order)
            table = _in_one_form(table, {part.column for part in parts if part.relation == 0})
        else:
            assert self._source is not None
            table = self._source(context).table
            assert table is not None
        return table


def _columns(table: pa.Table) -> Columns:
    return dict(zip(table.column_names, table.columns, strict=True))


def _in_one_form(table: pa.Table, shown: set[str]) -> pa.Table:
    """Return a registered table whose shown columns are as those of any result."""
    for number, field in enumerate(table.schema):
        type_ = type_of_field(field)
        if field.name in shown and type_.family in _ONE_FORM and field.type != type_.arrow:
            column = table.column(number).cast(type_.arrow)
            table = table.set_column(number, field.with_type(type_.arrow), column)
    return table


def _beside(asking: int, queries: Rows, *, outer: bool) -> list[Rows]:
    """Return the rows that ask, in their order, and the places of their answers.

    With `outer` a row without an answer comes once, with place -1.
    """
    count = len(queries)
    lonely = np.bincount(queries, minlength=asking) == 0 if outer else np.zeros(0, np.bool_)
    rows = np.concatenate([queries, np.flatnonzero(lonely)])
    places = np.where(np.arange(len(rows)) < count, np.arange(len(rows)), -1)
    order = rows.argsort(kind="stable")
    return [rows[order], places[order]]


def _order(keys: tuple[SortKey, ...], relations: list[Columns], rows: list[Rows]) -> Rows:
    """Return the order of joined rows by some columns; equal ones stay as they stand."""
    # Imported for the first ORDER BY: Arrow's kernels take long to load.
    from vsql.executor.ordered_scan import ordered
    from vsql.executor.seal import combined

    order = np.arange(len(rows[0]))
    for key in reversed(keys):
        values = taken(relations[key.relation][key.column], rows[key.relation][order])
        order = order[ordered(combined(values), key, None)]
    return order
