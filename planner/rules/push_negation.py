"""NOT over a comparison becomes the opposite comparison.

`NOT a < 5` says the same as `a >= 5`, also for NULL (both give NULL), and only the second can be
answered by a sorted index. NOT over AND and OR follows De Morgan, which holds in three-valued
logic too. Anything else (NOT LIKE, NOT IN, IS NOT NULL) stays as it is: the mask is inverted.
"""

from sqlglot import exp

_OPPOSITE: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
    exp.LT: exp.GTE,
    exp.GTE: exp.LT,
    exp.GT: exp.LTE,
    exp.LTE: exp.GT,
    exp.And: exp.Or,
    exp.Or: exp.And,
}


def push_negation(predicate: exp.Expr) -> exp.Expr:
    """Return `predicate` with every NOT moved as far down as it goes.

    >>> from sqlglot import parse_one
    >>> push_negation(parse_one("NOT (a < 5 OR NOT b = 1)")).sql()
    'a >= 5 AND b = 1'
    """
    if isinstance(predicate, exp.Not):
        inner = predicate.this.unnest()
        if isinstance(inner, exp.Not):
            return push_negation(inner.this)
        opposite = _OPPOSITE.get(type(inner))
        if opposite is exp.And or opposite is exp.Or:
            negated = [exp.Not(this=part.copy()) for part in inner.flatten(unnest=False)]
            return _joined(opposite, [push_negation(part) for part in negated])
        quantified = isinstance(inner, exp.Binary) and isinstance(inner.right, exp.Any | exp.All)
        if opposite is not None and not quantified:
            return opposite(this=inner.left.copy(), expression=inner.right.copy())
        return predicate
    if isinstance(predicate, exp.And | exp.Or):
        # A loop, not recursion: chains of thousands are left-deep.
        parts = [push_negation(part) for part in predicate.flatten(unnest=False)]
        return _joined(type(predicate), parts)
    if isinstance(predicate, exp.Paren):
        return push_negation(predicate.this)
    return predicate


def _joined(kind: type[exp.Expr], parts: list[exp.Expr]) -> exp.Expr:
    result = _wrapped(parts[0])
    for part in parts[1:]:
        result = kind(this=result, expression=_wrapped(part))
    return result


def _wrapped(node: exp.Expr) -> exp.Expr:
    return exp.Paren(this=node) if isinstance(node, exp.And | exp.Or) else node
