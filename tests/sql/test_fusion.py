"""Hybrid search: rrf and weighted_sum against the same fusion computed by brute force."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vsql
from vsql.driver.connection import Connection

ROWS, WIDTH = 3_000, 8


def vectors(seed: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((ROWS, WIDTH)).astype(np.float32)


A, B = vectors(1), vectors(2)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("SET seal_rows = 1000")
        connection.execute(
            f"CREATE TABLE t (id INT PRIMARY KEY, g INT, a VECTOR({WIDTH}), b VECTOR({WIDTH}))"
        )
        for start in range(0, ROWS, 1_000):
            rows = [(n, n % 7, A[n], B[n]) for n in range(start, start + 1_000)]
            connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        connection.execute("CREATE INDEX ON t USING hnsw (a vector_cosine_ops)")
        connection.execute("DELETE FROM t WHERE id % 100 = 5")
        yield connection


def l2(matrix: npt.NDArray[np.float32], query: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    return np.linalg.norm(matrix.astype(np.float64) - query, axis=1)


def cosine(matrix: npt.NDArray[np.float32], query: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(query)
    return 1 - (matrix @ query) / lengths


def live(group: int | None) -> npt.NDArray[np.int64]:
    ids = np.arange(ROWS)
    kept = ids % 100 != 5
    return ids[kept if group is None else kept & (ids % 7 == group)]


def reciprocal(ids: npt.NDArray[np.int64], orders: list[Any], k: float, depth: int) -> Any:
    scores = dict.fromkeys(ids.tolist(), 0.0)
    for distances in orders:
        ranked = ids[np.argsort(distances[ids], kind="stable")][:depth]
        for rank, row in enumerate(ranked.tolist(), 1):
            scores[row] -= 1 / (k + rank)
    return sorted(scores.items(), key=lambda pair: (pair[1], pair[0]))


@given(
    seed=st.integers(10, 1000),
    group=st.one_of(st.none(), st.integers(0, 6)),
    k=st.integers(0, 100),
    depth=st.integers(1, 300),
    limit=st.integers(1, 30),
    offset=st.integers(0, 5),
)
def test_rrf_is_the_fusion_of_ranks(
    connection: Connection,
    seed: int,
    group: int | None,
    k: int,
    depth: int,
    limit: int,
    offset: int,
) -> None:
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((2, WIDTH)).astype(np.float32)
    where = "" if group is None else f"WHERE g = {group}"
    connection.execute("SET access_path = exact")
    found = connection.execute(
        f"SELECT id, rrf(a <=> :x, b <-> :y, k => {k}, depth => {depth}) AS score FROM t {where}"
        " ORDER BY score LIMIT :limit OFFSET :offset",
        {"x": x, "y": y, "limit": limit, "offset": offset},
    ).fetchall()
    depth = max(depth, limit + offset)
    ids = live(group)
    expected = reciprocal(ids, [cosine(A, x), l2(B, y)], k, depth)[offset : offset + limit]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected])
    assert [row for row, _ in found] == [row for row, _ in expected]


@given(
    seed=st.integers(10, 1000),
    weight=st.floats(0, 1),
    norm=st.sampled_from(["minmax", "arctan", "none"]),
)
def test_weighted_sum(connection: Connection, seed: int, weight: float, norm: str) -> None:
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((2, WIDTH)).astype(np.float32)
    connection.execute("SET access_path = exact")
    found = connection.execute(
        "SELECT id, weighted_sum(a <-> $1, b <-> $2, weights => $3, norm => $4) AS score FROM t"
        " ORDER BY score LIMIT 10",
        (x, y, [weight, 1 - weight], norm),
    ).fetchall()
    ids = live(None)
    total = np.zeros(ROWS)
    candidates: set[int] = set()
    for distances, share in ((l2(A, x), weight), (l2(B, y), 1 - weight)):
        nearest = np.sort(distances[ids])[:100]
        candidates.update(ids[np.argsort(distances[ids])][:100].tolist())
        if norm == "minmax":
            low, high = nearest[0], nearest[-1]
            total += share * np.clip((distances - low) / (high - low), 0, 1)
        elif norm == "arctan":
            total += share * (0.5 + np.arctan(distances) / np.pi)
        else:
            total += share * distances
    expected = sorted(total[sorted(candidates)])[:10]
    assert [score for _, score in found] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert total[[row for row, _ in found]] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_it_uses_indexes_and_says_so(connection: Connection) -> None:
    connection.execute("SET access_path = auto")
    plan = connection.execute(
        "EXPLAIN SELECT id FROM t WHERE g = 3 ORDER BY rrf(a <=> ?, b <-> ?) LIMIT 5", (A[0], B[0])
    )
    lines = [line for (line,) in plan.fetchall()]
    assert lines[0] == "Fusion 5 of t by rrf of 2 searches"
    assert [line[:18] for line in lines[3:5]] == ["  search by a <=> ", "  search by b <-> "]
    assert any("HNSW" in line for line in lines)


def test_the_rest_of_sql_around_it(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT upper('n' || id) AS name, score FROM (SELECT id, rrf(a <=> $1, b <=> $2) AS score"
        " FROM t ORDER BY score LIMIT 3) AS n ORDER BY score",
        (A[0], B[0]),
    ).fetchall()
    assert rows[0] == ("N0", pytest.approx(-2 / 61))
    expression = connection.execute(
        "SELECT id, -100 * rrf(a <=> $1, b <=> $2) AS percent FROM t"
        " ORDER BY rrf(a <=> $1, b <=> $2) LIMIT 1",
        (A[0], B[0]),
    ).fetchall()
    assert expression == [(0, pytest.approx(200 / 61))]
    joined = connection.execute(
        "SELECT g, count(*) FROM (SELECT g FROM t WHERE id < 1000"
        " ORDER BY weighted_sum(a <=> $1, b <=> $2) LIMIT 50) AS n GROUP BY g ORDER BY g",
        (A[0], B[0]),
    ).fetchall()
    assert sum(count for _, count in joined) == 50


def test_nulls_come_last() -> None:
    with vsql.connect() as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, a VECTOR(2), b VECTOR(2))")
        connection.execute(
            "INSERT INTO t VALUES (1, NULL, NULL), (2, '[0,1]', NULL), (3, '[0,1]', '[1,0]'),"
            " (4, NULL, '[1,0]'), (5, '[1,1]', '[1,1]')"
        )
        query = "SELECT id, {} AS s FROM t ORDER BY s LIMIT 9"
        ranked = connection.execute(query.format("rrf(a <-> '[0,1]', b <-> '[1,0]')"))
        assert ranked.fetchall() == [
            (3, pytest.approx(-1 / 62 - 1 / 61)),
            (5, pytest.approx(-2 / 63)),
            (2, pytest.approx(-1 / 61)),
            (4, pytest.approx(-1 / 62)),
            (1, None),
        ]
        weighed = connection.execute(query.format("weighted_sum(a <-> '[0,1]', b <-> '[1,0]')"))
        assert weighed.fetchall() == [(3, 0.0), (2, 0.5), (4, 0.5), (5, 1.0), (1, None)]
        nothing = "rrf(a <-> '[0,1]', b <-> '[1,0]')"
        assert not connection.execute(
            f"SELECT id FROM t WHERE id > 9 ORDER BY {nothing} LIMIT 3"
        ).fetchall()
        null = connection.execute(
            "SELECT id FROM t ORDER BY rrf(a <-> ?, b <-> '[1,0]') LIMIT 2", (None,)
        )
        assert null.fetchall() == [(3,), (4,)]


def test_a_vector_that_is_null_counts_as_the_farthest_of_negative_distances() -> None:
    with vsql.connect() as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, a VECTOR(2), b VECTOR(2))")
        connection.execute(
            "INSERT INTO t VALUES (1, '[3,0]', '[1,0]'), (2, '[2,0]', NULL), (3, '[1,0]', '[5,0]')"
        )
        found = connection.execute(
            "SELECT id, weighted_sum(a <#> '[1,0]', b <#> '[1,0]', norm => 'none') AS score FROM t"
            " ORDER BY score LIMIT 3"
        )
        assert found.fetchall() == [(3, -3.0), (1, -2.0), (2, -1.5)]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("rrf()", "42883"),
        ("rrf(g)", "42883"),
        ("rrf(a <=> b)", "42883"),
        ("rrf(a <=> '[1,1,1,1,1,1,1,1]', rank => 3)", "42883"),
        ("rrf(a <=> '[1,1,1,1,1,1,1,1]', k => -5)", "22023"),
        ("rrf(a <=> '[1,1,1,1,1,1,1,1]', k => 'x')", "22023"),
        ("rrf(a <=> '[1,1,1,1,1,1,1,1]', depth => 1.5)", "22023"),
        ("rrf(a <=> '[1,1]')", "22000"),
        ("weighted_sum(a <=> '[1,1,1,1,1,1,1,1]', weights => ARRAY[1, 2])", "22023"),
        ("weighted_sum(a <=> '[1,1,1,1,1,1,1,1]', norm => 'maxmin')", "22023"),
        ("weighted_sum(a <=> '[1,1,1,1,1,1,1,1]', weights => ARRAY['x'])", "22023"),
    ],
)
def test_errors(connection: Connection, call: str, code: str) -> None:
    with pytest.raises(vsql.Error) as caught:
        connection.execute(f"SELECT id FROM t ORDER BY {call} LIMIT 3")
    assert caught.value.sqlstate == code


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT rrf(a <=> '[1,1,1,1,1,1,1,1]') FROM t",
        "SELECT id FROM t WHERE rrf(a <=> '[1,1,1,1,1,1,1,1]') < 0",
        "SELECT id FROM t JOIN t AS u USING (id) ORDER BY rrf(t.a <=> '[1,1,1,1,1,1,1,1]') LIMIT 3",
        "SELECT id FROM t ORDER BY rrf(a <=> '[1,1,1,1,1,1,1,1]') DESC LIMIT 3",
    ],
)
def test_elsewhere_it_is_refused(connection: Connection, sql: str) -> None:
    with pytest.raises(vsql.NotSupportedError, match="rrf"):
        connection.execute(sql)
