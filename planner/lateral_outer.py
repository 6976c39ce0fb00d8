"""The outer relation of a lateral search as an input of its own: the rows that ask.

Only rows that can come out ask: conditions on the relation alone, and joins with few keys, are
taken before the batch. A relation that reads CTEs takes them along.
"""

from collections.abc import Callable

from sqlglot import exp

from vsql.planner.bind import folded, quoted
from vsql.planner.facts import Facts
from vsql.planner.lateral import OUTER_ROW, LateralSearch
from vsql.planner.nodes import Plan
from vsql.planner.relational_nodes import Numbered, OutsideInput, TableInput
from vsql.planner.resolve import is_cte
from vsql.planner.scope import is_standalone, named_columns
from vsql.planner.select import has_modifiers
from vsql.planner.semi_join import semi_joins
from vsql.planner.vector_types import Types
from vsql.planner.volatile import WRITES, is_volatile

PlanQuery = Callable[[exp.Select], Plan]
OuterInput = TableInput | OutsideInput | Numbered


def outer_input(
    search: LateralSearch, tree: exp.Expr, types: Types, facts: Facts, plan_query: PlanQuery
) -> OuterInput | None:
    """Return the input that numbers the outer rows, None where they can't be read by themselves.

    Takes conditions on them out of WHERE.
    """
    relation = search.outer
    columns = [name for name, _ in types.of_relation(search.outer_alias, search.select) or ()]
    ctes = _ctes_of(relation)
    # What is volatile and read elsewhere too would be computed twice, and differ.
    is_shared = any(cte.find(*WRITES) or len(_readers(cte)) > 1 for cte in ctes)
    if not columns or (is_shared and any(map(is_volatile, ctes))):
        return None
    query = _reading(search, ctes)
    if not is_standalone(query, facts):
        return None
    conditions = search.own_conditions(frozenset(columns))
    name = folded(relation.this) if isinstance(relation, exp.Table) else ""
    stored = facts.stored(name) if name and not is_cte(relation, name) else None
    is_plain = isinstance(relation, exp.Table) and not has_modifiers(relation)
    if stored is not None and is_plain:
        alias = search.outer_alias
        conditions += semi_joins(search.select, relation, stored, alias, facts)
    needed = named_columns(tree)
    kept = tuple(
        column
        for column in columns
        if needed is None or column in needed or column == search.query_column
    )
    if not conditions and not ctes:
        if is_plain and name in facts.outside:
            return OutsideInput(name, kept, OUTER_ROW)
        if is_plain and stored is not None:
            return TableInput(name, kept, (), OUTER_ROW)
        derived = relation.this if isinstance(relation, exp.Subquery) else None
        if isinstance(derived, exp.Select) and not relation.args["alias"].args.get("columns"):
            return Numbered(plan_query(derived.copy()), OUTER_ROW)
    table = quoted(search.outer_alias)
    query.select(*(exp.column(quoted(n), table=table) for n in kept), append=False, copy=False)
    query.where(*(part.copy() for part in conditions), copy=False)
    return Numbered(plan_query(query), OUTER_ROW)


def put_input(search: LateralSearch, name: str) -> None:
    """Put an input in the place of the outer relation."""
    relation = search.outer
    replacement = exp.to_table(name).as_(search.outer_alias, quoted=True)
    if relation.args.get("joins"):
        replacement.set("joins", relation.args["joins"])
    around = list(_withs(relation))
    relation.replace(replacement)
    for with_ in around:
        _drop_unread(with_)


def _reading(search: LateralSearch, ctes: tuple[exp.CTE, ...]) -> exp.Select:
    """Return a query of the outer relation by itself: all its columns, and the CTEs it reads."""
    relation = search.outer.copy()
    relation.set("joins", None)
    query = exp.select("*").from_(relation)
    if ctes:
        is_recursive = any(with_.recursive for with_ in _withs(search.outer))
        query.set("with_", exp.With(expressions=[c.copy() for c in ctes], recursive=is_recursive))
    return query


def _withs(node: exp.Expr) -> list[exp.With]:
    """Return the WITH clauses around a node, the nearest first."""
    found = []
    parent = node.parent
    while parent is not None:
        if isinstance(parent.args.get("with_"), exp.With):
            found.append(parent.args["with_"])
        parent = parent.parent
    return found


def _ctes_of(relation: exp.Expr) -> tuple[exp.CTE, ...]:
    """Return the CTEs around a relation that it reads, and those that they read."""
    known: dict[str, exp.CTE] = {}
    for with_ in reversed(_withs(relation)):
        known.update({folded(cte.args["alias"]): cte for cte in with_.expressions})
    read: set[str] = set()
    todo = [relation]
    while todo:
        for table in todo.pop().find_all(exp.Table):
            name = folded(table.this) if isinstance(table.this, exp.Identifier) else ""
            if name in known and name not in read:
                read.add(name)
                todo.append(known[name])
    return tuple(cte for name, cte in known.items() if name in read)


def _drop_unread(with_: exp.With) -> None:
    """Drop the CTEs that nothing reads any more: their inputs would be made for nobody."""
    query = with_.parent
    assert query is not None
    while True:
        unread = [cte for cte in with_.expressions if not cte.find(*WRITES) and not _readers(cte)]
        for cte in unread:
            cte.pop()
        if not unread or not with_.expressions:
            break
    if not with_.expressions:
        query.set("with_", None)


def _readers(cte: exp.CTE) -> list[exp.Table]:
    """Return where a CTE is read, but for where it reads itself."""
    name, with_ = folded(cte.args["alias"]), cte.parent
    assert with_ is not None and with_.parent is not None
    return [
        table
        for table in with_.parent.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier)
        and folded(table.this) == name
        and table.find_ancestor(exp.CTE) is not cte
    ]
