"""A search whose rows are joined with tables by their keys, without DuckDB.

`SELECT … FROM (SELECT … ORDER BY e <=> q LIMIT 100) p JOIN doc USING (doc_id)`, and the same join
ordered by the distance itself, are what applications ask most: few rows, each with its partners.
DuckDB's call alone would take longer than the search. Anything richer than columns, the distance
and equalities of one column each is left to it.
"""

from collections.abc import Callable

from sqlglot import exp

from vsql.core.types import DOUBLE, Family
from vsql.planner.bind import conjuncts_of, folded, quoted
from vsql.planner.facts import Facts
from vsql.planner.joined_outputs import (
    CLAUSES,
    Relation,
    joined_outputs,
    place_of,
    stored_table,
)
from vsql.planner.native import Planning, native_query
from vsql.planner.nodes import Output, Plan, TopK
from vsql.planner.predicate import plan_predicate
from vsql.planner.relational_nodes import DISTANCE
from vsql.planner.scope import reads_only
from vsql.planner.search_nodes import JOIN_KEYS, Fusion, JoinedSearch, KeyedJoin
from vsql.planner.select import (
    Ordering,
    Single,
    has_ties,
    ordering_of,
    reads_elsewhere,
    resolve_output,
    top_k,
)

_INTEGERS = frozenset({Family.TINYINT, Family.SMALLINT, Family.INTEGER, Family.BIGINT})
_TEXTS = frozenset({Family.TEXT, Family.VARCHAR})


def joined_search(
    tree: exp.Select, planning: Planning, rest: Callable[[], Plan]
) -> JoinedSearch | None:
    """Return the plan of a SELECT that is a search and joins by key, None for any other.

    `rest` plans it for DuckDB, where the nearest rows may have too few partners. Raises
    ProgrammingError for unknown columns of the search.
    """
    if any(value for name, value in tree.args.items() if name not in CLAUSES) or has_ties(tree):
        return None
    source = tree.args.get("from_")
    first = None if source is None else source.this
    if isinstance(first, exp.Subquery):
        return _over_subquery(tree, first, planning)
    if isinstance(first, exp.Table):
        return _over_table(tree, first, planning, rest)
    return None


def _over_subquery(
    tree: exp.Select, first: exp.Subquery, planning: Planning
) -> JoinedSearch | None:
    """Plan joins of a search's rows; its own limit says how many there are."""
    alias = first.args.get("alias")
    if alias is None or alias.args.get("columns") or tree.args.get("where") is not None:
        return None
    if any(value for name, value in first.args.items() if name not in ("this", "alias")):
        return None
    search = native_query(first.this, planning)
    if not isinstance(search, TopK | Fusion) or search.limit is None:
        return None
    columns = {output.name: output.type for output in search.outputs}
    found = _joins(tree, Relation(folded(alias.this), columns), planning.facts)
    if found is None or len(columns) < len(search.outputs):
        return None
    relations, joins = found
    single = Single(tree, planning.facts.require(search.table), relations[0].alias)
    distances = [(0, output.name) for output in search.outputs if output.column is None]
    if tree.args.get("order") is not None:
        keys = tree.args["order"].expressions
        key = resolve_output(keys[0].this, single)
        is_backwards = keys[0].args.get("desc") or keys[0].args.get("nulls_first")
        if len(keys) > 1 or is_backwards or place_of(key, relations) not in distances:
            return None
    outputs = joined_outputs(tree, relations)
    if outputs is None:
        return None
    return JoinedSearch(search, joins, outputs, single.limit, single.offset)


def _over_table(
    tree: exp.Select, first: exp.Table, planning: Planning, rest: Callable[[], Plan]
) -> JoinedSearch | None:
    """Plan the top k of a join: the nearest k rows mostly have k partners."""
    snapshot = stored_table(first, planning.facts)
    order = tree.args.get("order")
    if snapshot is None or order is None or len(order.expressions) != 1:
        return None
    alias = folded(first.args.get("alias") or first.this)
    table = snapshot.table
    found = _joins(tree, Relation(alias, {c.name: c.type for c in table.columns}), planning.facts)
    single = Single(tree, snapshot, alias)
    if found is None or single.limit is None or single.offset is not None:
        return None
    relations, joins = found
    known = {column.name for column in table.columns}
    own = {name for name in known if all(name not in r.columns for r in relations[1:])}
    key = resolve_output(order.expressions[0].this, single)
    parts = [*conjuncts_of(single.where), key]
    if reads_elsewhere(single.where) or not all(reads_only(p, alias, known, own) for p in parts):
        return None
    alone = exp.select("*").from_(first.copy())
    if single.where is not None:
        alone.set("where", exp.Where(this=single.where.copy()))
    ordered = order.expressions[0].copy()
    ordered.set("this", key.copy())
    alone.set("order", exp.Order(expressions=[ordered]))
    alone.set("limit", tree.args["limit"].copy())
    searched = Single(alone, snapshot, alias)
    ordering = ordering_of(searched)
    if not isinstance(ordering, Ordering):
        return None

    def is_distance(node: exp.Expr) -> bool:
        return ordering.is_value(node, table.columns) and reads_only(node, alias, known, own)

    outputs = joined_outputs(tree, relations, is_distance)
    if outputs is None:
        return None
    read = {o.column for o in outputs if o.relation == 0}
    read |= {column for number, column in (join.left for join in joins) if number == 0}
    columns = tuple(Output(c.name, c.type, c.name) for c in table.columns if c.name in read)
    shown = (*columns, Output(DISTANCE, DOUBLE, None))
    search = top_k(searched, ordering, shown, planning.settings)
    otherwise = None if all(join.outer for join in joins) else rest()
    return JoinedSearch(search, joins, outputs, single.limit, otherwise=otherwise)


def _joins(
    tree: exp.Select, first: Relation, facts: Facts
) -> tuple[list[Relation], tuple[KeyedJoin, ...]] | None:
    """Return the relations of a FROM and how each is joined to those before it."""
    relations, joins = [first], []
    for join in tree.args.get("joins") or ():
        table = join.this
        snapshot = stored_table(table, facts) if isinstance(table, exp.Table) else None
        allowed = {"this", "side", "kind", "on", "using"}
        if snapshot is None or any(v for name, v in join.args.items() if name not in allowed):
            return None
        if join.side not in ("", "LEFT") or join.kind not in ("", "INNER", "OUTER"):
            return None
        alias = folded(table.args.get("alias") or table.this)
        using = [folded(name) for name in join.args.get("using") or ()]
        columns = {column.name: column.type for column in snapshot.table.columns}
        added = Relation(alias, columns, using[0] if using else None)
        keys = _keys(join, using, relations, added)
        if keys is None or any(relation.alias == alias for relation in relations):
            return None
        left, key = keys
        among = exp.In(this=exp.column(quoted(key)), expressions=[exp.Placeholder(this=JOIN_KEYS)])
        conjuncts = plan_predicate(among, snapshot, alias)
        if not all(conjunct.native for conjunct in conjuncts):
            return None
        joins.append(
            KeyedJoin(snapshot.table.name, key, left, conjuncts, outer=join.side == "LEFT")
        )
        relations.append(added)
    return relations, tuple(joins)


def _keys(
    join: exp.Join, using: list[str], relations: list[Relation], added: Relation
) -> tuple[tuple[int, str], str] | None:
    """Return the place of the column before and the name of the added one that must be equal."""
    if using:
        left, key = place_of(exp.column(quoted(using[0])), relations), using[0]
        if len(using) > 1 or left is None or key not in added.columns:
            return None
    else:
        on = join.args.get("on")
        if not isinstance(on, exp.EQ):
            return None
        sides = [place_of(side.unnest(), [*relations, added]) for side in (on.this, on.expression)]
        own = [side for side in sides if side is not None and side[0] == len(relations)]
        before = [side for side in sides if side is not None and side[0] < len(relations)]
        if len(own) != 1 or len(before) != 1:
            return None
        left, key = before[0], own[0][1]
    types = {relations[left[0]].columns[left[1]].family, added.columns[key].family}
    fits = types <= _INTEGERS or types <= _TEXTS or types == {Family.UUID}
    return (left, key) if fits else None
