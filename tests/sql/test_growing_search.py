"""Searches of growing rows, through their codes, against exact distances."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

import vsql
from vsql.driver.connection import Connection

DIMENSION = 64
OPERATORS = {"<=>": "vector_cosine_ops", "<->": "vector_l2_ops", "<#>": "vector_ip_ops"}
FILTERS = ("true", "n < 5", "n < 50", "n % 2 = 0", "id >= 1990", "e IS NOT NULL AND n <> 3")
Floats = npt.NDArray[np.float32]


def clusters(rows: int, seed: int = 5) -> Floats:
    """Return vectors around 40 centres, in 12 dimensions turned into 64."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((40, 12))
    latent = centres[random.integers(0, 40, rows)] + 0.3 * random.standard_normal((rows, 12))
    return (latent @ random.standard_normal((12, DIMENSION))).astype(np.float32)


def insert(connection: Connection, vectors: Floats, first: int = 0, *, nulls: int = 0) -> None:
    ids = np.arange(first, first + len(vectors))
    stored = [None if nulls and number % nulls == 0 else v for number, v in enumerate(vectors)]
    type_ = pa.list_(pa.float32(), DIMENSION)
    rows = pa.table({"id": ids, "n": ids % 100, "e": pa.array(stored, type_)})
    connection.register("more", rows)
    connection.execute("INSERT INTO t SELECT * FROM more")


@pytest.fixture(params=[*OPERATORS])
def operator(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def connection(tmp_path: Path, operator: str) -> Iterator[Connection]:
    with vsql.connect(
        tmp_path / "growing.vsql", autocommit=True, background="off", seal_rows=100_000
    ) as opened:
        opened.execute(f"CREATE TABLE t (id INT PRIMARY KEY, n INT, e VECTOR({DIMENSION}))")
        opened.execute(f"CREATE INDEX ON t (e {OPERATORS[operator]})")
        yield opened


def recall(connection: Connection, query: str, queries: Floats) -> float:
    """Return the mean recall of a search; an answer may not be shorter than the exact one."""
    hits = wanted = 0
    for vector in queries:
        found = [row[0] for row in connection.execute(query, (vector,))]
        connection.execute("SET access_path = exact")
        exact = [row[0] for row in connection.execute(query, (vector,))]
        connection.execute("SET access_path = auto")
        assert len(found) == len(exact)
        hits += len({*found} & {*exact})
        wanted += len(exact)
    return hits / wanted


def notes(connection: Connection, query: str, vector: Floats) -> str:
    rows = connection.execute(f"EXPLAIN ANALYZE {query}", (vector,)).fetchall()
    return "\n".join(row[0] for row in rows)


def test_codes_keep_the_recall_under_filters_and_deletes(
    connection: Connection, operator: str
) -> None:
    vectors = clusters(2_600)
    for start in range(0, 2_000, 500):
        insert(connection, vectors[start : start + 500], start)
    connection.execute("DELETE FROM t WHERE n = 7")
    connection.execute("UPDATE t SET n = 8 WHERE id % 11 = 0")
    query = f"SELECT id FROM t WHERE {{}} ORDER BY e {operator} ? LIMIT 10"
    assert "codes of growing rows" in notes(connection, query.format("true"), vectors[2_500])
    for condition in FILTERS:
        assert recall(connection, query.format(condition), vectors[2_500:2_530]) >= 0.97


def test_null_and_zero_vectors(connection: Connection, operator: str) -> None:
    vectors = clusters(2_600)
    vectors[100:1_000:3] = 0
    insert(connection, vectors[:2_400], nulls=4)
    query = f"SELECT id FROM t WHERE e IS NOT NULL ORDER BY e {operator} ? LIMIT 10"
    assert recall(connection, query, vectors[2_500:2_530]) >= 0.97


@pytest.mark.parametrize("kind", ["alike", "near", "far", "zeros", "twins"])
def test_growing_rows_beside_sealed_ones(connection: Connection, operator: str, kind: str) -> None:
    vectors = clusters(6_030)
    sealed, growing, queries = vectors[:4_000], vectors[4_000:6_000].copy(), vectors[6_000:6_030]
    if kind == "near":
        growing[::20] = np.repeat(queries, 4, axis=0)[:100] * np.float32(1.001)
    elif kind == "far":
        growing = -np.abs(growing)
    elif kind == "zeros":
        # Codes were learned before these came, and nothing is near the queries.
        growing[1_600:] = 0
        queries = np.random.default_rng(1).standard_normal(queries.shape).astype(np.float32)
    elif kind == "twins":
        growing = sealed[:2_000].copy()
    connection.execute("DROP INDEX t_e_idx")
    connection.execute(f"CREATE INDEX ON t USING HNSW (e {OPERATORS[operator]})")
    insert(connection, sealed, 10_000)
    connection.execute("FLUSH")
    for start in range(0, 2_000, 500):
        insert(connection, growing[start : start + 500], start)
    # The sealed rows are all looked at: what is missed are growing ones.
    connection.execute("SET ef_search = 4000")
    query = f"SELECT id FROM t ORDER BY e {operator} ? LIMIT"
    assert recall(connection, f"{query} 1", queries) >= 0.96
    assert recall(connection, f"{query} 10", queries) >= 0.96


def test_many_more_rows_are_coded_anew(connection: Connection, operator: str) -> None:
    # The first rows are nothing like those that come later.
    insert(connection, np.abs(clusters(1_600, seed=1)))
    vectors = clusters(8_000, seed=2)
    for start in range(0, 7_900, 790):
        insert(connection, vectors[start : start + 790], 1_600 + start)
    query = f"SELECT id FROM t ORDER BY e {operator} ? LIMIT 10"
    assert recall(connection, query, vectors[7_900:7_930]) >= 0.97


def test_a_snapshot_sees_its_own_rows(
    connection: Connection, operator: str, tmp_path: Path
) -> None:
    vectors = clusters(2_600)
    insert(connection, vectors[:1_700])
    query = f"SELECT id FROM t ORDER BY e {operator} ? LIMIT 10"
    with vsql.connect(tmp_path / "growing.vsql", background="off") as other:
        other.execute("BEGIN")
        before = other.execute(query, (vectors[2_000],)).fetchall()
        insert(connection, vectors[1_700:2_400], 1_700)
        assert other.execute(query, (vectors[2_000],)).fetchall() == before
        other.execute("COMMIT")
        after = other.execute(query, (vectors[2_000],)).fetchall()
        assert after == connection.execute(query, (vectors[2_000],)).fetchall()
        assert max(after) >= (1_700,)


def test_vectors_too_large_for_codes_are_searched_exactly(
    connection: Connection, operator: str
) -> None:
    vectors = clusters(2_000) * np.float32(1e30)
    insert(connection, vectors)
    insert(connection, vectors[:200], 2_000)
    query = f"SELECT id FROM t ORDER BY e {operator} ? LIMIT 10"
    assert "codes" not in notes(connection, query, vectors[0])
    assert len(connection.execute(query, (vectors[0],)).fetchall()) == 10
