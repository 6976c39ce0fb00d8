"""Growing rows that are too many, where no worker moves them or where it does not keep up."""

from vsql.core.snapshot import TableSnapshot
from vsql.executor.context import Context
from vsql.executor.maintain import INLINED_PARTS, Rewrite, merged_inlined
from vsql.executor.seal import is_full, rewrite

# How far past its limits a table may grow before a writer steps in for the worker.
_PATIENCE = 4


def backlog(table: TableSnapshot, context: Context, *, has_worker: bool) -> Rewrite | None:
    """Return what seals or merges a table's growing rows, None where that is not due."""
    times = _PATIENCE if has_worker else 1
    if is_full(table, context.settings, times):
        return None if table.table.temporary else rewrite(table, table.inlined, context)
    if len(table.inlined) >= INLINED_PARTS * times:
        return merged_inlined(table, context)
    return None
