"""Damaged, truncated and missing files, failing writes, older and newer formats."""

import errno
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import vsql
from vsql.catalog.layout import FORMAT_VERSION

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture
def place(tmp_path: Any) -> Path:
    place: Path = tmp_path / "db"
    with vsql.connect(str(place), autocommit=True, seal_rows=50, background="off") as connection:
        for name in ("t", "other"):
            connection.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, e VECTOR(8))")
            rows = [(i, [i, 1, 0, 0, 0, 0, 0, i % 3]) for i in range(300)]
            connection.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)
            connection.execute(f"CREATE INDEX {name}_e ON {name} USING HNSW (e vector_l2_ops)")
    return place


def table_folder(place: Path, kind: str, name: str) -> Path:
    catalog = sqlite3.connect(place / "catalog.sqlite")
    (number,) = catalog.execute("SELECT id FROM table_ WHERE name = ?", (name,)).fetchone()
    catalog.close()
    return place / kind / f"{number:016x}"


def damage(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "empty":
        path.write_bytes(b"")
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(bytes(data))


NEAREST = "SELECT id FROM t ORDER BY e <-> '[150,1,0,0,0,0,0,0]' LIMIT 3"


@pytest.mark.parametrize("how", ["missing", "truncated", "empty"])
@pytest.mark.parametrize("ending", [".hnsw", ".stl_sort"])
def test_a_damaged_index_is_built_anew(place: Path, how: str, ending: str) -> None:
    for path in table_folder(place, "indexes", "t").rglob(f"*{ending}"):
        damage(path, how)
    with vsql.connect(str(place), autocommit=True) as connection:
        connection.execute("SET access_path = index")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            nearest = connection.execute(NEAREST).fetchall()
            assert connection.execute("SELECT id FROM t WHERE id = 150").fetchall() == [(150,)]
        assert nearest[0] == (150,)
        assert any("built anew" in str(warning.message) for warning in caught)
        with pytest.raises(vsql.IntegrityError):
            connection.execute("INSERT INTO t (id) VALUES (150)")
        connection.execute("CHECK DATABASE")
        assert connection.execute("CHECK DATABASE").fetchall() == []


@pytest.mark.parametrize("how", ["missing", "truncated", "empty", "flipped"])
def test_check_finds_what_is_damaged(place: Path, how: str) -> None:
    (index,) = table_folder(place, "indexes", "t").rglob("*.hnsw")
    damage(index, how)
    with vsql.connect(str(place), autocommit=True) as connection:
        rows = connection.execute("CHECK DATABASE").fetchall()
        assert [(row[0], row[3]) for row in rows] == [("t", "built anew")]
        assert index.name in rows[0][1]
    with vsql.connect(str(place), autocommit=True) as connection:
        assert connection.execute("CHECK DATABASE").fetchall() == []
        assert connection.execute(NEAREST).fetchone() == (150,)


@pytest.mark.parametrize("how", ["missing", "truncated", "empty"])
def test_a_damaged_segment_says_what_is_lost(place: Path, how: str) -> None:
    (segment,) = table_folder(place, "segments", "t").rglob("*.arrow")
    damage(segment, how)
    with vsql.connect(str(place), autocommit=True) as connection:
        with pytest.raises(vsql.OperationalError) as caught:
            connection.execute("SELECT id FROM t WHERE id > 3")
        assert segment.name in str(caught.value)
        assert "300 rows" in str(caught.value)
        assert caught.value.sqlstate in ("58P01", "XX001")
        assert connection.execute("SELECT count(*) FROM other WHERE id > 3").fetchone() == (296,)
        ((table, file, _, remedy),) = connection.execute("CHECK DATABASE").fetchall()
        assert (table, remedy) == ("t", "restore a backup")
        assert segment.name in file
        connection.execute("DROP TABLE t")
        assert connection.execute("CHECK DATABASE").fetchall() == []


def test_a_flipped_bit_of_a_segment_is_found(place: Path) -> None:
    (segment,) = table_folder(place, "segments", "t").rglob("*.arrow")
    damage(segment, "flipped")
    with vsql.connect(str(place), autocommit=True) as connection:
        ((table, _, problem, _),) = connection.execute("CHECK DATABASE").fetchall()
        assert (table, problem) == ("t", "does not match its checksum")


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_sync_that_fails_loses_nothing(
    place: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vsql.connect(str(place), autocommit=True, seal_rows=50, background="off") as connection:
        rows = [(i, [0] * 8) for i in range(1_000, 1_100)]
        connection.execute("DELETE FROM t WHERE id < 100")

        def fail(_: int) -> None:
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fail)
            for statement, sets in (
                ("INSERT INTO t VALUES (?, ?)", rows),
                ("UPSERT INTO t VALUES (?, ?)", rows),
                ("OPTIMIZE TABLE t FULL", [()]),
                ("OPTIMIZE TABLE t FULL", [()]),
                ("CREATE INDEX again ON t USING HNSW (e vector_cosine_ops)", [()]),
            ):
                with pytest.raises(vsql.OperationalError) as caught:
                    connection.executemany(statement, sets)
                expected = "53100" if code == errno.ENOSPC else "58030"
                assert caught.value.sqlstate == expected
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (200,)
        assert not list(place.rglob("*.partial"))
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (300,)
        assert connection.execute("CHECK DATABASE").fetchall() == []


FULL = """
import sys, signal, resource, vsql
connection = vsql.connect(sys.argv[1], autocommit=True, seal_rows=500, background="off")
connection.execute("CREATE TABLE big (id INT PRIMARY KEY, e VECTOR(64))")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
refused = 0
for turn in range(12):
    rows = [(turn * 2000 + i, [1.0] * 64) for i in range(400 if turn % 2 else 2000)]
    try:
        connection.executemany("INSERT INTO big VALUES (?, ?)", rows)
    except vsql.OperationalError as error:
        assert error.sqlstate in ("53100", "58030"), (error.sqlstate, str(error))
        refused += 1
assert refused >= 6, refused
count = connection.execute("SELECT count(*) FROM big").fetchone()[0]
assert len(connection.execute("SELECT id FROM big").fetchall()) == count
print(count)
"""


def test_a_full_disk_refuses_and_loses_nothing(place: Path) -> None:
    assert resource.RLIMIT_FSIZE
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(place)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    with vsql.connect(str(place), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM big").fetchone() == (int(done.stdout),)
        connection.execute("INSERT INTO big VALUES (-1, NULL)")
        assert connection.execute("CHECK DATABASE").fetchall() == []
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (300,)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(place: Path) -> None:
    for path in [place, *place.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with vsql.connect(str(place), read_only=True) as connection:
            assert connection.execute(NEAREST).fetchone() == (150,)
        with pytest.raises(vsql.OperationalError):
            vsql.connect(str(place)).execute("DELETE FROM t")
    finally:
        for path in [place, *place.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_format_1_is_migrated(tmp_path: Any) -> None:
    place = tmp_path / "db"
    shutil.copytree(FIXTURES / "format_1", place)
    with pytest.raises(vsql.OperationalError) as caught:
        vsql.connect(str(place), read_only=True)
    assert caught.value.sqlstate == "0A000"
    for _ in range(2):
        with vsql.connect(str(place), autocommit=True) as connection:
            rows = connection.execute("SELECT id, name, tags FROM items ORDER BY id").fetchall()
            assert rows == [(1, "one", ["a", "b"]), (3, "three", ["c"]), (4, "four", None)]
            nearest = connection.execute("SELECT id FROM items ORDER BY e <-> '[1,0,0]' LIMIT 1")
            assert nearest.fetchone() == (1,)
            assert connection.execute("SELECT body FROM notes").fetchall() == [("hello",)]
            assert connection.execute("SHOW target_recall").fetchone() == ("0.9",)
            assert connection.execute("CHECK DATABASE").fetchall() == []
    with vsql.connect(str(place), autocommit=True) as connection:
        connection.execute("UPSERT INTO items (id, name) VALUES (1, 'uno'), (9, 'nine')")
        connection.execute("ALTER TABLE items ADD COLUMN more INT DEFAULT 2")
        connection.execute("OPTIMIZE TABLE items FULL")
        assert connection.execute("SELECT sum(more) FROM items").fetchone() == (8,)


def test_a_newer_format_is_refused(place: Path) -> None:
    catalog = sqlite3.connect(place / "catalog.sqlite")
    catalog.execute("UPDATE database_fact SET value = ?", (str(FORMAT_VERSION + 1),))
    catalog.commit()
    catalog.close()
    for read_only in (True, False):
        with pytest.raises(vsql.OperationalError) as caught:
            vsql.connect(str(place), read_only=read_only)
        assert caught.value.sqlstate == "0A000"


@pytest.mark.parametrize("function", ["fsync", "open"])
def test_a_commit_whose_sealing_fails_is_a_commit(
    tmp_path: Path, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are acknowledged where they lie; that they could not be moved after is no news."""
    place = str(tmp_path / "db")
    with vsql.connect(place, seal_rows=10, background="off") as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
        connection.commit()
        for start in (0, 6):
            connection.executemany("INSERT INTO t VALUES (?)", [(start + i,) for i in range(6)])
            with monkeypatch.context() as patched:
                patched.setattr(os, function, _no_space)
                connection.commit()
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (12,)
        states = "SELECT DISTINCT state FROM vsql_segments('t')"
        assert connection.execute(states).fetchall() == [("growing",)]
        connection.execute("INSERT INTO t VALUES (99)")
        connection.commit()
        assert connection.execute(states).fetchall() == [("sealed",)]


def _no_space(*_: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
