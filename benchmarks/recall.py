"""Recall that is promised: every kind of index, and the planner's choice over a grid of filters.

    python benchmarks/recall.py [packages] [ROWSxDIMENSION ...] [--data FOLDER] [--queries N]
                                [--kinds KIND ...]

Over the packages of FOLDER (default ../shared/data; those of examples/ where it is missing), and
over generated vectors: clusters of low intrinsic dimension. Indexes are built by every core and
searched by one; cosine, top 10 unless said otherwise, held-out queries, medians. Curves are beside
faiss's own kinds in the same run; each path of the grid is forced in turn, and regret is the chosen
path's time over that of the fastest path whose recall is the target's. The estimate and the actual
time of a search are those of EXPLAIN ANALYZE, after ANALYZE MACHINE. Writes a page and an SVG for
each data set to benchmarks/results/.
"""

import argparse
import math
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from packages import FOLDER, ROOT, Floats, matrix, packages_file, unit

import vsql
from vsql.driver.connection import Connection

K = 10
TARGET = 0.95
KINDS = {
    "HNSW": "",
    "HNSW_SQ": "WITH (sq_type = FP16)",
    "HNSW_PQ": "",
    "DISKANN": "",
    "SCANN": "",
    "IVF_FLAT": "",
    "IVF_SQ8": "",
    "IVF_PQ": "",
    "IVF_RABITQ": "",
}
GRAPHS = ("HNSW", "HNSW_SQ", "HNSW_PQ", "DISKANN")
CORES = os.cpu_count() or 1
EFFORTS = {"HNSW": (16, 32, 64, 128, 256), "IVF": (4, 8, 16, 32, 64, 128)}
PATHS = ("exact", "bitmap", "scan", "postfilter")
SHARES = (0.5, 0.1, 0.01, 0.001)
_SEARCHED = re.compile(r"([\d.]+) ms, estimated ([\d.]+) ms")
_EXPLAINED = 20
_TURNS = 3


@dataclass(frozen=True, slots=True)
class Data:
    """Vectors to search and vectors to search by, all of length one; `groups` for the filters."""

    name: str
    vectors: Floats
    queries: Floats

    def nearest(self, rows: npt.NDArray[np.int64] | None, k: int) -> list[set[int]]:
        """Return the true nearest rows of each query, among some."""
        among = self.vectors if rows is None else self.vectors[rows]
        k = min(k, len(among))
        found = faiss.knn(self.queries, among, k, metric=faiss.METRIC_INNER_PRODUCT)[1]
        return [
            set((found[n] if rows is None else rows[found[n]]).tolist()) for n in range(len(found))
        ]


@dataclass(frozen=True, slots=True)
class Point:
    effort: int
    microseconds: float
    recall: float


def packages(folder: Path, count: int) -> Data:
    vectors = matrix(pq.read_table(packages_file(folder), columns=["embedding"]))
    held = folder / "queries.parquet"
    if held.exists():
        queries = matrix(pq.read_table(held, columns=["embedding"]))[:count]
    else:
        queries, vectors = vectors[:count], vectors[count:]
    return Data(f"packages, {len(vectors):,} x {vectors.shape[1]}", unit(vectors), unit(queries))


def generated(rows: int, dimension: int, count: int) -> Data:
    """Return clusters of different sizes in 24 latent dimensions, turned into `dimension` ones."""
    random = np.random.default_rng(11)
    latent, clusters = 24, max(16, rows // 1_000)
    centres = random.standard_normal((clusters, latent)) * 1.5
    sizes = random.pareto(1.5, clusters) + 0.2
    owners = random.choice(clusters, rows + count, p=sizes / sizes.sum())
    turned = random.standard_normal((latent, dimension)).astype(np.float32) / np.sqrt(latent)
    vectors = np.empty((rows + count, dimension), np.float32)
    for start in range(0, rows + count, 100_000):
        own = owners[start : start + 100_000]
        points = centres[own] + random.standard_normal((len(own), latent)) * 0.6
        noise = random.standard_normal((len(own), dimension)) * 0.05
        vectors[start : start + 100_000] = points.astype(np.float32) @ turned + noise
    name = f"generated, {rows:,} x {dimension}"
    return Data(name, unit(vectors[:rows]), unit(vectors[rows:]))


def loaded(data: Data, filters: dict[str, npt.NDArray[np.bool_]]) -> Connection:
    """Return a database in memory with the vectors, and a flag for each filter."""
    connection = vsql.connect(autocommit=True, threads=1, background="off")
    ingest(connection, data, filters)
    return connection


def ingest(connection: Connection, data: Data, filters: dict[str, npt.NDArray[np.bool_]]) -> None:
    """Make table t of the vectors `e`, in one segment, and a flag for each filter."""
    rows, dimension = data.vectors.shape
    flags = "".join(f"{name} BOOLEAN, " for name in filters)
    connection.execute(f"CREATE TABLE t (id BIGINT PRIMARY KEY, {flags}e VECTOR({dimension}))")
    connection.execute(f"SET segment_rows = {rows}")
    flat = pa.array(data.vectors.ravel())
    columns = {
        "id": pa.array(range(rows), pa.int64()),
        **{name: pa.array(flag) for name, flag in filters.items()},
        "e": pa.FixedSizeListArray.from_arrays(flat, dimension),
    }
    connection.cursor().adbc_ingest("t", pa.table(columns), "append")
    connection.execute("FLUSH")


def measured(search: Callable[[int], list[Any]], truth: list[set[int]]) -> tuple[float, float, int]:
    """Return median microseconds, mean recall and the number of short answers.

    All queries were asked once before: else what is measured first brings the vectors near.
    """
    for number in range(len(truth)):
        search(number)
    times, recalls, short = [], [], 0
    for number, wanted in enumerate(truth):
        started = time.perf_counter_ns()
        found = search(number)
        times.append((time.perf_counter_ns() - started) / 1_000)
        recalls.append(len(wanted.intersection(found)) / len(wanted) if wanted else 1.0)
        short += len(found) < len(wanted)
    return statistics.median(times), statistics.fmean(recalls), short


def by_sql(connection: Connection, data: Data, where: str, k: int) -> Callable[[int], list[int]]:
    sql = f"SELECT id FROM t {where} ORDER BY e <=> ? LIMIT {k}"

    def search(number: int) -> list[int]:
        return [row for (row,) in connection.execute(sql, (data.queries[number],)).fetchall()]

    return search


def built(connection: Connection, kind: str, options: str = "") -> float:
    """Create an index by all cores and return the seconds that it took."""
    connection.execute(f"SET threads = {CORES}")
    started = time.perf_counter()
    connection.execute(f"CREATE INDEX i ON t USING {kind} (e vector_cosine_ops) {options}")
    took = time.perf_counter() - started
    connection.execute("SET threads = 1")
    return took


def curves(
    connection: Connection, data: Data, truth: list[set[int]], kinds: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield what each kind costs to build and what it gives, and faiss's kinds beside it."""
    for kind in kinds:
        seconds = built(connection, kind, KINDS[kind])
        ((held,),) = connection.execute(
            "SELECT bytes FROM vsql_indexes('t') WHERE metric IS NOT NULL"
        )
        setting = "ef_search" if kind in GRAPHS else "nprobe"
        points = []
        connection.execute("SET access_path = index")
        for effort in EFFORTS["HNSW" if setting == "ef_search" else "IVF"]:
            connection.execute(f"SET {setting} = {effort}")
            took, recall, _ = measured(by_sql(connection, data, "", K), truth)
            points.append(Point(effort, took, recall))
        for name in ("access_path", setting):
            connection.execute(f"RESET {name}")
        connection.execute("DROP INDEX i")
        yield {"kind": kind, "seconds": seconds, "bytes": held, "points": points}
    yield from bare(data, truth)


def bare(data: Data, truth: list[set[int]]) -> Iterator[dict[str, Any]]:
    """Yield faiss's own graph and lists over the same vectors."""
    rows, dimension = data.vectors.shape
    lists = round(rows**0.5)
    kinds = {"faiss HNSW": "HNSW16,Flat", "faiss IVF_FLAT": f"IVF{lists},Flat"}
    for name, factory in kinds.items():
        index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
        is_graph = name.endswith("HNSW")
        if is_graph:
            index.hnsw.efConstruction = 200
        faiss.omp_set_num_threads(CORES)
        started = time.perf_counter()
        if not index.is_trained:
            index.train(data.vectors[:: max(1, rows // (64 * lists))])
        index.add(data.vectors)
        seconds = time.perf_counter() - started
        faiss.omp_set_num_threads(1)
        points = []
        for effort in EFFORTS["HNSW" if is_graph else "IVF"]:
            make: Any = faiss.SearchParametersHNSW if is_graph else faiss.SearchParametersIVF
            options = make(**{"efSearch" if is_graph else "nprobe": effort})

            def search(number: int, index: Any = index, options: Any = options) -> list[int]:
                query = data.queries[number : number + 1]
                found: list[int] = index.search(query, K, params=options)[1][0].tolist()
                return found

            took, recall, _ = measured(search, truth)
            points.append(Point(effort, took, recall))
        yield {"kind": name, "seconds": seconds, "bytes": rows * dimension * 4, "points": points}


def made_filters(data: Data) -> dict[str, npt.NDArray[np.bool_]]:
    """Return flags by name: shares of the rows at random, near one place, and far from it."""
    random = np.random.default_rng(5)
    rows = len(data.vectors)
    nearness = data.vectors @ data.queries[0]
    order = np.argsort(-nearness)
    found: dict[str, npt.NDArray[np.bool_]] = {}
    for share in SHARES:
        count = max(K, round(rows * share))
        for kind, chosen in (
            ("random", random.choice(rows, count, replace=False)),
            ("near", order[:count]),
            ("far", order[-count:]),
        ):
            flags = np.zeros(rows, bool)
            flags[chosen] = True
            found[f"{kind}_{share:g}".replace(".", "_")] = flags
    return found


@dataclass(frozen=True, slots=True)
class Cell:
    """One filter of the grid: what the planner chose and what every path would have given."""

    name: str
    k: int
    matches: int
    chosen: tuple[float, float, int]
    paths: dict[str, tuple[float, float, int]]
    ratio: float

    @property
    def regret(self) -> float:
        reached = [
            took for took, recall, short in self.paths.values() if recall >= TARGET and not short
        ]
        return self.chosen[0] / min(reached, default=self.chosen[0])


def grid(
    connection: Connection, data: Data, filters: dict[str, npt.NDArray[np.bool_]]
) -> Iterator[Cell]:
    """Yield a cell for each filter and k: medians of turns; the index is AUTOINDEX's."""
    connection.execute(f"SET target_recall = {TARGET}")
    for name, flags in filters.items():
        rows = np.flatnonzero(flags)
        for k in (10, 100):
            truth = data.nearest(rows, k)
            search = by_sql(connection, data, f"WHERE {name}", k)
            found: dict[str, list[tuple[float, float, int]]] = {}
            # In turns: what else the machine does meets all of them.
            for path in ("auto", *PATHS) * _TURNS:
                connection.execute(f"SET access_path = {path}")
                found.setdefault(path, []).append(measured(search, truth))
            connection.execute("RESET access_path")
            ratio = statistics.median(ratios(connection, data, name, k))
            paths = {path: statistics.median_low(turns) for path, turns in found.items()}
            yield Cell(name, k, len(rows), paths.pop("auto"), paths, ratio)


def ratios(connection: Connection, data: Data, where: str, k: int) -> Iterator[float]:
    """Yield the estimated over the actual time of some searches."""
    sql = f"EXPLAIN ANALYZE SELECT id FROM t WHERE {where} ORDER BY e <=> ? LIMIT {k}"
    for query in data.queries[:_EXPLAINED]:
        text = "\n".join(line for (line,) in connection.execute(sql, (query,)).fetchall())
        found = _SEARCHED.search(text)
        if found is not None:
            yield float(found.group(2)) / max(float(found.group(1)), 0.001)


def file_name(data: Data) -> str:
    return re.sub(r"[^a-z0-9]+", "-", data.name.lower()).strip("-")


def report(data: Data, command: str, folder: Path, kinds: Sequence[str]) -> list[str]:
    """Measure one data set, write its plot, and return its page."""
    filters = made_filters(data)
    connection = loaded(data, filters)
    truth = data.nearest(None, K)
    lines = [
        f"# Recall and latency: {data.name}",
        "",
        f"`{command}`: built by {CORES} cores, searched by one; cosine, medians.",
        "",
        f"{len(data.queries)} queries. `us @ recall` at each effort: ef_search for graphs, nprobe"
        " for lists. vsql's figures are whole statements with rows fetched; faiss's are calls.",
        "",
        "| kind | build s | MB | us @ recall |",
        "|---|---|---|---|",
    ]
    measured_kinds = list(curves(connection, data, truth, kinds))
    for kind in measured_kinds:
        shown = ", ".join(f"{p.microseconds:.0f} @ {p.recall:.3f}" for p in kind["points"])
        size = kind["bytes"] / 1e6
        lines.append(f"| {kind['kind']} | {kind['seconds']:.1f} | {size:.0f} | {shown} |")
    plot = file_name(data)
    (folder / f"recall-{plot}.svg").write_text(drawn(data.name, measured_kinds), encoding="utf-8")
    built(connection, "autoindex")
    connection.execute("ANALYZE MACHINE")
    cells = list(grid(connection, data, filters))
    lines += [
        "",
        f"![recall and latency](recall-{plot}.svg)",
        "",
        f"Filters, target_recall = {TARGET}, AUTOINDEX: us @ recall of the chosen path and of each"
        " path forced. random: any rows; near, far: the nearest to the first query, the farthest.",
        "",
        "| filter | rows | k | chosen | short | " + " | ".join(PATHS) + " | regret |",
        "|---|---|---|---|---|" + "---|" * (len(PATHS) + 1),
    ]
    for cell in cells:
        shown = " | ".join(f"{took:.0f} @ {recall:.3f}" for took, recall, _ in cell.paths.values())
        took, recall, short = cell.chosen
        lines.append(
            f"| {cell.name} | {cell.matches} | {cell.k} | {took:.0f} @ {recall:.3f} | {short} |"
            f" {shown} | {cell.regret:.2f} |"
        )
    regrets = sorted(cell.regret for cell in cells)
    estimates = sorted(cell.ratio for cell in cells)
    kept = sum(cell.chosen[1] >= TARGET - 0.01 for cell in cells)
    lines += [
        "",
        f"Promise (mean recall at least {TARGET - 0.01:.2f}) kept in {kept} of {len(cells)} cells;"
        f" short answers: {sum(cell.chosen[2] for cell in cells)}.",
        f"Regret: median {statistics.median(regrets):.2f},"
        f" 95th percentile {regrets[math.ceil(0.95 * len(regrets)) - 1]:.2f}.",
        f"Estimated over actual time of a search: median {statistics.median(estimates):.2f},"
        f" from {estimates[0]:.2f} to {estimates[-1]:.2f}.",
        "",
    ]
    connection.close()
    return lines


def drawn(title: str, kinds: list[dict[str, Any]]) -> str:
    """Return an SVG of recall over microseconds, the latter on a logarithmic axis."""
    width, height, left, bottom = 760, 460, 60, 40
    every = [point for kind in kinds for point in kind["points"]]
    low = np.log10(min(p.microseconds for p in every)) - 0.05
    high = np.log10(max(p.microseconds for p in every)) + 0.05
    floor = min(p.recall for p in every)

    def place(point: Point) -> str:
        across = (np.log10(point.microseconds) - low) / (high - low)
        up = (point.recall - floor) / max(1.0 - floor, 1e-9)
        return (
            f"{left + across * (width - left - 170):.1f},{height - bottom - up * (height - 80):.1f}"
        )

    colours = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2")
    colours += ("#7f7f7f", "#bcbd22", "#17becf", "#000000")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{left}" y="22">{title}: recall@{K} and microseconds</text>',
    ]
    for tick in range(int(np.floor(low)), int(np.ceil(high)) + 1):
        if low <= tick <= high:
            across = left + (tick - low) / (high - low) * (width - left - 170)
            parts.append(f'<text x="{across:.1f}" y="{height - 12}">{10**tick:,}</text>')
    for share in (floor, (1 + floor) / 2, 1.0):
        up = height - bottom - (share - floor) / max(1 - floor, 1e-9) * (height - 80)
        parts.append(f'<text x="8" y="{up:.1f}">{share:.3f}</text>')
    for number, kind in enumerate(kinds):
        colour = colours[number % len(colours)]
        dashed = ' stroke-dasharray="5 4"' if kind["kind"].startswith("faiss") else ""
        line = " ".join(map(place, kind["points"]))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"{dashed}/>')
        parts.append(
            f'<text x="{width - 150}" y="{50 + 18 * number}" fill="{colour}">{kind["kind"]}</text>'
        )
    return "\n".join((*parts, "</svg>")) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("sets", nargs="*", default=["packages", "1000000x128"])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), default=list(KINDS))
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(1)
    folder = ROOT / "benchmarks" / "results"
    for name in arguments.sets:
        if name == "packages":
            data = packages(arguments.data, arguments.queries)
        else:
            rows, _, dimension = name.partition("x")
            data = generated(int(rows), int(dimension), arguments.queries)
        command = f"python benchmarks/recall.py {name} --queries {arguments.queries}"
        if arguments.kinds != list(KINDS):
            command += f" --kinds {' '.join(arguments.kinds)}"
        page = "\n".join(report(data, command, folder, arguments.kinds))
        (folder / f"recall-{file_name(data)}.md").write_text(page, encoding="utf-8")
        print(page, flush=True)


if __name__ == "__main__":
    main()
