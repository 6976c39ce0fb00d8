"""`vsql.aio`: what the driver does, awaited; and what only tasks can do to it."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import vsql
import vsql.aio

# It would count for hours: only an interrupt ends it.
ENDLESS = "SELECT count(*) FROM range(100000000000) a"


def _filled(body: Callable[[vsql.aio.AsyncConnection], Coroutine[Any, Any, None]]) -> None:
    """Run a test's body over a table of two rows."""

    async def run() -> None:
        async with vsql.aio.connect(":memory:") as connection:
            await connection.execute("CREATE TABLE t (id INT PRIMARY KEY, name TEXT, e VECTOR(2))")
            await connection.execute("INSERT INTO t VALUES (1, 'a', '[1,0]'), (2, 'b', '[0,1]')")
            await connection.commit()
            await body(connection)

    asyncio.run(run())


async def _count(connection: vsql.aio.AsyncConnection) -> Any:
    cursor = await connection.execute("SELECT count(*) FROM t")
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


def test_fetching() -> None:
    async def body(connection: vsql.aio.AsyncConnection) -> None:
        cursor = connection.cursor()
        assert await cursor.execute("SELECT id, name FROM t ORDER BY id") is cursor
        assert cursor.description is not None
        assert [column[0] for column in cursor.description] == ["id", "name"]
        assert (cursor.rowcount, cursor.rownumber, cursor.statusmessage) == (2, 0, "SELECT 2")
        assert await cursor.fetchone() == (1, "a")
        await cursor.scroll(0, "absolute")
        assert await cursor.fetchmany() == [(1, "a")]
        cursor.arraysize = 5
        assert await cursor.fetchmany() == [(2, "b")]
        assert await cursor.fetchone() is None
        with pytest.raises(IndexError):
            await cursor.scroll(9)
        nearest = await connection.execute("SELECT id FROM t ORDER BY e <-> ? LIMIT 1", ([0, 1],))
        assert await nearest.fetchall() == [(2,)]
        assert await cursor.nextset() is None
        await cursor.callproc("upper", ("x",))
        assert await cursor.fetchall() == [("X",)]

    _filled(body)


def test_a_cursor_is_an_asynchronous_iterator() -> None:
    async def body(connection: vsql.aio.AsyncConnection) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT id FROM t ORDER BY id")
            assert [row async for row in cursor] == [(1,), (2,)]
            await cursor.execute("SELECT name FROM t ORDER BY id DESC")
            assert [row async for row in cursor] == [("b",), ("a",)]
        with pytest.raises(vsql.InterfaceError, match="cursor is closed"):
            await cursor.execute("SELECT 1")

    _filled(body)


def test_bulk_in_and_out() -> None:
    async def body(connection: vsql.aio.AsyncConnection) -> None:
        await connection.executemany("INSERT INTO t (id) VALUES (?)", [(n,) for n in range(3, 103)])
        assert await _count(connection) == 102
        cursor = connection.cursor()
        assert await cursor.adbc_ingest("loaded", pa.table({"a": [1, 2, 3]})) == 3
        await connection.execute("CREATE SCHEMA s")
        given = pa.table({"a": [1, 2]})
        assert await cursor.adbc_ingest("loaded", given, db_schema_name="s") == 2
        assert await (await connection.execute("SELECT * FROM s.loaded")).fetchall() == [(1,), (2,)]
        found = await connection.execute("SELECT a FROM loaded ORDER BY a")
        assert (await found.fetch_arrow_table())["a"].to_pylist() == [1, 2, 3]
        found = await connection.execute("SELECT a FROM loaded ORDER BY a")
        assert (await found.fetch_record_batch(2)).read_next_batch().num_rows == 2
        found = await connection.execute("SELECT a FROM loaded ORDER BY a")
        assert (await found.fetch_df())["a"].tolist() == [1, 2, 3]
        found = await connection.execute("SELECT a FROM loaded ORDER BY a")
        assert (await found.fetch_polars())["a"].to_list() == [1, 2, 3]
        found = await connection.execute("SELECT a FROM loaded ORDER BY a")
        assert (await found.fetch_numpy())["a"].tolist() == [1, 2, 3]
        await connection.register("outside", pa.table({"a": [7]}))
        found = await connection.execute("SELECT a FROM outside")
        assert await found.fetchone() == (7,)
        await connection.unregister("outside")
        with pytest.raises(vsql.ProgrammingError):
            await connection.execute("SELECT a FROM outside")
        assert {"t", "loaded"} <= set((await connection.snapshot()).tables)

    _filled(body)


def test_transactions(tmp_path: Path) -> None:
    async def run() -> None:
        place = str(tmp_path / "db")
        async with vsql.aio.connect(place) as connection:
            await connection.execute("CREATE TABLE t (id INT)")
            await connection.commit()
            await connection.execute("INSERT INTO t VALUES (1)")
            await connection.rollback()
            assert await _count(connection) == 0
            await connection.execute("INSERT INTO t VALUES (2)")
        with pytest.raises(ValueError, match="on purpose"):
            async with vsql.aio.connect(place) as connection:
                await connection.execute("INSERT INTO t VALUES (3)")
                raise ValueError("on purpose")
        connection = await vsql.aio.connect(place)
        assert await _count(connection) == 1
        await connection.rollback()
        assert connection.autocommit is False
        await connection.set_autocommit(True)
        await connection.execute("INSERT INTO t VALUES (4)")
        await connection.close()
        async with vsql.aio.connect(place, read_only=True) as connection:
            assert await _count(connection) == 2
            with pytest.raises(vsql.Error):
                await connection.execute("INSERT INTO t VALUES (5)")

    asyncio.run(run())


def test_the_event_loop_goes_on_while_a_statement_runs() -> None:
    async def body(connection: vsql.aio.AsyncConnection) -> None:
        statement = asyncio.create_task(connection.execute(ENDLESS))
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert not statement.done()
        connection.interrupt()
        with pytest.raises(vsql.OperationalError) as caught:
            await statement
        assert caught.value.sqlstate == "57014"

    _filled(body)


@pytest.mark.parametrize("after_s", [0, 0.001, 0.2])
def test_a_cancelled_task_ends_its_statement(after_s: float) -> None:
    async def body(connection: vsql.aio.AsyncConnection) -> None:
        statement = asyncio.create_task(connection.execute(ENDLESS))
        await asyncio.sleep(after_s)
        statement.cancel()
        with pytest.raises(asyncio.CancelledError):
            await statement
        assert await _count(connection) == 2

    _filled(body)


def test_a_timeout_ends_a_statement() -> None:
    async def body(connection: vsql.aio.AsyncConnection) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await connection.execute(ENDLESS)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.execute(ENDLESS), 0.1)
        assert await _count(connection) == 2

    _filled(body)


def test_a_statement_that_waits_for_its_turn_never_runs_once_cancelled() -> None:
    async def body(connection: vsql.aio.AsyncConnection) -> None:
        first = asyncio.create_task(connection.execute(ENDLESS))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(connection.execute("DELETE FROM t"))
        await asyncio.sleep(0.05)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        # The other task's statement was left alone.
        assert not first.done()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await _count(connection) == 2

    _filled(body)


def test_a_commit_that_has_begun_is_not_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a commit is none: the task ends when it is done."""

    async def run() -> None:
        place = str(tmp_path / "db")
        async with vsql.aio.connect(place) as connection:
            await connection.execute("CREATE TABLE t (id INT)")
            await connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(500)])
            began, goes_on = threading.Event(), threading.Event()
            commit_of_driver = connection._connection.commit

            def slow_commit() -> None:
                began.set()
                assert goes_on.wait(10)
                commit_of_driver()

            monkeypatch.setattr(connection._connection, "commit", slow_commit)
            commit = asyncio.create_task(connection.commit())
            await asyncio.to_thread(began.wait, 10)
            commit.cancel()
            await asyncio.sleep(0.05)
            assert not commit.done()
            goes_on.set()
            with pytest.raises(asyncio.CancelledError):
                await commit
            monkeypatch.undo()
            await connection.rollback()
        async with vsql.aio.connect(place) as connection:
            assert await _count(connection) == 500

    asyncio.run(run())


def test_tasks_share_a_connection() -> None:
    async def body(connection: vsql.aio.AsyncConnection) -> None:
        async def work(first: int) -> None:
            for number in range(first, first + 10):
                await connection.execute("INSERT INTO t (id) VALUES (?)", (number,))
                found = await connection.execute("SELECT id FROM t WHERE id = ?", (number,))
                assert await found.fetchall() == [(number,)]

        await asyncio.gather(*(work(100 * part) for part in range(1, 9)))
        assert await _count(connection) == 82

    _filled(body)


def test_connections_run_side_by_side(tmp_path: Path) -> None:
    """Each has a thread: one that works keeps none from answering."""

    async def run() -> None:
        place = str(tmp_path / "db")
        async with vsql.aio.connect(place) as busy, vsql.aio.connect(place) as other:
            statement = asyncio.create_task(busy.execute(ENDLESS))
            cursor = await other.execute("SELECT 1")
            assert await cursor.fetchone() == (1,)
            assert not statement.done()
            statement.cancel()
            with pytest.raises(asyncio.CancelledError):
                await statement

    asyncio.run(run())


@pytest.mark.parametrize(
    ("statement", "parameters", "kind", "state"),
    [
        ("SELECT nothing FROM t", (), vsql.ProgrammingError, "42703"),
        ("SELECT 1 / 0", (), vsql.DataError, "22012"),
        ("INSERT INTO t (id) VALUES (1)", (), vsql.IntegrityError, "23505"),
        ("SELECT ?", (), vsql.ProgrammingError, "42P02"),
        ("SELEC 1", (), vsql.ProgrammingError, "42601"),
    ],
)
def test_errors_are_the_drivers(
    statement: str, parameters: Any, kind: type[vsql.Error], state: str
) -> None:
    async def body(connection: vsql.aio.AsyncConnection) -> None:
        with pytest.raises(kind) as caught:
            await connection.execute(statement, parameters)
        assert caught.value.sqlstate == state
        assert getattr(connection, kind.__name__) is kind
        await connection.rollback()
        assert await _count(connection) == 2

    _filled(body)


def test_a_closed_connection_says_so() -> None:
    async def run() -> None:
        connection = await vsql.aio.connect(":memory:")
        cursor = connection.cursor()
        await connection.close()
        assert connection.closed
        for call in (
            lambda: connection.execute("SELECT 1"),
            lambda: cursor.execute("SELECT 1"),
            connection.commit,
            connection.close,
        ):
            with pytest.raises(vsql.InterfaceError, match="connection is closed"):
                await call()

    asyncio.run(run())


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    async def run() -> None:
        before = threading.active_count()
        for _ in range(5):
            with pytest.raises(vsql.OperationalError):
                await vsql.aio.connect(str(tmp_path / "missing"), read_only=True)
        _wait_for(lambda: threading.active_count() <= before)

    asyncio.run(run())


def test_terminate_does_not_wait() -> None:
    async def run() -> None:
        connection = await vsql.aio.connect(":memory:")
        statement = asyncio.create_task(connection.execute(ENDLESS))
        await asyncio.sleep(0.1)
        connection.terminate()
        with pytest.raises(vsql.OperationalError):
            await statement
        _wait_for(lambda: connection.closed)
        connection.terminate()

    asyncio.run(run())


def test_a_filter_becomes_sql() -> None:
    async def body(connection: vsql.aio.AsyncConnection) -> None:
        condition = connection.parse_filter('name in ["a", "c"]')
        found = await connection.execute(f"SELECT id FROM t WHERE {condition}")
        assert await found.fetchall() == [(1,)]

    _filled(body)


def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come true in five seconds")
