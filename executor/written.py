"""What a write did, and what its RETURNING gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from vsql.core.changes import Change
from vsql.executor.context import Context
from vsql.executor.result import Result
from vsql.executor.run import run
from vsql.planner.nodes import Returning


@dataclass(frozen=True, slots=True)
class Written:
    """The changes to stage, how many rows were touched, and these rows for RETURNING.

    `rows` are the new rows, or those removed; `carried` columns of other relations beside them.
    """

    changes: tuple[Change, ...]
    count: int
    rows: tuple[pa.RecordBatch, ...] = ()
    carried: Mapping[str, pa.Array] | None = None


def returned(written: Written, returning: Returning, tag: str, context: Context) -> Result:
    """Return what RETURNING makes of the rows of a write."""
    batches = [batch for batch in written.rows if batch.num_rows]
    table = pa.Table.from_batches(batches or list(written.rows)).combine_chunks()
    for name, values in (written.carried or {}).items():
        table = table.append_column(name, values)
    inner = replace(context, outside={**context.outside, returning.relation: table})
    result = run(returning.plan, inner)
    return Result(tag, result.source, result.types, result.row_count)
