"""The interim index of growing rows: codes of the first of them, exact search over the rest."""

from typing import TYPE_CHECKING

import numpy as np

from vsql.core import sqlstate
from vsql.core.bits import packed
from vsql.core.distance import Metric
from vsql.core.errors import OperationalError
from vsql.core.protocols import Bits, Rows, Vectors
from vsql.core.schema import Column
from vsql.core.snapshot import TableSnapshot
from vsql.executor.context import Context
from vsql.executor.row_mask import RowMask
from vsql.index.codes import METRICS
from vsql.storage.growing import GrowingSegment

if TYPE_CHECKING:
    from vsql.index.growing_codes import GrowingCodes

# Fewer growing rows than this are searched exactly: codes would save nothing.
INTERIM_ROWS = 1_500
# So many rows without codes are worth coding.
_LAG = 128
_BLOCK = 256


def extend_interim_indexes(
    table: TableSnapshot | None, context: Context, *, threads: int | None = None
) -> None:
    """Add growing rows to the interim indexes of a table's vector indexes.

    Only committed rows: those of a transaction may be rolled back.
    """
    if table is None or not any(index.metric is not None for index in table.indexes):
        return
    if sum([part.row_count for part in table.inlined]) < INTERIM_ROWS:
        return
    for segment in context.segments(table):
        if not isinstance(segment, GrowingSegment) or segment.row_count < INTERIM_ROWS:
            continue
        if any(part.id in context.staged.batches for part in segment.parts):
            continue
        for index in table.indexes:
            column = table.table.key_column(index)
            if column is None or index.metric not in METRICS:
                continue
            if column.type.is_dense and index.kind != "FLAT":
                _extend(segment, column, index.metric, threads or context.threads)


def _extend(segment: GrowingSegment, column: Column, metric: Metric, threads: int) -> None:
    """Code the rows of a column that have no codes yet; others who would do the same go on."""
    growing, key = segment.growing, (column.id, metric)
    if key in growing.uncoded or not growing.extending.acquire(blocking=False):
        return
    try:
        rows, known = segment.row_count, growing.codes.get(key)
        if known is not None and rows - len(known) < _LAG:
            return
        vectors = segment.vectors(column.id)
        if known is None or known.is_outgrown_by(rows):
            from vsql.index.growing_codes import GrowingCodes

            growing.codes[key] = GrowingCodes(vectors, metric, threads)
            return
        # In blocks: searches go on between them.
        for start in range(len(known), rows, _BLOCK):
            known.append(vectors[start : min(start + _BLOCK, rows)], threads)
    except OperationalError as error:
        if error.sqlstate != sqlstate.PROGRAM_LIMIT_EXCEEDED:
            raise
        growing.uncoded.add(key)
    finally:
        growing.extending.release()


def candidates(
    codes: "GrowingCodes", query: Vectors, wanted: int, mask: RowMask | None, row_count: int
) -> Rows:
    """Return rows among which the nearest are: `wanted` by their codes, and all without codes."""
    covered = min(len(codes), row_count)
    bits: Bits | None = None if mask is None else mask.bits
    if bits is None and len(codes) > row_count:
        # Rows of later commits have codes, and lie beyond this snapshot's view.
        bits = packed(np.ones(row_count, dtype=np.bool_))
    found = codes.search(query, wanted, bits)
    if covered == row_count:
        return found
    rest = np.arange(covered, row_count, dtype=np.int64)
    if mask is not None:
        rest = rest[mask.contains(rest)]
    rows: Rows = np.concatenate([found, rest])
    return rows
