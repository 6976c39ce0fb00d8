"""What a write did, and what its RETURNING gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from vsql.core.changes import Change
from vsql.executor.context import Context
from vsql.executor.result import Result
from vsql.executor.run import run
from vsql.planner.write_nodes import Returning


@dataclass(frozen=True, slots=True)
class Written:
    """The changes to stage, how many rows were touched, and these rows for RETURNING.

    `rows` are the new rows, or those removed; `carried` columns of other relations beside them.
    """

    changes: tuple[Change, ...]
    count: int
    rows: tuple[pa.RecordBatch, ...] = ()
    carried: Mapping[str, pa.Array] | None = None


def returned(written: Written, returning: Returning, context: Context) -> Result:
    """Return what RETURNING makes of the rows of a write."""
    batches = [batch for batch in written.rows if batch.num_rows]
    table = pa.Table.from_batches(batches or list(written.rows)).combine_chunks()
    for name, values in (written.carried or {}).items():
        table = table.append_column(name, values)
    inner = replace(context, outside={**context.outside, returning.relation: table})
    return run(returning.plan, inner)


def all_returned(results: Sequence[Result], tag: str) -> Result:
    """Return the rows of all writes of one statement, in their order."""
    first = results[0]
    if len(results) == 1:
        return Result(tag, first.source, first.types, first.row_count)
    tables = [table for result in results if (table := result.table) is not None]
    whole = pa.concat_tables(tables, promote_options="permissive")
    return Result(tag, whole, first.types, whole.num_rows)
