"""LOAD TABLE, RELEASE TABLE, vsql_memory() and vsql_recall()."""

from pathlib import Path

import numpy as np
import pytest

import vsql
from vsql.driver.connection import Connection

VECTORS = np.random.default_rng(1).standard_normal((3_000, 16)).astype(np.float32)


def filled(place: Path) -> Connection:
    connection = vsql.connect(place, autocommit=True, background="off")
    connection.execute("CREATE TABLE t (id INT PRIMARY KEY, section TEXT, e VECTOR(16))")
    rows = [(n, f"s{n % 5}", v) for n, v in enumerate(VECTORS)]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    connection.execute("FLUSH")
    connection.execute("CREATE INDEX ON t USING hnsw (e vector_l2_ops)")
    return connection


def held(connection: Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT holder, bytes FROM vsql_memory()").fetchall())


def test_a_table_is_loaded_and_released(tmp_path: Path) -> None:
    filled(tmp_path / "db").close()
    with vsql.connect(tmp_path / "db", read_only=True) as connection:
        assert held(connection)["segments, mapped"] == 0
        cursor = connection.execute("LOAD TABLE t")
        assert cursor.statusmessage == "LOAD TABLE"
        assert cursor.rowcount > VECTORS.nbytes
        loaded = held(connection)
        assert loaded["segments, mapped"] > VECTORS.nbytes
        assert loaded["index structures, mapped"] > 0
        connection.execute("RELEASE TABLE t")
        assert held(connection)["segments, mapped"] == 0
        assert held(connection)["index structures, mapped"] == 0
        nearest = "SELECT id FROM t ORDER BY e <-> $1 LIMIT 1"
        assert connection.execute(nearest, (VECTORS[7],)).fetchall() == [(7,)]
        connection.execute("WARM t")
        assert held(connection)["segments, mapped"] > VECTORS.nbytes


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system counts no reads")
def test_loading_reads_mapped_index_files(tmp_path: Path) -> None:
    filled(tmp_path / "db").close()
    size = sum(file.stat().st_size for file in (tmp_path / "db" / "indexes").rglob("*.hnsw"))
    with vsql.connect(tmp_path / "db", read_only=True) as connection:
        before = _read_bytes()
        connection.execute("LOAD TABLE t")
        assert _read_bytes() - before > size > 0


def _read_bytes() -> int:
    """Return how many bytes this process has read so far, from wherever; mapped ones are none."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_memory_has_nothing_to_release() -> None:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
        connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(100)])
        connection.execute("FLUSH")
        connection.execute("RELEASE TABLE t")
        connection.execute("INSERT INTO t VALUES (1000)")
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(101,)]
        assert held(connection)["growing rows"] > 0
        with pytest.raises(vsql.ProgrammingError) as caught:
            connection.execute("LOAD TABLE nothing")
        assert caught.value.sqlstate == "42P01"


def test_load_and_warm_are_names_too() -> None:
    with vsql.connect() as connection:
        connection.execute("CREATE TABLE load (warm INT, CHECK (warm > 0))")
        connection.execute("INSERT INTO load VALUES (1)")
        connection.execute("RELEASE TABLE load")
        assert connection.execute("SELECT warm FROM load").fetchall() == [(1,)]


def test_recall_is_measured(tmp_path: Path) -> None:
    with filled(tmp_path / "db") as connection:
        literal = "[" + ",".join(map(str, VECTORS[3].tolist())) + "]"
        query = f"SELECT id FROM t ORDER BY e <-> '{literal}' LIMIT 10"
        measured = f"SELECT * FROM vsql_recall(query => $${query}$$)"
        rows = connection.execute(measured).fetchall()
        assert [round(value) for value in rows[0][:2]] == [10, 10]
        connection.execute("SET access_path = index")
        connection.execute("SET ef_search = 1")
        cursor = connection.execute(measured)
        names = [column[0] for column in cursor.description or ()]
        (found,) = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        assert found["found"] == round(10 * found["recall"])
        assert 0 < found["recall"] <= 1 and found["exact_milliseconds"] > 0
        same_names = "SELECT random() AS a, 0 AS a FROM t LIMIT 5"
        rows = connection.execute(f"SELECT exact_rows, found FROM vsql_recall('{same_names}')")
        assert rows.fetchall() == [(5, 0)]
        nothing = connection.execute("SELECT recall FROM vsql_recall('SELECT id FROM t LIMIT 0')")
        assert nothing.fetchall() == [(1.0,)]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("vsql_recall()", "42883"),
        ("vsql_recall(3)", "42883"),
        ("vsql_recall('DELETE FROM t')", "42601"),
        ("vsql_recall('SELECT nothing FROM t')", "42703"),
        ("vsql_recall('SELEC 1')", "42601"),
    ],
)
def test_errors(tmp_path: Path, call: str, code: str) -> None:
    with vsql.connect() as connection:
        connection.execute("CREATE TABLE t (id INT)")
        with pytest.raises(vsql.ProgrammingError) as caught:
            connection.execute(f"SELECT * FROM {call}")
        assert caught.value.sqlstate == code


def kept(connection: Connection) -> tuple[int, int | None]:
    (row,) = connection.execute(
        "SELECT bytes, bytes_max FROM vsql_memory() WHERE holder = 'index structures'"
    ).fetchall()
    return row


def test_structures_stay_within_the_limit(tmp_path: Path) -> None:
    """A search opens what it needs again, and says the same."""
    with vsql.connect(tmp_path / "db", autocommit=True, background="off") as connection:
        connection.execute("SET seal_rows = 500")
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, e VECTOR(16))")
        for start in range(0, 3_000, 500):
            rows = [(n, VECTORS[n]) for n in range(start, start + 500)]
            connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.execute("CREATE INDEX ON t USING hnsw (e vector_l2_ops) WITH (mmap = false)")
    with vsql.connect(tmp_path / "db", autocommit=True) as connection:
        connection.execute("SET access_path = index")
        nearest = "SELECT id FROM t ORDER BY e <-> $1 LIMIT 5"
        whole = connection.execute(nearest, (VECTORS[9],)).fetchall()
        everything, no_limit = kept(connection)
        assert everything > 0
        assert no_limit is None
        limit = everything  # Half of it is for structures.
        connection.execute(f"SET memory_limit = {limit}")
        assert 0 < kept(connection)[0] <= limit // 2 == kept(connection)[1]
        assert connection.execute(nearest, (VECTORS[9],)).fetchall() == whole
        assert kept(connection)[0] <= limit // 2
        connection.execute("RESET memory_limit")
        connection.execute(nearest, (VECTORS[9],))
        assert kept(connection) == (everything, None)


@pytest.mark.parametrize(
    ("written", "bytes_"),
    [("'2GB'", 2 << 30), ("'1.5 MiB'", 3 << 19), ("1000", 1000), ("'64 kB'", 65_536), ("0", 0)],
)
def test_a_limit_has_units(written: str, bytes_: int) -> None:
    with vsql.connect() as connection:
        connection.execute(f"SET memory_limit = {written}")
        assert connection.execute("SHOW memory_limit").fetchall() == [(str(bytes_),)]


@pytest.mark.parametrize("written", ["'2 parsecs'", "'GB'", "-1", "'1s'", "'lots'"])
def test_other_limits_are_refused(written: str) -> None:
    with vsql.connect() as connection, pytest.raises(vsql.ProgrammingError) as caught:
        connection.execute(f"SET memory_limit = {written}")
    assert caught.value.sqlstate == "22023"
    assert "GB" in str(caught.value).upper()


def test_the_relational_engine_has_its_part() -> None:
    groups = "SELECT max(n) FROM (SELECT n, count(*) FROM generate_series(1, {}) AS s(n)"
    groups += " GROUP BY n) AS g"
    text = "SELECT length(string_agg(n::text, ',')) FROM generate_series(1, 5000000) AS s(n)"
    with vsql.connect(memory_limit="64MB") as connection:
        (row,) = connection.execute(
            "SELECT bytes_max FROM vsql_memory() WHERE holder LIKE 'relational%'"
        ).fetchall()
        assert row == (32 << 20,)
        # One text cannot be spilled, and this one is longer than the limit.
        with pytest.raises(vsql.OperationalError) as caught:
            connection.execute(text)
        assert caught.value.sqlstate == "53200"
        assert connection.execute(groups.format(1_000)).fetchall() == [(1_000,)]
        connection.execute("RESET memory_limit")
        assert connection.execute(groups.format(3_000_000)).fetchall() == [(3_000_000,)]
        assert connection.execute(text).fetchall() == [(38_888_895,)]
