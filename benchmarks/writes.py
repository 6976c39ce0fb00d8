"""Writes beside SQLite and DuckDB: single rows, batches, upserts, deletes, and searches meanwhile.

    python benchmarks/writes.py [--rows N]

All on disk, same process, same machine; medians. Writes a Markdown table to
benchmarks/results/writes.md. vsql and SQLite sync every commit (SQLite: WAL, synchronous FULL);
DuckDB does as its defaults say.
"""

import argparse
import shutil
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
from recall import generated

import vsql
from vsql.driver.connection import Connection

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
    # In turns: what else the disk does meets all of them.
    targets: tuple[Any, ...] = (connection, lite, duck)
    spent: list[list[float]] = [[] for _ in targets]
    for start in range(0, 1_000, 100):
        for took, target in zip(spent, targets, strict=True):
            for n in range(start, start + 100):
                values = (n, f"name {n}", n / 7)
                took.append(seconds(lambda t=target, v=values: t.execute(sql, v)))
    row = [1 / statistics.median(took) for took in spent]
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


_GROWING = 5_000
SEARCH = "SELECT id FROM t ORDER BY e <=> ? LIMIT 10"


def latency(connection: Connection, queries: Any, truth: list[set[int]]) -> tuple[float, float]:
    """Return the median microseconds and the mean recall of top-10 searches, all warm."""
    spent, hits = [], 0
    for query in queries:
        connection.execute(SEARCH, (query,)).fetchall()
    for query, wanted in zip(queries, truth, strict=True):
        started = time.perf_counter_ns()
        found = connection.execute(SEARCH, (query,)).fetchall()
        spent.append(time.perf_counter_ns() - started)
        hits += len({row[0] for row in found} & wanted)
    return statistics.median(spent) / 1e3, hits / (10 * len(queries))


def nearest(connection: Connection, queries: Any) -> list[set[int]]:
    """Return the true top 10 of each query, as the table is now."""
    connection.execute("SET access_path = exact")
    found = [{row[0] for row in connection.execute(SEARCH, (query,))} for query in queries]
    connection.execute("SET access_path = auto")
    return found


def searched_table(folder: str, dimension: int, **settings: Any) -> Connection:
    connection = vsql.connect(folder, autocommit=True, background="off", **settings)
    connection.execute(f"CREATE TABLE t (id BIGINT PRIMARY KEY, n INT, e VECTOR({dimension}))")
    return connection


def searches(folder: str, say: Callable[[str], None]) -> None:
    vectors = matrix(pq.read_table(packages_file(FOLDER), columns=["embedding"]))
    rows = len(vectors) - min(6_000, len(vectors) // 4)
    connection = searched_table(f"{folder}/search.vsql", vectors.shape[1])
    write(connection, "INSERT", vectors[:rows], 0)
    connection.execute("CREATE INDEX ON t (e vector_cosine_ops)")
    queries = vectors[np.random.default_rng(2).choice(rows, 200, replace=False)]
    say("")
    say("| top 10 | us | recall | ratio to sealed |\n|---|---|---|---|")
    sealed = latency(connection, queries, nearest(connection, queries))

    def line(what: str, found: tuple[float, float]) -> None:
        say(f"| {what} | {found[0]:.0f} | {found[1]:.3f} | {found[0] / sealed[0]:.2f} |")

    line("sealed", sealed)
    connection.execute("DELETE FROM t WHERE n % 10 = 3")
    truth = nearest(connection, queries)
    line("10 % deleted", latency(connection, queries, truth))
    line("during OPTIMIZE", _during_optimize(folder, lambda: latency(connection, queries, truth)))
    line("after OPTIMIZE", latency(connection, queries, truth))
    connection.close()
    growing_beside(folder, "search", vectors[rows:][:_GROWING], rows, queries, say)
    growing_alone(folder, vectors[:50_000], queries[:100], say)
    churned(folder, vectors[:20_000], queries[:100], say)


def growing_beside_many(folder: str, rows: int, say: Callable[[str], None]) -> None:
    """Compare as `growing_beside` beside so many generated vectors, sealed, under SCANN."""
    data = generated(rows + _GROWING, 128, 200)
    connection = searched_table(f"{folder}/many.vsql", 128, segment_rows=rows)
    write(connection, "INSERT", data.vectors[:rows], 0)
    connection.execute("CREATE INDEX ON t USING SCANN (e vector_cosine_ops)")
    connection.close()
    growing_beside(folder, "many", data.vectors[rows:], rows, data.queries, say)


def growing_beside(
    folder: str, name: str, vectors: Any, first: int, queries: Any, say: Callable[[str], None]
) -> None:
    """Compare a sealed table with a copy to which rows were added, their ids from `first` on."""
    shutil.copytree(f"{folder}/{name}.vsql", f"{folder}/{name}_beside.vsql")
    sealed, beside = (
        vsql.connect(f"{folder}/{one}.vsql", autocommit=True, background="off")
        for one in (name, f"{name}_beside")
    )
    for start in range(0, len(vectors), 500):
        write(beside, "INSERT", vectors[start : start + 500], first + start)
    count = sealed.execute("SELECT count(*) FROM t").fetchone()
    assert count is not None
    tables = ((sealed, nearest(sealed, queries)), (beside, nearest(beside, queries)))
    rounds = [[latency(table, queries, truth) for table, truth in tables] for _ in range(5)]
    alone, grown = (statistics.median(one[n][0] for one in rounds) for n in range(2))
    ratio = statistics.median(one[1][0] / one[0][0] for one in rounds)
    say(
        f"\n{len(vectors):,} rows growing beside {count[0]:,} sealed ones: {grown:.0f} us at recall"
        f" {rounds[0][1][1]:.3f}; without them {alone:.0f} us at {rounds[0][0][1]:.3f}; ratio"
        f" {ratio:.2f}, in turns"
    )
    sealed.close()
    beside.close()


def growing_alone(folder: str, vectors: Any, queries: Any, say: Callable[[str], None]) -> None:
    """Compare a table that grows, none of its rows sealed, with the same rows sealed."""
    connection = searched_table(f"{folder}/alone.vsql", vectors.shape[1], seal_rows=10**8)
    connection.execute("CREATE INDEX ON t (e vector_cosine_ops)")
    for start in range(0, len(vectors), 5_000):
        write(connection, "INSERT", vectors[start : start + 5_000], start)
    truth = nearest(connection, queries)
    growing = latency(connection, queries, truth)
    connection.execute("FLUSH")
    sealed = latency(connection, queries, truth)
    say(
        f"\n{len(vectors):,} rows, none of them sealed: {growing[0]:.0f} us at recall"
        f" {growing[1]:.3f}; sealed {sealed[0]:.0f} us at {sealed[1]:.3f}; ratio"
        f" {growing[0] / sealed[0]:.2f}"
    )
    connection.close()


def churned(folder: str, vectors: Any, queries: Any, say: Callable[[str], None]) -> None:
    """Upsert a whole table ten times over, and compare it, compacted, with a fresh one."""
    connection = searched_table(f"{folder}/churned.vsql", vectors.shape[1])
    connection.execute("CREATE INDEX ON t (e vector_cosine_ops)")
    found = {}
    for turn in range(11):
        for start in range(0, len(vectors), 2_000):
            write(connection, "UPSERT", vectors[start : start + 2_000], start)
        if turn in (0, 10):
            connection.execute("OPTIMIZE TABLE t FULL")
            found[turn] = latency(connection, queries, nearest(connection, queries))
    fresh, after = found[0], found[10]
    say(
        f"\n{len(vectors):,} rows, fresh: {fresh[0]:.0f} us at recall {fresh[1]:.3f}; upserted ten"
        f" times over and compacted {after[0]:.0f} us at {after[1]:.3f}; ratio"
        f" {after[0] / fresh[0]:.2f}"
    )
    connection.close()


def write(connection: Connection, verb: str, vectors: Any, first: int) -> None:
    connection.register("more", _table(vectors, first))
    connection.execute(f"{verb} INTO t SELECT * FROM more")


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
        growing_beside_many(folder, given.rows, say)
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "writes.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
