"""Compaction: small segments into large ones, deleted rows dropped, missing indexes built.

A rewrite takes long, and others go on deleting rows meanwhile. So its changes are adapted when they
are committed: what was deleted from a source since is deleted from the segment that its rows moved
to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from pyroaring import BitMap

from vsql.catalog.conflicts import conflict
from vsql.core import changes as change
from vsql.core.changes import Change
from vsql.core.snapshot import SegmentFacts, Snapshot, TableSnapshot
from vsql.executor.build_index import build_missing
from vsql.executor.context import Context
from vsql.executor.scan import pick
from vsql.executor.seal import Moved, batch_of, inlined, rewrite, with_rows

Rewrite = tuple[tuple[Change, ...], Moved]
"""The changes of a rewrite, and where its rows went."""

# Segments of like size are merged once there are so many.
_TIER = 4
_TIER_RATIO = 4
# A segment is written again when this share of its rows is deleted.
_DELETED_SHARE = 0.2
# Inlined batches are merged into one once there are so many.
INLINED_PARTS = 64


def due_for_rewrite(
    table: TableSnapshot, segment_rows: int, *, full: bool, eager: bool
) -> Iterator[tuple[SegmentFacts, ...]]:
    """Yield groups of sealed segments to merge, each within one partition.

    `full` merges all; `eager` all small ones (OPTIMIZE); otherwise tiers that have filled up.
    """
    partitions: dict[str, list[SegmentFacts]] = {}
    for segment in table.sealed:
        partitions.setdefault(segment.partition, []).append(segment)
    for segments in partitions.values():
        if full:
            if len(segments) > 1 or any(s.deleted_count for s in segments):
                yield tuple(segments)
            continue
        yield from _groups(segments, segment_rows, eager)


def _groups(
    segments: list[SegmentFacts], segment_rows: int, eager: bool
) -> Iterator[tuple[SegmentFacts, ...]]:
    small = [s for s in segments if s.live_count < segment_rows // 2]
    tiers: dict[int, list[SegmentFacts]] = {}
    if eager:
        tiers[0] = small
    else:
        for segment in small:
            tier = int(np.log(max(segment.live_count, 1)) / np.log(_TIER_RATIO))
            tiers.setdefault(tier, []).append(segment)
    taken: set[int] = set()
    for members in tiers.values():
        if len(members) >= (2 if eager else _TIER):
            group = _within(members, segment_rows)
            if len(group) > 1:
                taken.update(s.id for s in group)
                yield group
    for segment in segments:
        if segment.id not in taken and segment.deleted_count > _DELETED_SHARE * segment.row_count:
            yield (segment,)


def _within(segments: list[SegmentFacts], rows_max: int) -> tuple[SegmentFacts, ...]:
    group: list[SegmentFacts] = []
    rows = 0
    for segment in sorted(segments, key=lambda s: s.live_count):
        if rows + segment.live_count > rows_max:
            break
        group.append(segment)
        rows += segment.live_count
    return tuple(group)


def optimize(table: TableSnapshot, context: Context, *, full: bool) -> tuple[Change, ...]:
    """Return the changes of OPTIMIZE: sealed, merged, deleted rows dropped, indexes complete."""
    staged: list[Change] = []
    name = table.table.name
    if table.table.temporary:
        return ()

    def apply(changes: Sequence[Change]) -> None:
        nonlocal context
        for one in changes:
            staged.append(one)
            context = replace(context, snapshot=change.apply(context.snapshot, one))

    if table.inlined:
        apply(rewrite(table, table.inlined, context)[0])
    rows_max = context.settings["segment_rows"]
    groups = list(due_for_rewrite(context.snapshot.tables[name], rows_max, full=full, eager=True))
    for number, group in enumerate(groups):
        context.check_interrupt()
        if context.progress is not None:
            context.progress(f"optimizing {name}", number / len(groups))
        apply(rewrite(context.snapshot.tables[name], group, context)[0])
    apply(missing_indexes(context.snapshot.tables[name], context))
    return tuple(staged)


def missing_indexes(table: TableSnapshot, context: Context) -> tuple[Change, ...]:
    """Return the changes that build structures which segments lack."""
    return tuple(
        one
        for segment in table.sealed
        for index in table.indexes
        for one in build_missing(index, table, segment, context)
    )


def parts_to_merge(table: TableSnapshot) -> tuple[SegmentFacts, ...]:
    """Return the newest inlined batches of like size, empty where they are few.

    Each merge makes a batch of the next size, so that a row is written a few times at most.
    """
    parts = table.inlined
    if len(parts) < INLINED_PARTS:
        return ()
    limit = INLINED_PARTS
    while True:
        count = 0
        while count < len(parts) and parts[-1 - count].row_count < limit:
            count += 1
        if count >= INLINED_PARTS or count == len(parts):
            return parts[len(parts) - count :] if count >= INLINED_PARTS else ()
        limit *= INLINED_PARTS


def merged_inlined(table: TableSnapshot, context: Context) -> Rewrite | None:
    """Return the changes that make one inlined batch of many, None where they are few."""
    parts = parts_to_merge(table)
    if not parts or table.table.temporary:
        return None
    picked = with_rows(pick((), TableSnapshot(table.table, parts, table.indexes), context))
    removed = tuple(
        change.RemoveSegment(table.table.id, s.id, rewritten=bool(s.live_count)) for s in parts
    )
    batch = batch_of(table.table, picked)
    if not batch.num_rows:
        return removed, Moved((), ())
    added = inlined(table.table, batch, context, rewritten=True)
    assert isinstance(added, change.AddSegment)
    if not any(part.deleted_count for part in parts):
        part_ids = tuple(part.id for part in parts)
        context.resources.store.growings.note_merge(added.segment.id, part_ids)
    sources = tuple(
        (segment_id, rows)
        for p in picked
        if p.rows is not None
        for segment_id, _, rows in p.segment.locate(p.rows)
    )
    # Removed first: the merged batch then comes last, where its rows were.
    return (*removed, added), Moved(sources, ((added.segment.id, np.arange(batch.num_rows)),))


def adapted(
    changes: tuple[Change, ...], moved: Moved, base: TableSnapshot, newest: Snapshot
) -> tuple[Change, ...]:
    """Return the changes of a rewrite as they fit a newer snapshot; raises 40001 where none do."""
    now = next((t for t in newest.tables.values() if t.table.id == base.table.id), None)
    if now is None or now.table != base.table:
        raise conflict(f'table "{base.table.name}" was altered')
    before = {segment.id: segment for segment in base.segments}
    present = {segment.id: segment for segment in now.segments}
    indexes = {index.id for index in now.indexes}
    places: list[np.ndarray] = []
    start = 0
    for segment_id, rows in moved.sources:
        found = present.get(segment_id)
        if found is None:
            raise conflict(f'rows of table "{base.table.name}" were moved')
        known = set(before[segment_id].deletes)
        gone = BitMap()
        for bits in found.deletes:
            if bits not in known:
                gone |= BitMap.deserialize(bits)
        if gone:
            places.append(start + np.flatnonzero(np.isin(rows, np.array(gone, dtype=np.int64))))
        start += len(rows)
    kept = tuple(
        c for c in changes if not isinstance(c, change.AddIndexFile) or c.file.index_id in indexes
    )
    if not places:
        return kept
    deleted = np.concatenate(places)
    carried: list[Change] = []
    for segment_id, targets in moved.targets:
        rows = np.flatnonzero(np.isin(targets, deleted))
        if len(rows):
            bits = BitMap(rows.astype(np.uint32)).serialize()
            carried.append(
                change.AddDeletes(base.table.id, segment_id, bits, len(rows), carried=True)
            )
    return (*kept, *carried)
