"""The planner's entry: a statement's tree and the facts in, a plan out."""

from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import NotSupportedError, ProgrammingError, did_you_mean
from vsql.core.snapshot import TableSnapshot
from vsql.planner.bind import bind_columns, folded, span_of
from vsql.planner.facts import Facts, unknown_column
from vsql.planner.nodes import (
    DeleteRows,
    InsertRows,
    Plan,
    Remainder,
    Subquery,
    UpdateRows,
)
from vsql.planner.predicate import plan_predicate
from vsql.planner.scope import is_standalone
from vsql.planner.select import native_plan, single_table

SUBQUERY_PREFIX = "vsql_subquery_"
NO_SETTINGS: Mapping[str, str] = {}


def plan_query(tree: exp.Expr, facts: Facts, settings: Mapping[str, str] = NO_SETTINGS) -> Plan:
    """Return the plan of a SELECT, VALUES or set operation.

    `settings` are the statement's own (SEARCH PARAMS). Raises ProgrammingError for unknown names.
    """
    single = single_table(tree, facts)
    if single is not None:
        lifted, subqueries = _lift(single.tree, facts)
        plan = native_plan(replace(single, tree=lifted), facts, settings)
        if plan is not None:
            return replace(plan, subqueries=subqueries) if subqueries else plan
    from vsql.planner.relational import plan_remainder

    return plan_remainder(tree, facts, settings, lambda select: _lift(select, facts))


def _lift(select: exp.Select, facts: Facts) -> tuple[exp.Select, tuple[Subquery, ...]]:
    """Take standalone subqueries out of WHERE and ORDER BY: they become parameters.

    Returns a copy where each is a placeholder, and the plans that fill them.
    """
    if not any(select.args.get(clause) for clause in ("where", "order")):
        return select, ()
    copy = select.copy()
    found: dict[exp.Expr, Subquery] = {}
    for clause in ("where", "order", "expressions"):
        nodes = copy.args.get(clause)
        for root in nodes if isinstance(nodes, list) else [nodes]:
            if isinstance(root, exp.Expr):
                _lift_from(root, facts, found)
    return copy, tuple(found.values())


def _lift_from(root: exp.Expr, facts: Facts, found: dict[exp.Expr, Subquery]) -> None:
    for node in list(root.find_all(exp.Subquery)):
        query, membership = node.this, isinstance(node.parent, exp.In)
        if not isinstance(query, exp.Query) or isinstance(node.parent, exp.Exists | exp.Any):
            continue
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


def plan_delete(tree: exp.Delete, facts: Facts) -> DeleteRows:
    """Return the plan of DELETE FROM t [WHERE …]; raises ProgrammingError, NotSupportedError."""
    for clause in ("using", "order", "limit", "returning", "with_", "tables", "cluster"):
        if tree.args.get(clause):
            raise NotSupportedError(f"DELETE with {clause.strip('_').upper()} is not supported yet")
    table, alias = _target(tree.this, facts)
    where, subqueries = _where(tree, facts)
    return DeleteRows(table.table.name, plan_predicate(where, table, alias), subqueries)


def plan_update(tree: exp.Update, facts: Facts) -> UpdateRows:
    """Return the plan of UPDATE t SET … [WHERE …]; raises ProgrammingError, NotSupportedError."""
    for clause in ("from_", "order", "limit", "returning", "with_"):
        if tree.args.get(clause):
            raise NotSupportedError(f"UPDATE with {clause.strip('_').upper()} is not supported yet")
    table, alias = _target(tree.this, facts)
    where, subqueries = _where(tree, facts)
    assignments: list[tuple[str, exp.Expr]] = []
    for assignment in tree.expressions:
        if not isinstance(assignment, exp.EQ) or not isinstance(assignment.this, exp.Column):
            raise ProgrammingError("SET needs column = value", span=span_of(assignment))
        name = folded(assignment.this.this)
        if table.table.find(name) is None:
            raise unknown_column(name, table.table.columns, span_of(assignment.this))
        if any(name == known for known, _ in assignments):
            raise ProgrammingError(
                f'column "{name}" is assigned twice', span=span_of(assignment.this)
            )
        assignments.append((name, bind_columns(assignment.expression, table, alias)))
    conjuncts = plan_predicate(where, table, alias)
    return UpdateRows(table.table.name, tuple(assignments), conjuncts, subqueries)


def plan_insert(tree: exp.Insert, facts: Facts) -> InsertRows:
    """Return the plan of INSERT INTO t …; raises ProgrammingError, NotSupportedError."""
    for clause in ("conflict", "returning", "overwrite", "ignore", "with_", "alias"):
        if tree.args.get(clause):
            raise NotSupportedError(f"INSERT with {clause.strip('_').upper()} is not supported yet")
    target = tree.this
    schema = target if isinstance(target, exp.Schema) else None
    table, _ = _target(target.this if schema is not None else target, facts)
    columns = _insert_columns(schema, table)
    if tree.args.get("default"):
        return InsertRows(table.table.name, (), ((),))
    source = tree.expression
    if isinstance(source, exp.Subquery):
        source = source.unnest()
    if not isinstance(source, exp.Values):
        plan = plan_query(source, facts)
        return InsertRows(table.table.name, columns, source=plan)
    rows = tuple(tuple(row.expressions) for row in source.expressions)
    given = columns if schema is not None else columns[: max(len(row) for row in rows)]
    for number, row in enumerate(rows, 1):
        if len(row) != len(given):
            raise ProgrammingError(
                f"row {number} has {len(row)} values, but {len(given)} columns are to be filled",
                span=span_of(row[-1]) if row else None,
                hint="columns: " + ", ".join(given),
            )
    return InsertRows(table.table.name, given, rows)


def _insert_columns(schema: exp.Schema | None, table: TableSnapshot) -> tuple[str, ...]:
    if schema is None:
        return tuple(column.name for column in table.table.columns)
    names: list[str] = []
    for node in schema.expressions:
        name = folded(node)
        if table.table.find(name) is None:
            raise unknown_column(
                name, table.table.columns, span_of(node), f'table "{table.table.name}"'
            )
        if name in names:
            raise ProgrammingError(
                f'column "{name}" is named twice',
                code=sqlstate.DUPLICATE_COLUMN,
                span=span_of(node),
            )
        names.append(name)
    return tuple(names)


def _target(node: exp.Expr, facts: Facts) -> tuple[TableSnapshot, str]:
    name = folded(node.this)
    alias = node.args.get("alias")
    return facts.require(name, span_of(node)), folded(alias) if alias is not None else name


def _where(tree: exp.Expr, facts: Facts) -> tuple[exp.Expr | None, tuple[Subquery, ...]]:
    where = tree.args.get("where")
    if where is None:
        return None, ()
    found: dict[exp.Expr, Subquery] = {}
    copy = where.copy()
    _lift_from(copy, facts, found)
    left = copy.find(exp.Query)
    if left is not None:
        raise NotSupportedError(
            "a subquery that reads the row being changed is not supported yet", span=span_of(left)
        )
    return copy.this, tuple(found.values())


def check_setting_names(settings: Mapping[str, str], known: tuple[str, ...]) -> None:
    """Raise ProgrammingError (42704) for a SEARCH PARAMS name that is no setting."""
    for name in settings:
        if name not in known:
            raise ProgrammingError(
                f'"{name}" is not a search parameter',
                code=sqlstate.UNDEFINED_OBJECT,
                hint=did_you_mean(name, known),
            )


def tables_of(plan: Plan | InsertRows | DeleteRows | UpdateRows) -> frozenset[str]:
    """Return the names of the tables, stored and registered, that a plan depends on."""
    names: set[str] = set()
    _gather_tables(plan, names)
    return frozenset(names)


def _gather_tables(node: object, names: set[str]) -> None:
    for attribute in ("table", "outer"):
        name = getattr(node, attribute, None)
        if isinstance(name, str):
            names.add(name)
    for inner in (getattr(node, "source", None), getattr(node, "search", None)):
        if inner is not None:
            _gather_tables(inner, names)
    for subquery in getattr(node, "subqueries", ()):
        _gather_tables(subquery.plan, names)
    if isinstance(node, Remainder):
        for _, source in node.inputs:
            _gather_tables(source, names)
