"""Text beside an array is one: `tags = '{a,b}'` and `tags = ?`, as the type of the column.

PostgreSQL's documentation, "Operator Type Resolution": a literal without a type takes that of the
other side. A text literal is cast; what a parameter holds, its run tells.
"""

from collections.abc import Callable

from sqlglot import exp

from vsql.core.types import Family, SqlType
from vsql.planner.plan import SUBQUERY_PREFIX
from vsql.planner.vector_types import with_type

_OPERATORS = (
    *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ),
    *(exp.ArrayContainsAll, exp.ArrayContainedBy, exp.ArrayOverlaps, exp.Between, exp.In),
)


def read_array_text(tree: exp.Expr, type_of: Callable[[exp.Column], SqlType | None]) -> None:
    """Give the text and the parameters beside arrays the type of those; changes the tree.

    `type_of` tells the type of a column, where it is known.
    """
    for node in tree.find_all(*_OPERATORS):
        operands = [operand.unnest() for operand in node.iter_expressions()]
        untyped = [one for one in operands if _is_untyped(one)]
        if not untyped:
            continue
        types = (type_of(one) for one in operands if isinstance(one, exp.Column))
        array = next((t for t in types if t is not None and t.family is Family.ARRAY), None)
        if array is None:
            continue
        for one in untyped:
            if isinstance(one, exp.Literal):
                one.replace(exp.cast(one.copy(), str(array), dialect="postgres"))
            else:
                with_type(one, array)


def _is_untyped(node: exp.Expr) -> bool:
    if isinstance(node, exp.Placeholder):
        # A subquery's value has a type of its own.
        return not node.name.startswith(SUBQUERY_PREFIX)
    return isinstance(node, exp.Literal) and node.is_string
