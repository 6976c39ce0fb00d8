"""How many rows a predicate keeps, estimated from per-segment statistics.

Values that are parameters are unknown when a plan is made: they count as an average value. The
executor corrects every estimate with the true count before it chooses an access path.
"""

import datetime
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from sqlglot import exp

from vsql.core.snapshot import TableSnapshot
from vsql.core.statistics import ColumnStatistics
from vsql.grammar.filter_names import CONTAINS, EXISTS, FILTER, function_name
from vsql.planner.bind import type_name
from vsql.planner.path_statistics import absent_share, part_for, path_statistics

# Guesses where nothing is known; the first three are PostgreSQL's (selfuncs.h).
EQUALITY_DEFAULT = 0.005
RANGE_DEFAULT = 1 / 3
PATTERN_DEFAULT = 0.05
MEMBERSHIP_DEFAULT = 0.02
UNKNOWN_DEFAULT = 0.25
# How many bounds of a histogram the default guess for a pattern counts as.
_PATTERN_WEIGHT = 10

_RANGES: dict[type[exp.Expr], tuple[str, bool]] = {
    exp.LT: ("<", False),
    exp.LTE: ("<", True),
    exp.GT: (">", False),
    exp.GTE: (">", True),
}
# Conditions that are NULL where their left side is.
_NULL_AT_NULL = (
    *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE),
    *(exp.In, exp.Between, exp.Like, exp.ILike),
)
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
            return max(0.0, 1.0 - estimate(node.this, table) - _unknown_share(node.this, table))
        case exp.Boolean():
            return 1.0 if node.this else 0.0
        case exp.Between():
            low = exp.GTE(this=node.this.copy(), expression=node.args["low"].copy())
            high = exp.LTE(this=node.this.copy(), expression=node.args["high"].copy())
            return max(0.0, estimate(low, table) + estimate(high, table) - 1.0)
        case exp.In() if node.expressions:
            equalities = (exp.EQ(this=node.this.copy(), expression=v) for v in node.expressions)
            return min(1.0, sum(estimate(equality, table) for equality in equalities))
        case exp.Is() if isinstance(node.expression, exp.Boolean):
            equal = exp.EQ(this=node.this.copy(), expression=node.expression.copy())
            return estimate(equal, table)
        case exp.Is():
            return _null_share(node, table)
        case exp.EQ() | exp.NEQ() | exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
            return _comparison(node, table)
        case exp.Escape():
            return estimate(node.this, table)
        case exp.Like() | exp.ILike():
            return _pattern(node, table)
        case exp.ArrayContainsAll() | exp.ArrayOverlaps():
            return _array(node, table)
        case exp.Anonymous() if function_name(node) is not None:
            return _filter_function(node, table)
        case exp.Column():
            # A column that is itself a condition: it is true.
            statistics = _statistics(node, table, True)
            return _weighted(statistics, lambda s: _equal_rows(s, True), UNKNOWN_DEFAULT)
        case _:
            return UNKNOWN_DEFAULT


def _unknown_share(node: exp.Expr, table: TableSnapshot) -> float:
    """Return the share of rows for which a condition on one column is NULL, and its NOT too."""
    node = node.unnest()
    if isinstance(node, exp.Anonymous) and function_name(node) == FILTER:
        node = node.expressions[0]
    if not isinstance(node, (*_NULL_AT_NULL, exp.Column)):
        return 0.0
    operand = node if isinstance(node, exp.Column) else node.this.unnest()
    if isinstance(operand, exp.JSONExtract | exp.JSONExtractScalar):
        return absent_share(operand, table, 0.0)
    return _weighted(_statistics(operand, table), lambda s: float(s.nulls), 0.0)


def _comparison(node: exp.Expr, table: TableSnapshot) -> float:
    left, right = node.this.unnest(), node.expression.unnest()
    if isinstance(right, exp.Any):
        return _contains(right.this.unnest(), constant_value(left), table)
    mirrored = not _has_column(left)
    column, other = (right, left) if mirrored else (left, right)
    value = constant_value(other)
    statistics = _statistics(column, table, value)
    if isinstance(node, exp.EQ):
        return _weighted(statistics, lambda s: _equal_rows(s, value), EQUALITY_DEFAULT)
    if isinstance(node, exp.NEQ):
        return _weighted(
            statistics, lambda s: s.rows - s.nulls - _equal_rows(s, value), 1.0 - EQUALITY_DEFAULT
        )
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
    operand = node.this.unnest()
    if isinstance(operand, exp.JSONExtract | exp.JSONExtractScalar):
        return absent_share(operand, table, EQUALITY_DEFAULT)
    statistics = _statistics(operand, table)
    return _weighted(statistics, lambda s: float(s.nulls), EQUALITY_DEFAULT)


def _has_column(node: exp.Expr) -> bool:
    return node.find(exp.Column) is not None


def _statistics(node: exp.Expr, table: TableSnapshot, value: Any = None) -> list[ColumnStatistics]:
    """Return what is known of a column, or of a JSON path that is compared with `value`."""
    wanted = "strings" if isinstance(node, exp.JSONExtractScalar) else None
    if isinstance(node, exp.Cast):
        node = node.this.unnest()
        wanted = "numbers"
    if isinstance(node, exp.JSONExtract | exp.JSONExtractScalar):
        return path_statistics(node, table, wanted or part_for(value))
    if not isinstance(node, exp.Column):
        return []
    found = table.table.find(node.name)
    if found is None:
        return []
    return [s.statistics[found.id] for s in table.sealed if found.id in s.statistics]


def _pattern(node: exp.Expr, table: TableSnapshot) -> float:
    """LIKE: what it keeps of the common values, and of the histogram's bounds for all others."""
    pattern = constant_value(node.expression)
    if not isinstance(pattern, str):
        return PATTERN_DEFAULT
    matcher = _like_matcher(pattern, ignore_case=isinstance(node, exp.ILike))
    prefix = "" if isinstance(node, exp.ILike) else _literal_prefix(pattern)

    def rows(s: ColumnStatistics) -> float:
        common = sum(n for value, n in s.common if isinstance(value, str) and matcher(value))
        rest = max(s.rows - s.nulls - sum(n for _, n in s.common), 0)
        return common + rest * _matching_share(s.histogram, matcher, prefix)

    return _weighted(_statistics(node.this.unnest(), table, pattern), rows, PATTERN_DEFAULT)


def _matching_share(bounds: Sequence[Any], matcher: Callable[[str], bool], prefix: str) -> float:
    """Return the share of a histogram's values that match, smoothed: no bound may match by luck."""
    if not bounds:
        return PATTERN_DEFAULT
    if prefix:
        after = prefix[:-1] + chr(min(ord(prefix[-1]) + 1, 0x10FFFF))
        within = _histogram_share(bounds, after, False) - _histogram_share(bounds, prefix, False)
        return max(within, 0.5 / len(bounds) / len(prefix))
    hits = sum(1 for bound in bounds if isinstance(bound, str) and matcher(bound))
    return (hits + PATTERN_DEFAULT * _PATTERN_WEIGHT) / (len(bounds) + _PATTERN_WEIGHT)


def _like_matcher(pattern: str, *, ignore_case: bool) -> Callable[[str], bool]:
    parts = ("(?s:.*)" if c == "%" else "(?s:.)" if c == "_" else re.escape(c) for c in pattern)
    compiled = re.compile("".join(parts), re.IGNORECASE if ignore_case else 0)
    return lambda text: compiled.fullmatch(text) is not None


def _literal_prefix(pattern: str) -> str:
    found = re.match(r"[^%_\\]*", pattern)
    return found.group() if found is not None else ""


def _filter_function(node: exp.Anonymous, table: TableSnapshot) -> float:
    """The filter language's leaves: as in SQL, over the kind of value that the constant has."""
    name, arguments = function_name(node), node.expressions
    if name == FILTER:
        return estimate(arguments[0], table)
    if name == EXISTS:
        return 1.0 - absent_share(arguments[0].unnest(), table, 1.0 - UNKNOWN_DEFAULT)
    if name is None or name not in CONTAINS.values():
        return UNKNOWN_DEFAULT
    wanted = arguments[1].unnest()
    values = wanted.expressions if isinstance(wanted, exp.Array) else [wanted]
    shares = [_element_share(arguments[0].unnest(), constant_value(v), table) for v in values]
    if name == CONTAINS["_any"]:
        return min(1.0, sum(shares))
    return min(shares, default=1.0)


def _element_share(node: exp.Expr, value: Any, table: TableSnapshot) -> float:
    if isinstance(node, exp.Column):
        statistics = _statistics(node, table)
    else:
        statistics = path_statistics(node, table, "elements")
    return _weighted(statistics, lambda s: _equal_rows(s, value), MEMBERSHIP_DEFAULT)


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
    if isinstance(value, int | float | Decimal) and high > low:
        within = (float(value) - float(low)) / (float(high) - float(low))
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
    parse = parsers.get(type_name(node.to))
    if parse is None or not isinstance(value, str):
        return value
    try:
        return parse(value)
    except ValueError:
        return None
