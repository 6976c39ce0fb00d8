"""Range search: bounds on the distance that orders the rows, against brute force."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vsql
from vsql.driver.connection import Connection

ROWS, WIDTH = 3_000, 6
VECTORS = np.random.default_rng(3).standard_normal((ROWS, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("SET seal_rows = 1000")
        connection.execute(f"CREATE TABLE t (id INT PRIMARY KEY, g INT, e VECTOR({WIDTH}))")
        rows = [(n, n % 5, None if n % 40 == 3 else v) for n, v in enumerate(VECTORS)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        connection.execute("CREATE INDEX ON t USING hnsw (e vector_l2_ops)")
        yield connection


SIGNS = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


@given(
    seed=st.integers(0, 10_000),
    bounds=st.lists(
        st.tuples(st.sampled_from(sorted(SIGNS)), st.floats(0, 6, width=16)), min_size=1, max_size=2
    ),
    group=st.one_of(st.none(), st.integers(0, 4)),
    k=st.integers(1, 400),
    offset=st.integers(0, 5),
)
def test_rows_within_bounds(
    connection: Connection,
    seed: int,
    bounds: list[tuple[str, float]],
    group: int | None,
    k: int,
    offset: int,
) -> None:
    query = np.random.default_rng(seed).standard_normal(WIDTH).astype(np.float32)
    connection.execute("SET access_path = exact")
    where = " AND ".join(f"e <-> $1 {sign} {value}" for sign, value in bounds)
    where += "" if group is None else f" AND g = {group}"
    found = connection.execute(
        f"SELECT id, e <-> $1 AS d FROM t WHERE {where} ORDER BY d LIMIT {k} OFFSET {offset}",
        (query,),
    ).fetchall()
    exact = connection.execute(
        "SELECT id, e <-> $1 AS d FROM t WHERE e IS NOT NULL ORDER BY d", (query,)
    ).fetchall()
    expected = [
        (row, distance)
        for row, distance in exact
        if (group is None or row % 5 == group)
        and all(SIGNS[sign](distance, value) for sign, value in bounds)
    ]
    assert found == expected[offset : offset + k]


def test_bounds_turn_around_and_are_shown(connection: Connection) -> None:
    connection.execute("SET access_path = auto")
    sql = "SELECT id FROM t WHERE 2.5 > e <-> $1 AND e <-> $1 >= $2 ORDER BY e <-> $1 LIMIT 3"
    lines = [line for (line,) in connection.execute("EXPLAIN " + sql, (VECTORS[0], 0.1))]
    assert any(line.strip() == "range: distance < 2.5" for line in lines)
    assert any(line.strip().startswith("range: distance >= ") for line in lines)
    assert not any("filter:" in line for line in lines)
    assert len(connection.execute(sql, (VECTORS[0], 0.1)).fetchall()) == 3


def test_the_index_serves_it(connection: Connection) -> None:
    connection.execute("SET access_path = index")
    found = connection.execute(
        "SELECT id FROM t WHERE e <-> $1 > 0 AND e <-> $1 < 2 ORDER BY e <-> $1 LIMIT 10",
        (VECTORS[0],),
    ).fetchall()
    connection.execute("SET access_path = exact")
    exact = connection.execute(
        "SELECT id FROM t WHERE e <-> $1 > 0 AND e <-> $1 < 2 ORDER BY e <-> $1 LIMIT 10",
        (VECTORS[0],),
    ).fetchall()
    assert len(set(found) & set(exact)) >= 0.9 * len(exact)


@pytest.mark.parametrize(
    ("where", "vector", "rows"),
    [
        ("e <-> $1 < NULL", VECTORS[0], 0),
        ("e <-> $1 < 1", None, 0),
        ("e <-> $1 > 1", None, 0),
        ("e <-> $1 < -1", VECTORS[0], 0),
        ("e <-> $1 > 1000", VECTORS[0], 0),
        ("e <-> $1 <= 0", VECTORS[0], 1),
    ],
)
def test_edges(connection: Connection, where: str, vector: object, rows: int) -> None:
    sql = f"SELECT id FROM t WHERE {where} ORDER BY e <-> $1 LIMIT 5"
    assert len(connection.execute(sql, (vector,)).fetchall()) == rows


def test_a_bound_that_is_no_number(connection: Connection) -> None:
    with pytest.raises(vsql.DataError) as caught:
        connection.execute(
            "SELECT id FROM t WHERE e <-> $1 < $2 ORDER BY e <-> $1 LIMIT 5", (VECTORS[0], "far")
        )
    assert caught.value.sqlstate == "22P02"
