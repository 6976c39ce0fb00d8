"""Which names a tree reads, and whether a subquery stands on its own."""

from collections.abc import Container

from sqlglot import exp

from vsql.core.schema import Column
from vsql.core.types import SqlType
from vsql.planner.bind import folded, qualifier
from vsql.planner.facts import Facts
from vsql.planner.resolve import cte_of, is_cte


def named_columns(tree: exp.Expr) -> frozenset[str] | None:
    """Return the column names that a tree mentions, None where a star takes all.

    Names are gathered without resolving them, so a column may be kept that is not needed; none
    that is needed is missing.
    """
    for star in tree.find_all(exp.Star):
        if not isinstance(star.parent, exp.Count):
            return None
    names = {folded(column.this) for column in tree.find_all(exp.Column)}
    for join in tree.find_all(exp.Join):
        names.update(folded(using) for using in join.args.get("using") or ())
        if join.args.get("method") == "NATURAL":
            return None
    # A bare table alias may stand for the whole row, as in `SELECT t FROM t`.
    aliases = {folded(table.args.get("alias") or table.this) for table in tree.find_all(exp.Table)}
    return None if names & aliases else frozenset(names)


def relations_of(select: exp.Expr) -> list[exp.Expr]:
    """Return the relations that a SELECT reads, in their order."""
    source = select.args.get("from_")
    joined = [join.this for join in select.args.get("joins") or ()]
    return joined if source is None else [source.this, *joined]


def table_of(column: exp.Column, facts: Facts) -> exp.Table | None:
    """Return the table that a column is of where it stands, None where that is not certain."""
    name, wanted = folded(column.this), qualifier(column)
    select = column.find_ancestor(exp.Select)
    while select is not None:
        for relation in relations_of(select):
            if wanted not in (None, folded(relation.args.get("alias") or relation.this)):
                continue
            names = names_of(relation, facts)
            if names is None or name in names or wanted is not None:
                if isinstance(relation, exp.Table) and name in (names or ()):
                    return None if is_cte(relation, folded(relation.this)) else relation
                return None
        select = select.find_ancestor(exp.Select)
    return None


def stored_type(column: exp.Column, facts: Facts) -> SqlType | None:
    """Return the type of a column of a table; None for any other, and where it is not certain."""
    table = table_of(column, facts)
    known = () if table is None else facts.columns(folded(table.this)) or ()
    return next((c.type for c in known if c.name == folded(column.this)), None)


def names_of(relation: exp.Expr, facts: Facts) -> frozenset[str] | None:
    """Return the columns of a relation in a FROM, None where they are not known here."""
    is_named = isinstance(relation, exp.Table) and isinstance(relation.this, exp.Identifier)
    source = (cte_of(relation, folded(relation.this)) if is_named else None) or relation
    aliases = (one.args.get("alias") for one in (relation, source))
    if any(alias is not None and alias.args.get("columns") for alias in aliases):
        return None
    if is_named and source is relation:
        columns = facts.columns(folded(relation.this))
        return None if columns is None else frozenset(column.name for column in columns)
    if not isinstance(source, exp.CTE | exp.Subquery) or not isinstance(source.this, exp.Select):
        return None
    outputs = source.this.expressions
    is_known = not any(output.is_star for output in outputs)
    return frozenset(o.alias_or_name.lower() for o in outputs) if is_known else None


def outer_names(select: exp.Expr) -> frozenset[str]:
    """Return the names of the CTEs that are defined around a query."""
    names: set[str] = set()
    node = select.parent
    while node is not None:
        with_ = node.args.get("with_")
        if with_ is not None:
            names.update(folded(cte.args["alias"]) for cte in with_.expressions)
        node = node.parent
    return frozenset(names)


def is_standalone(
    query: exp.Expr, facts: Facts, outside_ctes: frozenset[str] = frozenset()
) -> bool:
    """Whether a query reads nothing of the query around it."""
    own_ctes = {folded(cte.args["alias"]) for cte in query.find_all(exp.CTE)}
    aliases: set[str] = set()
    columns: set[str] = set()
    opaque = False
    for table in query.find_all(exp.Table):
        name = folded(table.this)
        aliases.add(folded(table.args.get("alias") or table.this))
        known = facts.columns(name)
        if name in own_ctes:
            opaque = True
        elif name in outside_ctes or known is None:
            return False
        columns.update(column.name for column in known or ())
    for derived in query.find_all(exp.Subquery, exp.Lateral, exp.Unnest, exp.Values):
        alias = derived.args.get("alias")
        if alias is not None:
            aliases.add(folded(alias))
            opaque = True
    outputs = {folded(alias.args["alias"]) for alias in query.find_all(exp.Alias)}
    return all(
        _resolves(column, aliases, columns | outputs, opaque)
        for column in query.find_all(exp.Column)
    )


def _resolves(column: exp.Column, aliases: set[str], columns: set[str], opaque: bool) -> bool:
    table = qualifier(column)
    if table is not None:
        return table in aliases
    return opaque or isinstance(column.this, exp.Star) or folded(column.this) in columns


def reads_only(
    condition: exp.Expr, alias: str, columns: Container[str], bare: Container[str] = ()
) -> bool:
    """Whether a condition reads nothing but columns of one relation, called `alias`.

    `columns` are those that it has, `bare` those that are its own without its name before them.
    """
    if condition.find(exp.Query) is not None:
        return False
    for column in condition.find_all(exp.Column):
        owner, name = qualifier(column), folded(column.this)
        if name not in (columns if owner == alias else bare if owner is None else ()):
            return False
    return True


def vector_columns(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns that a distance can be taken of."""
    return tuple(column for column in columns if column.type.is_vector)
