"""Whether two transactions that ran side by side may both commit.

The first to commit wins: the second is refused where it deletes or updates a row that the first
deleted or updated, writes to a table that the first altered or dropped, or takes a name that the
first took. Source: Berenson et al., https://arxiv.org/abs/cs/0701157, snapshot isolation.
"""

from collections.abc import Sequence

from vsql.core import changes as change
from vsql.core import sqlstate
from vsql.core.changes import Change
from vsql.core.errors import OperationalError
from vsql.core.snapshot import Snapshot, TableSnapshot


def refuse_conflicts(base: Snapshot, newest: Snapshot, changes: Sequence[Change]) -> None:
    """Raise OperationalError (40001) where `changes`, made over `base`, clash with `newest`."""
    old = {t.table.id: t for t in base.tables.values()}
    now = {t.table.id: t for t in newest.tables.values()}
    added = {one.table.id for one in changes if isinstance(one, change.AddTable)}
    for one in changes:
        _refuse_taken_name(one, base, newest)
        table_id = change.table_of(one)
        if table_id is None or table_id in added:
            continue
        if table_id not in now:
            name = old[table_id].table.name if table_id in old else "it"
            raise conflict(f'table "{name}" was dropped')
        if table_id not in old:
            continue
        before, after = old[table_id], now[table_id]
        if before.table != after.table:
            raise conflict(f'table "{before.table.name}" was altered')
        if isinstance(one, change.AddDeletes):
            _refuse_same_rows(one, before, after)
        elif isinstance(one, change.RemoveSegment | change.UndoDeletes):
            _refuse_changed_segment(one.segment_id, before, after)


def conflict(what: str) -> OperationalError:
    """Return the error for a transaction that another one overtook."""
    return OperationalError(
        f"could not serialize access: {what} by another transaction",
        code=sqlstate.SERIALIZATION_FAILURE,
        hint="run the transaction again",
    )


def _refuse_taken_name(one: Change, base: Snapshot, newest: Snapshot) -> None:
    match one:
        case change.AddTable(table) | change.AlterTable(table):
            taken = newest.tables.get(table.name)
            if taken is not None and taken.table.id != table.id and table.name not in base.tables:
                raise conflict(f'table "{table.name}" was created')
        case change.PutObject(named):
            key = (named.kind, named.name)
            if newest.objects.get(key) != base.objects.get(key):
                raise conflict(f'{named.kind} "{named.name}" was changed')
        case change.AddIndex(index):
            for owner in newest.tables.values():
                before = base.tables.get(owner.table.name)
                known = before.indexes if before is not None else ()
                if any(i.name == index.name and i not in known for i in owner.indexes):
                    raise conflict(f'index "{index.name}" was created')
        case _:
            pass


def _refuse_same_rows(one: change.AddDeletes, before: TableSnapshot, after: TableSnapshot) -> None:
    was = next((s for s in before.segments if s.id == one.segment_id), None)
    if was is None:
        return
    now = next((s for s in after.segments if s.id == one.segment_id), None)
    if now is None:
        raise conflict(f'rows of table "{before.table.name}" were moved or removed')
    from pyroaring import BitMap

    known = set(was.deletes)
    theirs = [BitMap.deserialize(bits) for bits in now.deletes if bits not in known]
    mine = BitMap.deserialize(one.rows)
    if any(mine.intersect(bits) for bits in theirs):
        raise conflict(f'rows of table "{before.table.name}" were changed')


def _refuse_changed_segment(segment_id: int, before: TableSnapshot, after: TableSnapshot) -> None:
    was = next((s for s in before.segments if s.id == segment_id), None)
    if was is None:
        return
    now = next((s for s in after.segments if s.id == segment_id), None)
    if now is None or now.deletes != was.deletes:
        raise conflict(f'rows of table "{before.table.name}" were changed')
