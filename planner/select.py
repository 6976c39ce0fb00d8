"""SELECTs over one stored table, taken apart, and the plans of those that a distance orders."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from sqlglot import exp

from vsql.core.distance import Metric
from vsql.core.schema import Column
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import DOUBLE
from vsql.grammar.render import render
from vsql.planner.bind import (
    bind_columns,
    folded,
    is_constant,
    qualifier,
    span_of,
    vector_distance,
)
from vsql.planner.facts import Facts, unknown_column
from vsql.planner.nodes import Bound, Conjunct, Output, TopK

if TYPE_CHECKING:
    from vsql.planner.fusion import Fused
    from vsql.planner.search_nodes import Fusion

NUMBERED = "vsql_numbered"
"""What a table's node says of itself in its meta: the column that numbers the table's rows."""

_PLAIN_CLAUSES = frozenset(
    {
        "expressions",
        "from_",
        "where",
        "order",
        "limit",
        "offset",
        "kind",
        "hint",
        "operation_modifiers",
    }
)


@dataclass(frozen=True, slots=True)
class Single:
    """A SELECT over one stored table, taken apart."""

    tree: exp.Select
    table: TableSnapshot
    alias: str

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.table.table.columns

    @property
    def where(self) -> exp.Expr | None:
        where = self.tree.args.get("where")
        return None if where is None else where.this

    @property
    def limit(self) -> exp.Expr | None:
        limit = self.tree.args.get("limit")
        if isinstance(limit, exp.Fetch):
            return limit.args.get("count") or exp.Literal.number(1)
        return None if limit is None else limit.expression

    @property
    def offset(self) -> exp.Expr | None:
        offset = self.tree.args.get("offset")
        return None if offset is None else offset.expression


@dataclass(frozen=True, slots=True)
class Ordering:
    """ORDER BY one distance, nearest first."""

    metric: Metric
    column: Column
    query: exp.Expr

    @property
    def name(self) -> str:
        """The name of an output that shows it."""
        return self.metric.function

    def is_value(self, node: exp.Expr, columns: tuple[Column, ...]) -> bool:
        """Whether an expression is the distance that orders the rows."""
        return vector_distance(node, columns) == (self.metric, self.column, self.query)


def single_table(tree: exp.Expr, facts: Facts) -> Single | None:
    """Return a SELECT over one stored table, or None where it has any other clause."""
    if not isinstance(tree, exp.Select):
        return None
    if any(value for name, value in tree.args.items() if name not in _PLAIN_CLAUSES):
        return None
    if has_ties(tree):
        return None
    source = tree.args.get("from_")
    table = source.this if source is not None else None
    if not isinstance(table, exp.Table) or has_modifiers(table) or NUMBERED in table.meta:
        return None
    snapshot = facts.stored(folded(table.this))
    if snapshot is None:
        return None
    alias = table.args.get("alias")
    name = folded(alias.this) if alias is not None else folded(table.this)
    return Single(tree, snapshot, name)


def has_ties(tree: exp.Expr) -> bool:
    """Whether it is FETCH FIRST n ROWS WITH TIES."""
    limit = tree.args.get("limit")
    options = limit.args.get("limit_options") if isinstance(limit, exp.Fetch) else None
    return options is not None and bool(options.args.get("with_ties"))


def has_modifiers(table: exp.Table) -> bool:
    """Whether a table is read otherwise than by its name: renamed columns, a sample, a version."""
    alias = table.args.get("alias")
    if alias is not None and alias.args.get("columns"):
        return True
    database = table.args.get("db")
    if database is not None and folded(database) != "public":
        return True
    allowed = {"this", "alias", "db"}
    return any(value for name, value in table.args.items() if name not in allowed)


def ordering_of(single: Single) -> "Ordering | Fused | None":
    """Return the distance or fusion that orders the SELECT, or None where anything else does."""
    order = single.tree.args.get("order")
    if order is None:
        return None
    key, *others = order.expressions
    if others and not _are_ties_by_key(others, single):
        return None
    if _is_backwards(key):
        return None
    value = resolve_output(key.this, single)
    found = vector_distance(value, single.columns)
    if found is not None:
        return Ordering(*found)
    from vsql.planner.fusion import fusion_of

    return fusion_of(value, single.columns)


def _is_backwards(key: exp.Expr) -> bool:
    return bool(key.args.get("desc") or key.args.get("nulls_first") or key.args.get("with_fill"))


def _are_ties_by_key(keys: list[exp.Expr], single: Single) -> bool:
    """Whether ties go by the primary key, as they do in every search."""
    names: list[str] = []
    for key in keys:
        column = resolve_output(key.this, single)
        if _is_backwards(key) or not isinstance(column, exp.Column):
            return False
        if qualifier(column) not in (None, single.alias):
            return False
        names.append(folded(column.this))
    return tuple(names) == single.table.table.primary_key


def resolve_output(key: exp.Expr, single: Single) -> exp.Expr:
    """Return what an ORDER BY key means: an output's expression for its alias or its number."""
    outputs = single.tree.expressions
    if isinstance(key, exp.Literal) and key.is_int and 1 <= int(key.this) <= len(outputs):
        return unaliased(outputs[int(key.this) - 1])
    if isinstance(key, exp.Column) and qualifier(key) is None:
        name = folded(key.this)
        for output in outputs:
            if isinstance(output, exp.Alias) and folded(output.args["alias"]) == name:
                return unaliased(output)
    return key


def unaliased(node: exp.Expr) -> exp.Expr:
    """Return an output without its alias."""
    inner = node.this if isinstance(node, exp.Alias) else node
    assert isinstance(inner, exp.Expr)
    return inner


def reads_elsewhere(node: exp.Expr | None) -> bool:
    """Whether an expression reads other relations: in a query of its own, or in the catalogs."""
    if node is None:
        return False
    from vsql.planner.system_functions import mentions_system

    return node.find(exp.Query) is not None or mentions_system(node)


def search_plan(
    single: Single,
    ordering: "Ordering | Fused",
    outputs: tuple[Output, ...],
    settings: Mapping[str, str],
) -> "TopK | Fusion":
    """Return the plan of a SELECT that a distance or a fusion of distances orders."""
    if isinstance(ordering, Ordering):
        return top_k(single, ordering, outputs, settings)
    from vsql.planner.search_nodes import Fusion

    unlimited = replace(single, tree=single.tree.copy())
    unlimited.tree.set("limit", None)
    unlimited.tree.set("offset", None)
    searches = tuple(top_k(unlimited, Ordering(*d), (), settings) for d in ordering.distances)
    return Fusion(
        table=single.table.table.name,
        method=ordering.method,
        searches=searches,
        options=ordering.options,
        outputs=outputs,
        conjuncts=searches[0].conjuncts,
        limit=single.limit,
        offset=single.offset,
        settings=settings,
    )


def top_k(
    single: Single,
    ordering: Ordering,
    outputs: tuple[Output, ...],
    settings: Mapping[str, str],
    *,
    ranges: bool = True,
) -> TopK:
    """Return the top-k plan of a SELECT that is ordered by a distance.

    With `ranges`, conditions on that distance bound the search.
    """
    serving = tuple(
        index.id
        for index in single.table.indexes
        if index.key == column_key(ordering.column) and index.metric is ordering.metric
    )
    conjuncts = predicate_of(single)
    # Without a limit every row that matches is wanted: exact evaluation finds them all.
    ranges = ranges and single.limit is not None
    bounds = [_bound(c, ordering, single) for c in conjuncts] if ranges else []
    return TopK(
        table=single.table.table.name,
        column=ordering.column.name,
        metric=ordering.metric,
        query=ordering.query,
        outputs=outputs,
        conjuncts=tuple(c for c, bound in zip_longest(conjuncts, bounds) if bound is None),
        limit=single.limit,
        offset=single.offset,
        index_ids=serving,
        settings=settings,
        bounds=tuple(bound for bound in bounds if bound is not None),
    )


_BOUNDS: Mapping[type[exp.Expr], tuple[bool, bool]] = {
    exp.LT: (False, False),
    exp.LTE: (False, True),
    exp.GT: (True, False),
    exp.GTE: (True, True),
}


def _bound(conjunct: Conjunct, ordering: Ordering, single: Single) -> Bound | None:
    """Return what a conjunct says of the distance that orders the rows, or None."""
    node = conjunct.expression.unnest()
    found = _BOUNDS.get(type(node))
    if found is None:
        return None
    far, inclusive = found
    distance, value = node.this, node.expression
    if ordering.is_value(value, single.columns):
        distance, value, far = value, distance, not far
    if not ordering.is_value(distance, single.columns) or not is_constant(value):
        return None
    return Bound(value, far, inclusive)


def predicate_of(single: Single) -> tuple[Conjunct, ...]:
    """Return the parts of WHERE, planned."""
    if single.where is None:
        return ()
    # Imported for the first WHERE: a first search without one does not wait for it.
    from vsql.planner.predicate import plan_predicate

    return plan_predicate(single.where, single.table, single.alias)


def column_key(column: Column) -> str:
    """Return the index key that a bare column has."""
    return render(exp.column(exp.to_identifier(column.name, quoted=True)))


def projected(single: Single, ordering: "Ordering | Fused | None") -> tuple[Output, ...] | None:
    """Return the outputs where all are columns or what orders the rows, otherwise None."""
    outputs: list[Output] = []
    for node in single.tree.expressions:
        if _is_star(node, single):
            outputs.extend(Output(c.name, c.type, c.name) for c in single.columns)
            continue
        inner = unaliased(node)
        if isinstance(inner, exp.Column) and not isinstance(inner.this, exp.Star):
            column = column_of(inner, single)
            outputs.append(Output(output_name(node, column.name), column.type, column.name))
            continue
        if ordering is None or not ordering.is_value(inner, single.columns):
            return None
        outputs.append(Output(output_name(node, ordering.name), DOUBLE, None))
    return tuple(outputs)


def _is_star(node: exp.Expr, single: Single) -> bool:
    if isinstance(node, exp.Star):
        return not any(node.args.values())
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
        return qualifier(node) == single.alias
    return False


def column_of(node: exp.Column, single: Single) -> Column:
    """Return the column that a name means; raises ProgrammingError (42703)."""
    bound = bind_columns(node, single.table, single.alias)
    column = single.table.table.find(bound.name)
    if column is None:
        raise unknown_column(bound.name, single.columns, span_of(node))
    return column


def output_name(node: exp.Expr, default: str) -> str:
    """Return the name of an output: its alias, or else the default."""
    return folded(node.args["alias"]) if isinstance(node, exp.Alias) else default
