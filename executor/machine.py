"""ANALYZE MACHINE: what the kernels of searches and filters take here, over made-up rows."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from vsql.core import machine as known
from vsql.core.dense import stored
from vsql.core.distance import Metric
from vsql.core.machine import CONSTANTS, Machine
from vsql.core.protocols import Floats, Ranker, Rows
from vsql.core.sparse import SparseRows
from vsql.core.types import Family
from vsql.executor import row_mask
from vsql.executor.context import Context
from vsql.executor.evaluate import match_like
from vsql.executor.shred import extract
from vsql.index.calibrate import exact_nanoseconds
from vsql.index.exact import ExactRanker
from vsql.index.sparse_exact import SparseRanker

_BYTES = 64 * 1024 * 1024
"""Vectors measured, more than a processor's caches hold, as a segment's are."""
_ROWS = 20_000
_DOCUMENTS = 5_000
_FEW = 16
_REPEATS = 5

_Measured = Iterator[tuple[str, float]]


def analyze_machine(context: Context) -> Machine:
    """Return this machine's constants, measured on one thread in about a second."""
    found: dict[str, float] = {}
    for part in (_distances, _choices, _filters, _relational):
        for name, nanoseconds in part(context):
            context.check_interrupt()
            # A difference of two runs that others disturbed is none: the default stays.
            if nanoseconds > 0:
                found[name] = round(nanoseconds, 4)
    return Machine(found, time.time_ns() // 1_000)


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


def _least(work: Callable[[], object]) -> float:
    """Return the least nanoseconds of some runs: what else the machine does now is no constant."""
    times: list[int] = []
    for _ in range(_REPEATS):
        started = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - started)
    return min(times)


def _distances(context: Context) -> _Measured:
    block = np.random.default_rng(0).standard_normal(1 << 18).astype(np.float32)
    floats = np.resize(block, _BYTES // 4)
    yield from _line("vector", (64, 1024), lambda n: _dense(Metric.L2, floats.reshape(-1, n)))
    yield from _line("l1", (64, 256), lambda n: _dense(Metric.L1, floats.reshape(-1, n)))
    for family in (Family.HALFVEC, Family.BFLOATVEC, Family.INT8VEC):
        yield from _narrow(family, floats[: len(floats) // 2])
    bits = floats.view(np.uint8)
    yield from _line("bit", (128, 2048), lambda n: _dense(Metric.HAMMING, bits.reshape(-1, n // 8)))
    yield from _line(
        "jaccard", (128, 2048), lambda n: _dense(Metric.JACCARD, bits.reshape(-1, n // 8))
    )
    yield from _line("sparsevec", (16, 64), lambda n: _sparse(n, floats))


def _narrow(family: Family, floats: Floats) -> _Measured:
    vectors = stored(floats, family)
    name = family.value.lower()
    yield from _line(name, (64, 256), lambda n: _dense(Metric.L2, vectors.reshape(-1, n)))


def _line(
    name: str, sizes: tuple[int, int], make: Callable[[int], tuple[Ranker, Any, Rows]]
) -> _Measured:
    """Measure vectors of two sizes: what a row costs, and what each component adds to it."""
    random = np.random.default_rng(0)
    few, many = (exact_nanoseconds(*make(size), random) for size in sizes)
    # Large vectors may cost more than their size where their copies leave the cache.
    component = min((many - few) / (sizes[1] - sizes[0]), many / sizes[1])
    yield f"{name}_component", component
    yield f"{name}_row", few - component * sizes[0]


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


def _choices(context: Context) -> _Measured:
    vectors = np.random.default_rng(0).standard_normal((_ROWS, 8)).astype(np.float32)
    rows = np.arange(_ROWS, dtype=np.int64)
    ranker = ExactRanker(Metric.COSINE, vectors)
    products = ExactRanker(Metric.INNER_PRODUCT, vectors)
    measured = _least(lambda: products.distances(vectors[0], rows))
    chosen = _least(lambda: ranker.best(vectors[0], rows, 10))
    yield known.CHOICE, (chosen - measured) / _ROWS
    yield known.CALL, _least(lambda: ranker.best(vectors[0], rows[:_FEW], 10))


def _filters(context: Context) -> _Measured:
    numbers = pa.array(np.arange(_ROWS))
    half = pa.scalar(_ROWS // 2)
    compared = _least(lambda: row_mask.of_boolean(pc.less(numbers, half)))
    yield known.COMPARISON, compared / _ROWS
    texts = pa.array([f"the {number}th text" for number in range(_ROWS)])
    yield known.PATTERN, _least(lambda: match_like(texts, "%9th%", "\\")) / _ROWS
    documents = pa.array([f'{{"a": {{"b": {number}}}, "c": "x"}}' for number in range(_DOCUMENTS)])
    relational = context.relational()

    def read(rows: int) -> float:
        return _least(lambda: extract(documents[:rows], ["/a/b"], relational))

    yield known.DOCUMENT, (read(_DOCUMENTS) - read(_FEW)) / _DOCUMENTS


def _relational(context: Context) -> _Measured:
    numbers = pa.array(np.arange(_ROWS))
    expression = exp.GT(
        this=exp.Abs(this=exp.column("n")), expression=exp.Literal.number(_ROWS // 2)
    )

    def evaluate(rows: int) -> object:
        return context.relational().expression(expression, {"n": numbers[:rows]}, {})

    few = _least(lambda: evaluate(_FEW))
    yield known.RELATIONAL_CALL, few
    yield known.RELATIONAL, (_least(lambda: evaluate(_ROWS)) - few) / _ROWS
