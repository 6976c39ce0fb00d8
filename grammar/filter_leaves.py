"""One comparison, membership or pattern of a filter, as an expression.

Where SQL says the same whatever the column's type is, the leaf is plain SQL. Elsewhere it is the
same SQL inside `vsql_filter(...)`, which `vsql.grammar.filter` defines.
"""

import datetime
import math
import re
from typing import Any

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres

from vsql.core import sqlstate
from vsql.core.errors import Span
from vsql.grammar.filter_literals import calculated, checked, compared
from vsql.grammar.filter_names import FILTER
from vsql.grammar.filter_terms import (
    Computed,
    Constant,
    Duration,
    Field,
    Predicate,
    Template,
    Term,
    around,
    refused,
)

_COMPARISONS: dict[str, type[exp.Binary]] = {
    "==": exp.EQ,
    "!=": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ARITHMETIC: dict[str, type[exp.Binary]] = {
    "+": exp.Add,
    "-": exp.Sub,
    "*": exp.Mul,
    "/": exp.Div,
    "%": exp.Mod,
    "&": exp.BitwiseAnd,
    "|": exp.BitwiseOr,
    "^": exp.BitwiseXor,
}
_COMMUTATIVE = "+*&|^"
_INTEGERS_ONLY = "%&|^"
# SQL reads such a string as a number, boolean, time, UUID or vector beside a column of that type.
_TYPED_TEXT = re.compile(
    r"\s*[-+.\d\[{(]|\s*(?:true|false|yes|no|on|off|t|f|y|n|nan|inf|infinity)\s*$|[\da-f-]{32}",
    re.IGNORECASE,
)
# Every word of a keyword such as ORDER BY.
_KEYWORDS = frozenset(word for keyword in Postgres.Tokenizer.KEYWORDS for word in keyword.split())
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
# Beyond 2^24 a REAL doesn't hold every integer.
_REAL_INTEGER_MAX = 2**24


def column(name: str, span: Span) -> exp.Column:
    """Return a column, quoted where SQL would fold its case or take it for a keyword.

    Its place is kept where SQL's reader keeps it: `end` is the last character.
    """
    quoted = _PLAIN_NAME.fullmatch(name) is None or name.upper() in _KEYWORDS
    identifier = exp.to_identifier(name, quoted=quoted)
    identifier.meta.update(start=span.start, end=span.start + len(name) - 1)
    return exp.column(identifier)


def path_node(name: str, steps: tuple[int | str, ...], span: Span) -> exp.Expr:
    """Return `name -> step -> …`, as SQL's own reader builds it."""
    node: exp.Expr = column(name, span)
    for step in steps:
        part = (
            exp.JSONPathSubscript(this=step)
            if isinstance(step, int)
            else exp.JSONPathKey(this=step)
        )
        steps_node = exp.JSONPath(expressions=[exp.JSONPathRoot(), part])
        node = exp.JSONExtract(this=node, expression=steps_node, only_json_types=True)
    return node


def operand(field: Field) -> exp.Expr:
    """Return a field as an operand; in parentheses a path binds as it should, and `f(a -> 'b')`
    is not taken for a lambda."""
    node = field.node.copy()
    return exp.Paren(this=node) if field.is_path else node


def literal(value: Any) -> exp.Expr:
    """Return the SQL literal of a constant's value."""
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, str):
        return exp.Literal.string(value)
    if isinstance(value, list):
        return exp.Array(expressions=[literal(element) for element in value])
    if isinstance(value, datetime.datetime):
        return exp.cast(exp.Literal.string(value.isoformat(" ")), "TIMESTAMPTZ", dialect="postgres")
    if isinstance(value, float) and not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return exp.cast(exp.Literal.string(name), "DOUBLE PRECISION", dialect="postgres")
    number = exp.Literal.number(repr(abs(value)))
    return exp.Neg(this=number) if math.copysign(1, value) < 0 else number


def value_node(term: Constant | Template) -> exp.Expr:
    """Return a constant's literal or a template's placeholder."""
    if isinstance(term, Template):
        return exp.Placeholder(this=term.name) if term.value is None else term.value.copy()
    if isinstance(term.value, Duration):
        raise refused("an INTERVAL is added to a column, or taken from it", term.span)
    return literal(checked(term))


def marked(leaf: exp.Expr) -> exp.Expr:
    """Return a leaf that follows the filter's rules where SQL's are others."""
    return exp.Anonymous(this=FILTER, expressions=[leaf])


def compare(left: Term, operator: str, right: Term) -> Constant | Predicate:
    """Return `left operator right`; raises ProgrammingError for what Milvus refuses."""
    span = around(left.span, right.span)
    if isinstance(left, Constant) and isinstance(right, Constant):
        return Constant(compared(left, operator, right), span)
    if isinstance(left, Constant | Template) and isinstance(right, Constant | Template):
        raise refused("a comparison needs a column on one side", span)
    if isinstance(left, Constant | Template):
        left, right, operator = right, left, _MIRRORED.get(operator, operator)
    for side in (left, right):
        if isinstance(side, Predicate):
            raise refused("a condition can't be compared", side.span, _PRECEDENCE)
    assert isinstance(left, Field | Computed)
    assert not isinstance(right, Predicate)
    return leaf_of(_comparison(left, operator, right), span)


_PRECEDENCE = "parentheses help where NOT, & and | bind otherwise than expected: NOT (a == 1)"


def _comparison(left: Field | Computed, operator: str, right: Term) -> exp.Expr:
    build = _COMPARISONS[operator]
    if isinstance(left, Field):
        first = operand(left)
        if isinstance(right, Field):
            return _two_columns(build, left, right)
        if isinstance(right, Computed):
            raise refused("a column is compared with a column or a constant", right.span)
    else:
        first = left.node
        if isinstance(right, Field | Computed):
            raise refused("arithmetic is compared with a constant", right.span)
        _check_computed(left, right)
    assert isinstance(right, Constant | Template)
    leaf = build(this=first, expression=value_node(right))
    if isinstance(right, Constant) and isinstance(right.value, datetime.datetime):
        if isinstance(left, Field) and left.is_path:
            raise refused("a timestamp is compared with a column", left.span)
        return leaf
    plain = isinstance(left, Field) and not left.is_path and _reads_alike(right)
    return leaf if plain else marked(leaf)


def _two_columns(build: type[exp.Binary], left: Field, right: Field) -> exp.Expr:
    for side in (left, right):
        if side.is_path or not isinstance(side.node, exp.Column):
            raise refused("two columns can be compared, two paths or elements can't", side.span)
    return build(this=operand(left), expression=operand(right))


def _check_computed(left: Computed, right: Term) -> None:
    time = isinstance(right, Constant) and isinstance(right.value, datetime.datetime)
    if (left.kind == "moment") != time:
        raise refused("a timestamp with an INTERVAL is compared with an ISO '…'", right.span)
    if not isinstance(right, Constant) or time:
        return
    if not right.is_number or (left.kind == "length" and isinstance(right.value, float)):
        raise refused(f"a number can't be compared with a {right.kind}", right.span)


def _reads_alike(term: Constant | Template) -> bool:
    """Whether SQL's comparison with this constant is the filter's, whatever the column's type."""
    value = None if isinstance(term, Template) else term.value
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) <= _REAL_INTEGER_MAX
    return isinstance(value, str) and _TYPED_TEXT.match(value) is None


def leaf_of(node: exp.Expr, span: Span) -> Predicate:
    """Return a predicate of one part."""
    return Predicate((node,), "leaf", span)


def between(low: Term, first: str, field: Field, second: str, high: Term) -> Predicate:
    """Return `low < field <= high`; raises ProgrammingError where no value could pass."""
    span = around(low.span, high.span)
    lower, upper = (low, high) if first in ("<", "<=") else (high, low)
    for bound in (lower, upper):
        if not isinstance(bound, Constant | Template):
            raise refused("the bounds of a range are constants", bound.span)
    if isinstance(lower, Constant) and isinstance(upper, Constant):
        _check_bounds(lower, upper, "=" in first and "=" in second, span)
    one = _comparison(field, _MIRRORED[first], low)
    other = _comparison(field, second, high)
    return Predicate((one, other), "and", span)


def _check_bounds(lower: Constant, upper: Constant, inclusive: bool, span: Span) -> None:
    both = (lower.is_number and upper.is_number) or lower.kind == upper.kind == "string"
    if not both:
        raise refused("the bounds of a range are two numbers or two strings", span)
    one, other = checked(lower), checked(upper)
    if one > other or (one == other and not inclusive):
        raise refused("invalid range: the lower bound is above the upper one", span)


def membership(left: Term, right: Term, negated: bool) -> Predicate:
    """Return `left [NOT] IN right`; raises ProgrammingError for what is no field and no list."""
    span = around(left.span, right.span)
    if not isinstance(left, Field):
        raise refused("IN needs a column, a path or an element on its left", left.span)
    if isinstance(right, Template):
        elements: list[exp.Expr] = [value_node(right)]
        plain = False
    elif isinstance(right, Constant) and isinstance(right.value, list):
        elements = [literal(value) for value in right.value]
        plain = _all_alike(right)
    else:
        raise refused("the right side of IN is a list", right.span, "write it as in [1, 2, 3]")
    leaf: exp.Expr = exp.In(this=operand(left), expressions=elements)
    if not plain or left.is_path:
        leaf = marked(leaf)
    return leaf_of(exp.Not(this=leaf) if negated else leaf, span)


def _all_alike(values: Constant) -> bool:
    constants = [Constant(value, values.span) for value in values.value]
    return len({constant.kind for constant in constants}) == 1 and all(map(_reads_alike, constants))


def like(left: Term, right: Term) -> Predicate:
    """Return `left LIKE right`; raises ProgrammingError where a side doesn't fit."""
    if not isinstance(left, Field):
        raise refused("LIKE needs a column, a path or an element on its left", left.span)
    if not isinstance(right, Template) and not (
        isinstance(right, Constant) and isinstance(right.value, str)
    ):
        raise refused("a LIKE pattern is a string", right.span)
    leaf: exp.Expr = exp.Like(this=operand(left), expression=value_node(right))
    return leaf_of(marked(leaf) if left.is_path else leaf, around(left.span, right.span))


def matching(left: Term, right: Constant | Template, negated: bool) -> Predicate:
    """Return `left =~ right` or `left !~ right`."""
    if not isinstance(left, Field):
        raise refused("=~ needs a column, a path or an element on its left", left.span)
    if isinstance(right, Constant) and not isinstance(right.value, str):
        raise refused("a regular expression is a string", right.span)
    leaf: exp.Expr = exp.RegexpLike(this=operand(left), expression=value_node(right))
    leaf = marked(leaf) if left.is_path else leaf
    span = around(left.span, right.span)
    return leaf_of(exp.Not(this=leaf) if negated else leaf, span)


def arithmetic(left: Term, operator: str, right: Term) -> Constant | Computed:
    """Return `left operator right`, folded or over one field; ProgrammingError for the rest."""
    span = around(left.span, right.span)
    if isinstance(left, Constant) and isinstance(right, Constant) and not _is_time(left, right):
        return calculated(left, operator, right)
    if operator == "**":
        raise refused("** takes constants only", span)
    if isinstance(left, Constant | Template) and isinstance(right, Field):
        if operator not in _COMMUTATIVE:
            raise refused(f"{operator} needs its column on the left", span)
        left, right = right, left
    if not isinstance(left, Field) or not isinstance(right, Constant | Template):
        raise refused(
            f"{operator} takes one column and one constant", span, "arithmetic can't be nested"
        )
    if isinstance(right, Constant) and isinstance(right.value, Duration):
        return _moved(left, operator, right.value, span)
    node = _ARITHMETIC[operator](this=operand(left), expression=_operand_value(operator, right))
    if isinstance(node, exp.Div):
        # PostgreSQL's division: of whole numbers a whole number, by zero an error.
        node.set("typed", True)
        node.set("safe", False)
    return Computed(node, "number", span)


def _is_time(*constants: Constant) -> bool:
    return any(isinstance(c.value, Duration | datetime.datetime) for c in constants)


def _operand_value(operator: str, right: Constant | Template) -> exp.Expr:
    if isinstance(right, Constant):
        if not right.is_number:
            raise refused(f"{operator} does not take a {right.kind}", right.span)
        if operator in "/%" and right.value == 0:
            raise refused("division by zero", right.span, code=sqlstate.DIVISION_BY_ZERO)
        if operator in _INTEGERS_ONLY and isinstance(right.value, float):
            raise refused(f"{operator} takes integers only", right.span)
    return value_node(right)


def _moved(left: Field, operator: str, by: Duration, span: Span) -> Computed:
    if operator not in "+-" or left.is_path:
        raise refused("an INTERVAL is added to a column, or taken from it", span)
    node = operand(left)
    for number, unit in by.parts:
        interval = exp.Interval(this=exp.Literal.string(str(number)), unit=exp.var(unit))
        node = _ARITHMETIC[operator](this=node, expression=interval)
    return Computed(node, "moment", span)
