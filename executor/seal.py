"""From rows to segments: few rows are inlined in the catalog, many become a sealed file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core import changes as change
from vsql.core.changes import Change
from vsql.core.protocols import Rows
from vsql.core.schema import Table
from vsql.core.snapshot import SegmentFacts, TableSnapshot
from vsql.core.types import Family
from vsql.executor.build_index import build_all
from vsql.executor.context import Context
from vsql.executor.scan import pick
from vsql.executor.take import Picked, from_numpy, take_column
from vsql.storage.partition import split
from vsql.storage.path_values import PathValues
from vsql.storage.store import Shred


def add_rows(
    table: TableSnapshot, batches: Iterable[pa.RecordBatch], context: Context
) -> tuple[Change, ...]:
    """Return the changes that add checked rows: inlined where they are few, else segments."""
    collected = [batch for batch in batches if batch.num_rows]
    count = sum(batch.num_rows for batch in collected)
    size = sum(batch.nbytes for batch in collected)
    if not count:
        return ()
    few = count < context.settings["seal_rows"] and size < context.settings["seal_bytes"]
    if few or table.table.temporary:
        return (inlined(table.table, one_batch(table.table, collected), context),)
    return sealed_segments(table, collected, context)


def one_batch(table: Table, batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return batches as one."""
    if len(batches) == 1:
        return batches[0]
    whole = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
    return pa.RecordBatch.from_arrays(whole.columns, schema=table.arrow_schema)


def inlined(
    table: Table, batch: pa.RecordBatch, context: Context, *, rewritten: bool = False
) -> Change:
    """Return the change that keeps a batch in the catalog."""
    facts = context.resources.store.inline_segment(table, batch, rewritten=rewritten)
    return change.AddSegment(facts, batch)


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the rows of a rewrite came from, and where each went.

    `sources` are (segment id, row numbers) one after the other; `targets` (segment id, places),
    where a place counts the rows of all sources.
    """

    sources: tuple[tuple[int, Rows], ...]
    targets: tuple[tuple[int, Rows], ...]


def sealed_segments(
    table: TableSnapshot,
    batches: Iterable[pa.RecordBatch],
    context: Context,
    *,
    rows_expected: int = 0,
) -> tuple[Change, ...]:
    """Return the changes that add sealed segments, one per partition, their indexes built.

    `rows_expected` says how many rows will come, where that is known.
    """
    if table.table.partitioning is None and "cluster_by" not in table.table.properties:
        return _segment(table, batches, "", context, rows_expected=rows_expected)[1]
    whole = one_batch(table.table, list(batches))
    return tuple(
        one
        for partition, _, part in _arranged(whole, table.table)
        for one in _segment(table, [part], partition, context)[1]
    )


def _arranged(whole: pa.RecordBatch, table: Table) -> Iterator[tuple[str, Rows, pa.RecordBatch]]:
    """Yield each partition's rows in the order in which they will lie, with their numbers."""
    for partition, found in split(whole, table):
        rows = np.arange(whole.num_rows) if found is None else found
        order = _clustered(whole if found is None else whole.take(from_numpy(rows)), table)
        rows = rows if order is None else rows[order]
        as_it_is = found is None and order is None
        yield partition, rows, whole if as_it_is else whole.take(from_numpy(rows))


def _segment(
    table: TableSnapshot,
    batches: Iterable[pa.RecordBatch],
    partition: str,
    context: Context,
    *,
    rows_expected: int = 0,
    rewritten: bool = False,
) -> tuple[int, tuple[Change, ...]]:
    facts: SegmentFacts = context.resources.store.write_segment(
        table.table,
        batches,
        rows_expected=rows_expected,
        partition=partition,
        rewritten=rewritten,
        shred=_shredder(table.table, context),
    )
    return facts.id, (change.AddSegment(facts), *build_all(table, facts, context))


def _shredder(table: Table, context: Context) -> Shred | None:
    """Return what finds the frequent paths of the table's JSON columns, None where it has none."""
    columns = {
        number: column.id
        for number, column in enumerate(table.stored_columns)
        if column.type.family is Family.JSON
    }
    if not columns:
        return None
    # DuckDB is loaded for tables with JSON only.
    from vsql.executor.shred import extract, frequent_paths

    def shred(batch: pa.RecordBatch) -> dict[tuple[int, str], PathValues]:
        found: dict[tuple[int, str], PathValues] = {}
        for number, column_id in columns.items():
            documents, relational = batch.column(number), context.relational()
            paths = frequent_paths(documents, relational)
            if paths:
                for pointer, values in extract(documents, paths, relational).items():
                    found[column_id, pointer] = values
        return found

    return shred


def _clustered(batch: pa.RecordBatch, table: Table) -> Rows | None:
    """Return the order of the table's CLUSTER BY columns, so that zone maps prune."""
    names = [name for name in table.clustered_by if table.find(name) is not None]
    if not names:
        return None
    keys = pa.table([batch.column(name) for name in names], names=names)
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in names])
    rows: Rows = order.to_numpy().astype(np.int64)
    return rows


def rewrite(
    table: TableSnapshot, sources: tuple[SegmentFacts, ...], context: Context
) -> tuple[tuple[Change, ...], Moved]:
    """Return the changes that move the live rows of some segments into new, sealed ones."""
    rows_max = context.settings["segment_rows"]
    picked = with_rows(pick((), TableSnapshot(table.table, sources, table.indexes), context))
    removed = tuple(
        change.RemoveSegment(table.table.id, s.id, rewritten=bool(s.live_count)) for s in sources
    )
    located = [found for p in picked for found in p.segment.locate(_rows(p))]
    origins = tuple((segment_id, rows) for segment_id, _, rows in located)
    staged: list[Change] = []
    targets: list[tuple[int, Rows]] = []
    whole = batch_of(table.table, picked)
    for partition, places, part in _arranged(whole, table.table) if whole.num_rows else ():
        for start in range(0, part.num_rows, rows_max):
            piece = part.slice(start, rows_max)
            id_, added = _segment(table, [piece], partition, context, rewritten=True)
            staged.extend(added)
            targets.append((id_, places[start : start + rows_max]))
    return (*staged, *removed), Moved(origins, tuple(targets))


def _rows(picked: Picked) -> Rows:
    assert picked.rows is not None
    return picked.rows


def is_full(table: TableSnapshot, settings: Mapping[str, Any], times: int = 1) -> bool:
    """Whether a table has so many growing rows, or `times` as many, that they are to be sealed."""
    parts = table.inlined
    rows = sum([part.row_count for part in parts])
    size = sum([part.byte_size for part in parts])
    return bool(rows >= settings["seal_rows"] * times or size >= settings["seal_bytes"] * times)


def seal_when_due(
    table: TableSnapshot, context: Context, *, now: bool = False
) -> tuple[Change, ...]:
    """Return the changes that turn a table's inlined rows into segments, once they are many."""
    due = now or is_full(table, context.settings)
    if not table.inlined or not due or table.table.temporary:
        return ()
    return rewrite(table, table.inlined, context)[0]


def batch_of(table: Table, picked: Sequence[Picked]) -> pa.RecordBatch:
    """Return all columns of picked rows as one batch."""
    if not picked:
        return pa.RecordBatch.from_pylist([], schema=table.arrow_schema)
    arrays = [combined(take_column(picked, column)) for column in table.stored_columns]
    return pa.RecordBatch.from_arrays(arrays, schema=table.arrow_schema)


def combined(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return an array in one piece."""
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def with_rows(picked: Iterable[Picked]) -> list[Picked]:
    """Return picked rows with their numbers written out."""
    return [Picked(part.segment, part.numbers) for part in picked]
