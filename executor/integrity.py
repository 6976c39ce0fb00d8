"""CHECK DATABASE: every file against its checksum, every delete against its segment."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyroaring import BitMap

from vsql.core.changes import Change
from vsql.core.errors import Error
from vsql.core.snapshot import IndexFile, SegmentFacts, TableSnapshot
from vsql.executor.build_index import build
from vsql.executor.context import Context

_BLOCK = 4 * 1024 * 1024


def check_database(context: Context) -> tuple[pa.Table, tuple[Change, ...]]:
    """Return a row for each problem, and the changes that build damaged index files anew.

    Columns: table, file, problem, remedy. No row means that all is well.
    """
    rows: list[dict[str, str]] = []
    repairs: list[Change] = []
    for table in context.snapshot.tables.values():
        for segment in table.segments:
            problem = _segment_problem(table, segment, context)
            if problem is not None:
                rows.append(
                    _row(table, segment.name or "catalog.sqlite", problem, "restore a backup")
                )
                continue
            for file, found in _index_problems(segment, context):
                repairs += rebuilt(file, table, segment, context)
                rows.append(_row(table, file.name, found, "built anew"))
    names = ("table", "file", "problem", "remedy")
    columns = {name: pa.array([row[name] for row in rows], pa.string()) for name in names}
    return pa.table(columns), tuple(repairs)


def _row(table: TableSnapshot, file: str, problem: str, remedy: str) -> dict[str, str]:
    return {"table": table.table.name, "file": file, "problem": problem, "remedy": remedy}


def _segment_problem(table: TableSnapshot, segment: SegmentFacts, context: Context) -> str | None:
    root = context.resources.store.root
    if segment.name is not None and root is not None:
        problem = file_problem(root / segment.name, segment.byte_size, segment.checksum)
        if problem is not None:
            return problem
    try:
        opened = context.past(segment, table.table)
        for column in table.table.columns:
            opened.column(column.id, column.type.arrow).validate(full=True)
    except (Error, pa.ArrowException) as error:
        return str(error).splitlines()[0]
    for bits in segment.deletes:
        rows = BitMap.deserialize(bits)
        if rows and rows.max() >= segment.row_count:
            return f"row {rows.max()} is deleted, but there are {segment.row_count} rows"
    return None


def _index_problems(segment: SegmentFacts, context: Context) -> Iterator[tuple[IndexFile, str]]:
    root = context.resources.store.root
    for file in segment.index_files:
        if root is not None:
            problem = file_problem(root / file.name, file.byte_size, file.checksum)
            if problem is not None:
                yield file, problem


def file_problem(path: Path, size: int, checksum: str) -> str | None:
    """Return what is wrong with a file, None where it is as it was written."""
    try:
        found = path.stat().st_size
        if found != size:
            return f"has {found} bytes instead of {size}"
        value = 0
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                value = zlib.crc32(block, value)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return None if f"{value:08x}" == checksum else "does not match its checksum"


def rebuilt(
    file: IndexFile, table: TableSnapshot, segment: SegmentFacts, context: Context
) -> tuple[Change, ...]:
    """Return the changes that build one index over a segment anew."""
    index = next(i for i in table.indexes if i.id == file.index_id)
    context.resources.store.forget([file.name])
    return build(index, table, segment, context)
