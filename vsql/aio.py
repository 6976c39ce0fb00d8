"""asyncio's way in: `vsql.aio.connect`, with the driver's methods made awaitable.

>>> import asyncio, vsql.aio
>>> async def answer() -> object:
...     async with vsql.aio.connect(":memory:") as connection:
...         cursor = await connection.execute("SELECT 6 * 7")
...         return await cursor.fetchone()
>>> asyncio.run(answer())
(42,)

Every connection has a thread, which runs its calls in turn; the event loop never waits for a
statement. A task that is cancelled, or times out, interrupts its statement, and goes on when that
has ended.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from vsql import connect as _connect
from vsql.core import errors
from vsql.driver.exceptions import Exceptions

if TYPE_CHECKING:
    from vsql.core.snapshot import Snapshot
    from vsql.core.types import SqlType
    from vsql.driver.connection import Connection
    from vsql.driver.cursor import Cursor, Description

_P = ParamSpec("_P")
_T = TypeVar("_T")
# How often a cancelled statement is interrupted: it may not have begun when the first one comes.
_INTERRUPT_EVERY_S = 0.02
# A result this short becomes tuples in its statement's turn: fetching then needs no second one,
# which costs as much as making these.
_SHORT_ROWS = 256


class _Thread:
    """Runs calls in turn, in a thread of its own."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="vsql-aio")
        self._turn = threading.Lock()
        self._running: object = None

    def submit(self, call: Callable[[], _T], name: object = None) -> "Future[_T]":
        """Run a call, not waiting for it; raises InterfaceError once stopped."""

        def in_turn() -> _T:
            with self._turn:
                self._running = name
            try:
                return call()
            finally:
                with self._turn:
                    self._running = None

        try:
            return self._executor.submit(in_turn)
        except RuntimeError:
            raise errors.InterfaceError("the connection is closed") from None

    async def run(self, call: Callable[[], _T], interrupt: Callable[[], None] | None = None) -> _T:
        """Run a call. Where the task is cancelled, the call is interrupted and waited for."""
        name = object()
        running = self.submit(call, name)
        waiting = asyncio.wrap_future(running)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if running.cancel():
                raise
            while not waiting.done():
                with self._turn:
                    # Never another task's statement, which may have its turn by now.
                    if interrupt is not None and self._running is name:
                        interrupt()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({waiting}, timeout=_INTERRUPT_EVERY_S)
            # Looked at, so that asyncio does not report it as forgotten.
            waiting.exception()
            raise

    def stop(self) -> None:
        """Take no more calls; those that wait are run."""
        self._executor.shutdown(wait=False)


def _interrupt_until(ended: "Future[None]", interrupt: Callable[[], None]) -> None:
    """Interrupt what runs, again and again: it may not have begun when the first one comes."""
    while not ended.done():
        interrupt()
        wait((ended,), _INTERRUPT_EVERY_S)


class AsyncCursor:
    """The driver's Cursor with awaitable methods; `async for` gives its rows."""

    def __init__(self, connection: "AsyncConnection", cursor: "Cursor", thread: _Thread) -> None:
        self.connection = connection
        self._cursor = cursor
        self._thread = thread
        # Whether the rows are tuples, so that a fetch is too short to leave the event loop for.
        self._has_rows = False

    async def execute(self, operation: str, parameters: Any = ()) -> "AsyncCursor":
        """Run one statement; raises vsql's errors. Returns the cursor itself."""
        self._has_rows = await self._statement(self._execute, operation, parameters)
        return self

    async def executemany(self, operation: str, parameter_sets: Sequence[Any]) -> "AsyncCursor":
        """Run a statement for each set of parameters; an INSERT is one batch."""
        await self._statement(self._cursor.executemany, operation, parameter_sets)
        return self

    async def callproc(self, procname: str, parameters: Sequence[Any] = ()) -> Sequence[Any]:
        """Call a function; its value is the result set. Returns the parameters as they are."""
        return await self._statement(self._cursor.callproc, procname, parameters)

    async def adbc_ingest(
        self,
        table_name: str,
        data: Any,
        mode: Literal["append", "create", "replace", "create_append"] = "create",
        *,
        db_schema_name: str | None = None,
        temporary: bool = False,
    ) -> int:
        """Load Arrow data into a table, as the driver does; returns the number of rows."""
        load = self._cursor.adbc_ingest
        return await self._statement(
            load, table_name, data, mode, db_schema_name=db_schema_name, temporary=temporary
        )

    async def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None."""
        return await self._fetch(self._cursor.fetchone)

    async def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """Return the next `size` rows, `arraysize` by default."""
        return await self._fetch(self._cursor.fetchmany, size)

    async def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows that are left."""
        return await self._fetch(self._cursor.fetchall)

    async def fetch_arrow_table(self) -> Any:
        """Return the rows that are left as an Arrow table."""
        return await self._thread.run(self._cursor.fetch_arrow_table)

    async def fetch_record_batch(self, rows_per_batch: int = 65_536) -> Any:
        """Return the rows that are left as a reader of Arrow record batches."""
        return await self._thread.run(partial(self._cursor.fetch_record_batch, rows_per_batch))

    async def fetch_df(self) -> Any:
        """Return the rows that are left as a pandas data frame."""
        return await self._thread.run(self._cursor.fetch_df)

    async def fetch_polars(self) -> Any:
        """Return the rows that are left as a polars data frame."""
        return await self._thread.run(self._cursor.fetch_polars)

    async def fetch_numpy(self) -> dict[str, Any]:
        """Return the rows that are left as numpy arrays by column name."""
        return await self._thread.run(self._cursor.fetch_numpy)

    async def scroll(self, value: int, mode: str = "relative") -> None:
        """Move to another row; raises IndexError beyond the rows."""
        await self._fetch(self._cursor.scroll, value, mode)

    async def nextset(self) -> None:
        """Return None: a statement has one result."""
        self._cursor.nextset()

    async def setinputsizes(self, sizes: Any) -> None:
        """Do nothing, as PEP 249 allows."""

    async def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Do nothing, as PEP 249 allows."""

    async def close(self) -> None:
        """Close it; raises InterfaceError when closed already."""
        self._cursor.close()

    @property
    def description(self) -> "tuple[Description, ...] | None":
        return self._cursor.description

    def column_types(self) -> "list[tuple[str, SqlType]]":
        """Return name and type of each column of the result."""
        return self._cursor.column_types()

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def rownumber(self) -> int | None:
        return self._cursor.rownumber

    @property
    def lastrowid(self) -> None:
        return self._cursor.lastrowid

    @property
    def statusmessage(self) -> str:
        return self._cursor.statusmessage

    @property
    def arraysize(self) -> int:
        return self._cursor.arraysize

    @arraysize.setter
    def arraysize(self, value: int) -> None:
        self._cursor.arraysize = value

    def __aiter__(self) -> AsyncIterator[tuple[Any, ...]]:
        return self

    async def __anext__(self) -> tuple[Any, ...]:
        row = await self.fetchone()
        if row is None:
            raise StopAsyncIteration
        return row

    async def __aenter__(self) -> "AsyncCursor":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cursor.__exit__(kind, error, trace)

    def _execute(self, operation: str, parameters: Any) -> bool:
        """Return whether the rows are tuples."""
        self._cursor.execute(operation, parameters)
        if self._cursor.rownumber is None or self._cursor.rowcount > _SHORT_ROWS:
            return False
        self._cursor.scroll(0)
        return True

    async def _statement(
        self, call: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs
    ) -> _T:
        self._has_rows = False
        return await self._thread.run(partial(call, *arguments, **named), self.connection.interrupt)

    async def _fetch(self, call: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        if self._has_rows:
            return call(*arguments, **named)
        found = await self._thread.run(partial(call, *arguments, **named))
        self._has_rows = True
        return found


class AsyncConnection(Exceptions):
    """The driver's Connection with awaitable methods; tasks that share it take turns."""

    def __init__(self, connection: "Connection", thread: _Thread) -> None:
        self._connection = connection
        self._thread = thread

    def cursor(self) -> AsyncCursor:
        """Return a new cursor; raises InterfaceError on a closed connection."""
        return AsyncCursor(self, self._connection.cursor(), self._thread)

    async def execute(self, operation: str, parameters: Any = ()) -> AsyncCursor:
        """Return a new cursor that has run the statement."""
        return await self.cursor().execute(operation, parameters)

    async def executemany(self, operation: str, parameter_sets: Sequence[Any]) -> AsyncCursor:
        """Return a new cursor that has run the statement for each set of parameters."""
        return await self.cursor().executemany(operation, parameter_sets)

    async def commit(self) -> None:
        """Make the transaction's changes lasting; raises OperationalError (40001)."""
        await self._thread.run(self._connection.commit)

    async def rollback(self) -> None:
        """Forget the transaction's changes."""
        await self._thread.run(self._connection.rollback)

    async def close(self) -> None:
        """Close it; what is not committed is lost. Raises InterfaceError when closed already."""
        try:
            await self._thread.run(self._connection.close)
        finally:
            self._thread.stop()

    def terminate(self) -> None:
        """Interrupt what runs and close, not waiting for either."""
        if not self._connection.closed:
            closing = self._thread.submit(self._connection.close)
            until = threading.Thread(
                target=_interrupt_until, args=(closing, self._connection.interrupt), daemon=True
            )
            until.start()
        self._thread.stop()

    def interrupt(self) -> None:
        """Cancel the running statement, whichever task waits for it."""
        self._connection.interrupt()

    async def register(self, name: str, data: Any) -> None:
        """Make an Arrow table, record batch reader or data frame readable by SQL under a name."""
        await self._thread.run(partial(self._connection.register, name, data))

    async def unregister(self, name: str) -> None:
        """Forget a registered name."""
        await self._thread.run(partial(self._connection.unregister, name))

    async def snapshot(self) -> "Snapshot":
        """Return tables, indexes, views and schemas as the next statement would see them."""
        return await self._thread.run(self._connection.snapshot)

    def parse_filter(self, text: str) -> str:
        """Return the SQL condition that a filter in Milvus's language states."""
        return self._connection.parse_filter(text)

    @property
    def autocommit(self) -> bool:
        """Whether every statement commits itself; `set_autocommit` changes it."""
        return self._connection.autocommit

    async def set_autocommit(self, value: bool) -> None:
        """Change `autocommit`; what is open is committed where it becomes true."""
        await self._thread.run(partial(setattr, self._connection, "autocommit", value))

    @property
    def closed(self) -> bool:
        return self._connection.closed

    async def __aenter__(self) -> "AsyncConnection":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._thread.run(partial(self._connection.__exit__, kind, error, trace))
        finally:
            self._thread.stop()


class _Connecting:
    """What `connect` returns: awaited, a connection; in `async with`, one that is closed after."""

    def __init__(self, database: str | os.PathLike[str], options: dict[str, Any]) -> None:
        self._database = database
        self._options = options
        self._connection: AsyncConnection | None = None

    def __await__(self) -> Generator[Any, None, AsyncConnection]:
        return self._open().__await__()

    async def _open(self) -> AsyncConnection:
        thread = _Thread()
        opened: list[Connection] = []
        try:
            await thread.run(lambda: opened.append(_connect(self._database, **self._options)))
        except BaseException:
            if opened:
                # The task was cancelled while it opened: nobody else will close it.
                thread.submit(opened[0].close)
            thread.stop()
            raise
        return AsyncConnection(opened[0], thread)

    async def __aenter__(self) -> AsyncConnection:
        self._connection = await self._open()
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._connection is not None
        await self._connection.__aexit__(kind, error, trace)


def connect(
    database: str | os.PathLike[str] = ":memory:",
    *,
    autocommit: bool = False,
    read_only: bool = False,
    **settings: Any,
) -> _Connecting:
    """Open a database as `vsql.connect` does: `await connect(…)` or `async with connect(…)`."""
    return _Connecting(database, {"autocommit": autocommit, "read_only": read_only, **settings})
