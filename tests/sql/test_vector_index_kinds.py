"""Every vector kind through SQL: made, explained, forced, filtered, reopened, against exact."""

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import vsql
from vsql.index import faiss_calls

ROWS, DIMENSION, BITS = 1_200, 40, 256
K = 10

FLOAT_KINDS = (
    ("HNSW", "m = 12, mmap = false", "bitmap"),
    ("HNSW_SQ", "M = 12, sq_type = 'BF16', refine = true, refine_type = 'fp32'", "bitmap"),
    ("HNSW_SQ", "sq_type = 'SQ6'", "bitmap"),
    ("HNSW_PQ", "M = 12, m = 20, nbits = 6, efConstruction = 80", "bitmap"),
    ("DISKANN", "MaxDegree = 24, SearchListSize = 60", "bitmap"),
    ("SCANN", "nlist = 20, mmap = true", "scan"),
    ("IVF_FLAT", "lists = 20", "scan"),
    ("IVF_FLAT", "mmap = false", "scan"),
    ("IVF_SQ8", "NLIST = 20, mmap = true", "scan"),
    ("IVF_PQ", "m = 20, nbits = 8, mmap = true", "scan"),
    ("IVF_RABITQ", "nlist = 20", "scan"),
)
BIT_KINDS = (
    ("AUTOINDEX", "hamming", "", "scan"),
    ("BIN_FLAT", "jaccard", "", "exact"),
    ("BIN_IVF_FLAT", "hamming", "nlist = 20", "scan"),
    ("BIN_IVF_FLAT", "jaccard", "", "scan"),
    ("BIN_HNSW", "hamming", "M = 12, mmap = false", "bitmap"),
    ("MINHASH_LSH", "jaccard", "mh_lsh_band = 64, mh_band_hashes = 2", "scan"),
)


def _floats() -> Any:
    random = np.random.default_rng(3)
    centres = random.standard_normal((15, DIMENSION))
    vectors = centres[random.integers(0, 15, ROWS)] + 0.5 * random.standard_normal(
        (ROWS, DIMENSION)
    )
    vectors[7] = vectors[8]
    vectors[9] = 0
    return vectors.astype(np.float32)


def _bits() -> Any:
    random = np.random.default_rng(4)
    parents = random.random((15, BITS)) < 0.25
    members = parents[random.integers(0, 15, ROWS)] ^ (random.random((ROWS, BITS)) < 0.03)
    packed = np.packbits(members, axis=1)
    packed[7] = packed[8]
    packed[9] = 0
    return packed


FLOATS, PACKED = _floats(), _bits()


def _vectors(numbers: Any = FLOATS) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), DIMENSION)


def _bit_vectors() -> pa.Array:
    return pa.array([row.tobytes() for row in PACKED], pa.binary(BITS // 8))


def _table(values: pa.Array, *, holes: bool) -> pa.Table:
    numbers = np.arange(ROWS)
    if holes:
        values = pc.if_else(pa.array(numbers % 50 == 49), pa.scalar(None, values.type), values)
    return pa.table({"id": numbers, "n": numbers % 4, "e": values})


def _fill(connection: Any, type_: str, values: pa.Array, *, holes: bool = True) -> None:
    """Make the table `t`; with NULLs and deleted rows, or without."""
    connection.execute(f"CREATE TABLE t (id INT PRIMARY KEY, n INT, e {type_})")
    connection.register("source", _table(values, holes=holes))
    connection.execute("INSERT INTO t SELECT * FROM source")
    if holes:
        connection.execute("DELETE FROM t WHERE id BETWEEN 100 AND 160")


def _found(connection: Any, operator: str, query: Any, where: str) -> list[tuple[int, float]]:
    sql = f"SELECT id, e {operator} ? AS d FROM t {where} ORDER BY d LIMIT {K}"
    return [tuple(row) for row in connection.execute(sql, (query,)).fetchall()]


def _full_effort(connection: Any) -> None:
    connection.execute("SET ef_search = 1000")
    connection.execute("SET nprobe = 1000")


def _is_planned(connection: Any, operator: str, query: Any, structure: str) -> bool:
    sql = f"EXPLAIN SELECT id FROM t ORDER BY e {operator} ? LIMIT {K}"
    plan = connection.execute(sql, (query,)).fetchall()
    return any(f"on {structure}" in line for (line,) in plan)


def _walked(connection: Any, operator: str, query: Any, where: str) -> str:
    sql = f"EXPLAIN ANALYZE SELECT id FROM t {where} ORDER BY e {operator} ? LIMIT {K}"
    lines = [row[0] for row in connection.execute(sql, (query,)).fetchall()]
    start = next(n for n, line in enumerate(lines) if line.startswith("actual"))
    return "\n".join(lines[start:])


def _check(
    connection: Any, operator: str, queries: Any, path: str, structure: str, least: float
) -> None:
    """A forced path finds what exact search finds, or as near; and never fewer rows."""
    wheres = ("",) if path == "index" else ("", "WHERE n = 1", "WHERE id < 60")
    for where in wheres:
        reached = []
        for query in queries:
            connection.execute("SET access_path = exact")
            exact = _found(connection, operator, query, where)
            connection.execute(f"SET access_path = {path}")
            found = _found(connection, operator, query, where)
            assert len(found) == len(exact) == K
            distances = [d for _, d in found]
            assert distances == sorted(distances)
            # Many rows may be as far as the k-th.
            reached.append(np.mean([d <= exact[-1][1] + 1e-6 for d in distances]))
        assert np.mean(reached) >= least, where
        if path != "exact":
            assert f"on {structure} (effort" in _walked(connection, operator, queries[0], where)
    connection.execute("SET access_path = auto")


@pytest.mark.parametrize(
    ("type_", "operator"),
    [
        *(("VECTOR", operator) for operator in ("<=>", "<->", "<#>")),
        ("HALFVEC", "<=>"),
        *(("BFLOATVEC", operator) for operator in ("<=>", "<->", "<#>")),
        *(("INT8VEC", operator) for operator in ("<=>", "<->", "<#>")),
    ],
)
@pytest.mark.parametrize(("kind", "options", "path"), FLOAT_KINDS)
def test_float_kinds(
    kind: str, options: str, path: str, operator: str, type_: str, tmp_path: Path
) -> None:
    opclass = {"<=>": "cosine", "<->": "l2", "<#>": "ip"}[operator]
    short, dtype = type_.lower(), {"HALFVEC": np.float16, "INT8VEC": np.int8}.get(type_, np.float32)
    numbers = np.rint(20 * FLOATS) if type_ == "INT8VEC" else FLOATS
    queries = numbers[[20, 300, 777]].astype(dtype) + dtype(1 if type_ == "INT8VEC" else 0.1)
    structure = kind
    with vsql.connect(str(tmp_path / "db"), autocommit=True) as connection:
        _fill(connection, f"{type_}({DIMENSION})", _vectors(numbers.astype(dtype)))
        connection.execute(
            f"CREATE INDEX i ON t USING {kind} (e {short}_{opclass}_ops) WITH ({options})"
        )
        _full_effort(connection)
        _check(connection, operator, queries, path, structure, 0.8)
    with vsql.connect(str(tmp_path / "db"), autocommit=True) as connection:
        _full_effort(connection)
        assert _is_planned(connection, operator, queries[0], kind)
        _check(connection, operator, queries, path, structure, 0.8)
        connection.execute("SET reorder_k = 400")
        _check(connection, operator, queries, path, structure, 0.9)


@pytest.mark.parametrize(("kind", "metric", "options", "path"), BIT_KINDS)
def test_bit_kinds(kind: str, metric: str, options: str, path: str, tmp_path: Path) -> None:
    operator = {"hamming": "<~>", "jaccard": "<%>"}[metric]
    queries = [PACKED[row].tobytes() for row in (20, 300, 777)]
    structure = {"AUTOINDEX": "BIN_IVF_FLAT"}.get(kind, kind)
    with vsql.connect(str(tmp_path / "db"), autocommit=True) as connection:
        _fill(connection, f"BIT({BITS})", _bit_vectors())
        with_ = f" WITH ({options})" if options else ""
        connection.execute(f"CREATE INDEX i ON t USING {kind} (e bit_{metric}_ops){with_}")
        _full_effort(connection)
        _check(connection, operator, queries, path, structure, 0.8)
    with vsql.connect(str(tmp_path / "db"), autocommit=True) as connection:
        _full_effort(connection)
        planned = _is_planned(connection, operator, queries[0], structure)
        assert planned == (kind != "BIN_FLAT")
        _check(connection, operator, queries, path, structure, 0.8)


@pytest.mark.parametrize("kind", sorted({kind for kind, _, _ in FLOAT_KINDS}))
def test_without_a_filter(kind: str) -> None:
    with vsql.connect(":memory:", autocommit=True) as connection:
        _fill(connection, f"VECTOR({DIMENSION})", _vectors(), holes=False)
        connection.execute(f"CREATE INDEX i ON t USING {kind} (e)")
        _full_effort(connection)
        _check(connection, "<=>", FLOATS[[20, 300, 777]] + 0.1, "index", kind, 0.8)


def test_a_batch_over_bits(tmp_path: Path) -> None:
    with vsql.connect(":memory:", autocommit=True) as connection:
        _fill(connection, f"BIT({BITS})", _bit_vectors())
        connection.execute("CREATE INDEX ON t USING BIN_IVF_FLAT (e bit_hamming_ops)")
        connection.execute("CREATE TABLE s AS SELECT * FROM t WHERE id IN (3, 4, 5)")
        sql = (
            "SELECT q.id, n.id FROM s q"
            " CROSS JOIN LATERAL (SELECT id FROM t ORDER BY e <~> q.e LIMIT 1) n ORDER BY q.id"
        )
        assert connection.execute(sql).fetchall() == [(3, 3), (4, 4), (5, 5)]


def test_a_batch_uses_the_index_of_its_column() -> None:
    with vsql.connect(":memory:", autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, a VECTOR(2), b VECTOR(2))")
        rows = [(i, [i % 20, i // 20], [(i * 7) % 400 // 20, (i * 7) % 20]) for i in range(400)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        for column in ("a", "b"):
            connection.execute(f"CREATE INDEX ON t USING IVF_FLAT ({column} vector_l2_ops)")
        connection.execute("CREATE TABLE s AS SELECT * FROM t WHERE id < 50")
        connection.execute("SET access_path = index")
        connection.execute("SET nprobe = 1")
        for column in ("a", "b"):
            found = connection.execute(
                f"SELECT q.id, n.id FROM s q CROSS JOIN"
                f" LATERAL (SELECT id FROM t ORDER BY {column} <-> q.{column} LIMIT 1) n"
            ).fetchall()
            assert sorted(found) == [(row, row) for row in range(50)]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_batch_takes_the_threads_that_it_is_allowed(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    whole = faiss_calls.search

    def search(*arguments: Any) -> Any:
        found = whole(*arguments)
        taken.append(faiss.omp_get_max_threads())
        return found

    with vsql.connect(":memory:", autocommit=True, threads=threads) as connection:
        _fill(connection, f"VECTOR({DIMENSION})", _vectors(), holes=False)
        connection.execute("CREATE INDEX ON t USING HNSW (e vector_l2_ops)")
        connection.execute("SET access_path = index")
        monkeypatch.setattr(faiss_calls, "search", search)
        connection.execute(
            "SELECT q.id, n.id FROM t q CROSS JOIN"
            " LATERAL (SELECT id FROM t ORDER BY e <-> q.e LIMIT 1) n"
        )
        connection.execute("SELECT id FROM t ORDER BY e <-> (SELECT e FROM t LIMIT 1) LIMIT 1")
    assert taken == [threads, 1]


def test_a_batch_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where whole lists come back, few queries are answered at a time; the answers are the same."""
    from vsql.executor import batch

    sql = (
        "SELECT q.id, n.id FROM s q"
        " CROSS JOIN LATERAL (SELECT id FROM t {} ORDER BY e <-> q.e LIMIT 1) n ORDER BY 1"
    )
    with vsql.connect(":memory:", autocommit=True) as connection:
        _fill(connection, f"VECTOR({DIMENSION})", _vectors(), holes=False)
        connection.execute("CREATE INDEX ON t USING IVF_FLAT (e vector_l2_ops)")
        connection.execute("CREATE TABLE s AS SELECT * FROM t WHERE id BETWEEN 20 AND 40")
        for where, forced in (("", "index"), ("WHERE n >= 0", "scan")):
            connection.execute(f"SET access_path = {forced}")
            whole = connection.execute(sql.format(where)).fetchall()
            with monkeypatch.context() as patch:
                patch.setattr(batch, "_CANDIDATES_MAX", 3 * ROWS)
                assert connection.execute(sql.format(where)).fetchall() == whole
            assert whole == [(row, row) for row in range(20, 41)]


def test_a_batch_never_falls_short() -> None:
    """One list of few rows is nearest, and more rows match than it holds."""
    with vsql.connect(":memory:", autocommit=True) as connection:
        _fill(connection, f"VECTOR({DIMENSION})", _vectors(), holes=False)
        connection.execute("CREATE INDEX ON t USING IVF_FLAT (e vector_l2_ops) WITH (nlist = 140)")
        connection.execute("CREATE TABLE s AS SELECT * FROM t WHERE id IN (3, 4, 5)")
        connection.execute("SET nprobe = 1")
        connection.execute("SET access_path = index")
        sql = (
            "SELECT q.id, count(*) FROM s q"
            " CROSS JOIN LATERAL (SELECT id FROM t ORDER BY e <-> q.e LIMIT 500) n GROUP BY q.id"
        )
        assert {row[1] for row in connection.execute(sql).fetchall()} == {500}


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("USING HNSW_PQ (e) WITH (m = 7)", "40 is no multiple of 7"),
        ("USING HNSW_SQ (e) WITH (sq_type = 'SQ1')", "SQ8, SQ6, FP16, BF16"),
        ("USING IVF_PQ (e) WITH (nbits = 0)", "1 to 16"),
        ("USING HNSW (e) WITH (m = 8, M = 9)", "twice"),
        ("USING IVF_FLAT (e) WITH (mmap = 'perhaps')", "true, false"),
        ("USING IVF_SQ8 (e vector_l1_ops)", "use FLAT"),
        ("USING BIN_IVF_FLAT (e)", "does not support"),
        ("USING MINHASH_LSH (e)", "does not support"),
    ],
)
def test_refused(statement: str, words: str) -> None:
    with vsql.connect(":memory:", autocommit=True) as connection:
        connection.execute(f"CREATE TABLE t (id INT PRIMARY KEY, e VECTOR({DIMENSION}))")
        with pytest.raises(vsql.ProgrammingError) as caught:
            connection.execute(f"CREATE INDEX ON t {statement}")
        assert words in str(caught.value)


@pytest.mark.parametrize("kind", ["IVF_FLAT", "IVF_RABITQ", "DISKANN", "HNSW_SQ"])
def test_a_damaged_file_is_built_anew(kind: str, tmp_path: Path) -> None:
    with vsql.connect(str(tmp_path / "db"), autocommit=True) as connection:
        _fill(connection, f"VECTOR({DIMENSION})", _vectors())
        connection.execute(f"CREATE INDEX ON t USING {kind} (e vector_l2_ops)")
    (path,) = (tmp_path / "db" / "indexes").rglob(f"*.{kind.lower()}")
    path.write_bytes(path.read_bytes()[:-100])
    forced = "scan" if kind.startswith("IVF") else "bitmap"
    with vsql.connect(str(tmp_path / "db"), autocommit=True) as connection:
        connection.execute(f"SET access_path = {forced}")
        connection.execute("SET target_recall = 0.5")
        with pytest.warns(RuntimeWarning, match="built anew"):
            assert _found(connection, "<->", FLOATS[20], "")[0][0] == 20


HUGE = np.random.default_rng(0).choice([-3e38, 3e38], (1_500, 32)).astype(np.float32)


@pytest.mark.parametrize(
    "kind", ["IVF_FLAT", "IVF_SQ8", "IVF_PQ", "IVF_RABITQ", "SCANN", "HNSW_PQ"]
)
def test_numbers_too_large_to_cluster_are_refused(kind: str) -> None:
    """Faiss's clustering met infinite distances, threw where nobody catches, and that was it."""
    with vsql.connect(autocommit=True, background="off") as connection:
        connection.execute("CREATE TABLE t (id INT, e VECTOR(32))")
        rows = pa.table({"id": range(1_500), "e": list(HUGE)})
        connection.cursor().adbc_ingest("t", rows, "append")
        connection.execute("FLUSH")
        with pytest.raises(vsql.OperationalError, match="too large") as caught:
            connection.execute(f"CREATE INDEX ON t USING {kind} (e vector_l2_ops)")
        assert caught.value.sqlstate == "54000"
        connection.execute(f"CREATE INDEX ON t USING {kind} (e vector_cosine_ops)")


@pytest.mark.parametrize("kind", ["SCANN", "AUTOINDEX"])
def test_rows_are_not_held_up_by_an_index_that_cannot_hold_them(kind: str) -> None:
    with vsql.connect(autocommit=True, background="off") as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, e VECTOR(32))")
        small = np.random.default_rng(1).standard_normal(HUGE.shape).astype(np.float32)
        for start, vectors in ((0, small), (len(small), HUGE)):
            rows = list(enumerate(vectors, start))
            connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
            if start:
                with pytest.warns(RuntimeWarning, match="searched exactly"):
                    connection.execute("FLUSH")
            else:
                connection.execute("FLUSH")
                connection.execute(f"CREATE INDEX ON t USING {kind} (e vector_l2_ops)")
        with pytest.warns(RuntimeWarning, match="searched exactly"):
            connection.execute("OPTIMIZE TABLE t")
        # What failed once is not tried again; a warning would be an error here.
        connection.execute("OPTIMIZE TABLE t")
        assert connection.execute("SELECT state FROM vsql_segments()").fetchall() == [("sealed",)]
        nearest = "SELECT id FROM t ORDER BY e <-> $1 LIMIT 1"
        assert connection.execute(nearest, (small[7],)).fetchall() == [(7,)]


def test_autoindex_leaves_out_what_cannot_hold_the_vectors() -> None:
    with vsql.connect(autocommit=True, background="off") as connection:
        connection.execute("CREATE TABLE t (id INT, e VECTOR(32))")
        connection.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(HUGE)))
        connection.execute("FLUSH")
        connection.execute("CREATE INDEX i ON t USING AUTOINDEX (e vector_l2_ops)")
        assert connection.execute("SELECT indexes FROM vsql_segments()").fetchall() == [(1,)]
