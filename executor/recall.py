"""vsql_recall: a query run as it is and again exactly, and how much of the exact answer it gave."""

import time
from collections import Counter
from typing import Any

import pyarrow as pa

from vsql.executor.context import Context

_EXACT = {"access_path": "exact", "ef_search": 0, "nprobe": 0}


def measured_recall(query: str, context: Context) -> dict[str, Any]:
    """Return rows and time of both runs, and the share of the exact rows that the first gave.

    Rows are compared as wholes; one that occurs twice counts twice. 1 where there is none.
    """
    # Once without the clock, so that neither run pays for what the other finds in memory.
    context.host.run_query(query, {})
    rows, took = _timed(query, {}, context)
    exact, exact_took = _timed(query, _EXACT, context)
    found = (_counted(rows) & _counted(exact)).total()
    return {
        "rows": rows.num_rows,
        "exact_rows": exact.num_rows,
        "found": found,
        "recall": found / exact.num_rows if exact.num_rows else 1.0,
        "milliseconds": took,
        "exact_milliseconds": exact_took,
    }


def _timed(query: str, settings: dict[str, Any], context: Context) -> tuple[pa.Table, float]:
    started = time.perf_counter()
    table = context.host.run_query(query, settings)
    return table, 1000 * (time.perf_counter() - started)


def _counted(table: pa.Table) -> Counter[str]:
    # By place: two columns may have one name.
    return Counter(map(repr, zip(*(c.to_pylist() for c in table.columns), strict=True)))
