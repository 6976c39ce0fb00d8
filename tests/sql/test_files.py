"""Files in FROM, and how to forbid them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import vsql
from vsql.driver.connection import Connection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pq.write_table(pa.table({"id": [1, 2, 3], "b": ["x", "y", "z"]}), tmp_path / "f.parquet")
    (tmp_path / "f.csv").write_text("id,b\n1,x\n2,y\n")
    (tmp_path / "f.json").write_text('{"id": 1}\n{"id": 2}\n')
    return tmp_path


@pytest.fixture
def connection() -> Iterator[Connection]:
    with vsql.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, e VECTOR(2))")
        connection.execute("INSERT INTO t VALUES (1, '[1, 0]'), (2, '[0, 1]')")
        connection.commit()
        yield connection


CASES: tuple[tuple[str, list[tuple[Any, ...]]], ...] = (
    ("SELECT * FROM read_parquet('{}/f.parquet') WHERE id > 2", [(3, "z")]),
    ("SELECT count(*) FROM read_parquet(['{0}/f.parquet', '{0}/f.parquet'])", [(6,)]),
    ("SELECT * FROM read_parquet('{}/*.parquet') LIMIT 1", [(1, "x")]),
    ("SELECT b FROM read_csv('{}/f.csv', header => true)", [("x",), ("y",)]),
    ("SELECT q FROM read_csv_auto('{}/f.csv') AS f(p, q)", [("x",), ("y",)]),
    ("SELECT sum(id) FROM read_json('{}/f.json')", [(3,)]),
    ("SELECT length(content) FROM read_text('{}/f.csv')", [(13,)]),
    (
        "SELECT f.b FROM (SELECT id FROM t ORDER BY e <-> '[0, 1]' LIMIT 1) AS s"
        " JOIN read_parquet('{}/f.parquet') AS f USING (id)",
        [("y",)],
    ),
    (
        "SELECT t.id, f.b FROM t, read_parquet('{}/f.parquet') f WHERE f.id = t.id AND t.id = 1",
        [(1, "x")],
    ),
)


@pytest.mark.parametrize(("sql", "rows"), CASES)
def test_files(connection: Connection, folder: Path, sql: str, rows: list[tuple[Any, ...]]) -> None:
    assert connection.execute(sql.format(folder)).fetchall() == rows


def test_a_file_may_fill_a_table(connection: Connection, folder: Path) -> None:
    connection.execute(f"CREATE TABLE u AS SELECT * FROM read_parquet('{folder}/f.parquet')")
    connection.execute(
        "INSERT INTO u SELECT id + 10, b FROM read_parquet(?)", (f"{folder}/f.parquet",)
    )
    assert connection.execute("SELECT sum(id) FROM u").fetchone() == (42,)
    with pytest.raises(vsql.OperationalError) as caught:
        connection.execute(f"SELECT * FROM read_parquet('{folder}/nothing.parquet')")
    assert caught.value.sqlstate == "58P01"


FORBIDDEN = (
    "SELECT * FROM read_parquet('{}/f.parquet')",
    "SELECT * FROM read_csv('{}/f.csv')",
    "SELECT * FROM read_text('{}/f.csv')",
    "SELECT * FROM query('SELECT * FROM read_text(''{}/f.csv'')')",
    "SELECT id FROM t WHERE id IN (SELECT id FROM read_parquet('{}/f.parquet'))",
    "INSERT INTO t (id) SELECT id FROM read_parquet('{}/f.parquet')",
    "CREATE TABLE u AS SELECT * FROM read_parquet('{}/f.parquet')",
    "COPY t FROM '{}/f.parquet'",
    "COPY t TO '{}/out.parquet'",
    "COPY (SELECT 1) TO '{}/out.parquet'",
    "EXPORT DATABASE '{}/out'",
    "IMPORT DATABASE '{}/out'",
    "BACKUP DATABASE TO '{}/out'",
    "SET external_access = on",
    "SET LOCAL external_access = on",
    "RESET external_access",
)


@pytest.mark.parametrize("before", [True, False], ids=["first", "later"])
@pytest.mark.parametrize("statement", FORBIDDEN)
def test_external_access_off(
    connection: Connection, folder: Path, statement: str, before: bool
) -> None:
    if not before:
        assert connection.execute("SELECT sum(id) FROM t").fetchone() == (3,)
    connection.execute("SET external_access = off")
    connection.execute("RESET ALL")
    connection.commit()
    with pytest.raises(vsql.ProgrammingError) as caught:
        connection.execute(statement.format(folder))
    assert caught.value.sqlstate == "42501"
    assert not (folder / "out").exists() and not (folder / "out.parquet").exists()
    assert connection.execute("SELECT sum(id) FROM t").fetchone() == (3,)
    connection.register("outside", pa.table({"n": [1, 2]}))
    assert connection.execute("SELECT sum(n) FROM outside").fetchone() == (3,)


def test_external_access_off_from_the_start(folder: Path) -> None:
    with vsql.connect(":memory:", external_access="off") as connection:
        with pytest.raises(vsql.ProgrammingError, match="external access is off"):
            connection.execute(f"SELECT * FROM read_csv('{folder}/f.csv')")
        assert connection.execute("SHOW external_access").fetchone() == ("off",)


def test_csv_of_bits_and_identifiers(tmp_path: Path) -> None:
    """Columns of bytes are written as the text that SQL reads: BIT(128) and UUID are both 16."""
    path = tmp_path / "t.csv"
    columns = "id INT, u UUID, b BIT(128), s BIT(8), y BYTEA"
    value = "1, '00112233-4455-6677-8899-aabbccddeeff', '" + "10" * 64 + "', '11110000', '\\x00ff'"
    with vsql.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE t ({columns})")
        connection.execute(f"INSERT INTO t VALUES ({value}), (2, NULL, NULL, NULL, NULL)")
        connection.execute(f"COPY t TO '{path}' WITH (FORMAT csv)")
        connection.execute(f"CREATE TABLE back ({columns})")
        connection.execute(f"COPY back FROM '{path}' WITH (FORMAT csv, HEADER true)")
        both = [
            connection.execute(f"SELECT a.* FROM {name} a JOIN t ON t.id = a.id").fetchall()
            for name in ("t", "back")
        ]
        assert sorted(both[0], key=str) == sorted(both[1], key=str)


_LAST_WORDS = """
import atexit, sys, vsql
connection = vsql.connect(autocommit=True)
connection.execute("CREATE TABLE t (id INT, b TEXT)")
def copied():
    connection.execute("COPY t FROM '" + sys.argv[1] + "'")
    print(connection.execute("SELECT count(*) FROM t").fetchall())
atexit.register(copied)
"""


_LAST_ROWS = """
import atexit, vsql
connection = vsql.connect(autocommit=True)
connection.execute("CREATE TABLE t (id INT PRIMARY KEY, j JSON)")
def inserted():
    connection.execute("INSERT INTO t VALUES (?, ?), (5, '{}')", (3, '{"a": 1}'))
    print(connection.execute("SELECT id FROM t WHERE (j->>'a')::int = 1").fetchall())
atexit.register(inserted)
"""


@pytest.mark.parametrize("program", [_LAST_WORDS, _LAST_ROWS])
def test_statements_run_while_the_interpreter_shuts_down(folder: Path, program: str) -> None:
    run = [sys.executable, "-c", program, str(folder / "f.parquet")]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[(3,)]\n", "")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("group_rows", [1_000, 7_000, 100_000])
def test_row_groups_keep_their_order(tmp_path: Path, group_rows: int, threads: int) -> None:
    """Several threads read row groups; rows lie as in the file, their vectors beside them."""
    count = 30_000
    flat = pa.array([float(row % 4_096) for row in range(count) for _ in range(2)], pa.float16())
    rows = pa.table(
        {
            "id": pa.array(range(count)),
            "v": pa.FixedSizeListArray.from_arrays(flat, 2),
            "m": pa.array([f'{{"a": {row}, "b": ["{row}"], "c": {{}}}}' for row in range(count)]),
        }
    )
    pq.write_table(rows, tmp_path / "t.parquet", row_group_size=group_rows)
    with vsql.connect(tmp_path / "db", autocommit=True, threads=threads) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(2), m JSON)")
        connection.execute(f"COPY t FROM '{tmp_path / 't.parquet'}'")
        found = connection.execute(
            "SELECT id, v, (m->>'a')::int AS a, m->'b'->>0 AS b FROM t"
        ).fetch_arrow_table()
    assert found.column("id").to_pylist() == list(range(count))
    assert found.column("a").to_pylist() == list(range(count))
    assert found.column("b").to_pylist() == [str(row) for row in range(count)]
    assert found.column("v").combine_chunks().flatten().equals(flat.cast(pa.float32()))


def test_a_row_group_that_is_damaged_loads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    rows = pa.table({"id": pa.array(range(40_000)), "t": pa.array([str(n) for n in range(40_000)])})
    pq.write_table(rows, path, row_group_size=5_000, compression="zstd")
    damaged = bytearray(path.read_bytes())
    middle = pq.read_metadata(path).row_group(5).column(1).data_page_offset
    damaged[middle : middle + 2_000] = b"\xff" * 2_000
    path.write_bytes(damaged)
    with vsql.connect(tmp_path / "db", autocommit=True, threads=2) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, t TEXT)")
        with pytest.raises(vsql.OperationalError, match="is not a readable parquet file") as caught:
            connection.execute(f"COPY t FROM '{path}'")
        assert caught.value.sqlstate == "22P04"
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
        with pytest.raises(vsql.IntegrityError):
            connection.execute(f"COPY t FROM '{_twice(tmp_path)}'")
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def _twice(folder: Path) -> Path:
    rows = pa.table({"id": pa.array([1, 1] * 20_000), "t": pa.array(["x"] * 40_000)})
    pq.write_table(rows, folder / "twice.parquet", row_group_size=5_000)
    return folder / "twice.parquet"
