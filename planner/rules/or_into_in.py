"""`a = 1 OR a = 2 OR a IN (3, 4)` becomes `a IN (1, 2, 3, 4)`.

One hash probe, or one index lookup, then does the work of the chain. Safe because both give NULL
for a NULL `a`, and because only constants are gathered: a NULL constant stays in the list, where IN
treats it as OR would.
"""

from collections.abc import Iterator

from sqlglot import exp


def fold_or_into_in(predicate: exp.Expr) -> exp.Expr:
    """Return `predicate`, changed in place, its chains of equalities on one expression an IN each.

    >>> from sqlglot import parse_one
    >>> fold_or_into_in(parse_one("a = 1 OR a = 2 OR b = 3")).sql()
    'a IN (1, 2) OR b = 3'
    >>> fold_or_into_in(parse_one("a = 1 OR b = 2")).sql()
    'a = 1 OR b = 2'
    """
    return predicate.transform(lambda node: _fold(node) if _is_top_or(node) else node, copy=False)


def _is_top_or(node: exp.Expr) -> bool:
    return isinstance(node, exp.Or) and not isinstance(node.parent, exp.Or)


def _fold(node: exp.Expr) -> exp.Expr:
    order: list[exp.Expr] = []
    values: dict[exp.Expr, list[exp.Expr]] = {}
    for part in _disjuncts(node):
        found = _equality(part)
        if found is None:
            order.append(part)
            continue
        key, constants = found
        if key not in values:
            order.append(key)
        values.setdefault(key, []).extend(constants)
    if len(order) == sum(1 for _ in _disjuncts(node)):
        return node
    return exp.or_(*(_membership(part, values.get(part)) for part in order), copy=False)


def _membership(key: exp.Expr, constants: list[exp.Expr] | None) -> exp.Expr:
    if constants is None:
        return key
    if len(constants) == 1:
        return exp.EQ(this=key.copy(), expression=constants[0].copy())
    return exp.In(this=key.copy(), expressions=constants)


def _disjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    # A loop, not recursion: chains of thousands are left-deep.
    stack = [node]
    while stack:
        part = stack.pop().unnest()
        if isinstance(part, exp.Or):
            stack.extend((part.right, part.left))
        else:
            yield part


def _equality(part: exp.Expr) -> tuple[exp.Expr, list[exp.Expr]] | None:
    if isinstance(part, exp.EQ) and _constant(part.right) and not _constant(part.left):
        return part.left, [part.right]
    if isinstance(part, exp.In) and part.expressions and all(map(_constant, part.expressions)):
        return part.this, part.expressions
    return None


def _constant(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal | exp.Placeholder | exp.Null | exp.Boolean)
