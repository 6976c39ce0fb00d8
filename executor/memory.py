"""Who holds memory: `vsql_memory()`, and LOAD TABLE and RELEASE TABLE, which fill and empty it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core.snapshot import TableSnapshot
from vsql.executor.context import Context, column_of
from vsql.executor.open_index import open_index
from vsql.storage.byte_cache import NO_LIMIT
from vsql.storage.growing import GrowingSegment
from vsql.storage.segment import OpenSegment

_PAGE_BYTES = 4096
_BLOCK_BYTES = 8 * 1024 * 1024
_CACHES = {
    "masks": "predicates over immutable segments",
    "derived": "columns derived from segments: JSON paths, dictionaries",
    "rankers": "lengths of vectors, for distances",
}


def memory_rows(context: Context) -> list[dict[str, Any]]:
    """Return who holds how many bytes, the most that it may, and in how many pieces.

    Mapped segments lie in the system's page cache, which takes them back when it needs room.
    """
    resources = context.resources
    batches, structures, mapped = resources.store.holdings()
    _, most, _ = resources.store.structures.usage
    rows = [
        _row("segments, mapped", sum(b.nbytes for b in batches), None, len(batches)),
        _row("index structures, mapped", _bytes(mapped), None, len(mapped)),
        _row(
            "index structures",
            _bytes(structures),
            None if most == NO_LIMIT else most,
            len(structures),
        ),
    ]
    growing = [
        (table, segment)
        for table in context.snapshot.tables.values()
        for segment in context.segments(table)
        if isinstance(segment, GrowingSegment)
    ]
    held = sum(array.nbytes for table, segment in growing for array in _arrays(table, segment))
    rows.append(_row("growing rows", held, None, len(growing)))
    codes = [made for _, segment in growing for made in segment.growing.codes.values()]
    rows.append(_row("codes of growing rows", _bytes(codes), None, len(codes)))
    for name, title in _CACHES.items():
        used, most, count = getattr(resources, name).usage
        rows.append(_row(title, used, most, count))
    held = context.relational().memory_bytes()
    rows.append(_row("relational engine (DuckDB)", held, resources.relational_bytes or None, 1))
    return rows


def _bytes(structures: list[Any]) -> int:
    return sum(structure.byte_size() for structure in structures)


def _arrays(table: TableSnapshot, segment: OpenSegment) -> Iterator[pa.Array]:
    return (column_of(segment, column) for column in table.table.stored_columns)


def _row(holder: str, used: int, most: int | None, items: int) -> dict[str, Any]:
    return {"holder": holder, "bytes": used, "bytes_max": most, "items": items}


def load_table(table: TableSnapshot, context: Context) -> int:
    """Open every file of a table and read it once, so that no search waits; return the bytes."""
    segments = context.segments(table)
    read = 0
    for number, segment in enumerate(segments, 1):
        context.check_interrupt()
        if segment.facts is not None:
            for file in segment.facts.index_files:
                structure = open_index(file, context)
                # A mapped file is opened without being read.
                path = context.resources.store.mapped_path(file)
                read += structure.byte_size() if path is None else _read_through(path, context)
        for array in _arrays(table, segment):
            for buffer in array.buffers():
                if buffer is not None and buffer.size:
                    # One byte of each page brings the page in.
                    np.frombuffer(buffer, np.uint8)[::_PAGE_BYTES].max()
                    read += buffer.size
        if context.progress is not None:
            context.progress(f"loading {table.table.name}", number / len(segments))
    return read


def _read_through(path: Path, context: Context) -> int:
    """Read a file, which the system then has in memory; return its bytes."""
    read = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            context.check_interrupt()
            read += len(block)
    return read


def release_table(table: TableSnapshot, context: Context) -> None:
    """Close the files of a table and forget what was derived from any."""
    context.resources.store.release(table)
    for name in _CACHES:
        getattr(context.resources, name).clear()
