"""Search within a memory limit that the kernel holds vsql to.

    python benchmarks/memory.py [--rows N] [--queries N]

Two questions. Does a mapped index search twice the rows in the memory that half of them need with
the index read (WITH (mmap = false)), at no less than 80 % of the throughput, where what the queries
touch fits? And what does search cost when vectors and index are larger than the memory (DISKANN's
place; HNSW and SCANN, mapped as far as they can be, beside it)?

Every search runs in a process of its own, in a control group with that limit (cgroup v1 or v2),
over files that nobody has in memory: what it reads, page cache too, is counted against the limit.
Without a writable hierarchy of groups only the figures without a limit are measured. Data are
recall.py's generated clusters; one thread, cosine, top 10, held-out queries, recall beside each.
Writes benchmarks/results/memory.md. The folder for temporary files (TMPDIR) must be on a disk.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from packages import ROOT, Floats
from recall import TARGET, Data, K, generated, ingest

import vsql

DIMENSION = 384
ROUNDS = 7
LOSS_MAX = 0.2
REPEATED, FEW, REPEATS = 200, 1_000, 3
SHARES = (0.5, 0.25)
EFFORTS = (16, 32, 64, 128, 256)
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Limits:
    """A hierarchy of control groups, and what its files are called: version 1 or 2."""

    root: Path
    limit: str
    used_max: str


@dataclass(frozen=True, slots=True)
class Run:
    """What one process of searches said of itself, and the most memory its group was charged."""

    microseconds: float
    slowest: float
    per_second: float
    recall: float
    reads: float
    anonymous: int
    at_start: int
    held: int
    charged: int | None


Case = tuple[str, Path, int | None]
"""A name, a database's folder, and a limit in bytes."""


def limits() -> Limits | None:
    """Return where limits can be set, None where nowhere."""
    for found in (
        Limits(_CGROUPS / "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
        Limits(_CGROUPS, "memory.max", "memory.peak"),
    ):
        try:
            with group(found, None):
                return found
        except OSError:
            continue
    return None


@contextmanager
def group(where: Limits, bytes_max: int | None) -> Iterator[Path]:
    """Make a control group with a limit, and remove it; raises OSError."""
    made = where.root / f"vsql-benchmark-{os.getpid()}"
    made.mkdir()
    try:
        if bytes_max is not None:
            (made / where.limit).write_text(str(bytes_max))
        (made / where.used_max).read_text()
        yield made
    finally:
        made.rmdir()


def forget(folder: Path) -> None:
    """Have the system drop what it keeps of a folder's files: who reads them next is charged."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(where: Limits | None, bytes_max: int | None, folder: Path, *arguments: str) -> Run | None:
    """Search in a process of its own; None where the limit is too little to live on."""
    forget(folder)
    command = [sys.executable, __file__, "search", str(folder), *arguments]
    if where is None:
        done = subprocess.run(command, capture_output=True, text=True)
        charged = None
    else:
        with group(where, bytes_max) as made:
            # The shell joins the group, then becomes the process: all it allocates is charged.
            join = f'echo $$ > {made}/cgroup.procs && exec "$@"'
            shell = ["sh", "-c", join, "sh", *command]
            done = subprocess.run(shell, capture_output=True, text=True)
            charged = int((made / where.used_max).read_text())
    if done.returncode == -9:
        return None
    if done.returncode:
        raise SystemExit(done.stderr)
    return Run(**json.loads(done.stdout), charged=charged)


def anonymous_bytes() -> int:
    """Return what this process holds that is no file's."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


def searched(
    search: Callable[[int], list[int]], truth: list[set[int]], once: bool
) -> dict[str, float]:
    """Return figures of searches: all of them several times, or each once after some others.

    Reads are those that a search waited for, as the kernel counts them.
    """
    warming = len(truth) // 5 if once else len(truth)
    for number in range(warming):
        search(number)
    numbers = range(warming if once else 0, len(truth))
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
    spent, recalls, rounds = [], [], []
    for _ in range(1 if once else ROUNDS):
        began = time.perf_counter()
        for number in numbers:
            started = time.perf_counter_ns()
            found = search(number)
            spent.append((time.perf_counter_ns() - started) / 1e3)
            recalls.append(len(truth[number].intersection(found)) / len(truth[number]))
        rounds.append(len(numbers) / (time.perf_counter() - began))
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt - faults
    return {
        "microseconds": statistics.median(spent),
        "slowest": float(np.percentile(spent, 95)),
        "per_second": statistics.median(rounds),
        "recall": statistics.fmean(recalls),
        "reads": faults / len(spent),
    }


def by_vsql(folder: Path, queries: Floats, truth: list[set[int]], once: bool) -> dict[str, float]:
    """Search a database; what it holds is what vsql_memory() says, without what is mapped."""
    with vsql.connect(folder / "db", autocommit=True, threads=1, background="off") as connection:
        connection.execute(f"SET target_recall = {TARGET}")
        connection.execute("SELECT count(*) FROM t").fetchall()
        at_start = anonymous_bytes()
        sql = f"SELECT id FROM t ORDER BY e <=> ? LIMIT {K}"

        def search(number: int) -> list[int]:
            return [row for (row,) in connection.execute(sql, (queries[number],)).fetchall()]

        figures = searched(search, truth, once)
        anonymous = anonymous_bytes()
        ((held,),) = connection.execute(
            "SELECT sum(bytes) FROM vsql_memory()"
            " WHERE holder NOT LIKE '%mapped' AND holder NOT LIKE 'relational%'"
        ).fetchall()
    return {**figures, "at_start": at_start, "anonymous": anonymous, "held": int(held)}


def by_faiss(folder: Path, queries: Floats, truth: list[set[int]], once: bool) -> dict[str, float]:
    """Search faiss's own graph over the vectors, in memory, at the least effort that serves."""
    import faiss

    faiss.omp_set_num_threads(1)
    at_start = anonymous_bytes()
    index = faiss.read_index(str(folder / "graph"))
    figures: dict[str, float] = {}
    for effort in EFFORTS:
        untyped: Any = faiss
        options = untyped.SearchParametersHNSW(efSearch=effort)

        def search(number: int, options: Any = options) -> list[int]:
            found: list[int] = index.search(queries[number : number + 1], K, params=options)[1][0]
            return [int(row) for row in found]

        figures = searched(search, truth, once)
        if figures["recall"] >= TARGET:
            break
    held = anonymous_bytes()
    return {**figures, "at_start": at_start, "anonymous": held, "held": held - at_start}


def built(folder: Path, data: Data, index: str) -> Path:
    """Make a database with the vectors and one index; return its folder."""
    folder.mkdir()
    with vsql.connect(folder / "db", autocommit=True, background="off") as connection:
        ingest(connection, data, {})
        connection.execute(index)
    asked(folder, data)
    return folder


def built_by_faiss(folder: Path, data: Data) -> Path:
    """Write faiss's graph of the vectors; return its folder."""
    import faiss

    folder.mkdir()
    graph = faiss.IndexHNSWFlat(data.vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 200
    graph.add(data.vectors)
    faiss.write_index(graph, str(folder / "graph"))
    asked(folder, data)
    return folder


def asked(folder: Path, data: Data) -> None:
    """Keep the queries and their true answers beside the data."""
    truth = [sorted(rows) for rows in data.nearest(None, K)]
    np.savez(folder / "asked.npz", queries=data.queries, truth=np.array(truth))


def size(folder: Path, part: str) -> int:
    """Return the bytes of one kind of a database's files: segments or indexes."""
    return sum(path.stat().st_size for path in folder.glob(f"db/{part}/**/*") if path.is_file())


def index_of(kind: str, options: str = "") -> str:
    return f"CREATE INDEX ON t USING {kind} (e vector_cosine_ops) {options}"


def megabytes(count: float | None) -> str:
    return "" if count is None else f"{count / 1e6:.0f}"


def row(name: str, bytes_max: int | None, found: Run | None) -> str:
    limit = "none" if bytes_max is None else megabytes(bytes_max)
    if found is None:
        return f"| {name} | {limit} | killed by the kernel | | | | | | | |"
    return (
        f"| {name} | {limit} | {found.per_second:.0f} | {found.microseconds:.0f} |"
        f" {found.slowest:.0f} | {found.recall:.3f} | {found.reads:.1f} |"
        f" {megabytes(found.charged)} | {megabytes(found.anonymous)} | {megabytes(found.held)} |"
    )


HEADER = [
    "| | limit | searches/s | median us | 95 % us | recall | waits | charged | own | told |",
    "|---|---|---|---|---|---|---|---|---|---|",
]


def twice_the_data(
    where: Limits | None, half: Path, read: Path, mapped: Path, rows: int
) -> list[str]:
    """Return what N rows need with the index in memory, and what 2N rows do with as much."""

    # The first process of all is charged for Python's own files too.
    run(where, None, half, "vsql", "often")
    small = run(where, None, half, "vsql", "often")
    assert small is not None
    names = [f"{n:,} rows, mmap = false" for n in (rows, 2 * rows)]
    mapped_name = f"{2 * rows:,} rows, mmap = true"
    best, tight = (names[1], read, None), (mapped_name, mapped, small.charged)
    cases = [(names[0], half, None), best, (mapped_name, mapped, None)]
    if small.charged is not None:
        cases += [(names[0], half, small.charged), (names[1], read, small.charged), tight]
    found: dict[Case, list[Run | None]] = {case: [] for case in cases}
    # In turn, so that what else the machine does meets all of them.
    for _ in range(REPEATS):
        for case in cases:
            found[case].append(run(where, case[2], case[1], "vsql", "often"))
    usual = {case: median_run(runs) for case, runs in found.items()}
    lines = [*HEADER, *(row(case[0], case[2], usual[case]) for case in cases)]
    reference, limited = usual[best], usual.get(tight)
    if small.charged is None or reference is None:
        return lines
    share = 0.0 if limited is None else limited.per_second / reference.per_second
    kept = "is kept" if share >= 1 - LOSS_MAX else "is not kept"
    lines += [
        "",
        f"Twice the rows in the same memory have {share:.0%} of the throughput of an index in"
        f" memory without a limit: at least {1 - LOSS_MAX:.0%} is promised, which {kept}.",
    ]
    return lines


def median_run(runs: list[Run | None]) -> Run | None:
    """Return the run in the middle by its searches per second; None where one was killed."""
    whole = [run for run in runs if run is not None]
    if len(whole) < len(runs):
        return None
    return sorted(whole, key=lambda run: run.per_second)[len(whole) // 2]


def larger_than_memory(
    where: Limits | None, few: Path, databases: dict[str, Path], graph: Path, vector_bytes: int
) -> list[str]:
    """Return what a search costs where vectors and index don't fit, and where they do.

    A limit is what a process takes that searches few rows, and a share of the vectors.
    """
    lines = [*HEADER]
    for name, folder in databases.items():
        lines.append(row(name, None, run(where, None, folder, "vsql", "once")))
    lines.append(row("faiss HNSW, in memory", None, run(where, None, graph, "faiss", "once")))
    alone = run(where, None, few, "vsql", "often")
    if alone is None or alone.charged is None:
        return lines
    lines.append(row(f"{FEW:,} rows", None, alone))
    for share in SHARES:
        for name, folder in databases.items():
            limit = alone.charged + round(share * vector_bytes)
            lines.append(row(name, limit, run(where, limit, folder, "vsql", "once")))
    return lines


def main() -> None:
    """Measure and write the page; or, as `search`, be the process that is measured."""
    if sys.argv[1:2] == ["search"]:
        folder, kind, how = Path(sys.argv[2]), sys.argv[3], sys.argv[4]
        kept = np.load(folder / "asked.npz")
        queries, truth = kept["queries"], [set(map(int, rows)) for rows in kept["truth"]]
        count = len(truth) if how == "once" else REPEATED
        by = by_faiss if kind == "faiss" else by_vsql
        print(json.dumps(by(folder, queries[:count], truth[:count], how == "once")))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=3_000)
    given = parser.parse_args()
    where, double = limits(), generated(2 * given.rows, DIMENSION, given.queries)
    half = Data("half", double.vectors[: given.rows], double.queries)
    few = Data("few", double.vectors[:FEW], double.queries)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        read = "WITH (mmap = false)"
        in_memory = built(folder / "half", half, index_of("hnsw", read))
        twice_read = built(folder / "read", double, index_of("hnsw", read))
        alone = built(folder / "few", few, index_of("hnsw"))
        databases = {
            kind: built(folder / kind, double, index_of(kind))
            for kind in ("diskann", "hnsw", "scann")
        }
        graph = built_by_faiss(folder / "faiss", double)
        indexes = ", ".join(
            f"{kind.upper()} {megabytes(size(path, 'indexes'))}" for kind, path in databases.items()
        )
        segments = size(databases["hnsw"], "segments")
        first = twice_the_data(where, in_memory, twice_read, databases["hnsw"], given.rows)
        second = larger_than_memory(where, alone, databases, graph, double.vectors.nbytes)
    command = f"python benchmarks/memory.py --rows {given.rows} --queries {given.queries}"
    shares = " and ".join(f"{share:.0%}" for share in SHARES)
    lines = [
        "# Search within a memory limit",
        "",
        f"`{command}`: {DIMENSION} dimensions, one thread, cosine, top {K}, target_recall"
        f" {TARGET}. MB are millions of bytes. A limit is the kernel's, on everything that a"
        " process is charged for, page cache too; files are out of memory before each run."
        " *waits* are pages that a search had to wait for, on average. *charged* is the most that"
        " the process was charged for, *own* its memory that is no file's, and *told* what"
        " vsql_memory() counts of that, in MB. faiss's figures are calls, vsql's whole statements.",
        *([] if where else ["", "No control group could be made: there are no limits."]),
        "",
        "## Twice the data in the same memory",
        "",
        f"`{command}`: HNSW, {REPEATED} queries, asked once and then {ROUNDS} times more, so that"
        f" what they touch fits the page cache; the median of {REPEATS} processes. The limit is the"
        " most that half of the rows take with their index in memory.",
        "",
        *first,
        "",
        "## Data larger than memory",
        "",
        f"`{command}`: {2 * given.rows:,} rows, each query once, after a fifth of them to warm up."
        f" Vectors and ids are {megabytes(segments)} MB, indexes {indexes} MB. A limit is what"
        f" searching {FEW:,} rows takes, and {shares} of the vectors.",
        "",
        *second,
    ]
    text = "\n".join(lines) + "\n"
    (ROOT / "benchmarks" / "results" / "memory.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
