"""Statistics of a column, by Arrow kernels: no Python per row.

Counts, NULLs, minimum and maximum are exact; the rest is estimated from a sample of evenly spaced
rows where there are many.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core.schema import Column
from vsql.core.statistics import TEXT_MAX, ColumnStatistics, PathStatistics
from vsql.core.types import BIGINT, BOOLEAN, DENSE, DOUBLE, TEXT, Family, SqlType
from vsql.storage.path_values import Kind, PathValues

SAMPLE_ROWS = 30_000
COMMON_VALUES = 32
BUCKETS = 64
_PLAIN = (
    Family.JSON,
    *DENSE,
    Family.BIT,
    Family.SPARSEVEC,
    Family.INTERVAL,
    Family.NULL,
)


def collect(array: pa.Array, type_: SqlType) -> ColumnStatistics:
    """Return what is known of a column; of arrays, over their elements."""
    rows, nulls = len(array), array.null_count
    if type_.family in _PLAIN or rows == nulls:
        return ColumnStatistics(rows, nulls, 0)
    values = _sample(array)
    if type_.element is not None:
        if type_.element.family in (*_PLAIN, Family.ARRAY):
            return ColumnStatistics(rows, nulls, 0)
        values = values.flatten()
    scale = rows / max(len(_sample(array)), 1)
    filled = values.drop_null()
    if not len(filled):
        return ColumnStatistics(rows, nulls, 0)
    counted = filled.value_counts()
    distinct_values, counts = counted.field("values"), counted.field("counts").to_numpy()
    distinct = _distinct(counts, len(filled), rows if type_.element is None else len(filled))
    common = _common(distinct_values, counts, scale)
    extremes = array.flatten() if type_.element is not None else array
    if pa.types.is_fixed_size_binary(extremes.type):
        extremes = extremes.cast(pa.binary())
    bounds = _bounds(extremes)
    return ColumnStatistics(
        rows,
        nulls,
        distinct,
        _short(bounds["min"]),
        _short(bounds["max"]),
        common,
        _histogram(filled, {value for value, _ in common}),
    )


def collect_all(batch: pa.RecordBatch, columns: Sequence[Column]) -> dict[int, ColumnStatistics]:
    """Return what is known of each column of a batch, by its id."""
    return {
        column.id: collect(array, column.type)
        for column, array in zip(columns, batch.columns, strict=True)
    }


def _bounds(values: pa.Array) -> dict[str, Any]:
    """Return the least and the greatest value, None beside a NaN: Arrow leaves it out of both."""
    if pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py():
        return {"min": None, "max": None}
    bounds: dict[str, Any] = pc.min_max(values).as_py()
    return bounds


def collect_path(values: PathValues) -> PathStatistics:
    """Return what is known of a JSON path that a segment keeps in columns."""
    parts = values.parts
    numbers = parts.get(Kind.INTEGER), BIGINT
    if Kind.DOUBLE in parts:
        doubles = parts[Kind.DOUBLE]
        if numbers[0] is not None:
            doubles = pc.coalesce(doubles, numbers[0].cast(pa.float64(), safe=False))
        numbers = doubles, DOUBLE
    lists = Kind.STRINGS if Kind.STRINGS in parts else Kind.INTEGERS
    element = TEXT if lists is Kind.STRINGS else BIGINT
    return PathStatistics(
        len(values),
        int(np.isin(values.kinds, (Kind.ABSENT, Kind.NULL)).sum()),
        _collected(*numbers),
        _collected(parts.get(Kind.STRING), TEXT),
        _collected(parts.get(Kind.BOOLEAN), BOOLEAN),
        _collected(parts.get(lists), SqlType(Family.ARRAY, element=element)),
    )


def _collected(part: pa.Array | None, type_: SqlType) -> ColumnStatistics | None:
    return None if part is None else collect(part, type_)


def _sample(array: pa.Array) -> pa.Array:
    if len(array) <= SAMPLE_ROWS:
        return array
    rows = np.linspace(0, len(array) - 1, SAMPLE_ROWS).astype(np.int64)
    return array.take(pa.array(rows))


def _distinct(counts: Any, sampled: int, rows: int) -> int:
    """Haas and Stokes' estimator, as PostgreSQL's ANALYZE uses it (analyze.c)."""
    seen, once = len(counts), int((counts == 1).sum())
    if sampled >= rows or not once:
        return seen
    if once == seen:
        return rows
    estimate = sampled * seen / (sampled - once + once * sampled / rows)
    return int(min(max(estimate, seen), rows))


def _common(values: pa.Array, counts: Any, scale: float) -> tuple[tuple[Any, int], ...]:
    top = np.argsort(-counts, kind="stable")[:COMMON_VALUES]
    repeated = top[counts[top] > 1]
    shown = values.take(pa.array(repeated)).to_pylist()
    return tuple(
        (value, round(int(counts[number]) * scale))
        for value, number in zip(shown, repeated, strict=True)
        if not isinstance(value, str | bytes) or len(value) <= TEXT_MAX
    )


def _histogram(values: pa.Array, common: set[Any]) -> tuple[Any, ...]:
    if pa.types.is_boolean(values.type) or pa.types.is_nested(values.type):
        return ()
    if common:
        kept = pc.invert(pc.is_in(values, value_set=pa.array(list(common), values.type)))
        values = values.filter(kept)
    if len(values) < 2:
        return ()
    ordered = values.take(pc.sort_indices(values))
    picks = np.linspace(0, len(ordered) - 1, min(BUCKETS + 1, len(ordered))).astype(np.int64)
    return tuple(_short(value) for value in ordered.take(pa.array(picks)).to_pylist())


def _short(value: Any) -> Any:
    return value[:TEXT_MAX] if isinstance(value, str | bytes) else value
