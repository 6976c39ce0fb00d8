"""Rewrites of one predicate, each a function from tree to tree, run in this order.

`fold_nulls` runs first, so that the others see what is left; `fold_or_into_in` last: it looks for
the comparisons that `push_negation` leaves.
"""

from collections.abc import Callable

from sqlglot import exp

from vsql.planner.rules.fold_nulls import fold_nulls
from vsql.planner.rules.or_into_in import fold_or_into_in
from vsql.planner.rules.push_negation import push_negation

Rule = Callable[[exp.Expr], exp.Expr]

RULES: tuple[Rule, ...] = (fold_nulls, push_negation, fold_or_into_in)


def simplify(predicate: exp.Expr) -> exp.Expr:
    """Return an equivalent predicate that is easier to index and to evaluate."""
    for rule in RULES:
        predicate = rule(predicate)
    return predicate
