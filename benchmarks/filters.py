"""Twenty predicates beside DuckDB: the time to the rows that pass, with an index and without.

    python benchmarks/filters.py [--data FOLDER] [--rows N]

Over the packages of FOLDER (default ../shared/data; those of examples/ where it is missing) and
over N generated rows (1,000,000), each in a table of both; JSON is JSON text in DuckDB. One thread
each, same process, medians. vsql forgets its kept bitmaps before each run; the last column is what
a kept one costs. Every count is compared. Writes a Markdown table to benchmarks/results/filters.md.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from packages import FOLDER, ROOT, packages_file

import vsql

COLUMNS = (
    "id BIGINT, name TEXT, section TEXT, installed_kib BIGINT, download_bytes BIGINT,"
    ' homepage TEXT, description TEXT, rare TEXT, tags TEXT[], meta JSON, "$meta" JSON'
)
INDEXES = (
    "BITMAP (section)",
    "STL_SORT (installed_kib)",
    "STL_SORT (name)",
    "NGRAM (name)",
    "STL_SORT (homepage)",
    "STL_SORT (rare)",
    "INVERTED (tags)",
    "INVERTED (meta)",
    "STL_SORT (((meta->'sizes'->>'installed_kib')::bigint))",
    'INVERTED ("$meta")',
)


@dataclass(frozen=True, slots=True)
class Case:
    """A predicate in vsql's words and, where it has others, DuckDB's."""

    name: str
    condition: str
    duck: str = ""


def cases(names: list[str], numbers: list[int]) -> list[Case]:
    """Return the predicates; `names` and `numbers` are values that the table has."""
    quoted = ", ".join(f"'{name}'" for name in names)
    chain = " OR ".join(f"name = '{name}'" for name in names[:50])
    three = ", ".join(str(number) for number in numbers[:3])
    kib = "(meta->'sizes'->>'installed_kib')::bigint"
    return [
        Case("equality", "section = 'games'"),
        Case("range", "installed_kib BETWEEN 20 AND 21"),
        Case("IN of 3", f"installed_kib IN ({three})"),
        Case("IN of 3,000", f"name IN ({quoted})"),
        Case("LIKE 'x%'", "name LIKE 'python3-z%'"),
        Case("LIKE '%x%'", "name LIKE '%sqlite%'"),
        Case("ILIKE '%x%'", "name ILIKE '%SQLite%'"),
        Case("IS NULL", "homepage IS NULL"),
        Case("array contains", "tags @> ARRAY['game::strategy']", "tags @> ['game::strategy']"),
        Case(
            "JSON path equality",
            "meta->'maintainer'->>'name' = 'Debian Games Team'",
            "(meta->'maintainer'->>'name') = 'Debian Games Team'",
        ),
        Case("JSON range", f"{kib} < 15", "(meta->'sizes'->>'installed_kib')::bigint < 15"),
        Case(
            "json_contains_any",
            """matches('json_contains_any(meta["facets"]["game"], ["strategy", "puzzle"])')""",
            "list_has_any((meta->'facets'->'game')::varchar[], ['strategy', 'puzzle'])",
        ),
        Case("OR chain of 50", chain),
        Case(
            "AND of 5",
            "section = 'libs' AND installed_kib > 100 AND download_bytes < 100000"
            " AND homepage IS NOT NULL AND name LIKE 'lib%'",
        ),
        Case("NOT", "NOT (section = 'libs')"),
        Case("arithmetic", "installed_kib * 2 + 1 = 101"),
        Case(
            "EXISTS",
            """matches('exists meta["ruby_versions"]')""",
            "json_exists(meta, '$.ruby_versions')",
        ),
        Case("dynamic column", "color = 'teal'", "(\"$meta\"->>'color') = 'teal'"),
        Case("NULL-heavy column", "rare = 'v7'"),
        Case("all", "id >= 0"),
        Case("none", "installed_kib < 0"),
    ]


def generated(packages: pa.Table, rows: int) -> pa.Table:
    """Return as many rows: the packages again and again, names and numbers made distinct."""
    random = np.random.default_rng(7)
    picks = random.integers(0, packages.num_rows, rows)
    picks[: packages.num_rows] = np.arange(min(rows, packages.num_rows))[: packages.num_rows]
    table = packages.take(pa.array(picks))
    suffix = pa.array([f"-{n}" if n >= packages.num_rows else "" for n in range(rows)])
    names = pc.binary_join_element_wise(table["name"].combine_chunks(), suffix, "")
    return table.set_column(0, "id", pa.array(np.arange(rows))).set_column(1, "name", names)


def base(folder: Path) -> pa.Table:
    """Return the packages with a NULL-heavy and a dynamic column."""
    table = pq.read_table(packages_file(folder))
    count = table.num_rows
    rare = pa.array(
        [f"v{n // 50 % 90}" if n % 50 == 0 else None for n in range(count)], pa.string()
    )
    colors = ("red", "green", "blue", "black", "white", *(f"c{n}" for n in range(200)), "teal")
    dynamic = pa.array(
        [f'{{"color": "{colors[n % len(colors)]}", "n": {n}}}' for n in range(count)]
    )
    names = ("id", "name", "section", "installed_kib", "download_bytes", "homepage", "description")
    return pa.table(
        {
            **{name: table[name] for name in names},
            "rare": rare,
            "tags": table["tags"],
            "meta": table["meta"],
            "$meta": dynamic,
        }
    )


def median(work: Callable[[], Any], before: Callable[[], None], count: int = 7) -> float:
    spent = []
    for _ in range(count):
        before()
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return statistics.median(spent) * 1e3


def measure(title: str, table: pa.Table, folder: str, say: Callable[[str], None]) -> None:
    connection = vsql.connect(f"{folder}/{table.num_rows}.vsql", autocommit=True)
    connection.execute(f"CREATE TABLE p ({COLUMNS}, PRIMARY KEY (id))")
    connection.register("source", table)
    started = time.perf_counter()
    connection.execute("INSERT INTO p SELECT * FROM source")
    loaded = time.perf_counter() - started
    duck = duckdb.connect(f"{folder}/{table.num_rows}.duckdb")
    duck.execute("SET threads = 1")
    started = time.perf_counter()
    casts = ", ".join(
        f'"{n}"::JSON AS "{n}"' if n.endswith("meta") else f'"{n}"' for n in table.column_names
    )
    duck.register("source", table)
    duck.execute(f"CREATE TABLE p AS SELECT {casts} FROM source")
    duck_loaded = time.perf_counter() - started
    # The kept bitmaps would answer: forget them before every run.
    masks = connection._session._resources.masks
    names = table["name"].slice(0, 30_000).to_pylist()[::10]
    chosen = cases([name.replace("'", "") for name in names], [24, 77, 4096])
    rows: dict[str, list[Any]] = {}

    def ask(query: str) -> Any:
        return connection.execute(query).fetchall()

    for case in chosen:
        query = f"SELECT count(*) FROM p WHERE {case.condition}"
        other = f"SELECT count(*) FROM p WHERE {case.duck or case.condition}"
        found, expected = ask(query), duck.execute(other).fetchall()
        assert found == expected, (case.name, found, expected)
        theirs = median(lambda q=other: duck.execute(q).fetchall(), lambda: None)
        ours = median(lambda q=query: ask(q), masks.clear)
        rows[case.name] = [found[0][0], theirs, ours]
    built: list[tuple[str, float, int]] = []
    for index in INDEXES:
        started = time.perf_counter()
        connection.execute(f"CREATE INDEX i{len(built)} ON p USING {index}")
        spent = time.perf_counter() - started
        (size,) = connection.execute(
            f"SELECT bytes FROM vsql_indexes('p') WHERE index_name = 'i{len(built)}'"
        ).fetchall()[0]
        built.append((index, spent, size))
    for case in chosen:
        query = f"SELECT count(*) FROM p WHERE {case.condition}"
        assert ask(query)[0][0] == rows[case.name][0], case.name
        indexed = median(lambda q=query: ask(q), masks.clear)
        kept = median(lambda q=query: ask(q), lambda: None)
        rows[case.name].extend((indexed, kept))
    say(f"\n## {title}: {table.num_rows:,} rows\n")
    say(f"Loaded in {loaded:.1f} s, JSON shredded; DuckDB in {duck_loaded:.1f} s.\n")
    say("| predicate | rows | DuckDB ms | vsql ms | ratio | with index ms | ratio | kept ms |")
    say("|---|---|---|---|---|---|---|---|")
    for name, (count, theirs, ours, indexed, kept) in rows.items():
        say(
            f"| {name} | {count:,} | {theirs:.2f} | {ours:.2f} | {ours / theirs:.2f} "
            f"| {indexed:.2f} | {indexed / theirs:.2f} | {kept:.3f} |"
        )
    say("\n| index | built s | MiB |\n|---|---|---|")
    for index, spent, size in built:
        say(f"| {index} | {spent:.2f} | {size / 2**20:.1f} |")
    connection.close()
    duck.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    say("# Filters: milliseconds to the count of rows that pass\n")
    say(f"`python benchmarks/filters.py --rows {arguments.rows}`")
    packages = base(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        measure("Packages", packages, folder, say)
        if arguments.rows:
            measure("Generated", generated(packages, arguments.rows), folder, say)
    results = ROOT / "benchmarks" / "results" / "filters.md"
    results.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
