"""The outputs of a join where each is a column of one relation: what plans without DuckDB give.

What may mean more than one column, or none, has no place here: DuckDB tells its error.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from vsql.core.snapshot import TableSnapshot
from vsql.core.types import DOUBLE, SqlType
from vsql.planner.bind import folded, qualifier
from vsql.planner.facts import Facts
from vsql.planner.relational_nodes import DISTANCE
from vsql.planner.resolve import is_cte
from vsql.planner.search_nodes import JoinedOutput
from vsql.planner.select import has_modifiers

CLAUSES = frozenset(
    {"expressions", "from_", "joins", "where", "order", "limit", "offset", "kind"}
    | {"hint", "operation_modifiers"}
)
"""The clauses that a joined SELECT may have without DuckDB."""


@dataclass(frozen=True, slots=True)
class Relation:
    """Columns that outputs and keys may be, by their names."""

    alias: str
    columns: Mapping[str, SqlType]
    merged: str | None = None
    """The column that USING made one with that of a relation before it."""


def stored_table(table: exp.Table, facts: Facts) -> TableSnapshot | None:
    """Return the stored table that a relation is, read by its name alone; None for any other."""
    name = folded(table.this) if isinstance(table.this, exp.Identifier) else ""
    # The first table of a FROM carries none of its joins; they are the SELECT's.
    return None if has_modifiers(table) or is_cte(table, name) else facts.stored(name)


def place_of(node: exp.Expr, relations: list[Relation]) -> tuple[int, str] | None:
    """Return the relation, by its number, and the name that a column means; None where unsure."""
    if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
        return None
    name, owner = folded(node.this), qualifier(node)
    found = [
        (number, name)
        for number, relation in enumerate(relations)
        if name in relation.columns
        and (owner == relation.alias if owner is not None else relation.merged != name)
    ]
    return found[0] if len(found) == 1 else None


def joined_outputs(
    tree: exp.Select,
    relations: list[Relation],
    is_distance: Callable[[exp.Expr], bool] = lambda _: False,
) -> tuple[JoinedOutput, ...] | None:
    """Return the outputs where all are columns, or the distance; otherwise None."""
    outputs: list[JoinedOutput] = []
    for node in tree.expressions:
        if node.is_star:
            starred = _starred(node, relations)
            if starred is None:
                return None
            outputs.extend(starred)
            continue
        inner = node.unalias()
        alias = folded(node.args["alias"]) if isinstance(node, exp.Alias) else None
        if is_distance(inner):
            name = alias or inner.name.lower()
            outputs.append(JoinedOutput(name, DOUBLE, 0, DISTANCE))
            continue
        place = place_of(inner, relations)
        if place is None:
            return None
        number, column = place
        type_ = relations[number].columns[column]
        outputs.append(JoinedOutput(alias or column, type_, number, column))
    return tuple(outputs)


def _starred(node: exp.Expr, relations: list[Relation]) -> list[JoinedOutput] | None:
    owner = qualifier(node) if isinstance(node, exp.Column) else None
    star = node.this if isinstance(node, exp.Column) else node
    if any(star.args.values()) or (owner is None and any(r.merged for r in relations)):
        return None
    return list(_columns(owner, relations)) or None


def _columns(owner: str | None, relations: list[Relation]) -> Iterator[JoinedOutput]:
    for number, relation in enumerate(relations):
        if owner in (None, relation.alias):
            for name, type_ in relation.columns.items():
                yield JoinedOutput(name, type_, number, name)
