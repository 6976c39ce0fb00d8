"""Top k of more than one table: the nearest rows of a search, joined, as many as k rows need.

`SELECT … FROM t JOIN u … ORDER BY t.e <=> :q LIMIT k` is the top k of the join. Its rows are those
of the nearest rows of t, whatever stands around them: so t becomes a search of its nearest rows,
and the executor makes it deeper until k rows come out. Where u has few rows that can be joined, the
search is among the rows that have their keys. The same holds for conditions with correlated
subqueries, and for grouping searches, where a row's place in its group depends on nearer rows only:

    SELECT … FROM (SELECT …, row_number() OVER (PARTITION BY g ORDER BY e <=> :q) AS n FROM t) AS x
    WHERE n <= 2 ORDER BY distance LIMIT k
    SELECT … FROM t QUALIFY row_number() OVER (PARTITION BY g ORDER BY e <=> :q) <= 2
    ORDER BY e <=> :q LIMIT k
    SELECT … FROM (SELECT DISTINCT ON (g) … FROM t ORDER BY g, e <=> :q) AS x ORDER BY … LIMIT k
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlglot import exp

from vsql.core.snapshot import TableSnapshot
from vsql.core.types import DOUBLE
from vsql.planner.bind import conjuncts_of, folded, qualifier, quoted
from vsql.planner.facts import Facts
from vsql.planner.native import Planning
from vsql.planner.nodes import Output, TopK
from vsql.planner.predicate import plan_predicate
from vsql.planner.relational_nodes import DEPTH, DISTANCE, ORDINAL, Widening
from vsql.planner.resolve import is_cte
from vsql.planner.scope import is_standalone, named_columns, names_of, outer_names, reads_only
from vsql.planner.select import Ordering, Single, ordering_of, resolve_output, top_k
from vsql.planner.semi_join import semi_joins
from vsql.planner.stars import hide_from_stars

AddInput = Callable[[TopK], str]

_CLAUSES = frozenset(
    {"expressions", "from_", "joins", "where", "order", "limit", "offset", "with_", "kind", "hint"}
    | {"operation_modifiers", "qualify"}
)
ACROSS_ROWS = (exp.AggFunc, exp.Window, exp.UDTF, exp.Explode)
"""Outputs that a search cannot have: they would count rows beyond its limit."""
_RANKS = (exp.RowNumber, exp.Rank, exp.DenseRank)


@dataclass(frozen=True, slots=True)
class Widenable:
    """A SELECT over the nearest rows of one table: `scope` is the SELECT that reads it."""

    select: exp.Select
    scope: exp.Select
    table: exp.Table
    snapshot: TableSnapshot
    alias: str
    ordering: Ordering
    lonely: bool

    @property
    def limit(self) -> exp.Expr:
        limit = self.select.args["limit"]
        found: exp.Expr | None = limit.args.get(
            "count" if isinstance(limit, exp.Fetch) else "expression"
        )
        return exp.Literal.number(1) if found is None else found

    @property
    def offset(self) -> exp.Expr | None:
        offset = self.select.args.get("offset")
        return None if offset is None else offset.expression


def find_widenable(select: exp.Expr, facts: Facts) -> Widenable | None:
    """Return how a SELECT is one over the nearest rows of a table, or None where it is not."""
    if not isinstance(select, exp.Select) or select.args.get("limit") is None:
        return None
    if any(value for name, value in select.args.items() if name not in _CLAUSES):
        return None
    source, order = select.args.get("from_"), select.args.get("order")
    if source is None or order is None:
        return None
    if isinstance(source.this, exp.Subquery) and not select.args.get("joins"):
        found = _grouped(select, source.this, facts)
    else:
        found = _joined(select, facts)
    if found is None or not is_standalone(select, facts, outer_names(select)):
        return None
    return found


def _joined(select: exp.Select, facts: Facts) -> Widenable | None:
    joins = select.args.get("joins") or []
    if any(join.side in ("RIGHT", "FULL") or join.method for join in joins):
        return None
    # The right side of a LEFT JOIN has rows that no nearest row stands for.
    relations = [select.args["from_"].this, *(j.this for j in joins if j.side != "LEFT")]
    others = [join.this for join in joins if join.side == "LEFT"]
    has_subquery = select.args.get("where") is not None and bool(
        select.args["where"].find(exp.Query)
    )
    windows = [n for part in _after_where(select) for n in part.find_all(*ACROSS_ROWS)]
    if not joins and not has_subquery and not windows:
        return None
    for relation in relations:
        ordering = _ordering(select, relation, facts)
        if ordering is None:
            continue
        rest = [one for one in (*relations, *others) if one is not relation]
        if _is_ambiguous(ordering[1], rest, facts):
            return None
        found = Widenable(select, select, relation, *ordering[0], lonely=not rest)
        return found if _ranks_by(found) else None
    return None


_Found = tuple[tuple[TableSnapshot, str, Ordering], exp.Column]


def _ordering(select: exp.Select, relation: exp.Expr, facts: Facts) -> _Found | None:
    """Return table, alias and ordering where a relation's distance orders the SELECT."""
    if not isinstance(relation, exp.Table) or not isinstance(relation.this, exp.Identifier):
        return None
    name = folded(relation.this)
    snapshot = None if is_cte(relation, name) else facts.stored(name)
    alias = relation.args.get("alias")
    if snapshot is None or (alias is not None and alias.args.get("columns")):
        return None
    if any(relation.args.get(part) for part in ("sample", "pivots", "version", "when")):
        return None
    shown = folded(alias.this) if alias is not None else name
    single = Single(select, snapshot, shown)
    ordering = ordering_of(single)
    if not isinstance(ordering, Ordering):
        return None
    key = resolve_output(select.args["order"].expressions[0].this, single)
    column = next(
        (c for c in key.find_all(exp.Column) if folded(c.this) == ordering.column.name), None
    )
    if column is None or qualifier(column) not in (None, shown):
        return None
    return (snapshot, shown, ordering), column


def _is_ambiguous(column: exp.Column, rest: list[exp.Expr], facts: Facts) -> bool:
    """Whether a name without a table may be another relation's."""
    if qualifier(column) is not None:
        return False
    return any(folded(column.this) in (names_of(one, facts) or ()) for one in rest)


def _grouped(select: exp.Select, derived: exp.Subquery, facts: Facts) -> Widenable | None:
    inner = derived.this
    if not isinstance(inner, exp.Select) or inner.args.get("joins"):
        return None
    allowed = _CLAUSES | {"distinct"}
    if any(value for name, value in inner.args.items() if name not in allowed):
        return None
    if inner.args.get("limit") or inner.args.get("offset") or inner.args.get("from_") is None:
        return None
    key = select.args["order"].expressions
    name = folded(key[0].this.this) if len(key) == 1 and isinstance(key[0].this, exp.Column) else ""
    if key[0].args.get("desc") or key[0].args.get("nulls_first"):
        return None
    output = next((o for o in inner.expressions if o.alias_or_name.lower() == name), None)
    if output is None:
        return None
    # The inner SELECT as if it were ordered as the outer one is.
    ordered = inner.copy()
    ordered.set("order", exp.Order(expressions=[exp.Ordered(this=output.unalias().copy())]))
    found = _ordering(ordered, inner.args["from_"].this, facts)
    if found is None:
        return None
    (snapshot, alias, ordering), _ = found
    table = inner.args["from_"].this
    widenable = Widenable(select, inner, table, snapshot, alias, ordering, lonely=True)
    single = Single(inner, snapshot, alias)
    if not _ranks_by(widenable) or not _is_distinct_by(inner, ordering, single):
        return None
    if any(part.find(*ACROSS_ROWS) for part in _after_where(select)):
        return None
    return widenable


def _ranks_by(found: Widenable) -> bool:
    """Whether every window counts nearer rows, and nothing else looks across rows."""
    parts = _after_where(found.scope)
    windows = [w for part in parts for w in part.find_all(exp.Window)]
    across = [n for part in parts for n in part.find_all(*ACROSS_ROWS)]
    inside = [n for w in windows for n in w.find_all(*ACROSS_ROWS)]
    if len(across) != len(inside):
        return False
    single = Single(found.scope, found.snapshot, found.alias)
    return all(
        isinstance(window.this, _RANKS) and _is_first_key(window, found.ordering, single, 0)
        for window in windows
    )


def _after_where(select: exp.Select) -> list[exp.Expr]:
    """Return the parts of a SELECT that may look across its rows."""
    qualify = select.args.get("qualify")
    return [*select.expressions, *([] if qualify is None else [qualify])]


def _is_distinct_by(inner: exp.Select, ordering: Ordering, single: Single) -> bool:
    """Whether DISTINCT ON, if there is one, keeps the nearest row of each group."""
    distinct = inner.args.get("distinct")
    if distinct is None:
        return inner.args.get("order") is None and bool(inner.find(exp.Window))
    keys = distinct.args.get("on")
    return keys is not None and _is_first_key(inner, ordering, single, len(keys.expressions))


def _is_first_key(node: exp.Expr, ordering: Ordering, single: Single, place: int) -> bool:
    order = node.args.get("order")
    if order is None or len(order.expressions) <= place:
        return False
    key = order.expressions[place]
    if key.args.get("desc") or key.args.get("nulls_first"):
        return False
    return ordering.is_value(resolve_output(key.this, single), single.columns)


def widen(found: Widenable, planning: Planning, add: AddInput) -> Widening:
    """Put a search of the nearest rows in the place of the table; changes the tree."""
    scope, alias = found.scope, found.alias
    limit, offset = found.limit, found.offset
    synthetic = exp.select("*").from_(found.table.copy())
    keys = semi_joins(found.scope, found.table, found.snapshot, found.alias, planning.facts)
    pushed = [*_push_down(found), *keys]
    if pushed:
        synthetic.set("where", exp.Where(this=exp.and_(*pushed, copy=False)))
    distance = exp.Anonymous(
        this=found.ordering.metric.function,
        expressions=[exp.column(quoted(found.ordering.column.name)), found.ordering.query.copy()],
    )
    synthetic.set("order", exp.Order(expressions=[exp.Ordered(this=distance, nulls_first=False)]))
    synthetic.set("limit", exp.Limit(expression=exp.Placeholder(this=DEPTH)))
    lifted, subqueries = planning.lift(synthetic)
    single = Single(lifted, found.snapshot, alias)
    ordering = ordering_of(single)
    assert isinstance(ordering, Ordering)
    _name_distances(found)
    outputs = _outputs(found)
    plan = replace(top_k(single, ordering, outputs, planning.settings), subqueries=subqueries)
    name = add(plan)
    if scope is found.select:
        key = exp.column(quoted(ORDINAL), table=quoted(alias))
        scope.set("order", exp.Order(expressions=[exp.Ordered(this=key, nulls_first=False)]))
    hide_from_stars(scope, {alias: (DISTANCE, ORDINAL)})
    replacement = exp.to_table(name).as_(alias, quoted=True)
    if found.table.args.get("joins"):
        replacement.set("joins", found.table.args["joins"])
    found.table.replace(replacement)
    return Widening(name, limit, offset)


def _push_down(found: Widenable) -> list[exp.Expr]:
    """Take the conjuncts over the table alone out of WHERE; they come before the search."""
    where = found.scope.args.get("where")
    if where is None:
        return []
    rest: list[exp.Expr] = []
    pushed: list[exp.Expr] = []
    for part in conjuncts_of(where.this):
        target = pushed if _is_own(part, found) else rest
        target.append(part)
    found.scope.set("where", exp.Where(this=exp.and_(*rest, copy=False)) if rest else None)
    return pushed


def _is_own(part: exp.Expr, found: Widenable) -> bool:
    known = {column.name for column in found.snapshot.table.columns}
    if not reads_only(part, found.alias, known, known if found.lonely else ()):
        return False
    return all(c.native for c in plan_predicate(part, found.snapshot, found.alias))


def _name_distances(found: Widenable) -> None:
    """Replace the distance that orders the rows by the search's own."""
    columns = found.snapshot.table.columns
    for node in list(found.scope.find_all(exp.Anonymous)):
        if not found.ordering.is_value(node, columns):
            continue
        own = [c for c in node.find_all(exp.Column) if folded(c.this) == found.ordering.column.name]
        if own and qualifier(own[0]) in (None, found.alias):
            node.replace(exp.column(quoted(DISTANCE), table=quoted(found.alias)))


def _outputs(found: Widenable) -> tuple[Output, ...]:
    needed = named_columns(found.scope)
    columns = found.snapshot.table.columns
    outputs = tuple(
        Output(c.name, c.type, c.name) for c in columns if needed is None or c.name in needed
    )
    return (*outputs, Output(DISTANCE, DOUBLE, None))
