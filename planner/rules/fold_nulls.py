"""`a * b = NULL` becomes NULL: a comparison or a sum with NULL is never computed.

Not only faster: the other side may overflow or fail, and PostgreSQL, which folds too, does not look
at it. Safe for operators that give NULL for any NULL operand; so not for AND, OR, IS and COALESCE,
and of BETWEEN only where the value itself is NULL (`1 BETWEEN 5 AND NULL` is false).
"""

from sqlglot import exp

_STRICT = (
    *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE),
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod),
)


def fold_nulls(predicate: exp.Expr) -> exp.Expr:
    """Return `predicate` with strict operators over a NULL constant folded into NULL.

    >>> from sqlglot import parse_one
    >>> fold_nulls(parse_one("a < -CAST(NULL AS INT) OR b * NULL + 1 > 2 OR c = 3")).sql()
    'NULL OR NULL OR c = 3'
    >>> fold_nulls(parse_one("NULL BETWEEN a AND b OR a BETWEEN 1 AND NULL")).sql()
    'NULL OR a BETWEEN 1 AND NULL'
    """
    if predicate.find(exp.Null) is None:
        return predicate
    folded = predicate
    # From the leaves up: what was folded may be an operand.
    for node in reversed(list(predicate.walk(bfs=False))):
        if not _is_folded(node):
            continue
        if node is predicate:
            folded = exp.null()
        else:
            node.replace(exp.null())
    return folded


def _is_folded(node: exp.Expr) -> bool:
    if isinstance(node, exp.Neg | exp.Cast | exp.Between):
        return _is_null(node.this)
    return isinstance(node, _STRICT) and (_is_null(node.left) or _is_null(node.right))


def _is_null(node: exp.Expr) -> bool:
    return isinstance(node.unnest(), exp.Null)
