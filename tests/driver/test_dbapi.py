"""PEP 249, and what goes beyond it."""

import array
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import vsql
from vsql.driver.connection import Connection


@pytest.fixture
def connection() -> Any:
    connection = vsql.connect(":memory:")
    connection.execute("CREATE TABLE t (id INT PRIMARY KEY, name TEXT, e VECTOR(2))")
    connection.execute("INSERT INTO t VALUES (1, 'a', '[1,0]'), (2, 'b', '[0,1]')")
    connection.commit()
    yield connection
    if not connection.closed:
        connection.close()


def test_module_interface() -> None:
    assert (vsql.apilevel, vsql.paramstyle) == ("2.0", "qmark")
    assert vsql.threadsafety == 2
    for name in ("Error", "DatabaseError", "DataError", "ProgrammingError", "NotSupportedError"):
        assert getattr(Connection, name) is getattr(vsql, name)
    assert issubclass(vsql.IntegrityError, vsql.DatabaseError)


def test_fetching(connection: Any) -> None:
    cursor = connection.cursor()
    assert cursor.execute("SELECT id, name FROM t") is cursor
    assert [column[0] for column in cursor.description] == ["id", "name"]
    assert cursor.description[0][1] == vsql.NUMBER
    assert cursor.description[1][1] == vsql.STRING
    assert cursor.rowcount == 2
    assert cursor.fetchone() == (1, "a")
    assert cursor.fetchmany(5) == [(2, "b")]
    assert cursor.fetchone() is None
    assert cursor.fetchall() == []
    assert list(cursor.execute("SELECT id FROM t")) == [(1,), (2,)]


def test_arrow_numpy_and_pandas(connection: Any) -> None:
    table = connection.execute("SELECT id, e FROM t").fetch_arrow_table()
    assert isinstance(table, pa.Table) and table.num_rows == 2
    columns = connection.execute("SELECT id, e FROM t").fetch_numpy()
    assert columns["e"].shape == (2, 2) and columns["e"].dtype == np.float32
    frame = connection.execute("SELECT id, name FROM t").fetch_df()
    assert frame["name"].tolist() == ["a", "b"]
    connection.register("frame", frame)
    assert connection.execute("SELECT max(id) FROM frame").fetchone() == (2,)


@pytest.mark.parametrize(
    "vector",
    [
        [1.0, 0.0],
        (1, 0),
        np.array([1, 0], np.float32),
        np.array([1, 0], np.float64),
        array.array("f", [1, 0]),
        np.array([1, 0], np.float32).tobytes(),
        "[1, 0]",
        pa.scalar([1.0, 0.0], pa.list_(pa.float32(), 2)),
        pa.scalar([True, False]),
        pa.array([1.0, 0.0]),
    ],
    ids=["list", "tuple", "float32", "float64", "array", "bytes", "text", "arrow", "bools", "part"],
)
def test_vector_parameters(connection: Any, vector: Any) -> None:
    for mark, parameters in (("?", (vector,)), ("$1", (vector,)), (":v", {"v": vector})):
        found = connection.execute(f"SELECT id FROM t ORDER BY e <-> {mark} LIMIT 1", parameters)
        assert found.fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("sql", "parameters", "kind"),
    [
        ("SELECT ?", (), vsql.ProgrammingError),
        ("SELECT ?", (1, 2), vsql.ProgrammingError),
        ("SELECT :a", {"b": 1}, vsql.ProgrammingError),
        ("SELECT :a", (1,), vsql.ProgrammingError),
        ("SELECT ?", "text", vsql.InterfaceError),
        ("SELECT id FROM t ORDER BY e <-> ? LIMIT 1", (object(),), vsql.DataError),
        ("SELECT id FROM t ORDER BY e <-> ? LIMIT 1", ([float("inf"), 0],), vsql.DataError),
        ("SELECT id FROM t ORDER BY e <-> ? LIMIT 1", ([1, 2, 3],), vsql.DataError),
        ("SELECT id FROM t ORDER BY e <-> ? LIMIT 1", (pa.scalar([1.0, None]),), vsql.DataError),
        ("SELECT id FROM t ORDER BY e <-> ? LIMIT 1", (pa.scalar(["a", "b"]),), vsql.DataError),
    ],
)
def test_wrong_parameters(connection: Any, sql: str, parameters: Any, kind: Any) -> None:
    with pytest.raises(kind):
        connection.execute(sql, parameters)


def test_executemany_is_one_batch(connection: Any) -> None:
    rows = [(n, f"n{n}", [n, 1]) for n in range(10, 5010)]
    cursor = connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    assert cursor.rowcount == 5000
    assert connection.execute("SELECT segments FROM (SELECT 1 AS segments) s").fetchone() == (1,)
    assert connection.execute("SHOW TABLES").fetchone()[:3] == ("t", 5002, 2)


def test_transactions(tmp_path: Any) -> None:
    place = str(tmp_path / "db")
    with vsql.connect(place) as one:
        one.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    one, other = vsql.connect(place), vsql.connect(place)
    one.execute("INSERT INTO t VALUES (1)")
    assert one.execute("SELECT count(*) FROM t").fetchone() == (1,)
    assert other.execute("SELECT count(*) FROM t").fetchone() == (0,)
    one.commit()
    assert other.execute("SELECT count(*) FROM t").fetchone() == (0,)
    other.rollback()
    assert other.execute("SELECT count(*) FROM t").fetchone() == (1,)
    one.execute("DELETE FROM t")
    one.rollback()
    assert one.execute("SELECT count(*) FROM t").fetchone() == (1,)
    one.rollback()
    one.execute("INSERT INTO t VALUES (2)")
    other.rollback()
    other.execute("INSERT INTO t VALUES (2)")
    one.commit()
    with pytest.raises(vsql.OperationalError) as caught:
        other.commit()
    assert caught.value.sqlstate == "40001"
    with pytest.raises(vsql.IntegrityError):
        other.execute("INSERT INTO t VALUES (2)")
    one.close()
    other.close()


def test_closed_and_read_only(connection: Any, tmp_path: Any) -> None:
    cursor = connection.cursor()
    connection.close()
    with pytest.raises(vsql.InterfaceError):
        cursor.execute("SELECT 1")
    with pytest.raises(vsql.InterfaceError):
        connection.cursor()
    with pytest.raises(vsql.OperationalError):
        vsql.connect(str(tmp_path / "missing"), read_only=True)
    place = str(tmp_path / "db")
    with vsql.connect(place) as writer:
        writer.execute("CREATE TABLE t (id INT)")
    with vsql.connect(place, read_only=True) as reader, pytest.raises(vsql.OperationalError):
        reader.execute("INSERT INTO t VALUES (1)")


def test_unreadable_databases(tmp_path: Any) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(vsql.OperationalError, match="folder"):
        vsql.connect(str(tmp_path / "file"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "catalog.sqlite").write_bytes(b"no catalog" * 200)
    with pytest.raises(vsql.OperationalError) as caught:
        vsql.connect(str(tmp_path / "broken"))
    assert caught.value.sqlstate == "XX001"
    vsql.connect(str(tmp_path / "newer")).close()
    import sqlite3

    raw = sqlite3.connect(tmp_path / "newer" / "catalog.sqlite")
    raw.execute("UPDATE database_fact SET value = '99' WHERE name = 'format_version'")
    raw.commit()
    raw.close()
    with pytest.raises(vsql.OperationalError, match="newer vsql"):
        vsql.connect(str(tmp_path / "newer"))


def test_second_writer_waits_no_longer_than_told(tmp_path: Any) -> None:
    import sqlite3

    place = tmp_path / "db"
    with vsql.connect(str(place)) as writer:
        writer.execute("CREATE TABLE t (id INT)")
    lock = sqlite3.connect(place / "catalog.sqlite", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    second = vsql.connect(str(place), autocommit=True, busy_timeout_ms=50)
    with pytest.raises(vsql.OperationalError) as caught:
        second.execute("INSERT INTO t VALUES (1)")
    assert caught.value.sqlstate == "55P03"
    lock.execute("ROLLBACK")
    lock.close()
    second.execute("INSERT INTO t VALUES (1)")
    second.close()


def test_nothing_is_interrupted_once_it_is_closed() -> None:
    """Whoever interrupts can't know that another thread has just closed the connection."""
    connection = vsql.connect()
    connection.execute("SELECT sum(x) FROM generate_series(1, 3) AS s(x)").fetchall()
    connection.close()
    connection.interrupt()


def test_interrupt(connection: Any) -> None:
    timer = threading.Timer(0.2, connection.interrupt)
    timer.start()
    with pytest.raises(vsql.OperationalError) as caught:
        connection.execute("SELECT count(*) FROM range(100000000000) a")
    assert caught.value.sqlstate == "57014"
    timer.join()
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_threads_may_share_a_connection(tmp_path: Any) -> None:
    import threading

    failed: list[BaseException] = []
    with vsql.connect(str(tmp_path / "db"), autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, e VECTOR(2))")

        def work(first: int) -> None:
            try:
                for number in range(first, first + 50):
                    connection.execute("INSERT INTO t VALUES (?, ?)", (number, [number, 1]))
                    found = connection.execute("SELECT id FROM t WHERE id = ?", (number,))
                    assert found.fetchall() == [(number,)]
                    query = "SELECT id FROM t ORDER BY e <-> ? LIMIT 1"
                    assert connection.execute(query, ([number, 1],)).fetchone() == (number,)
                    total = connection.execute("SELECT sum(id) FROM t").fetchone()
                    assert total[0] >= number
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(1_000 * n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, failed[0]
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (300,)


WRONG_CALLS: list[Any] = [
    (lambda c: vsql.connect(None), vsql.InterfaceError, "22023"),  # type: ignore[arg-type]  # refused
    (lambda c: vsql.connect(b"x"), vsql.InterfaceError, "22023"),  # type: ignore[arg-type]  # refused
    (lambda c: vsql.connect(""), vsql.InterfaceError, "22023"),
    (lambda c: vsql.connect("a\0b"), vsql.InterfaceError, "22023"),
    (lambda c: vsql.connect(threads=float("inf")), vsql.ProgrammingError, "22023"),
    (lambda c: vsql.connect(threads=2.5), vsql.ProgrammingError, "22023"),
    (lambda c: vsql.connect(timezone=None), vsql.ProgrammingError, "22023"),
    (lambda c: vsql.connect(retention="soon"), vsql.ProgrammingError, "22023"),
    (lambda c: c.execute("SET retention = ''"), vsql.ProgrammingError, "22023"),
    (lambda c: c.execute("SELECT 1").fetchmany(-1), vsql.InterfaceError, "22023"),
    (lambda c: c.execute("SELECT 1").fetchmany("2"), vsql.InterfaceError, "22023"),
    (lambda c: c.execute("SELECT 1").scroll(0.5), vsql.InterfaceError, "22023"),
    (lambda c: c.execute("SELECT 1").fetch_record_batch(0), vsql.InterfaceError, "22023"),
    (lambda c: c.execute("SELECT 1 a, 2 a").fetch_polars(), vsql.NotSupportedError, "0A000"),
    (lambda c: c.cursor().callproc("abs", 5), vsql.InterfaceError, "22023"),
    (lambda c: c.executemany("SELECT 1", 5), vsql.InterfaceError, "22023"),
    (lambda c: c.executemany("SELECT ?", [(1,), (2,)]), vsql.ProgrammingError, "42601"),
    (lambda c: c.executemany("SET threads = 1", [(), ()]), vsql.ProgrammingError, "42601"),
    (lambda c: c.register(5, {"a": [1]}), vsql.InterfaceError, "22023"),
    (lambda c: c.register("x", 5), vsql.InterfaceError, "22023"),
    (lambda c: c.register("x", {"a": [1, "b"]}), vsql.InterfaceError, "22023"),
    (
        lambda c: c.register("x", pa.table([[1], [2]], names=["a", "a"])),
        vsql.ProgrammingError,
        "42701",
    ),
    (
        lambda c: c.register("x", {"a": pa.array([1]).cast(pa.decimal256(50, 2))}),
        vsql.DataError,
        "0A000",
    ),
]


@pytest.mark.parametrize(("call", "kind", "code"), WRONG_CALLS)
def test_wrong_calls(connection: Any, call: Any, kind: Any, code: str) -> None:
    # The second time, what the first one planned is there.
    for _ in range(2):
        with pytest.raises(kind) as caught:
            call(connection)
        assert caught.value.sqlstate == code


def test_interrupting_what_is_closed_does_nothing() -> None:
    connection = vsql.connect(":memory:")
    connection.execute("SELECT 1 + 1").fetchall()
    connection.close()
    connection.interrupt()
    assert connection.closed


@pytest.mark.parametrize(
    ("operation", "row"),
    [
        ("SELECT $1,$2", (3, 4)),
        ("SELECT $1+$2", (7,)),
        ("SELECT ($1)-($2)", (-1,)),
        ("SELECT $1::int,$2::text", (3, "4")),
        ("SELECT $1/*,*/,$2--end", (3, 4)),
        ("SELECT $1, $2 --$", (3, 4)),
        ("SELECT 2<$1,-$2", (True, -4)),
        ("SELECT (ARRAY[5, 6, 7, 8])[$1:$2]", ([7, 8],)),
        ("SELECT $$1,$2$$,$2,$a$$1,$a$,$1", ("1,$2", 4, "$1,", 3)),
        ('SELECT "$1,$2" FROM (SELECT $1,$2) AS t("$1,$2")', (3,)),
    ],
)
def test_numbered_parameters_need_no_spaces(operation: str, row: tuple[Any, ...]) -> None:
    with vsql.connect() as connection:
        assert connection.execute(operation, (3, 4)).fetchall() == [row]


def test_an_error_beside_parameters_is_shown_in_its_place() -> None:
    operation = "SELECT $1,$2,nothing FROM (SELECT $1) AS t(a)"
    with vsql.connect() as connection, pytest.raises(vsql.ProgrammingError) as caught:
        connection.execute(operation, (3, 4))
    line, caret = str(caught.value).splitlines()[1:3]
    assert line[caret.index("^") :].startswith("nothing")


def test_a_refused_statement_prints_nothing() -> None:
    script = "import vsql\ntry: vsql.connect().execute('WITH a AS (SET 3 AS b) DELETE FROM t')\n"
    script += "except vsql.ProgrammingError: pass"
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize(
    "value",
    [
        "DATE '99999-01-01'",
        "TIMESTAMPTZ '0044-03-15 (BC) 00:00:00+00'",
        "ARRAY['infinity'::date]",
    ],
)
def test_dates_that_python_has_not(value: str) -> None:
    with vsql.connect() as connection:
        cursor = connection.execute(f"SELECT {value}")
        with pytest.raises(vsql.DataError, match="beyond what Python") as caught:
            cursor.fetchall()
        assert caught.value.sqlstate == "22008"
        assert connection.execute(f"SELECT {value}").fetch_arrow_table().num_rows == 1
