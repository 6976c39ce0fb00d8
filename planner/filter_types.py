"""The filter language's rules, once the types of the columns are known.

`vsql_filter(p)` becomes p itself wherever SQL then means the same, so that indexes, statistics and
kernels serve it; what Milvus refuses for its types is refused here. What stays is what the executor
alone can answer: JSON, exact arithmetic, whole arrays (`vsql.grammar.filter` has the definitions).

A name that no column has is a key of the JSON column "$meta", where the table has one.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import BIGINT, JSON, Family, SqlType
from vsql.grammar.filter_names import (
    ARRAY_LENGTH,
    CONTAINS,
    ELEMENT,
    EXISTS,
    FILTER,
    MATCH_FUNCTIONS,
    function_name,
)
from vsql.planner.bind import folded, qualifier, span_of
from vsql.planner.comparisons import COMPARISONS, MIRRORED

DYNAMIC_COLUMN = "$meta"


_PATTERNS = (exp.Like, exp.RegexpLike)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div)
_INTEGERS_ONLY = (exp.Mod, exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor)


@dataclass(frozen=True, slots=True)
class _Scope:
    """The columns in reach; `element` is the type of vsql_element(), inside vsql_match_…()."""

    types: Mapping[str, SqlType]
    alias: str
    element: SqlType | None = None


@dataclass(frozen=True, slots=True)
class _Operand:
    """The left side of a leaf, bound; `wants_integer` where JSON is compared with integers only."""

    node: exp.Expr
    type: SqlType
    is_computed: bool = False
    wants_integer: bool = False


def resolve_filters(where: exp.Expr, table: TableSnapshot, alias: str) -> exp.Expr:
    """Return `where` with the filter's leaves as plain SQL, as far as SQL can say them.

    Raises ProgrammingError (42804) where a constant doesn't have the type that a column needs.
    """
    scope = _Scope({column.name: column.type for column in table.table.columns}, alias)
    if not any(_concerns(node, scope) for node in where.walk()):
        return where
    return _resolved(where, scope)


def is_filter(node: exp.Expr) -> bool:
    """Whether only the executor can evaluate some part of this expression."""
    return any(function_name(call) is not None for call in node.find_all(exp.Anonymous))


def _concerns(node: exp.Expr, scope: _Scope) -> bool:
    if isinstance(node, exp.Column):
        return _is_dynamic(node, scope) or scope.types.get(folded(node.this)) == JSON
    return isinstance(node, exp.Anonymous) and function_name(node) is not None


def _resolved(tree: exp.Expr, scope: _Scope) -> exp.Expr:
    return tree.transform(lambda node: _leaf(node, scope))


def _leaf(node: exp.Expr, scope: _Scope) -> exp.Expr:
    if isinstance(node, exp.Anonymous):
        name = function_name(node)
        if name == FILTER:
            return _filter(node.expressions[0].unnest(), scope)
        if name is not None and name in CONTAINS.values():
            return _contains(name, node, scope)
        if name == EXISTS:
            return _exists(node.expressions[0], scope)
        if name in MATCH_FUNCTIONS:
            return _match(node, scope)
        return node
    if isinstance(node, COMPARISONS):
        return _comparison(node, scope)
    if isinstance(node, exp.In | exp.Like | exp.RegexpLike) and _follows_filter(node.this, scope):
        return _filter(node, scope)
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        column = node.this.unnest()
        if isinstance(column, exp.Column) and _is_dynamic(column, scope):
            return exp.Not(this=_exists(column, scope))
    return node


def _comparison(node: exp.Expr, scope: _Scope) -> exp.Expr:
    """A comparison in plain SQL: of a dynamic key, an element, or of JSON with a number."""
    left, right = node.this.unnest(), node.expression.unnest()
    if _follows_filter(right, scope) and not _follows_filter(left, scope):
        node = MIRRORED.get(type(node), type(node))(this=right, expression=left)
        left, right = right, left
    if _follows_filter(left, scope):
        return _filter(node, scope)
    of_json = isinstance(left, exp.Column) and scope.types.get(folded(left.this)) == JSON
    return _filter(node, scope) if of_json and _category(right) in _JSON_ONLY else node


# SQL has no comparison of JSON with these.
_JSON_ONLY = ("integer", "float", "boolean")


def _follows_filter(node: exp.Expr, scope: _Scope) -> bool:
    node = node.unnest()
    if isinstance(node, exp.Column):
        return _is_dynamic(node, scope)
    return isinstance(node, exp.Anonymous) and function_name(node) == ELEMENT


def _is_dynamic(node: exp.Expr, scope: _Scope) -> bool:
    return (
        isinstance(node, exp.Column)
        and not isinstance(node.this, exp.Star)
        and scope.types.get(DYNAMIC_COLUMN) == JSON
        and folded(node.this) not in scope.types
        and qualifier(node) in (None, scope.alias)
    )


def _filter(leaf: exp.Expr, scope: _Scope) -> exp.Expr:
    if not isinstance(leaf, (*COMPARISONS, *_PATTERNS, exp.In)):
        raise _mismatch(f"{FILTER} takes one comparison, IN, LIKE or ~", leaf)
    operand = _operand(leaf.this, scope)
    if operand.type.is_vector:
        raise _mismatch(f"a {operand.type} is compared by its distances only", leaf)
    if isinstance(leaf, exp.In):
        return _membership(leaf, operand)
    if isinstance(leaf, _PATTERNS):
        return _pattern(leaf, operand)
    value = leaf.expression
    if value.find(exp.Column):
        raise _mismatch("two columns can be compared where neither is JSON or an array", leaf)
    is_array = operand.type.family is Family.ARRAY
    if is_array and not isinstance(leaf, exp.EQ | exp.NEQ):
        raise _mismatch("arrays are compared by == and != only", leaf)
    if is_array and isinstance(value, exp.Array) and not value.expressions:
        raise _mismatch("an array can't be compared with []", leaf, "use array_length(x) == 0")
    typed = type(leaf)(this=operand.node, expression=_value(value, operand))
    return _marked(typed) if is_array or _needs_executor(operand) else typed


def _needs_executor(operand: _Operand) -> bool:
    exact = operand.is_computed and operand.type.family is not Family.DOUBLE
    return operand.type == JSON or exact


def _marked(leaf: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=FILTER, expressions=[leaf])


def _membership(leaf: exp.In, operand: _Operand) -> exp.Expr:
    if operand.is_computed:
        raise _mismatch("IN needs a column, a path or an element on its left", leaf)
    if operand.type.family is Family.ARRAY and leaf.expressions:
        raise _mismatch("a whole array can't be looked up in a list", leaf)
    values = [_value(value, operand) for value in leaf.expressions]
    typed = exp.In(this=operand.node, expressions=values)
    return typed if values and operand.type != JSON else _marked(typed)


def _pattern(leaf: exp.Expr, operand: _Operand) -> exp.Expr:
    if operand.is_computed or not (operand.type.is_string or operand.type == JSON):
        raise _mismatch(f"LIKE and =~ need text, not {operand.type}", leaf)
    typed = type(leaf)(this=operand.node, expression=leaf.expression)
    return typed if operand.type.is_string else _marked(typed)


def _contains(name: str, node: exp.Anonymous, scope: _Scope) -> exp.Expr:
    target, value = node.expressions
    operand = _operand(target, scope)
    if operand.type == JSON:
        return exp.Anonymous(this=name, expressions=[operand.node, value.copy()])
    element = operand.type.element
    if element is None or operand.is_computed or not isinstance(operand.node, exp.Column):
        raise _mismatch(f"contains needs an array or JSON, not {operand.type}", node)
    if name == CONTAINS[""]:
        typed = _value(value, _Operand(operand.node, element))
        return exp.EQ(this=typed, expression=exp.Any(this=operand.node))
    value = value.unnest()
    if isinstance(value, exp.Array):
        inner = replace(operand, type=element)
        value = exp.Array(expressions=[_element_value(v, inner) for v in value.expressions])
        if not value.expressions:
            return exp.Anonymous(this=name, expressions=[operand.node, value])
    kind = exp.ArrayContainsAll if name == CONTAINS["_all"] else exp.ArrayOverlaps
    return kind(this=operand.node, expression=value.copy())


def _element_value(value: exp.Expr, operand: _Operand) -> exp.Expr:
    """Lists are looser than single values: 1.0 is an element of an array of integers."""
    if operand.type.is_integer and _category(value) == "float":
        number = _number(value)
        return _literal(int(number)) if number.is_integer() else value.copy()
    return _value(value, operand)


def _exists(node: exp.Expr, scope: _Scope) -> exp.Expr:
    operand = _operand(node, scope)
    if operand.type != JSON or isinstance(operand.node, exp.Column):
        raise _mismatch("EXISTS takes a JSON path or a dynamic key", node)
    return exp.Anonymous(this=EXISTS, expressions=[operand.node])


def _match(node: exp.Anonymous, scope: _Scope) -> exp.Expr:
    target, condition, *threshold = node.expressions
    operand = _operand(target, scope)
    if operand.type.element is None:
        raise _mismatch(f"{node.name.lower()} needs an array, not {operand.type}", node)
    inner = _resolved(condition, replace(scope, element=operand.type.element))
    return exp.Anonymous(this=node.name.lower(), expressions=[operand.node, inner, *threshold])


def _operand(node: exp.Expr, scope: _Scope) -> _Operand:
    node = node.unnest()
    if isinstance(node, exp.Column | exp.JSONExtract):
        return _reference(node, scope)
    if isinstance(node, exp.Anonymous):
        name = function_name(node)
        if name == ELEMENT and scope.element is not None:
            return _Operand(node.copy(), scope.element)
        if name == ARRAY_LENGTH:
            return _length(node, scope)
    if isinstance(node, (*_ARITHMETIC, *_INTEGERS_ONLY)):
        return _arithmetic(node, scope)
    raise _mismatch(f"the filter language has no {node.sql('postgres')}", node)


def _reference(node: exp.Expr, scope: _Scope) -> _Operand:
    root, steps = node, 0
    while isinstance(root, exp.JSONExtract):
        root, steps = root.this.unnest(), steps + 1
    if not isinstance(root, exp.Column):
        raise _mismatch("a path starts at a column", node)
    if _is_dynamic(root, scope):
        key = exp.JSONPath(
            expressions=[exp.JSONPathRoot(), exp.JSONPathKey(this=folded(root.this))]
        )
        meta = exp.column(exp.to_identifier(DYNAMIC_COLUMN, quoted=True))
        below = exp.JSONExtract(this=meta, expression=key, only_json_types=True)
        return _Operand(exp.Paren(this=_replaced(node, root, below)), JSON)
    type_ = scope.types.get(folded(root.this))
    if not steps:
        # An unknown column is the binder's to report.
        return _Operand(node.copy(), type_ or JSON)
    if type_ is None or type_ == JSON:
        return _Operand(exp.Paren(this=node.copy()), JSON)
    if type_.element is None:
        raise _mismatch(f'"{folded(root.this)}" is {type_}: only JSON and arrays have [ ]', node)
    last = node.expression.expressions[-1]
    if steps > 1 or not isinstance(last, exp.JSONPathSubscript):
        raise _mismatch("an array has one subscript, a whole number", node)
    return _Operand(exp.Paren(this=node.copy()), type_.element)


def _replaced(node: exp.Expr, old: exp.Expr, new: exp.Expr) -> exp.Expr:
    if node is old:
        return new
    copy = node.copy()
    root = copy
    while isinstance(root, exp.JSONExtract):
        root = root.this.unnest()
    root.replace(new)
    return copy


def _length(node: exp.Anonymous, scope: _Scope) -> _Operand:
    inner = _operand(node.expressions[0], scope)
    whole = inner.type.family is Family.ARRAY and isinstance(inner.node, exp.Column)
    if not whole and inner.type != JSON:
        raise _mismatch(f"array_length needs an array or JSON, not {inner.type}", node)
    length = exp.Anonymous(this=ARRAY_LENGTH, expressions=[inner.node])
    return _Operand(length, BIGINT, is_computed=True)


def _arithmetic(node: exp.Expr, scope: _Scope) -> _Operand:
    inner = _operand(node.this, scope)
    if inner.is_computed or not (inner.type.is_number or inner.type == JSON):
        raise _mismatch(f"arithmetic needs a number, not {inner.type}", node)
    category = _category(node.expression)
    if isinstance(node, _INTEGERS_ONLY) and not (inner.type.is_integer or inner.type == JSON):
        raise _mismatch(f"%, &, | and ^ need an integer, not {inner.type}", node)
    if inner.type.is_integer and category not in ("integer", "unknown"):
        raise _mismatch(f"{inner.type} does not calculate with a {category}", node)
    typed = node.copy()
    typed.set("this", inner.node)
    # A whole number added to a JSON value makes it one for the comparison.
    whole = inner.type == JSON and category == "integer"
    return _Operand(typed, inner.type, is_computed=True, wants_integer=whole)


def _value(value: exp.Expr, operand: _Operand) -> exp.Expr:
    """Return a constant as the operand's type compares with it; raises ProgrammingError."""
    value, type_ = value.unnest(), operand.type
    category = _category(value)
    if type_ == JSON and operand.wants_integer and category not in ("integer", "unknown"):
        raise _unfit(type_, category, operand.node)
    if type_ == JSON or category == "unknown":
        return value.copy()
    if type_.element is not None:
        if category != "list":
            raise _unfit(type_, category, operand.node)
        inner = _Operand(operand.node, type_.element)
        return exp.Array(expressions=[_value(v, inner) for v in value.expressions])
    fits = {
        "integer": type_.is_number,
        "float": type_.is_number and not type_.is_integer,
        "string": type_.is_string,
        "boolean": type_.family is Family.BOOLEAN,
    }
    if not fits.get(category, False):
        raise _unfit(type_, category, operand.node)
    if type_.family is Family.REAL:
        return _literal(_rounded(_number(value)))
    if type_.family is Family.DOUBLE:
        return _literal(float(_number(value)))
    return value.copy()


def _rounded(value: float) -> float:
    try:
        rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return rounded


def _number(value: exp.Expr) -> float:
    if isinstance(value, exp.Neg):
        return -_number(value.this)
    return float(value.this)


def _literal(value: float) -> exp.Expr:
    if value in (float("inf"), float("-inf")):
        text = exp.Literal.string("Infinity" if value > 0 else "-Infinity")
        return exp.cast(text, "DOUBLE PRECISION", dialect="postgres")
    number = exp.Literal.number(repr(abs(value)))
    return exp.Neg(this=number) if value < 0 else number


def _category(value: exp.Expr) -> str:
    """Return what kind of literal a value is, "unknown" where only its run tells."""
    value = value.unnest()
    match value:
        case exp.Neg():
            return _category(value.this)
        case exp.Boolean():
            return "boolean"
        case exp.Literal() if value.is_string:
            return "string"
        case exp.Literal():
            return "integer" if value.is_int else "float"
        case exp.Array():
            return "list"
        case _:
            return "unknown"


def _unfit(type_: SqlType, category: str, node: exp.Expr) -> ProgrammingError:
    return _mismatch(f"a {type_} can't be compared with a {category}", node)


def _mismatch(message: str, node: exp.Expr, hint: str | None = None) -> ProgrammingError:
    column = node.find(exp.Column)
    span = None if column is None else span_of(column)
    return ProgrammingError(message, code=sqlstate.DATATYPE_MISMATCH, span=span, hint=hint)
