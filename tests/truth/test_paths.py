"""Every access path, forced, against brute force; and SELECTs against DuckDB."""

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

import vsql

ROWS, DIMENSION = 3_000, 16
PATHS = ("auto", "exact", "index", "bitmap", "scan", "postfilter")


def _data() -> tuple[Any, Any, Any, Any]:
    random = np.random.default_rng(7)
    centres = random.normal(size=(12, DIMENSION))
    kind = random.integers(0, 12, ROWS)
    vectors = (centres[kind] + 0.4 * random.normal(size=(ROWS, DIMENSION))).astype(np.float32)
    number = random.integers(0, 100, ROWS)
    queries = centres[random.integers(0, 12, 20)] + 0.4 * random.normal(size=(20, DIMENSION))
    return vectors, kind, number, queries.astype(np.float32)


VECTORS, KIND, NUMBER, QUERIES = _data()


@pytest.fixture(scope="module")
def connection() -> Any:
    connection = vsql.connect(":memory:", autocommit=True)
    connection.execute(
        f"CREATE TABLE t (id INT PRIMARY KEY, kind INT, number INT, e VECTOR({DIMENSION}))"
    )
    flat = pa.array(VECTORS.reshape(-1))
    table = pa.table(
        {
            "id": np.arange(ROWS),
            "kind": KIND,
            "number": NUMBER,
            "e": pa.FixedSizeListArray.from_arrays(flat, DIMENSION),
        }
    )
    connection.register("source", table)
    connection.execute("INSERT INTO t SELECT * FROM source")
    connection.execute("CREATE INDEX ON t USING AUTOINDEX (e vector_cosine_ops)")
    connection.execute("CREATE INDEX ON t USING BTREE (number)")
    yield connection
    connection.close()


def _expected(query: Any, mask: Any, k: int) -> list[int]:
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1)[:, None]
    distances = 1 - unit @ (query / np.linalg.norm(query))
    rows = np.flatnonzero(mask)
    return [int(r) for r in rows[np.argsort(distances[rows], kind="stable")][:k]]


FILTERS = (
    ("", np.ones(ROWS, bool)),
    ("WHERE number < 50", NUMBER < 50),
    ("WHERE number < 3", NUMBER < 3),
    ("WHERE kind = 4", KIND == 4),
    ("WHERE kind = 4 AND number > 90", (KIND == 4) & (NUMBER > 90)),
    ("WHERE number > 1000", np.zeros(ROWS, bool)),
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("where", "mask"), FILTERS, ids=[f[0] or "all" for f in FILTERS])
def test_no_path_falls_short(connection: Any, path: str, where: str, mask: Any) -> None:
    connection.execute(f"SET access_path = {path}")
    found_total, wanted_total = 0, 0
    for query in QUERIES:
        sql = f"SELECT id FROM t {where} ORDER BY e <=> ? LIMIT 10"
        found = [row[0] for row in connection.execute(sql, (query,)).fetchall()]
        wanted = _expected(query, mask, 10)
        assert len(found) == len(wanted), "fewer rows than match"
        assert all(mask[row] for row in found)
        if path == "exact":
            assert found == wanted
        found_total += len(set(found) & set(wanted))
        wanted_total += len(wanted)
    connection.execute("SET access_path = auto")
    assert wanted_total == 0 or found_total / wanted_total >= 0.9


def test_recall_of_the_batch(connection: Any) -> None:
    flat = pa.array(QUERIES.reshape(-1))
    queries = pa.table({"v": pa.FixedSizeListArray.from_arrays(flat, DIMENSION)})
    connection.register("queries", queries.append_column("q", pa.array(range(len(QUERIES)))))
    rows = connection.execute(
        "SELECT q.q, n.id FROM queries q CROSS JOIN LATERAL"
        " (SELECT id FROM t WHERE number < 50 ORDER BY e <=> q.v LIMIT 10) n"
    ).fetchall()
    assert len(rows) == 10 * len(QUERIES)
    wanted = {(n, r) for n, q in enumerate(QUERIES) for r in _expected(q, NUMBER < 50, 10)}
    assert len(wanted & set(rows)) / len(wanted) >= 0.9


_comparison = some.builds(
    lambda column, operator, value: f"{column} {operator} {value}",
    some.sampled_from(["id", "kind", "number"]),
    some.sampled_from(["=", "<>", "<", "<=", ">", ">="]),
    some.integers(-5, 120),
)
_membership = some.builds(
    lambda column, values: f"{column} IN ({', '.join(map(str, values))})",
    some.sampled_from(["kind", "number"]),
    some.lists(some.integers(0, 100), min_size=1, max_size=5),
)
_predicate = some.recursive(
    _comparison | _membership,
    lambda inner: (
        some.builds(lambda a, b: f"({a} AND {b})", inner, inner)
        | some.builds(lambda a, b: f"({a} OR {b})", inner, inner)
        | some.builds(lambda a: f"NOT ({a})", inner)
    ),
    max_leaves=5,
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_predicate, some.integers(0, 19), some.integers(1, 20))
def test_select_against_duckdb(connection: Any, where: str, query: int, k: int) -> None:
    vector = QUERIES[query].tolist()
    connection.execute("SET access_path = exact")
    mine = connection.execute(
        f"SELECT id, e <=> ? AS d FROM t WHERE {where} ORDER BY d LIMIT {k}", (vector,)
    ).fetchall()
    connection.execute("SET access_path = auto")
    oracle = duckdb.connect()
    oracle.register("t", _duck_table())
    theirs = oracle.execute(
        f"SELECT id, array_cosine_distance(e, $1::FLOAT[{DIMENSION}]) AS d FROM t WHERE {where}"
        f" ORDER BY d, id LIMIT {k}",
        [vector],
    ).fetchall()
    assert [row[1] for row in mine] == pytest.approx([row[1] for row in theirs], abs=1e-5)
    count = connection.execute(f"SELECT count(*) FROM t WHERE {where}").fetchone()
    assert count == oracle.execute(f"SELECT count(*) FROM t WHERE {where}").fetchone()
    grouped = f"SELECT kind, count(*), min(number) FROM t WHERE {where} GROUP BY kind ORDER BY kind"
    assert connection.execute(grouped).fetchall() == oracle.execute(grouped).fetchall()
    oracle.close()


def _duck_table() -> pa.Table:
    flat = pa.array(VECTORS.reshape(-1))
    vectors = pa.FixedSizeListArray.from_arrays(flat, DIMENSION)
    return pa.table({"id": np.arange(ROWS), "kind": KIND, "number": NUMBER, "e": vectors})
