"""The outer relation of a lateral search as an input of its own: the rows that ask.

Only rows that can come out ask: conditions on the relation alone, and joins with few keys, are
taken before the batch. A relation that reads CTEs takes them along.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from vsql.planner.bind import folded
from vsql.planner.facts import Facts
from vsql.planner.lateral import OUTER_ROW, LateralSearch
from vsql.planner.nodes import Numbered, OutsideInput, Plan, TableInput
from vsql.planner.resolve import is_cte
from vsql.planner.scope import is_standalone, named_columns
from vsql.planner.select import has_modifiers
from vsql.planner.semi_join import semi_joins
from vsql.planner.vector_types import Types
from vsql.planner.volatile import WRITES, is_volatile

PlanQuery = Callable[[exp.Select], Plan]
OuterInput = TableInput | OutsideInput | Numbered


@dataclass(frozen=True, slots=True)
class Outer:
    """An outer relation: its columns, and the CTEs that it reads, in the order of their making."""

    columns: tuple[str, ...]
    ctes: tuple[exp.CTE, ...]


def outer_of(search: LateralSearch, types: Types, facts: Facts) -> Outer | None:
    """Return what the outer relation of a search is, None where it can't be read by itself."""
    outputs = types.of_relation(search.outer_alias, search.select) or ()
    columns = tuple(name for name, _ in outputs)
    ctes = _ctes_of(search.outer)
    # What is volatile and read elsewhere too would be computed twice, and differ.
    is_shared = any(cte.find(*WRITES) or len(_readers(cte)) > 1 for cte in ctes)
    if not columns or (is_shared and any(map(is_volatile, ctes))):
        return None
    if not is_standalone(_reading(search, Outer(("*",), ctes), []), facts):
        return None
    return Outer(columns, ctes)


def outer_input(
    search: LateralSearch, outer: Outer, tree: exp.Expr, facts: Facts, plan_query: PlanQuery
) -> OuterInput:
    """Return the input that numbers the outer rows; takes conditions on them out of WHERE."""
    relation = search.outer
    conditions = search.own_conditions(frozenset(outer.columns))
    name = folded(relation.this) if isinstance(relation, exp.Table) else ""
    stored = facts.stored(name) if name and not is_cte(relation, name) else None
    is_plain = isinstance(relation, exp.Table) and not has_modifiers(relation)
    if stored is not None and is_plain:
        alias = search.outer_alias
        conditions += semi_joins(search.select, relation, stored, alias, facts)
    needed = named_columns(tree)
    kept = tuple(
        column
        for column in outer.columns
        if needed is None or column in needed or column == search.query_column
    )
    if is_plain and not conditions and not outer.ctes:
        if name in facts.outside:
            return OutsideInput(name, kept, OUTER_ROW)
        if stored is not None:
            return TableInput(name, kept, (), OUTER_ROW)
    query = _reading(search, Outer(kept, outer.ctes), conditions)
    if isinstance(relation, exp.Subquery) and not conditions and not outer.ctes:
        derived, renamed = relation.this, relation.args["alias"].args.get("columns")
        if isinstance(derived, exp.Select) and not renamed:
            query = derived.copy()
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


def _reading(search: LateralSearch, outer: Outer, conditions: list[exp.Expr]) -> exp.Select:
    relation = search.outer.copy()
    relation.set("joins", None)
    alias = exp.to_identifier(search.outer_alias, quoted=True)
    columns = [
        exp.Star() if name == "*" else exp.column(exp.to_identifier(name, quoted=True), table=alias)
        for name in outer.columns
    ]
    query = exp.select(*columns).from_(relation)
    if conditions:
        query = query.where(*(part.copy() for part in conditions), copy=False)
    if outer.ctes:
        is_recursive = any(with_.recursive for with_ in _withs(search.outer))
        ctes = [cte.copy() for cte in outer.ctes]
        query.set("with_", exp.With(expressions=ctes, recursive=is_recursive))
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
