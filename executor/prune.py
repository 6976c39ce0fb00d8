"""Which segments a predicate leaves out, or takes whole, before one row is read.

By partition and by zone map.
"""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sqlglot import exp

from vsql.core.partitions import partition_of
from vsql.core.schema import Partitioning
from vsql.core.snapshot import SegmentFacts, TableSnapshot
from vsql.core.statistics import TEXT_MAX, ColumnStatistics
from vsql.core.types import Family
from vsql.executor.bound_values import REFUSALS
from vsql.executor.context import Context
from vsql.executor.values import value_of
from vsql.planner.bind import is_constant
from vsql.planner.comparisons import MIRRORED
from vsql.planner.nodes import Conjunct


def is_excluded(
    conjuncts: tuple[Conjunct, ...],
    table: TableSnapshot,
    facts: SegmentFacts | None,
    context: Context,
) -> bool:
    """Whether no row of a sealed segment can pass; False where that is not known."""
    if facts is None:
        return False
    for conjunct in conjuncts:
        for name, low, high, values in _bounds(conjunct.expression, context):
            column = table.table.find(name)
            if column is None:
                continue
            if values is not None and _other_partition(values, name, table, facts):
                return True
            known = facts.statistics.get(column.id)
            if known is not None and column.type.element is None:
                is_text = column.type.family in (Family.TEXT, Family.VARCHAR)
                if _outside(known, low, high, values, is_text):
                    return True
    return False


def takes_all(
    conjunct: Conjunct, table: TableSnapshot, facts: SegmentFacts | None, context: Context
) -> bool:
    """Whether every row of a sealed segment passes; False where that is not known.

    Told of whole numbers: these have an order without NaN and are kept in full.
    """
    found = _compared(conjunct.expression, context)
    if facts is None or found is None:
        return False
    kind, name, value = found
    column = table.table.find(name)
    if column is None or not column.type.is_integer or type(value) not in (int, float):
        return False
    known = facts.statistics.get(column.id)
    if known is None or known.nulls or known.minimum is None:
        return False
    return bool(
        (kind is exp.LT and known.maximum < value)
        or (kind is exp.LTE and known.maximum <= value)
        or (kind is exp.GT and known.minimum > value)
        or (kind is exp.GTE and known.minimum >= value)
    )


def pruned_count(
    conjuncts: tuple[Conjunct, ...], table: TableSnapshot, context: Context
) -> tuple[int, int]:
    """Return how many sealed segments a predicate leaves out, and how many there are."""
    sealed = table.sealed
    return sum(is_excluded(conjuncts, table, s, context) for s in sealed), len(sealed)


_Bound = tuple[str, Any, Any, list[Any] | None]


def _bounds(node: exp.Expr, context: Context) -> Iterator[_Bound]:
    """Yield what a condition says of one column: (name, least, greatest, values), None: unknown."""
    match node:
        case exp.Between() if isinstance(node.this, exp.Column):
            low, high = node.args["low"], node.args["high"]
            if is_constant(low) and is_constant(high):
                yield node.this.name, _value(low, context), _value(high, context), None
        case exp.In() if isinstance(node.this, exp.Column) and node.expressions:
            if all(is_constant(element) for element in node.expressions):
                values: list[Any] = []
                for element in node.expressions:
                    value = _value(element, context)
                    values += value if isinstance(value, list | tuple) else [value]
                if all(value is not None for value in values):
                    yield node.this.name, None, None, values
        case exp.EQ() | exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
            yield from _comparison(node, context)
        case _:
            return


def _comparison(node: exp.Expr, context: Context) -> Iterator[_Bound]:
    found = _compared(node, context)
    if found is None:
        return
    kind, name, value = found
    if kind is exp.EQ:
        yield name, value, value, [value]
    elif kind in (exp.LT, exp.LTE):
        yield name, None, value, None
    else:
        yield name, value, None, None


def _compared(node: exp.Expr, context: Context) -> tuple[type[exp.Expr], str, Any] | None:
    """Return `column <operator> constant`: the operator, the column's name and the value."""
    kind: type[exp.Expr] = type(node)
    if kind not in MIRRORED:
        return None
    column, constant = node.this, node.expression
    if not isinstance(column, exp.Column):
        column, constant, kind = constant, column, MIRRORED[kind]
    if not isinstance(column, exp.Column) or not is_constant(constant):
        return None
    value = _value(constant, context)
    return None if value is None else (kind, column.name, value)


def _value(node: exp.Expr, context: Context) -> Any:
    plain = exp.Literal | exp.Placeholder | exp.Boolean | exp.Neg | exp.Null
    if not isinstance(node.unnest(), plain):
        return None
    if isinstance(node, exp.Placeholder) and node.name not in context.parameters:
        return None
    return value_of(node, context)


def _other_partition(
    values: list[Any], name: str, table: TableSnapshot, facts: SegmentFacts
) -> bool:
    partitioning: Partitioning | None = table.table.partitioning
    if partitioning is None or partitioning.column != name or not facts.partition:
        return False
    if partitioning.kind == "list":
        # Partitions of a list come and go: a segment's name may be of an older definition.
        return False
    return facts.partition not in {partition_of(value, partitioning) for value in values}


def _exact(value: Any) -> Any:
    """A literal such as 1.1 is exact beside a DECIMAL, as in PostgreSQL."""
    return Decimal(repr(value)) if isinstance(value, float) and math.isfinite(value) else value


def _outside(
    known: ColumnStatistics, low: Any, high: Any, values: list[Any] | None, is_text: bool
) -> bool:
    if known.rows == known.nulls and known.minimum is None:
        return True
    if known.minimum is None or known.maximum is None:
        return False
    if isinstance(known.minimum, Decimal):
        low, high = _exact(low), _exact(high)
        values = None if values is None else [_exact(value) for value in values]
    # A long text is kept cut short: then the greatest is not known.
    open_end = is_text and len(known.maximum) >= TEXT_MAX
    try:
        if values is not None and low is None:
            return all(v < known.minimum or (v > known.maximum and not open_end) for v in values)
        below = high is not None and high < known.minimum
        above = low is not None and low > known.maximum and not open_end
        return bool(below or above)
    except REFUSALS:
        return False  # What is not compared with them excludes nothing.
