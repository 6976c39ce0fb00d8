"""LATERAL searches: one top-k per row of an outer table, executed as one batch.

    FROM queries q CROSS JOIN LATERAL
      (SELECT id, embedding <=> q.embedding AS distance FROM docs ORDER BY distance LIMIT 10) n

becomes a join of `q`, numbered, with the batch's result on that number. A lateral query that reads
more of the outer row than its vector stays as it is: DuckDB computes it, exactly and slower.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from vsql.core.distance import Metric
from vsql.core.schema import Column
from vsql.planner.bind import distance_of, folded, qualifier, quoted
from vsql.planner.facts import Facts
from vsql.planner.scope import vector_columns
from vsql.planner.select import Ordering, Single, resolve_output, single_table
from vsql.planner.stars import hide_from_stars

OUTER_ROW = "vsql_outer_row"
INNER_ROW = "vsql_inner_row"


@dataclass(frozen=True, slots=True)
class LateralSearch:
    """One lateral search: where it stands, what it searches, and where its vectors come from."""

    select: exp.Select
    join: exp.Join
    single: Single
    ordering: Ordering
    outer: exp.Table
    outer_table: str
    query_column: str
    ordinal: str = INNER_ROW

    def replace(self, input_name: str, distance: str) -> None:
        """Put the batch's result in the place of the lateral query."""
        _replace_lateral(self, input_name, distance)


def find_lateral_searches(select: exp.Select, facts: Facts) -> Iterator[LateralSearch]:
    """Yield the joins of a SELECT that are lateral searches by a vector of an outer table."""
    source = select.args.get("from_")
    outer = source.this if source is not None else None
    if not isinstance(outer, exp.Table):
        return
    columns = facts.columns(folded(outer.this))
    if columns is None:
        return
    for join in select.args.get("joins") or ():
        if isinstance(join.this, exp.Lateral) and join.side in ("", "LEFT"):
            found = _lateral_search(select, join, outer, columns, facts)
            if found is not None:
                yield found
                return


def _lateral_search(
    select: exp.Select,
    join: exp.Join,
    outer: exp.Table,
    outer_columns: tuple[Column, ...],
    facts: Facts,
) -> LateralSearch | None:
    query = join.this.this
    inner = query.unnest() if isinstance(query, exp.Subquery) else query
    single = single_table(inner, facts)
    if single is None or single.limit is None or join.this.args.get("alias") is None:
        return None
    on = join.args.get("on")
    if on is not None and not (isinstance(on, exp.Boolean) and on.this):
        return None
    alias = folded(outer.args.get("alias") or outer.this)
    ordering = _ordering_by_outer(single, alias, outer_columns)
    if ordering is None or _reads_outer(inner, single, ordering, alias):
        return None
    column = folded(ordering.query.this)
    return LateralSearch(select, join, single, ordering, outer, folded(outer.this), column)


def _ordering_by_outer(
    single: Single, outer: str, outer_columns: tuple[Column, ...]
) -> Ordering | None:
    order = single.tree.args.get("order")
    if order is None or len(order.expressions) != 1:
        return None
    key = order.expressions[0]
    if key.args.get("desc") or key.args.get("nulls_first"):
        return None
    found = distance_of(resolve_output(key.this, single))
    if found is None:
        return None
    metric, left, right = found
    for mine, theirs in ((left, right), (right, left)):
        ordering = _ordering(metric, mine.unnest(), theirs.unnest(), single, outer, outer_columns)
        if ordering is not None:
            return ordering
    return None


def _ordering(
    metric: Metric,
    mine: exp.Expr,
    theirs: exp.Expr,
    single: Single,
    outer: str,
    outer_columns: tuple[Column, ...],
) -> Ordering | None:
    if not isinstance(mine, exp.Column) or not isinstance(theirs, exp.Column):
        return None
    if qualifier(theirs) != outer or qualifier(mine) not in (None, single.alias):
        return None
    inner = {c.name: c for c in vector_columns(single.columns)}.get(folded(mine.this))
    other = {c.name: c for c in vector_columns(outer_columns)}.get(folded(theirs.this))
    if inner is None or other is None or inner.type.arguments != other.type.arguments:
        return None
    if inner.type.is_sparse != other.type.is_sparse:
        return None
    return Ordering(metric, inner, theirs)


def _reads_outer(inner: exp.Expr, single: Single, ordering: Ordering, outer: str) -> bool:
    """Whether the lateral query reads the outer row elsewhere than in its distance."""
    known = {column.name for column in single.columns}
    outputs = {folded(alias.args["alias"]) for alias in inner.find_all(exp.Alias)}
    for column in inner.find_all(exp.Column):
        parent = column.parent
        in_distance = (
            parent is not None and distance_of(parent) is not None and column == ordering.query
        )
        table = qualifier(column)
        if in_distance or isinstance(column.this, exp.Star):
            continue
        if table not in (None, single.alias) or folded(column.this) not in known | outputs:
            return True
    return inner.find(exp.Window, exp.AggFunc) is not None


def _replace_lateral(search: LateralSearch, input_name: str, distance: str) -> None:
    inner, single = search.single.tree, search.single
    for output in inner.expressions:
        for node in list(output.find_all(exp.Anonymous)):
            found = distance_of(node)
            if found is not None and search.ordering.query in (found[1], found[2]):
                node.replace(_column(distance, single.alias))
    hide_from_stars(inner, {single.alias: (distance, search.ordinal)})
    inner.append("expressions", _column(search.ordinal, single.alias))
    inner.set("from_", exp.From(this=exp.to_table(input_name).as_(single.alias)))
    for clause in ("where", "limit", "offset", "order"):
        inner.set(clause, None)
    alias = search.join.this.args["alias"]
    outer_alias = folded(search.outer.args.get("alias") or search.outer.this)
    on = exp.EQ(
        this=_column(OUTER_ROW, outer_alias), expression=_column(search.ordinal, folded(alias))
    )
    derived = exp.Subquery(this=inner.copy(), alias=alias.copy())
    side = search.join.side
    joined = exp.Join(this=derived, on=on, side=side) if side else exp.Join(this=derived, on=on)
    search.join.replace(joined)
    search.outer.meta["vsql_ordinal"] = OUTER_ROW
    hide_from_stars(search.select, {outer_alias: (OUTER_ROW,), folded(alias): (search.ordinal,)})


def _column(name: str, table: str) -> exp.Column:
    return exp.column(quoted(name), table=quoted(table))
