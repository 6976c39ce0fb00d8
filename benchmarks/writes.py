"""Writes beside SQLite and DuckDB: single rows, batches, upserts, deletes, and searches meanwhile.

    python benchmarks/writes.py [--rows N]

All on disk, same process, same machine; medians. Writes a Markdown table to
benchmarks/results/writes.md. vsql and SQLite sync every commit (SQLite: WAL, synchronous FULL);
DuckDB does as its defaults say.
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from packages import FOLDER, ROOT, matrix, packages_file

import vsql

DIMENSION = 64


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rates(work: Callable[[int], Any], count: int) -> float:
    """Return calls per second, by the median call."""
    spent = [seconds(lambda n=n: work(n)) for n in range(count)]
    return 1 / statistics.median(spent)


def single_rows(folder: str, say: Callable[[str], None]) -> None:
    connection = vsql.connect(f"{folder}/single.vsql", autocommit=True)
    connection.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT, n DOUBLE PRECISION)")
    lite = sqlite3.connect(f"{folder}/single.sqlite", isolation_level=None)
    lite.execute("PRAGMA journal_mode = WAL")
    lite.execute("PRAGMA synchronous = FULL")
    lite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n REAL)")
    duck = duckdb.connect(f"{folder}/single.duckdb")
    duck.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT, n DOUBLE)")
    sql = "INSERT INTO t VALUES (?, ?, ?)"
    say("| write | vsql | SQLite | DuckDB | vsql / SQLite |\n|---|---|---|---|---|")
    row: list[float] = [
        rates(lambda n, c=c: c.execute(sql, (n, f"name {n}", n / 7)), 1_000)
        for c in (connection, lite, duck)
    ]
    say(f"| single rows/s | {row[0]:.0f} | {row[1]:.0f} | {row[2]:.0f} | {row[0] / row[1]:.2f} |")

    def batch(target: Any, n: int) -> None:
        first = 1_000_000 + n * 1_000
        rows = [(first + i, f"name {i}", i / 7) for i in range(1_000)]
        if target is lite:
            target.execute("BEGIN")
        target.executemany(sql, rows)
        if target is lite:
            target.execute("COMMIT")

    row = [1_000 * rates(lambda n, c=c: batch(c, n), 20) for c in (connection, lite)]
    # DuckDB's executemany runs one statement a row: its own way in is a registered table.
    table = pa.table({"id": range(1_000), "name": [f"name {i}" for i in range(1_000)]})
    duck.register("incoming", table)
    many = "INSERT INTO t SELECT id + ?, name, id / 7 FROM incoming"
    row.append(1_000 * rates(lambda n: duck.execute(many, [1_000_000 + n * 1_000]), 20))
    say(
        f"| batches of 1,000, rows/s | {row[0]:.0f} | {row[1]:.0f} | {row[2]:.0f} | "
        f"{row[0] / row[1]:.2f} |"
    )
    connection.close()


def large_table(folder: str, rows: int, say: Callable[[str], None]) -> None:
    connection = vsql.connect(f"{folder}/large.vsql", autocommit=True, background="off")
    connection.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT, n BIGINT)")
    source = pa.table(
        {
            "id": pa.array(np.arange(rows) * 2),
            "name": pa.array([f"name {i}" for i in range(rows)]),
            "n": pa.array(np.arange(rows) % 1_000),
        }
    )
    connection.register("source", source)
    loaded = seconds(lambda: connection.execute("INSERT INTO t SELECT id, name, n FROM source"))
    random = np.random.default_rng(1)

    def batch(name: str, ids: Any) -> None:
        connection.register(
            name, pa.table({"id": ids, "name": ["x"] * len(ids), "n": np.arange(len(ids))})
        )

    inserts, upserts = [], []
    for turn in range(5):
        # Odd ids are new, even ones are there; both spread over the whole table.
        batch("fresh", random.choice(rows, 10_000, replace=False) * 2 + 1 + turn * 2 * rows)
        batch("known", random.choice(rows, 10_000, replace=False) * 2)
        connection.execute("SET seal_rows = 100000")
        inserts.append(
            seconds(lambda: connection.execute("INSERT INTO t SELECT id, name, n FROM fresh"))
        )
        upserts.append(
            seconds(lambda: connection.execute("UPSERT INTO t SELECT id, name, n FROM known"))
        )
    insert, upsert = statistics.median(inserts), statistics.median(upserts)
    say("")
    say(f"| {rows:,} rows | seconds | ratio |\n|---|---|---|")
    say(f"| load | {loaded:.2f} | |")
    say(f"| insert 10,000 new keys | {insert:.3f} | |")
    say(f"| upsert 10,000 known keys | {upsert:.3f} | {upsert / insert:.1f} x the insert |")
    deleted = seconds(lambda: connection.execute("DELETE FROM t WHERE n % 10 = 3"))
    say(f"| delete 10 % | {deleted:.3f} | |")
    counted = seconds(lambda: connection.execute("SELECT count(*) FROM t").fetchone())
    say(f"| count(*) after it | {counted:.5f} | |")
    optimized = seconds(lambda: connection.execute("OPTIMIZE TABLE t FULL"))
    say(f"| OPTIMIZE FULL | {optimized:.2f} | |")
    connection.close()


def searches(folder: str, say: Callable[[str], None]) -> None:
    vectors = matrix(pq.read_table(packages_file(FOLDER), columns=["embedding"]))
    dimension = vectors.shape[1]
    rows = len(vectors) - min(6_000, len(vectors) // 4)
    connection = vsql.connect(f"{folder}/search.vsql", autocommit=True, background="off")
    connection.execute(f"CREATE TABLE t (id BIGINT PRIMARY KEY, n INT, e VECTOR({dimension}))")
    connection.register("source", _table(vectors[:rows], 0))
    connection.execute("INSERT INTO t SELECT * FROM source")
    connection.execute("CREATE INDEX ON t (e vector_cosine_ops)")
    queries = vectors[np.random.default_rng(2).choice(rows, 200, replace=False)]
    sql = "SELECT id FROM t ORDER BY e <=> ? LIMIT 10"

    def latency() -> tuple[float, float]:
        spent, hits = [], 0
        connection.execute(sql, (queries[0],)).fetchall()
        for query in queries:
            started = time.perf_counter_ns()
            found = connection.execute(sql, (query,)).fetchall()
            spent.append(time.perf_counter_ns() - started)
            hits += len({row[0] for row in found} & truth[query.tobytes()])
        return statistics.median(spent) / 1e3, hits / (10 * len(queries))

    truth: dict[bytes, set[int]] = {}

    def measure_truth() -> None:
        connection.execute("SET access_path = exact")
        for query in queries:
            found = connection.execute(sql, (query,)).fetchall()
            truth[query.tobytes()] = {row[0] for row in found}
        connection.execute("SET access_path = auto")

    say("")
    say("| top 10 | us | recall | ratio to sealed |\n|---|---|---|---|")
    base = 0.0
    growing = min(5_000, len(vectors) - rows)
    for what, sql_before in (
        ("sealed", None),
        ("10 % deleted", "DELETE FROM t WHERE n % 10 = 3"),
        ("during OPTIMIZE", "during"),
        ("after OPTIMIZE", None),
        (f"{growing:,} rows growing", "grow"),
    ):
        if sql_before == "grow":
            for start in range(0, growing, 500):
                stop = min(start + 500, growing)
                connection.register(
                    "more", _table(vectors[rows + start : rows + stop], rows + start)
                )
                connection.execute("INSERT INTO t SELECT * FROM more")
        elif sql_before == "during":
            measure_truth()
            micros, recall = _during_optimize(folder, latency)
            say(f"| {what} | {micros:.0f} | {recall:.3f} | {micros / base:.2f} |")
            continue
        elif sql_before is not None:
            connection.execute(sql_before)
        measure_truth()
        micros, recall = latency()
        base = base or micros
        say(f"| {what} | {micros:.0f} | {recall:.3f} | {micros / base:.2f} |")
    connection.close()


def _during_optimize(
    folder: str, latency: Callable[[], tuple[float, float]]
) -> tuple[float, float]:
    """Measure while another connection, on a thread of its own, compacts the table."""
    import threading

    def compact() -> None:
        with vsql.connect(f"{folder}/search.vsql", threads=1) as other:
            other.execute("OPTIMIZE TABLE t FULL")

    thread = threading.Thread(target=compact)
    thread.start()
    results = [latency()]
    while thread.is_alive():
        results.append(latency())
    thread.join()
    return statistics.median(r[0] for r in results), statistics.fmean(r[1] for r in results)


def _table(vectors: Any, first: int) -> pa.Table:
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    ids = np.arange(first, first + len(vectors))
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pa.table({"id": ids, "n": pa.array((ids % 1_000).astype(np.int32)), "e": column})


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    given = arguments.parse_args()
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    say("# Writes\n")
    say(f"`python benchmarks/writes.py --rows {given.rows}`\n")
    with tempfile.TemporaryDirectory() as folder:
        single_rows(folder, say)
        large_table(folder, given.rows, say)
        searches(folder, say)
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "writes.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
