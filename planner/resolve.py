"""Names to tables: schemas, views, aliases and older versions, before anything else is planned.

After this, a table in a tree is one identifier, its qualified name; a view is its query; an alias
is its table; a table at an older version has a name of its own, under which the caller knows it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.core.schema import NamedObject
from vsql.grammar.parse import parse_query
from vsql.planner.bind import folded, span_of

VIEW_DEPTH_MAX = 32
PUBLIC = "public"
Objects = Mapping[tuple[str, str], NamedObject]


@dataclass(frozen=True, slots=True)
class Names:
    """What names may mean.

    `has_table` tells whether a qualified name is a table; `at` returns the name under which a
    table at another version is known: it is given the table, VERSION or TIMESTAMP, and a constant.
    """

    objects: Objects
    has_table: Callable[[str], bool]
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
        return tree
    if depth > VIEW_DEPTH_MAX:
        raise ProgrammingError("views refer to each other without end", code="42P17")
    tree = tree.copy()
    for table in list(tree.find_all(exp.Table)):
        if isinstance(table.this, exp.Identifier) and not is_cte(table, folded(table.this)):
            _resolve_table(table, names, depth)
    for column in tree.find_all(exp.Column):
        if column.args.get("db") is not None:
            column.set("db", None)
    return tree


def _needs(table: exp.Table, names: Names) -> bool:
    if not isinstance(table.this, exp.Identifier):
        return False
    if table.args.get("db") or table.args.get("version") or table.args.get("when"):
        return True
    name = folded(table.this)
    return ("view", name) in names.objects or ("alias", name) in names.objects


def _resolve_table(table: exp.Table, names: Names, depth: int) -> None:
    name = table_name(table)
    shown = table.args.get("alias") or exp.TableAlias(this=table.this.copy())
    alias = names.objects.get(("alias", name))
    if alias is not None and not names.has_table(name):
        name = alias.body
    view = names.objects.get(("view", name))
    moment = _moment(table)
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
    node = table.parent
    while node is not None:
        with_ = node.args.get("with_")
        if with_ is not None and any(folded(c.args["alias"]) == name for c in with_.expressions):
            return True
        node = node.parent
    return False
