"""ANALYZE MACHINE: what the kernels of searches and filters take here, over made-up rows."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from vsql.core import machine as known
from vsql.core.dense import stored
from vsql.core.distance import Metric
from vsql.core.machine import CONSTANTS, LINES, Machine, settled
from vsql.core.protocols import Ranker, Rows
from vsql.core.sparse import SparseRows
from vsql.core.types import Family
from vsql.executor import row_mask
from vsql.executor.context import Context
from vsql.executor.evaluate import match_like
from vsql.executor.shred import extract
from vsql.index.exact import ExactRanker
from vsql.index.sparse_exact import SparseRanker

_BYTES = 64 * 1024 * 1024
"""Vectors measured, more than a processor's caches hold, as a segment's are."""
_ROWS = 20_000
_DOCUMENTS = 5_000
_FEW = 16
_REPEATS = 3
_ROUNDS = 5
_DISTANCES = 2_048

_Task = Callable[[], float]
"""Runs something once and returns nanoseconds a row, or a call."""


def analyze_machine(context: Context) -> Machine:
    """Return this machine's constants, measured on one thread in about a second.

    Everything is measured a little in each of several rounds, so that what else the machine does
    for a while is not all in one constant.
    """
    tasks = {**_distances(), **_choices(), **_filters(context), **_relational(context)}
    samples: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(_ROUNDS):
        for name, task in tasks.items():
            context.check_interrupt()
            samples[name].append(task())
    return Machine(settled(samples), time.time_ns() // 1_000)


def machine_rows(machine: Machine) -> list[dict[str, Any]]:
    """Return every constant, as it is and by default."""
    return [
        {
            "name": constant.name,
            "nanoseconds": machine.constant(constant.name),
            "default_nanoseconds": constant.default,
            "meaning": constant.meaning,
            "measured_at": machine.measured_us if constant.name in machine.nanoseconds else None,
        }
        for constant in CONSTANTS.values()
    ]


def _least(work: Callable[[], object]) -> int:
    """Return the least nanoseconds of some runs, of which the first fills the caches."""
    times: list[int] = []
    for _ in range(_REPEATS):
        started = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - started)
    return min(times)


def _a_row(work: Callable[[], object], rows: int) -> _Task:
    return lambda: _least(work) / rows


def _added(
    name: str, more: Callable[[], object], less: Callable[[], object], rows: int
) -> dict[str, _Task]:
    """Return what measures how much each of some rows adds: the difference is of the least runs."""
    return {f"{name}_with": _a_row(more, rows), f"{name}_without": _a_row(less, rows)}


def _distances() -> dict[str, _Task]:
    """Return what measures vectors of two sizes: what a row costs, and what a component adds."""
    block = np.random.default_rng(0).standard_normal(1 << 18).astype(np.float32)
    floats = np.resize(block, _BYTES // 4)
    bits = floats.view(np.uint8)
    narrow = {
        family.value.lower(): stored(floats[: len(floats) // 2], family)
        for family in (Family.HALFVEC, Family.BFLOATVEC, Family.INT8VEC)
    }
    metrics = {"l1": Metric.L1, "bit": Metric.HAMMING, "jaccard": Metric.JACCARD}
    tasks: dict[str, _Task] = {}
    for name, sizes in LINES.items():
        for size in sizes:
            if name == "sparsevec":
                ranked = _sparse(size, floats)
            elif name in ("bit", "jaccard"):
                ranked = _dense(metrics[name], bits.reshape(-1, size // 8))
            else:
                vectors = narrow.get(name, floats).reshape(-1, size)
                ranked = _dense(metrics.get(name, Metric.L2), vectors)
            tasks[f"{name}_{size}"] = _ranking(*ranked)
    return tasks


def _ranking(ranker: Ranker, query: Any, rows: Rows) -> _Task:
    """Return what measures distances to ascending random rows, as a filter delivers them."""
    chosen = np.sort(np.random.default_rng(0).choice(rows, _DISTANCES, replace=False))
    return _a_row(lambda: ranker.distances(query, chosen), _DISTANCES)


def _dense(metric: Metric, vectors: Any) -> tuple[Ranker, Any, Rows]:
    return ExactRanker(metric, vectors), vectors[1], np.arange(len(vectors), dtype=np.int64)


def _sparse(count: int, values: Any) -> tuple[Ranker, Any, Rows]:
    rows = SparseRows(
        np.full(_ROWS, 30_000, dtype=np.int32),
        np.arange(0, count * _ROWS + 1, count, dtype=np.int64),
        np.tile(np.arange(count, dtype=np.int32) * 200, _ROWS),
        values[: count * _ROWS],
    )
    return SparseRanker(Metric.L2, rows), rows[1], np.arange(_ROWS, dtype=np.int64)


def _choices() -> dict[str, _Task]:
    vectors = np.random.default_rng(0).standard_normal((_ROWS, 8)).astype(np.float32)
    rows = np.arange(_ROWS, dtype=np.int64)
    ranker = ExactRanker(Metric.COSINE, vectors)
    products = ExactRanker(Metric.INNER_PRODUCT, vectors)
    return {
        **_added(
            known.CHOICE,
            lambda: ranker.best(vectors[0], rows, 10),
            lambda: products.distances(vectors[0], rows),
            _ROWS,
        ),
        known.CALL: _a_row(lambda: ranker.best(vectors[0], rows[:_FEW], 10), 1),
    }


def _filters(context: Context) -> dict[str, _Task]:
    numbers = pa.array(np.arange(_ROWS))
    half = pa.scalar(_ROWS // 2)
    texts = pa.array([f"the {number}th text" for number in range(_ROWS)])
    documents = pa.array([f'{{"a": {{"b": {number}}}, "c": "x"}}' for number in range(_DOCUMENTS)])
    relational = context.relational()

    def read(rows: int) -> object:
        return extract(documents[:rows], ["/a/b"], relational)

    return {
        known.COMPARISON: _a_row(lambda: row_mask.of_boolean(pc.less(numbers, half)), _ROWS),
        known.PATTERN: _a_row(lambda: match_like(texts, "%9th%", "\\"), _ROWS),
        **_added(known.DOCUMENT, lambda: read(_DOCUMENTS), lambda: read(_FEW), _DOCUMENTS),
    }


def _relational(context: Context) -> dict[str, _Task]:
    numbers = pa.array(np.arange(_ROWS))
    expression = exp.GT(
        this=exp.Abs(this=exp.column("n")), expression=exp.Literal.number(_ROWS // 2)
    )

    def evaluate(rows: int) -> object:
        return context.relational().expression(expression, {"n": numbers[:rows]}, {})

    return {
        known.RELATIONAL_CALL: _a_row(lambda: evaluate(_FEW), 1),
        **_added(known.RELATIONAL, lambda: evaluate(_ROWS), lambda: evaluate(_FEW), _ROWS),
    }
