"""Names to tables: schemas, views, aliases and older versions, before anything else is planned.

After this, a table in a tree is one identifier, its qualified name; a view is its query; an alias
is its table; a table at an older version has a name of its own, under which the caller knows it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.core.schema import DYNAMIC, NamedObject
from vsql.grammar.parse import parse_expression, parse_query
from vsql.planner.bind import folded, span_of

VIEW_DEPTH_MAX = 32
PUBLIC = "public"
Objects = Mapping[tuple[str, str], NamedObject]


@dataclass(frozen=True, slots=True)
class Names:
    """What names may mean.

    `has_table` tells whether a qualified name is a table; `columns` gives the columns of a dynamic
    table, None for any other; `at` returns the name under which a table at another version is
    known: it is given the table, VERSION or TIMESTAMP, and a constant.
    """

    objects: Objects
    has_table: Callable[[str], bool]
    columns: Callable[[str], tuple[str, ...] | None]
    at: Callable[[str, str, exp.Expr], str]


def table_name(node: exp.Table) -> str:
    """Return the qualified name of a table node; the schema public goes without saying."""
    schema = node.args.get("db")
    own = folded(node.this)
    return own if schema is None or folded(schema) == PUBLIC else f"{folded(schema)}.{own}"


def resolve(tree: exp.Expr, names: Names, depth: int = 0) -> exp.Expr:
    """Return the tree with every table name resolved; the tree itself where nothing changes.

    Raises ProgrammingError: 42P17 for views within views without end, 0A000 for a version of what
    is no table.
    """
    if not any(_needs(table, names) for table in tree.find_all(exp.Table)):
        return _with_dynamic_keys(tree, names)
    if depth > VIEW_DEPTH_MAX:
        raise ProgrammingError("views refer to each other without end", code="42P17")
    tree = tree.copy()
    for table in list(tree.find_all(exp.Table)):
        if isinstance(table.this, exp.Identifier) and not is_cte(table, folded(table.this)):
            _resolve_table(table, names, depth)
    for column in tree.find_all(exp.Column):
        if column.args.get("db") is not None:
            column.set("db", None)
    return _with_dynamic_keys(tree, names)


def _with_dynamic_keys(tree: exp.Expr, names: Names) -> exp.Expr:
    """Read names that no column has as keys of a dynamic table, where one is the only source.

    `color` becomes `"$meta" ->> 'color'`, text as JSON's `->>` gives it.
    """
    dynamic = [
        (table, known)
        for table in tree.find_all(exp.Table)
        for known in (names.columns(table_name(table)),)
        if known is not None and DYNAMIC in known
    ]
    if not dynamic:
        return tree
    tree = tree.copy()
    for scope in list(tree.find_all(exp.Select, exp.Update, exp.Delete)):
        tables = _own_tables(scope)
        if len(tables) != 1 or not isinstance(tables[0].this, exp.Identifier):
            continue
        columns = names.columns(table_name(tables[0]))
        if columns is None or DYNAMIC not in columns:
            continue
        shown = folded(tables[0].args.get("alias") or tables[0].this)
        outputs = {folded(a.args["alias"]) for a in scope.find_all(exp.Alias)}
        for column in list(scope.find_all(exp.Column)):
            name = folded(column.this)
            if isinstance(column.this, exp.Star) or name in columns or name in outputs:
                continue
            if _is_compared(column):
                _spell_out_between(column)
                continue
            owner = column.args.get("table")
            if owner is not None and folded(owner) != shown:
                continue
            if column.find_ancestor(exp.Select, exp.Update, exp.Delete) is scope:
                _read_key(column, name, owner)
    return tree


def _is_compared(column: exp.Expr) -> bool:
    """Whether a condition of WHERE compares it: the planner gives that JSON's own meaning."""
    if column.find_ancestor(exp.Where) is None:
        return False
    parent = column.parent
    while isinstance(parent, exp.Paren):
        parent = parent.parent
    if isinstance(parent, exp.Predicate | exp.In | exp.Like | exp.Is):
        return True
    node = column.find_ancestor(exp.Anonymous)
    return node is not None and node.name.startswith("vsql_")


def _spell_out_between(column: exp.Expr) -> None:
    """Write BETWEEN as the two comparisons that it is, which the planner knows for JSON."""
    parent = column.parent
    if isinstance(parent, exp.Between) and parent.this is column:
        low = exp.GTE(this=column.copy(), expression=parent.args["low"].copy())
        high = exp.LTE(this=column.copy(), expression=parent.args["high"].copy())
        parent.replace(exp.Paren(this=exp.And(this=low, expression=high)))


def _own_tables(scope: exp.Expr) -> list[exp.Table]:
    kinds = (exp.Select, exp.Update, exp.Delete)
    return [t for t in scope.find_all(exp.Table) if t.find_ancestor(*kinds) is scope]


def _read_key(column: exp.Column, name: str, owner: exp.Expr | None) -> None:
    read = parse_expression(f'"{DYNAMIC}" ->> {exp.Literal.string(name).sql()}').copy()
    if owner is not None:
        inner = read.find(exp.Column)
        assert inner is not None
        inner.set("table", owner.copy())
    parent = column.parent
    if (
        isinstance(parent, exp.EQ)
        and isinstance(parent.parent, exp.Update)
        and parent.this is column
    ):
        return
    is_output = isinstance(parent, exp.Select) and column.arg_key == "expressions"
    column.replace(exp.alias_(read, name, quoted=True) if is_output else exp.Paren(this=read))


def _needs(table: exp.Table, names: Names) -> bool:
    if not isinstance(table.this, exp.Identifier):
        return False
    if table.args.get("db") or table.args.get("version") or table.args.get("when"):
        return True
    name = folded(table.this)
    if ("view", name) in names.objects or ("alias", name) in names.objects:
        return True
    return name.startswith("pg_") and _system_name(None, name) is not None


def _resolve_table(table: exp.Table, names: Names, depth: int) -> None:
    name = _meant(table, names)
    shown = table.args.get("alias") or exp.TableAlias(this=table.this.copy())
    alias = names.objects.get(("alias", name))
    if alias is not None and not names.has_table(name):
        name = alias.body
    view = names.objects.get(("view", name))
    moment = _moment(table)
    if moment is not None and moment[1] is None:
        raise ProgrammingError(
            "AS OF needs a version or a time", code=sqlstate.SYNTAX_ERROR, span=span_of(table)
        )
    if view is not None and not names.has_table(name):
        if moment is not None:
            raise ProgrammingError(
                f'"{name}" is a view: only tables have versions',
                code=sqlstate.FEATURE_NOT_SUPPORTED,
                span=span_of(table),
            )
        query = resolve(parse_query(view.body), names, depth + 1)
        subquery = exp.Subquery(this=query, alias=shown.copy())
        for part in ("joins", "sample"):
            if table.args.get(part):
                subquery.set(part, table.args[part])
        table.replace(subquery)
        return
    if moment is not None:
        name = names.at(name, *moment)
    identifier = exp.to_identifier(name, quoted=True)
    identifier.meta.update(table.this.meta)
    table.set("this", identifier)
    for part in ("db", "catalog", "version", "when"):
        table.set(part, None)
    table.set("alias", shown.copy())


def _meant(table: exp.Table, names: Names) -> str:
    """Return the qualified name: a user's table, view or alias, or else one of the catalogs."""
    name = table_name(table)
    known = names.has_table(name) or any((k, name) in names.objects for k in ("view", "alias"))
    schema = table.args.get("db")
    system = None if known else _system_name(folded(schema) if schema else None, folded(table.this))
    return name if system is None else system


def _system_name(schema: str | None, name: str) -> str | None:
    # Imported for the first name that may be one of the catalogs.
    from vsql.planner.system_catalog import find

    return find(schema, name)


def _moment(table: exp.Table) -> tuple[str, exp.Expr] | None:
    """Return VERSION or TIMESTAMP with its constant, from FOR … AS OF or AT (…)."""
    version, when = table.args.get("version"), table.args.get("when")
    if version is not None:
        return str(version.name).upper(), version.expression
    if when is not None:
        return str(when.args["kind"]).upper(), when.expression
    return None


def is_cte(table: exp.Expr, name: str) -> bool:
    """Whether a WITH around a table defines its name."""
    return cte_of(table, name) is not None


def cte_of(table: exp.Expr, name: str) -> exp.CTE | None:
    """Return the CTE that a table's name means where it stands, None for a table's own."""
    inside, node = None, table
    while (above := node.parent) is not None:
        if isinstance(node, exp.CTE):
            inside = node
        with_ = above.args.get("with_")
        if with_ is not None:
            known: list[exp.CTE] = with_.expressions
            if with_ is node and not with_.args.get("recursive"):
                # A CTE reads those before it.
                known = known[: next(n for n, cte in enumerate(known) if cte is inside)]
            found = next((cte for cte in known if folded(cte.args["alias"]) == name), None)
            if found is not None:
                return found
        node = above
    return None
