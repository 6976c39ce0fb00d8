"""LATERAL searches: one top-k per row of an outer relation, executed as one batch.

    FROM queries q CROSS JOIN LATERAL
      (SELECT id, embedding <=> q.embedding AS distance FROM docs ORDER BY distance LIMIT 10) n

becomes a join of `q`, numbered, with the batch's result on that number. `q` may be a table, with
the conditions on it in WHERE and in joins, a subquery, VALUES or a CTE. A lateral query that reads
more of the outer row than its vector stays as it is: DuckDB computes it, exactly and slower.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from vsql.core.distance import Metric
from vsql.core.types import SqlType
from vsql.planner.bind import conjuncts_of, distance_of, folded, qualifier, quoted
from vsql.planner.facts import Facts
from vsql.planner.scope import reads_only, vector_columns
from vsql.planner.select import Ordering, Single, resolve_output, single_table
from vsql.planner.stars import hide_from_stars
from vsql.planner.vector_types import Types

OUTER_ROW = "vsql_outer_row"
INNER_ROW = "vsql_inner_row"


@dataclass(frozen=True, slots=True)
class LateralSearch:
    """One lateral search: where it stands, what it searches, and where its vectors come from."""

    select: exp.Select
    join: exp.Join
    single: Single
    ordering: Ordering
    outer: exp.Expr
    outer_alias: str
    query_column: str
    ordinal: str = INNER_ROW

    def is_distance(self, node: exp.Expr) -> bool:
        """Whether an expression is the distance that orders the rows."""
        return _is_distance(node, self.single, self.ordering)

    def own_conditions(self, columns: frozenset[str]) -> list[exp.Expr]:
        """Take the conditions on the outer relation alone out of WHERE: they come before."""
        return _own_conditions(self, columns)

    def replace(self, input_name: str, distance: str) -> None:
        """Put the batch's result in the place of the lateral query."""
        _replace_lateral(self, input_name, distance)


def find_lateral_search(select: exp.Select, types: Types, facts: Facts) -> LateralSearch | None:
    """Return the first join of a SELECT that is a lateral search by a vector of what it joins.

    `types` are those of the columns of each relation. A relation that an outer join may fill up
    with NULLs is none whose rows can be numbered.
    """
    source = select.args.get("from_")
    relations = _named([] if source is None else [source.this])
    for join in select.args.get("joins") or ():
        if join.side in ("RIGHT", "FULL") or join.method:
            return None
        if isinstance(join.this, exp.Lateral):
            found = _lateral_search(select, join, relations, types, facts)
            if found is not None:
                return found
        elif not join.side and join.kind in ("", "INNER", "CROSS"):
            relations |= _named([join.this])
    return None


def _named(relations: list[exp.Expr]) -> dict[str, exp.Expr]:
    kinds = (exp.Table, exp.Subquery, exp.Values)
    return {r.alias_or_name.lower(): r for r in relations if isinstance(r, kinds)}


def _lateral_search(
    select: exp.Select,
    join: exp.Join,
    relations: Mapping[str, exp.Expr],
    types: Types,
    facts: Facts,
) -> LateralSearch | None:
    query = join.this.this
    inner = query.unnest() if isinstance(query, exp.Subquery) else query
    single = single_table(inner, facts)
    if single is None or single.limit is None or join.this.args.get("alias") is None:
        return None
    if _named_columns(join.this) > _shown_columns(single):
        return None
    on = join.args.get("on")
    if on is not None and not (isinstance(on, exp.Boolean) and on.this):
        return None
    for alias, outer in relations.items():
        outputs = types.of_relation(alias, select) or ()
        vectors = {name: type_ for name, type_ in outputs if type_ is not None}
        ordering = _ordering_by_outer(single, alias, vectors)
        if ordering is not None and not _reads_outer(inner, single, ordering):
            column = folded(ordering.query.this)
            return LateralSearch(select, join, single, ordering, outer, alias, column)
    return None


def _named_columns(lateral: exp.Expr) -> int:
    return len(lateral.args["alias"].args.get("columns") or ())


def _shown_columns(single: Single) -> int:
    """Return how many columns a lateral query has, before a plan adds its own to them."""
    return sum(len(single.columns) if o.is_star else 1 for o in single.tree.expressions)


def _ordering_by_outer(
    single: Single, outer: str, outer_types: Mapping[str, SqlType]
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
        ordering = _ordering(metric, mine.unnest(), theirs.unnest(), single, outer, outer_types)
        if ordering is not None:
            return ordering
    return None


def _ordering(
    metric: Metric,
    mine: exp.Expr,
    theirs: exp.Expr,
    single: Single,
    outer: str,
    outer_types: Mapping[str, SqlType],
) -> Ordering | None:
    if not isinstance(mine, exp.Column) or not isinstance(theirs, exp.Column):
        return None
    if qualifier(theirs) != outer or qualifier(mine) not in (None, single.alias):
        return None
    inner = {c.name: c for c in vector_columns(single.columns)}.get(folded(mine.this))
    other = outer_types.get(folded(theirs.this))
    if inner is None or other is None or not other.is_vector:
        return None
    if inner.type.arguments != other.arguments or inner.type.is_sparse != other.is_sparse:
        return None
    return Ordering(metric, inner, theirs)


def _is_distance(node: exp.Expr, single: Single, ordering: Ordering) -> bool:
    found = distance_of(node)
    if found is None or found[0] is not ordering.metric:
        return False
    sides = [side.unnest() for side in found[1:]]
    own = [side for side in sides if side != ordering.query]
    return (
        len(own) == 1
        and isinstance(own[0], exp.Column)
        and folded(own[0].this) == ordering.column.name
        and qualifier(own[0]) in (None, single.alias)
    )


def _reads_outer(inner: exp.Expr, single: Single, ordering: Ordering) -> bool:
    """Whether the lateral query reads the outer row elsewhere than in its distance."""
    known = {column.name for column in single.columns}
    outputs = {folded(alias.args["alias"]) for alias in inner.find_all(exp.Alias)}
    where = single.where
    conditions = () if where is None else {id(column) for column in where.find_all(exp.Column)}
    for column in inner.find_all(exp.Column):
        around = column.find_ancestor(exp.Anonymous)
        in_distance = around is not None and _is_distance(around, single, ordering)
        table = qualifier(column)
        # A batch gives the distance beside its rows; WHERE is asked before there is one.
        if (in_distance and id(column) not in conditions) or isinstance(column.this, exp.Star):
            continue
        if table not in (None, single.alias) or folded(column.this) not in known | outputs:
            return True
    return inner.find(exp.Window, exp.AggFunc) is not None


def _own_conditions(search: LateralSearch, columns: frozenset[str]) -> list[exp.Expr]:
    select, alias = search.select, search.outer_alias
    where = select.args.get("where")
    if where is None:
        return []
    lateral = search.join.this.args["alias"]
    # A name without a table is the outer relation's where nothing else has such a column.
    is_lonely = len(select.args["joins"]) == 1 and not lateral.args.get("columns")
    inner = {column.name for column in search.single.columns}
    inner |= {folded(output.args["alias"]) for output in search.single.tree.find_all(exp.Alias)}
    bare = columns - inner if is_lonely else ()
    own: list[exp.Expr] = []
    rest: list[exp.Expr] = []
    for part in conjuncts_of(where.this):
        is_own = part.find(exp.Column) is not None and reads_only(part, alias, columns, bare)
        (own if is_own else rest).append(part)
    select.set("where", exp.Where(this=exp.and_(*rest, copy=False)) if rest else None)
    return own


def _replace_lateral(search: LateralSearch, input_name: str, distance: str) -> None:
    inner, single = search.single.tree, search.single
    for output in list(inner.expressions):
        if search.is_distance(output):
            name = quoted(search.ordering.name)
            output.replace(exp.alias_(_column(distance, single.alias), name))
        for node in list(output.find_all(exp.Anonymous)):
            if search.is_distance(node):
                node.replace(_column(distance, single.alias))
    hide_from_stars(inner, {single.alias: (distance, search.ordinal)})
    inner.append("expressions", _column(search.ordinal, single.alias))
    inner.set("from_", exp.From(this=exp.to_table(input_name).as_(single.alias)))
    for clause in ("where", "limit", "offset", "order"):
        inner.set(clause, None)
    alias = search.join.this.args["alias"]
    on = exp.EQ(
        this=_column(OUTER_ROW, search.outer_alias),
        expression=_column(search.ordinal, folded(alias)),
    )
    derived = exp.Subquery(this=inner.copy(), alias=alias.copy())
    side = search.join.side
    joined = exp.Join(this=derived, on=on, side=side) if side else exp.Join(this=derived, on=on)
    search.join.replace(joined)
    outer, shown = search.outer_alias, folded(alias)
    hide_from_stars(search.select, {outer: (OUTER_ROW,), shown: (search.ordinal,)})


def _column(name: str, table: str) -> exp.Column:
    return exp.column(quoted(name), table=quoted(table))
