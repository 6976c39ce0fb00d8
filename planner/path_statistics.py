"""What is known about JSON paths: statistics of the paths that sealed segments keep in columns."""

from typing import Any

from sqlglot import exp

from vsql.core.snapshot import TableSnapshot
from vsql.core.statistics import ColumnStatistics, PathStatistics
from vsql.grammar.json_paths import key_pointer, root_of


def _paths(node: exp.Expr, table: TableSnapshot) -> list[tuple[int, PathStatistics | None]]:
    """Return for each segment that keeps paths of the column its rows and what it knows of one."""
    pointer, root = key_pointer(node), root_of(node)
    column = table.table.find(root.name) if isinstance(root, exp.Column) else None
    if pointer is None or column is None:
        return []
    key = (column.id, pointer)
    return [
        (segment.row_count, segment.paths.get(key))
        for segment in table.sealed
        if any(column_id == column.id for column_id, _ in segment.paths)
    ]


def is_shredded(node: exp.Expr, table: TableSnapshot) -> bool:
    """Whether every sealed segment keeps the path in columns."""
    found = _paths(node, table)
    return len(found) == len(table.sealed) and all(path is not None for _, path in found)


def part_for(value: Any) -> str:
    """Return which part of a path's statistics speaks of values like `value`."""
    if isinstance(value, bool):
        return "booleans"
    return "strings" if isinstance(value, str) else "numbers"


def path_statistics(node: exp.Expr, table: TableSnapshot, part: str) -> list[ColumnStatistics]:
    """Return what is known of a path's values of one sort, segment by segment.

    A segment that keeps other paths of the column, but not this one, has next to no value of it.
    """
    found = []
    for rows, path in _paths(node, table):
        known: ColumnStatistics | None = getattr(path, part) if path is not None else None
        found.append(known if known is not None else ColumnStatistics(rows, rows, 0))
    return found


def absent_share(node: exp.Expr, table: TableSnapshot, default: float) -> float:
    """Return the share of rows without a value, or with null."""
    found = _paths(node, table)
    total = sum(rows for rows, _ in found)
    if not total:
        return default
    return sum(rows if path is None else path.absent for rows, path in found) / total
