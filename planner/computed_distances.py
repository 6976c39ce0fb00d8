"""Distances to a constant in relational queries, computed by vsql where the table is read.

`SELECT g, min(e <=> :q) FROM t GROUP BY g`: DuckDB gets a column of distances, and no vectors.
"""

from collections.abc import Mapping

from sqlglot import exp

from vsql.planner.bind import folded, qualifier, quoted, vector_distance
from vsql.planner.facts import Facts
from vsql.planner.relational_nodes import ComputedDistance
from vsql.planner.scope import relations_of, table_of
from vsql.planner.stars import hide_from_stars

PREFIX = "vsql_distance_"
Computed = Mapping[int, tuple[ComputedDistance, ...]]


def take_distances(tree: exp.Expr, facts: Facts) -> Computed:
    """Replace distances of stored columns to constants by columns of the tables that they read.

    Returns those columns by the identity of the table's node; changes the tree.
    """
    found: dict[int, list[ComputedDistance]] = {}
    for node in list(tree.find_all(exp.Anonymous)):
        select = node.find_ancestor(exp.Select)
        if select is None or (table := _owner(node, select, facts)) is None:
            continue
        columns = facts.columns(folded(table.this)) or ()
        distance = vector_distance(node, columns)
        if distance is None or distance[2].find(exp.Query, exp.Subquery):
            continue
        metric, column, query = distance
        shown = folded(table.args.get("alias") or table.this)
        known = found.setdefault(id(table), [])
        same = (c for c in known if (c.metric, c.column, c.query) == (metric, column.name, query))
        computed = next(same, None)
        if computed is None:
            number = sum(len(one) for one in found.values()) + 1
            computed = ComputedDistance(f"{PREFIX}{number}", column.name, metric, query.copy())
            known.append(computed)
            hide_from_stars(select, {shown: (computed.name,)})
        node.replace(exp.column(quoted(computed.name), table=quoted(shown)))
    return {key: tuple(computed) for key, computed in found.items()}


def _owner(node: exp.Anonymous, select: exp.Select, facts: Facts) -> exp.Table | None:
    """Return the stored table of the SELECT whose column a distance reads, where it is certain."""
    columns = [c for side in node.expressions for c in (side.unnest(),) if _is_name(c)]
    if len(columns) != 1 or len(node.expressions) != 2:
        return None
    if qualifier(columns[0]) is None and len(relations_of(select)) > 1:
        return None
    table = table_of(columns[0], facts)
    if table is None or table.find_ancestor(exp.Select) is not select:
        return None
    return table if facts.stored(folded(table.this)) is not None else None


def _is_name(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and not isinstance(node.this, exp.Star)
