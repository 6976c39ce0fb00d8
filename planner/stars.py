"""Whole rows of relations to which the planner adds columns of its own: no user sees those."""

from collections.abc import Mapping, Sequence

from sqlglot import exp

from vsql.planner.bind import folded, qualifier, quoted
from vsql.planner.vector_types import Types


def write_out_rows(tree: exp.Expr, types: Types) -> None:
    """Write `x` for a whole row of x as its columns, before others are added; changes the tree."""
    # All of them are found first: what is written out for one hides the next of its name.
    rows = [(column, types.of_row(column)) for column in tree.find_all(exp.Column)]
    for column, outputs in rows:
        names = [name for name, _ in outputs]
        if not names or len(set(names)) < len(names):
            continue
        shown = quoted(folded(column.this))
        fields = [
            exp.PropertyEQ(this=quoted(name), expression=exp.column(quoted(name), table=shown))
            for name in names
        ]
        row: exp.Expr = exp.Struct(expressions=fields)
        is_output = isinstance(column.parent, exp.Select) and column.arg_key == "expressions"
        column.replace(exp.alias_(row, shown) if is_output else row)


def hide_from_stars(select: exp.Select, added: Mapping[str, Sequence[str]]) -> None:
    """Keep columns out of the stars of a SELECT, whatever else those leave out or replace.

    `added` names the columns by the alias of the relation that has them; changes the tree.
    """
    for output in select.expressions:
        star = output.this if isinstance(output, exp.Column) else output
        if not isinstance(star, exp.Star):
            continue
        owner = qualifier(output) if isinstance(output, exp.Column) else None
        names = [n for alias, own in added.items() if owner in (None, alias) for n in own]
        if names:
            kept = [one for one in star.args.get("except_") or [] if one.name not in names]
            star.set("except_", [*kept, *map(quoted, names)])
