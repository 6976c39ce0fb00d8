"""ANALYZE: statistics anew, over the rows that live now; and what is known, as rows.

Segments are analyzed when they are written; what was deleted since counts until ANALYZE. Zone maps
stay those of the whole file, since older versions are read through the same statistics.
"""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from vsql.core import changes as change
from vsql.core.changes import Change
from vsql.core.snapshot import SegmentFacts, TableSnapshot
from vsql.core.statistics import ColumnStatistics
from vsql.executor.context import Context, column_of
from vsql.executor.row_mask import RowMask
from vsql.executor.seal import seal_when_due
from vsql.storage.segment import OpenSegment
from vsql.storage.statistics import collect, collect_path


def analyze(table: TableSnapshot, context: Context) -> tuple[Change, ...]:
    """Return the changes that seal what grows and tell anew what is known of each segment."""
    sealed = seal_when_due(table, context, now=True)
    staged: list[Change] = list(sealed)
    for segment in context.segments(replace(table, segments=table.sealed)):
        assert segment.facts is not None
        if segment.facts.deletes and segment.facts.live_count:
            staged.append(_measured(table, segment.facts, segment))
    return tuple(staged)


def _measured(table: TableSnapshot, facts: SegmentFacts, segment: OpenSegment) -> Change:
    assert segment.live is not None
    live = RowMask(segment.live, segment.row_count).rows
    statistics = {
        column.id: _bounded(
            collect(column_of(segment, column).take(pa.array(live)), column.type),
            facts.statistics.get(column.id),
        )
        for column in table.table.stored_columns
    }
    paths = dict(facts.paths)
    for column_id, pointer in facts.paths:
        values = segment.shredded(column_id, pointer)
        if values is not None:
            paths[column_id, pointer] = collect_path(values.take(live))
    return change.PutStatistics(table.table.id, facts.id, statistics, paths)


def _bounded(now: ColumnStatistics, whole: ColumnStatistics | None) -> ColumnStatistics:
    """Return statistics of living rows with the bounds of all rows."""
    if whole is None:
        return now
    if now.rows == now.nulls:
        return whole
    return replace(now, minimum=whole.minimum, maximum=whole.maximum)


def statistics_rows(tables: list[TableSnapshot]) -> list[dict[str, Any]]:
    """Return a row for each column and each JSON path of each sealed segment."""
    return [
        {
            "table_name": table.table.name,
            "segment_id": f"{segment.id:016x}",
            "column_name": name,
            "path": path,
            "value_kind": kind,
            "rows": known.rows,
            "nulls": known.nulls,
            "distinct_values": known.distinct,
            "minimum": _shown(known.minimum),
            "maximum": _shown(known.maximum),
            "most_common_values": [_shown(value) for value, _ in known.common],
            "most_common_counts": [count for _, count in known.common],
            "histogram_bounds": [_shown(bound) for bound in known.histogram],
        }
        for table in tables
        for segment in table.sealed
        for name, path, kind, known in _known(table, segment)
    ]


def _known(
    table: TableSnapshot, segment: SegmentFacts
) -> list[tuple[str, str | None, str, ColumnStatistics]]:
    names = {column.id: column.name for column in table.table.columns}
    found: list[tuple[str, str | None, str, ColumnStatistics]] = []
    for column in table.table.columns:
        known = segment.statistics.get(column.id)
        if known is not None:
            kind = "elements" if column.type.element is not None else "values"
            found.append((column.name, None, kind, known))
    for (column_id, pointer), path in segment.paths.items():
        for kind in ("numbers", "strings", "booleans", "elements"):
            part: ColumnStatistics | None = getattr(path, kind)
            if part is not None and column_id in names:
                found.append((names[column_id], pointer, kind, part))
    return found


def _shown(value: Any) -> str | None:
    return None if value is None else str(value)
