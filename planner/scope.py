"""Which names a tree reads, and whether a subquery stands on its own."""

from sqlglot import exp

from vsql.core.schema import Column
from vsql.planner.bind import folded, qualifier
from vsql.planner.facts import Facts


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


def vector_columns(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns that a distance can be taken of."""
    return tuple(column for column in columns if column.type.is_vector)
