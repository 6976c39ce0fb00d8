"""Exact search of sparse vectors, beside one product of scipy's.

    python benchmarks/sparse.py [--rows N]

Made-up rows of words in 30,522 dimensions, as a learned sparse encoder gives them: few words in
many rows, most in few. A whole `execute` and `fetchall` of the ten nearest, medians over 20 queries
that are rows themselves, one thread; scipy's time is that of the product alone, without choosing
ten. Both find the same largest inner product, or the run fails.
Writes a Markdown table to benchmarks/results/sparse.md.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy
import scipy.sparse

import vsql
from vsql.core.sparse import SparseRows

ROOT = Path(__file__).parent.parent
DIMENSIONS, WORDS, PATTERNS, QUERIES = 30_522, 120, 2_000, 20


def rows_of_words(count: int, random: np.random.Generator) -> SparseRows:
    """Return `count` rows; a word's share of them falls with its number, as in Zipf's law."""
    shares = 1 / np.arange(1, DIMENSIONS + 1)
    shares /= shares.sum()
    patterns = [np.unique(random.choice(DIMENSIONS, WORDS, p=shares)) for _ in range(PATTERNS)]
    chosen = random.integers(0, PATTERNS, count)
    offsets = np.zeros(count + 1, dtype=np.int64)
    np.cumsum([len(patterns[number]) for number in chosen], out=offsets[1:])
    indices = np.concatenate([patterns[number] for number in chosen]).astype(np.int32)
    values = random.random(len(indices)).astype(np.float32) + np.float32(0.01)
    dimensions = np.full(count, DIMENSIONS, dtype=np.int32)
    return SparseRows(dimensions, offsets, indices, values)


def median_ms(run: Callable[[Any], Any], queries: list[Any]) -> float:
    """Return the median time of one run, in milliseconds."""
    times = []
    for query in queries:
        started = time.perf_counter()
        run(query)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    count = parser.parse_args().rows
    random = np.random.default_rng(1)
    rows = rows_of_words(count, random)
    queries = [rows[int(row)].copy() for row in random.integers(0, count, QUERIES)]
    matrix = scipy.sparse.csr_array((rows.values, rows.indices, rows.offsets), (count, DIMENSIONS))
    connection = vsql.connect(":memory:", autocommit=True)
    connection.execute(f"CREATE TABLE page (id INT, words SPARSEVEC({DIMENSIONS}), part INT)")
    parts = random.integers(0, 100, count).astype(np.int32)
    ids = np.arange(count, dtype=np.int32)
    table = pa.table({"id": ids, "words": rows.to_arrow(), "part": parts})
    connection.cursor().adbc_ingest("page", table, mode="append")
    connection.execute("FLUSH page")

    def nearest(operator: str, where: str = "") -> Callable[[Any], list[Any]]:
        sql = f"SELECT id, words {operator} ? AS d FROM page {where} ORDER BY d LIMIT 10"
        return lambda query: list(connection.execute(sql, (query,)).fetchall())

    for query in queries:
        best = float((matrix @ query.to_numpy()).max())
        assert np.isclose(-nearest("<#>")(query)[0][1], best, rtol=1e-5)
    lines = [
        "# Exact search of sparse vectors",
        "",
        f"`python benchmarks/sparse.py --rows {count}`: {count:,} rows of {DIMENSIONS:,}"
        f" dimensions, {len(rows.values) / count:.0f} values each on average;"
        f" scipy {scipy.__version__}.",
        "",
        "| | ms |",
        "|---|---|",
    ]
    for operator in ("<#>", "<=>", "<->", "<+>"):
        lines.append(
            f"| ten nearest by `{operator}` | {median_ms(nearest(operator), queries):.1f} |"
        )
    filtered = median_ms(nearest("<#>", "WHERE part = 3"), queries)
    lines.append(f"| ten nearest by `<#>` of the 1 % with `part = 3` | {filtered:.1f} |")
    dense = [query.to_numpy() for query in queries]
    lines.append(
        f"| scipy: CSR matrix times dense query | {median_ms(matrix.__matmul__, dense):.1f} |"
    )
    text = "\n".join(lines) + "\n"
    (ROOT / "benchmarks" / "results" / "sparse.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
