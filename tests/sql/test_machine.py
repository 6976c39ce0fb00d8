"""ANALYZE MACHINE: measured, kept with the database, and what the planner makes of it."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import vsql
from vsql.core.machine import CONSTANTS, settled
from vsql.driver.connection import Connection

_CONSTANTS = "SELECT name, nanoseconds, default_nanoseconds, measured_at FROM vsql_machine()"
_DIMENSION = 128


@dataclass(frozen=True)
class Data:
    """Unit vectors in clusters of 24 intrinsic dimensions; `owners` are twelve parts of space."""

    vectors: npt.NDArray[np.float32]
    owners: npt.NDArray[np.int64]

    @classmethod
    def made(cls, clusters: int, spread: float) -> "Data":
        random = np.random.default_rng(1)
        cluster = random.integers(0, clusters, 6_060)
        around = random.standard_normal((6_060, 24))
        points = 1.5 * random.standard_normal((clusters, 24))[cluster] + spread * around
        vectors = points @ random.standard_normal((24, _DIMENSION)) / np.sqrt(24)
        vectors += 0.08 * spread * random.standard_normal(vectors.shape)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        # Where there are fewer clusters, an owner has a part of one.
        parts = (around[:, :2] > 0) @ [1, 2] % (12 // clusters)
        return cls(vectors.astype(np.float32), cluster * (12 // clusters) + parts)

    @property
    def queries(self) -> npt.NDArray[np.float32]:
        return self.vectors[6_000:]

    @property
    def rows(self) -> list[tuple[int, int, int, npt.NDArray[np.float32]]]:
        return [(n, int(self.owners[n]), n % 12, self.vectors[n]) for n in range(6_000)]


# Codes tell the rows of one cluster apart in t; in tight they hardly do.
TABLES = {"t": Data.made(12, 0.6), "tight": Data.made(3, 0.02)}
QUERIES = TABLES["t"].queries


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("machine") / "db"
    with vsql.connect(place, autocommit=True, background="off") as connection:
        for name, data in TABLES.items():
            connection.execute(
                f"CREATE TABLE {name} (id INT PRIMARY KEY, owner INT, n INT,"
                f" e VECTOR({_DIMENSION}))"
            )
            connection.executemany(f"INSERT INTO {name} VALUES (?, ?, ?, ?)", data.rows)
            connection.execute("FLUSH")
            connection.execute(f"CREATE INDEX ON {name} USING scann (e vector_cosine_ops)")
    return place


@pytest.fixture
def connection(folder: Path) -> Iterator[Connection]:
    with vsql.connect(folder, autocommit=True, background="off") as connection:
        yield connection
    with sqlite3.connect(folder / "catalog.sqlite") as catalog:
        catalog.execute("DELETE FROM database_fact WHERE name = 'machine'")


def stored(folder: Path, constants: Mapping[str, float]) -> None:
    """Write constants into the catalog, as another process would."""
    with sqlite3.connect(folder / "catalog.sqlite") as catalog:
        value = json.dumps({"measured_us": 1, **constants})
        catalog.execute("INSERT OR REPLACE INTO database_fact VALUES ('machine', ?)", (value,))


def path_of(connection: Connection, where: str) -> str:
    sql = f"EXPLAIN SELECT id FROM t WHERE {where} ORDER BY e <=> $1 LIMIT 10"
    lines = [line for (line,) in connection.execute(sql, (QUERIES[0],)).fetchall()]
    (chosen,) = [line for line in lines if "->" in line]
    return chosen.partition("->")[2].partition(":")[0].strip()


def test_every_constant_is_measured_once(connection: Connection, folder: Path) -> None:
    before = connection.execute(_CONSTANTS).fetchall()
    assert {name for name, *_ in before} == set(CONSTANTS)
    assert all(now == default and at is None for _, now, default, at in before)
    assert connection.execute("ANALYZE MACHINE").statusmessage == "ANALYZE MACHINE"
    after = connection.execute(_CONSTANTS).fetchall()
    assert all(now > 0 for _, now, _, _ in after)
    assert all(now == default for _, now, default, at in after if at is None)
    assert {"vector_component", "call", "choice"} <= {n for n, *_, at in after if at is not None}
    with vsql.connect(folder, read_only=True) as other:
        assert other.execute(_CONSTANTS).fetchall() == after
        with pytest.raises(vsql.OperationalError) as caught:
            other.execute("ANALYZE MACHINE")
        assert caught.value.sqlstate == "25006"
        assert other.execute(_CONSTANTS).fetchall() == after


@pytest.mark.parametrize(
    ("samples", "constants"),
    [
        ({"call": [9_000.0, 700_000.0, 8_000.0]}, {"call": 8_000.0}),
        ({"call": [3e9]}, {"call": 100_000.0}),
        ({"comparison": [0.001]}, {"comparison": 0.05}),
        # A difference is that of the least runs, not the least of differences.
        (
            {"choice_with": [40.0, 4.0, 4.5], "choice_without": [2.5, 39.0, 3.0]},
            {"choice": 1.5},
        ),
        ({"choice_with": [4.0], "choice_without": [4.0]}, {}),
        # One round was disturbed in the larger vectors, another in the smaller.
        (
            {"l1_64": [31.0, 30.8, 800.0], "l1_256": [9_000.0, 69.2, 70.0]},
            {"l1_component": 0.2, "l1_row": 18.0},
        ),
        ({"l1_64": [30.8], "l1_256": [6_366.8]}, {"l1_component": 2.0}),
        ({"l1_64": [64.0], "l1_256": [25.6]}, {"l1_row": 76.8}),
        # Large vectors that leave the cache add no more than they cost.
        (
            {"vector_64": [1.0], "vector_1024": [102.4]},
            {"vector_component": 0.1},
        ),
    ],
)
def test_constants_are_the_least_of_samples(
    samples: Mapping[str, Sequence[float]], constants: Mapping[str, float]
) -> None:
    assert settled(samples) == pytest.approx(constants)


def test_a_transaction_can_take_it_back() -> None:
    with vsql.connect() as connection:
        connection.execute("ANALYZE MACHINE")
        assert any(at is not None for *_, at in connection.execute(_CONSTANTS))
        connection.rollback()
        assert all(at is None for *_, at in connection.execute(_CONSTANTS))


def test_other_versions_of_vsql_know_other_constants(connection: Connection, folder: Path) -> None:
    stored(folder, {"phlogiston": 3.0, "call": 77.0})
    known = {name: now for name, now, _, _ in connection.execute(_CONSTANTS)}
    assert known["call"] == 77.0
    assert known["choice"] == CONSTANTS["choice"].default
    assert set(known) == set(CONSTANTS)


@pytest.mark.parametrize(
    ("constants", "path"),
    [
        ({}, "exact over matches"),
        ({"call": 1e9}, "quantised scan with bitmap on SCANN"),
        ({"choice": 1e6}, "quantised scan with bitmap on SCANN"),
        ({"call": 0.001, "choice": 0.001}, "exact over matches"),
    ],
)
def test_constants_decide(
    connection: Connection, folder: Path, constants: Mapping[str, float], path: str
) -> None:
    """A statement that was planned before sees the constants that another process stored."""
    assert path_of(connection, "n = 3") == "exact over matches"
    stored(folder, constants)
    assert path_of(connection, "n = 3") == path


@pytest.mark.parametrize(
    ("table", "column", "scans"),
    [("t", "n", True), ("t", "owner", True), ("tight", "n", True), ("tight", "owner", False)],
)
def test_codes_that_blur_pass_on_a_filter_that_is_dense_around_the_query(
    connection: Connection, folder: Path, table: str, column: str, *, scans: bool
) -> None:
    """Both filters keep a twelfth: rows from everywhere, or those around the query."""
    stored(folder, {"call": 1e9})
    data = TABLES[table]
    hits = 0
    scanned = 0
    for query, owner in zip(data.queries, data.owners[6_000:].tolist(), strict=True):
        sql = f"SELECT id FROM {table} WHERE {column} = {owner} ORDER BY e <=> ? LIMIT 10"
        found = [id_ for (id_,) in connection.execute(sql, (query,))]
        kept = [row[0] for row in data.rows if row[1 if column == "owner" else 2] == owner]
        nearest = np.argsort(-(data.vectors[kept] @ query), kind="stable")[:10]
        hits += len({kept[place] for place in nearest} & set(found))
        actual = connection.execute("EXPLAIN ANALYZE " + sql, (query,)).fetchall()
        scanned += any("quantised scan" in line and "estimated" in line for (line,) in actual)
    assert hits / (10 * len(data.queries)) >= 0.94
    assert (scanned == len(data.queries)) == scans
