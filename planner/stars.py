"""Stars over relations to which the planner added columns of its own: no user sees those."""

from collections.abc import Mapping, Sequence

from sqlglot import exp

from vsql.planner.bind import qualifier, quoted


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
