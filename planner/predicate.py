"""From a WHERE clause to conjuncts: what evaluates each, its cost, and the index that answers."""

from collections.abc import Callable

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.distance import METRIC_BY_FUNCTION
from vsql.core.errors import ProgrammingError
from vsql.core.machine import (
    BUILT_IN,
    COMPARISON,
    DOCUMENT,
    PATTERN,
    RELATIONAL,
    Work,
    distance_work,
)
from vsql.core.protocols import Comparison
from vsql.core.schema import Column, Index
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import VECTOR_FAMILIES
from vsql.grammar.filter_names import function_name
from vsql.grammar.matches import IN_FILTER
from vsql.grammar.render import render
from vsql.planner.bind import (
    bind_columns,
    conjuncts_of,
    distance_of,
    span_of,
    type_name,
    vector_distance,
)
from vsql.planner.comparisons import COMPARISONS, MIRRORED
from vsql.planner.filter_types import resolve_filters
from vsql.planner.fusion import refuse_fusion
from vsql.planner.json_functions import json_containment
from vsql.planner.nodes import Conjunct
from vsql.planner.path_conditions import path_condition
from vsql.planner.path_statistics import is_shredded
from vsql.planner.rules import simplify
from vsql.planner.scan_nodes import IndexCondition, PatternCondition
from vsql.planner.selectivity import estimate

# What the columnar kernels of the executor evaluate; a conjunct with any other node is DuckDB's.
NATIVE_NODES: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.And, exp.Or, exp.Not, exp.Paren, exp.Boolean, exp.Null),
        *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In, exp.Is),
        *(exp.Like, exp.ILike, exp.Escape, exp.ArrayContainsAll, exp.ArrayOverlaps, exp.Any),
        *(exp.Column, exp.Identifier, exp.Literal, exp.Placeholder, exp.Array),
        *(exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Cast, exp.DataType),
        *(exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.RegexpLike),
        *(exp.DataTypeParam, exp.JSONExtract, exp.JSONExtractScalar, exp.JSONPath),
        *(exp.JSONPathRoot, exp.JSONPathKey, exp.JSONPathSubscript, exp.Bracket, exp.Anonymous),
    }
)

_JSON_STEPS = (exp.JSONExtract, exp.JSONExtractScalar)

# A path that is kept in columns is read by the kind of its value.
_SHREDDED_COMPARISONS = 3.0
_INDEX_COST = 0.1


def plan_predicate(
    where: exp.Expr | None, table: TableSnapshot, alias: str
) -> tuple[Conjunct, ...]:
    """Return the conjuncts of a predicate over one table, most selective per cost first.

    Raises ProgrammingError (42703) for an unknown column.
    """
    if where is None:
        return ()
    _refuse_misplaced(where)
    where = resolve_filters(where, table, alias)
    bound = bind_columns(where, table, alias)
    _refuse_vector_comparisons(bound, table)
    bound = simplify(json_containment(bound, table))
    conjuncts = [_conjunct(part, table) for part in conjuncts_of(bound)]
    # The rank of a predicate: cost per row it removes (Hellerstein and Stonebraker, SIGMOD 1993).
    # Which of two kinds of conjuncts is dearer is the same on any machine, so plans fit them all.
    return tuple(sorted(conjuncts, key=_rank))


def _rank(conjunct: Conjunct) -> float:
    indexed = conjunct.condition is not None
    cost = _INDEX_COST if indexed else BUILT_IN.cost(conjunct.row_work)
    return cost / max(1.0 - conjunct.selectivity, 1e-6)


def _conjunct(part: exp.Expr, table: TableSnapshot) -> Conjunct:
    return Conjunct(
        expression=part,
        text=render(part),
        columns=tuple(dict.fromkeys(column.name for column in part.find_all(exp.Column))),
        parameters=tuple(dict.fromkeys(p.name for p in part.find_all(exp.Placeholder))),
        native=is_native(part, table.table.columns),
        selectivity=estimate(part, table),
        row_work=_row_work(part, table),
        condition=_index_condition(part, table.indexes) or path_condition(part, table),
    )


def is_native(part: exp.Expr, columns: tuple[Column, ...]) -> bool:
    """Whether the executor's kernels evaluate this expression over `columns` without DuckDB."""
    vectors = {column.name for column in columns if column.type.is_vector}
    return all(
        type(node) in NATIVE_NODES
        and (not isinstance(node, exp.Anonymous) or _is_native_function(node, columns))
        and (not isinstance(node, exp.Column) or node.name not in vectors or _is_read(node))
        and (not isinstance(node, exp.Cast) or _is_operand(node) or not _is_vector_cast(node))
        and (not isinstance(node, exp.Any) or _is_compared_with(node))
        for node in part.walk()
    )


def _is_compared_with(node: exp.Any) -> bool:
    return isinstance(node.parent, COMPARISONS) and node.arg_key == "expression"


def _is_native_function(node: exp.Anonymous, columns: tuple[Column, ...]) -> bool:
    if node.name.lower() in METRIC_BY_FUNCTION:
        return vector_distance(node, columns) is not None
    return function_name(node) is not None


def _is_read(column: exp.Column) -> bool:
    """Whether a vector column stands where the kernels read one: in a distance, or IS NULL."""
    return _is_operand(column) or isinstance(column.parent, exp.Is)


def _is_operand(node: exp.Expr) -> bool:
    parent = node.parent
    while isinstance(parent, exp.Paren):
        parent = parent.parent
    return isinstance(parent, exp.Anonymous) and parent.name.lower() in METRIC_BY_FUNCTION


def _is_vector_cast(node: exp.Cast) -> bool:
    return type_name(node.to) in VECTOR_FAMILIES


def _refuse_vector_comparisons(bound: exp.Expr, table: TableSnapshot) -> None:
    """SQL compares vectors, as pgvector does; the filter language does not."""
    vectors = {column.name: column for column in table.table.columns if column.type.is_vector}
    for predicate in bound.find_all(exp.Predicate) if vectors else ():
        compared = predicate.this.unnest() if isinstance(predicate.this, exp.Expr) else None
        if IN_FILTER not in predicate.meta:
            continue
        if isinstance(compared, exp.Column) and compared.name in vectors:
            raise ProgrammingError(
                f"a filter does not compare {vectors[compared.name].type}, with NULL neither",
                code=sqlstate.UNDEFINED_FUNCTION,
                span=span_of(compared),
                hint="SQL does: write the condition outside of matches()",
            )


def _refuse_misplaced(where: exp.Expr) -> None:
    refuse_fusion(where)
    for node in where.find_all(exp.AggFunc, exp.Window):
        if node.find_ancestor(exp.Query) in (None, where.find_ancestor(exp.Query)):
            is_window = isinstance(node, exp.Window)
            raise ProgrammingError(
                f"{'window' if is_window else 'aggregate'} functions are not allowed in WHERE",
                code=sqlstate.WINDOWING_ERROR if is_window else sqlstate.GROUPING_ERROR,
                hint="use HAVING, QUALIFY, or a subquery",
            )


def _row_work(part: exp.Expr, table: TableSnapshot) -> Work:
    work: list[tuple[str, float]] = []
    for node in part.walk():
        if type(node) not in NATIVE_NODES:
            work.append((RELATIONAL, 1.0))
        elif isinstance(node, _JSON_STEPS):
            if isinstance(node.parent, _JSON_STEPS):
                continue
            shredded = is_shredded(node, table)
            work.append((COMPARISON, _SHREDDED_COMPARISONS) if shredded else (DOCUMENT, 1.0))
        elif isinstance(node, exp.Like | exp.ILike | exp.RegexpLike):
            work.append((PATTERN, 1.0))
        elif isinstance(node, exp.Anonymous) and distance_of(node) is not None:
            found = vector_distance(node, table.table.columns)
            work += (
                ((RELATIONAL, 1.0),) if found is None else distance_work(found[1].type, found[0])
            )
        elif isinstance(node, exp.Predicate):
            work.append((COMPARISON, 1.0))
    return tuple(work)


def _index_condition(
    part: exp.Expr, indexes: tuple[Index, ...]
) -> IndexCondition | PatternCondition | None:
    scalar: dict[str, tuple[int, ...]] = {}
    for index in indexes:
        if index.metric is None:
            key = index.leading_key
            scalar[key] = (*scalar.get(key, ()), index.id)
    if not scalar:
        return None

    def indexes_on(key: exp.Expr) -> tuple[int, ...]:
        return scalar.get(render(key.unnest()), ())

    match part:
        case exp.EQ() if isinstance(part.expression, exp.Any):
            return _element_condition(part.this, part.expression.this, indexes_on)
        case exp.ArrayContainsAll() | exp.ArrayOverlaps():
            return _array_condition(part, indexes_on)
        case exp.EQ() | exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
            return _comparison_condition(part, indexes_on)
        case exp.In() if part.expressions and all(map(_is_value, part.expressions)):
            ids = indexes_on(part.this)
            return IndexCondition(ids, Comparison.IN, tuple(part.expressions)) if ids else None
        case exp.Between():
            low, high = part.args["low"], part.args["high"]
            ids = indexes_on(part.this)
            if not ids or not (_is_value(low) and _is_value(high)):
                return None
            return IndexCondition(ids, Comparison.RANGE, low=low, high=high)
        case exp.Is() if isinstance(part.expression, exp.Null):
            ids = indexes_on(part.this)
            return IndexCondition(ids, Comparison.IS_NULL) if ids else None
        case exp.Escape() if isinstance(part.expression, exp.Literal):
            return _pattern_condition(part.this, part.expression.name, indexes_on)
        case exp.Like() | exp.ILike():
            return _pattern_condition(part, "\\", indexes_on)
        case _:
            return None


_IndexesOn = Callable[[exp.Expr], tuple[int, ...]]


def _pattern_condition(
    part: exp.Expr, escape: str, indexes_on: _IndexesOn
) -> PatternCondition | None:
    if not isinstance(part, exp.Like | exp.ILike) or not _is_value(part.expression):
        return None
    ids = indexes_on(part.this)
    if not ids:
        return None
    return PatternCondition(ids, part.expression, escape, isinstance(part, exp.ILike))


def _element_condition(
    value: exp.Expr, array: exp.Expr, indexes_on: _IndexesOn
) -> IndexCondition | None:
    """`x = ANY(tags)`: the array contains x."""
    ids = indexes_on(array)
    if not ids or not _is_value(value):
        return None
    return IndexCondition(ids, Comparison.CONTAINS_ALL, (value,))


def _array_condition(part: exp.Expr, indexes_on: _IndexesOn) -> IndexCondition | None:
    """`tags @> ARRAY[…]` and `tags && ARRAY[…]`, the latter from either side."""
    is_all = isinstance(part, exp.ArrayContainsAll)
    array, wanted = part.this, part.expression.unnest()
    if not is_all and not indexes_on(array):
        array, wanted = part.expression, part.this.unnest()
    ids = indexes_on(array)
    values = tuple(wanted.expressions) if isinstance(wanted, exp.Array) else (wanted,)
    if not ids or not values or not all(map(_is_value, values)):
        return None
    kind = Comparison.CONTAINS_ALL if is_all else Comparison.CONTAINS_ANY
    return IndexCondition(ids, kind, values)


def _comparison_condition(part: exp.Expr, indexes_on: _IndexesOn) -> IndexCondition | None:
    key, value, kind = part.this, part.expression, type(part)
    if _is_value(key):
        key, value, kind = value, key, MIRRORED[kind]
    ids = indexes_on(key)
    if not ids or not _is_value(value):
        return None
    inclusive = kind in (exp.LTE, exp.GTE)
    if kind is exp.EQ:
        return IndexCondition(ids, Comparison.EQUAL, (value,))
    if kind in (exp.LT, exp.LTE):
        return IndexCondition(ids, Comparison.RANGE, high=value, high_inclusive=inclusive)
    return IndexCondition(ids, Comparison.RANGE, low=value, low_inclusive=inclusive)


def _is_value(node: exp.Expr) -> bool:
    return isinstance(node.unnest(), exp.Literal | exp.Placeholder | exp.Boolean | exp.Neg) and all(
        not isinstance(inner, exp.Column) for inner in node.walk()
    )
