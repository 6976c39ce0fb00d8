"""How many rows a predicate keeps, estimated from per-segment statistics.

Values that are parameters are unknown when a plan is made: they count as an average value. The
executor corrects every estimate with the true count before it chooses an access path.
"""

import datetime
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlglot import exp

from vsql.core.snapshot import TableSnapshot
from vsql.core.statistics import ColumnStatistics

# Guesses where nothing is known; the first three are PostgreSQL's (selfuncs.h).
EQUALITY_DEFAULT = 0.005
RANGE_DEFAULT = 1 / 3
PATTERN_DEFAULT = 0.05
MEMBERSHIP_DEFAULT = 0.02
UNKNOWN_DEFAULT = 0.25

_RANGES: dict[type[exp.Expr], tuple[str, bool]] = {
    exp.LT: ("<", False),
    exp.LTE: ("<", True),
    exp.GT: (">", False),
    exp.GTE: (">", True),
}
_MIRRORED = {"<": ">", ">": "<"}


def estimate(predicate: exp.Expr, table: TableSnapshot) -> float:
    """Return the share of the table's rows that pass, 0.0 to 1.0."""
    node = predicate.unnest()
    match node:
        case exp.And():
            return math.prod(estimate(part, table) for part in node.flatten())
        case exp.Or():
            return 1.0 - math.prod(1.0 - estimate(part, table) for part in node.flatten())
        case exp.Not():
            return 1.0 - estimate(node.this, table)
        case exp.Boolean():
            return 1.0 if node.this else 0.0
        case exp.Between():
            low = exp.GTE(this=node.this.copy(), expression=node.args["low"].copy())
            high = exp.LTE(this=node.this.copy(), expression=node.args["high"].copy())
            return max(0.0, estimate(low, table) + estimate(high, table) - 1.0)
        case exp.In() if node.expressions:
            equalities = (exp.EQ(this=node.this.copy(), expression=v) for v in node.expressions)
            return min(1.0, sum(estimate(equality, table) for equality in equalities))
        case exp.Is():
            return _null_share(node, table)
        case exp.EQ() | exp.NEQ() | exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
            return _comparison(node, table)
        case exp.Like() | exp.ILike():
            return PATTERN_DEFAULT
        case exp.ArrayContainsAll() | exp.ArrayOverlaps():
            return _array(node, table)
        case _:
            return UNKNOWN_DEFAULT


def _comparison(node: exp.Expr, table: TableSnapshot) -> float:
    left, right = node.this.unnest(), node.expression.unnest()
    if isinstance(right, exp.Any):
        return _contains(right.this.unnest(), constant_value(left), table)
    mirrored = not isinstance(left, exp.Column)
    column, other = (right, left) if mirrored else (left, right)
    statistics = _statistics(column, table)
    value = constant_value(other)
    if isinstance(node, exp.EQ):
        return _weighted(statistics, lambda s: _equal_rows(s, value), EQUALITY_DEFAULT)
    if isinstance(node, exp.NEQ):
        return 1.0 - _weighted(statistics, lambda s: _equal_rows(s, value), EQUALITY_DEFAULT)
    direction, inclusive = _RANGES[type(node)]
    if mirrored:
        direction = _MIRRORED[direction]
    return _weighted(
        statistics, lambda s: _range_rows(s, direction, inclusive, value), RANGE_DEFAULT
    )


def _array(node: exp.Expr, table: TableSnapshot) -> float:
    values = node.expression.unnest()
    if not isinstance(values, exp.Array):
        return MEMBERSHIP_DEFAULT
    column = node.this.unnest()
    shares = [_contains(column, constant_value(v), table) for v in values.expressions]
    if isinstance(node, exp.ArrayOverlaps):
        return min(1.0, sum(shares))
    return min(shares, default=1.0)


def _contains(column: exp.Expr, value: Any, table: TableSnapshot) -> float:
    statistics = _statistics(column, table)
    return _weighted(statistics, lambda s: _equal_rows(s, value), MEMBERSHIP_DEFAULT)


def _null_share(node: exp.Expr, table: TableSnapshot) -> float:
    if not isinstance(node.expression, exp.Null):
        return 0.5
    statistics = _statistics(node.this.unnest(), table)
    return _weighted(statistics, lambda s: float(s.nulls), EQUALITY_DEFAULT)


def _statistics(column: exp.Expr, table: TableSnapshot) -> list[ColumnStatistics]:
    if not isinstance(column, exp.Column):
        return []
    found = table.table.find(column.name)
    if found is None:
        return []
    return [s.statistics[found.id] for s in table.sealed if found.id in s.statistics]


def _weighted(statistics: list[ColumnStatistics], rows_of: Any, default: float) -> float:
    total = sum(s.rows for s in statistics)
    if not total:
        return default
    return float(min(1.0, max(0.0, sum(rows_of(s) for s in statistics) / total)))


def _equal_rows(statistics: ColumnStatistics, value: Any) -> float:
    if value is not None:
        for common, count in statistics.common:
            if common == value:
                return float(count)
        outside = _compare(value, statistics.minimum) < 0 or _compare(value, statistics.maximum) > 0
        if outside and statistics.minimum is not None:
            return 0.0
    rest = statistics.rows - statistics.nulls - sum(count for _, count in statistics.common)
    distinct = statistics.distinct - len(statistics.common)
    if value is None and statistics.distinct > 0:
        return (statistics.rows - statistics.nulls) / statistics.distinct
    return max(rest, 0) / distinct if distinct > 0 else 0.0


def _range_rows(statistics: ColumnStatistics, direction: str, inclusive: bool, value: Any) -> float:
    filled = statistics.rows - statistics.nulls
    if value is None or statistics.minimum is None:
        return filled * RANGE_DEFAULT
    below = 0.0
    for common, count in statistics.common:
        order = _compare(common, value)
        if order < 0 or (order == 0 and inclusive == (direction == "<")):
            below += count
    rest = filled - sum(count for _, count in statistics.common)
    below += max(rest, 0) * _histogram_share(statistics.histogram, value, inclusive)
    return below if direction == "<" else filled - below


def _histogram_share(bounds: Sequence[Any], value: Any, inclusive: bool) -> float:
    if len(bounds) < 2:
        return 0.5
    try:
        position = bisect_right(bounds, value) if inclusive else bisect_left(bounds, value)
    except TypeError:
        return RANGE_DEFAULT
    if position == 0:
        return 0.0
    if position >= len(bounds):
        return 1.0
    low, high = bounds[position - 1], bounds[position]
    within = 0.5
    if isinstance(value, int | float) and high > low:
        within = (value - low) / (high - low)
    return (position - 1 + within) / (len(bounds) - 1)


def _compare(left: Any, right: Any) -> int:
    try:
        return int(left > right) - int(left < right)
    except TypeError:
        return 0


def constant_value(node: exp.Expr) -> Any:
    """Return the Python value of a literal, None for anything else."""
    node = node.unnest()
    if isinstance(node, exp.Neg):
        value = constant_value(node.this)
        return -value if isinstance(value, int | float | Decimal) else None
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Cast):
        return _cast_constant(node)
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string:
        return node.this
    return int(node.this) if node.is_int else float(node.this)


def _cast_constant(node: exp.Cast) -> Any:
    value = constant_value(node.this)
    parsers = {"DATE": datetime.date.fromisoformat, "TIMESTAMP": datetime.datetime.fromisoformat}
    parse = parsers.get(node.to.this.name if node.to else "")
    if parse is None or not isinstance(value, str):
        return value
    try:
        return parse(value)
    except ValueError:
        return None
