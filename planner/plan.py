"""The planner's entry: a statement's tree and the facts in, a plan out."""

from collections.abc import Mapping
from functools import partial

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError, did_you_mean
from vsql.planner.facts import Facts
from vsql.planner.native import Planning, native_query
from vsql.planner.nodes import Plan, Subquery, Write
from vsql.planner.scope import is_standalone
from vsql.planner.select import single_table

SUBQUERY_PREFIX = "vsql_subquery_"
NO_SETTINGS: Mapping[str, str] = {}


def plan_query(tree: exp.Expr, facts: Facts, settings: Mapping[str, str] = NO_SETTINGS) -> Plan:
    """Return the plan of a SELECT, VALUES or set operation.

    `settings` are the statement's own (SEARCH PARAMS). Raises ProgrammingError for unknown names.
    """

    def lift(select: exp.Select) -> tuple[exp.Select, tuple[Subquery, ...]]:
        return _lift(select, facts)

    planning = Planning(facts, settings, lift)
    plan = native_query(tree, planning)
    if plan is not None:
        return plan
    from vsql.planner.relational import plan_remainder

    if isinstance(tree, exp.Select) and tree.args.get("joins"):
        from vsql.planner.joined_batch import joined_batch
        from vsql.planner.joined_search import joined_search

        rest = partial(plan_remainder, tree, planning)
        joined = joined_search(tree, planning, rest) or joined_batch(tree, planning)
        if joined is not None:
            return joined
    return plan_remainder(tree, planning)


def _lift(select: exp.Select, facts: Facts) -> tuple[exp.Select, tuple[Subquery, ...]]:
    """Take standalone subqueries out of WHERE and ORDER BY: they become parameters.

    Returns a copy where each is a placeholder, and the plans that fill them.
    """
    if not any(select.args.get(clause) for clause in ("where", "order")):
        return select, ()
    copy = select.copy()
    single = single_table(copy, facts)
    where = copy.args.get("where")
    if single is not None and where is not None and where.find(exp.Exists):
        # Not before it is needed: the first search of a process waits for every import.
        from vsql.planner.semi_join import exists_as_in

        exists_as_in(where, single, facts)
    found: dict[exp.Expr, Subquery] = {}
    for clause in ("where", "order", "expressions"):
        nodes = copy.args.get(clause)
        for root in nodes if isinstance(nodes, list) else [nodes]:
            if isinstance(root, exp.Expr):
                lift_subqueries(root, facts, found)
    return copy, tuple(found.values())


def lift_subqueries(root: exp.Expr, facts: Facts, found: dict[exp.Expr, Subquery]) -> None:
    """Replace the standalone subqueries under `root`, in place, and add their plans to `found`."""
    for node in list(root.find_all(exp.Subquery)):
        query, parent = node.this, node.parent
        membership = isinstance(parent, exp.In)
        if not isinstance(query, exp.Query) or isinstance(node.parent, exp.Exists | exp.Any):
            continue
        if isinstance(parent, exp.In) and isinstance(parent.this.unnest(), exp.Tuple):
            continue  # Rows are looked for, not values: DuckDB compares them.
        if node.find_ancestor(exp.Subquery) is not None or not is_standalone(query, facts):
            continue
        if node not in found:
            key = f"{SUBQUERY_PREFIX}{len(found) + 1}"
            found[node.copy()] = Subquery(key, plan_query(query, facts), membership)
        placeholder = exp.Placeholder(this=found[node].key)
        if membership:
            assert isinstance(node.parent, exp.In)
            node.parent.set("expressions", [placeholder])
            node.parent.set("query", None)
        else:
            node.replace(placeholder)


def check_setting_names(settings: Mapping[str, str], known: tuple[str, ...]) -> None:
    """Raise ProgrammingError (42704) for a SEARCH PARAMS name that is no setting."""
    for name in settings:
        if name not in known:
            raise ProgrammingError(
                f'"{name}" is not a search parameter',
                code=sqlstate.UNDEFINED_OBJECT,
                hint=did_you_mean(name, known),
            )


def tables_of(plan: Plan | Write) -> frozenset[str]:
    """Return the names of the tables, stored and registered, that a plan depends on."""
    names: set[str] = set()
    _gather_tables(plan, names)
    return frozenset(names)


def _gather_tables(node: object, names: set[str]) -> None:
    name = getattr(node, "table", None)
    if isinstance(name, str):
        names.add(name)
    for attribute in ("source", "search", "joined"):
        inner = getattr(node, attribute, None)
        if inner is not None:
            _gather_tables(inner, names)
    returning = getattr(node, "returning", None)
    if returning is not None:
        _gather_tables(returning.plan, names)
    for subquery in getattr(node, "subqueries", ()):
        _gather_tables(subquery.plan, names)
    for join in getattr(node, "joins", ()):
        _gather_tables(join, names)
    for _, source in getattr(node, "inputs", ()):
        _gather_tables(source, names)
