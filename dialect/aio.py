"""The dialect for `create_async_engine("vsql+aio:///path/to/db")`, over `vsql.aio`.

SQLAlchemy's code is synchronous; in a greenlet it awaits what the adapters here call.
"""

import asyncio
from types import ModuleType
from typing import Any

from sqlalchemy import URL, event, pool
from sqlalchemy.connectors.asyncio import (
    AsyncAdapt_dbapi_connection,
    AsyncAdapt_dbapi_cursor,
    AsyncAdapt_dbapi_module,
    AsyncAdapt_dbapi_ss_cursor,
    AsyncAdapt_terminate,
)
from sqlalchemy.util.concurrency import await_

from vsql.core.snapshot import Snapshot
from vsql.core.types import SqlType
from vsql.dialect.dialect import ExecutionContext, VsqlDialect, in_memory


class AdaptedCursor(AsyncAdapt_dbapi_cursor):
    """An AsyncCursor as SQLAlchemy's synchronous code sees it; it has its rows once it has run."""

    __slots__ = ()

    def column_types(self) -> list[tuple[str, SqlType]]:
        cursor: Any = self._cursor
        found: list[tuple[str, SqlType]] = cursor.column_types()
        return found


class AdaptedStreamingCursor(AsyncAdapt_dbapi_ss_cursor):
    """The same for `stream()`: rows leave the driver as they are asked for."""

    __slots__ = ()


class AdaptedConnection(AsyncAdapt_terminate, AsyncAdapt_dbapi_connection):
    """An AsyncConnection as SQLAlchemy's synchronous code sees it."""

    __slots__ = ()

    _cursor_cls = AdaptedCursor
    _ss_cursor_cls = AdaptedStreamingCursor

    @property
    def closed(self) -> bool:
        return bool(self._connection.closed)

    @property
    def autocommit(self) -> bool:
        return bool(self._connection.autocommit)

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        await_(self._connection.set_autocommit(value))

    def snapshot(self) -> Snapshot:
        """Return what reflection reads, as the driver's connection does."""
        found: Snapshot = await_(self._connection.snapshot())
        return found

    async def _terminate_graceful_close(self) -> None:
        await self._connection.close()

    def _terminate_force_close(self) -> None:
        self._connection.terminate()


class AdaptedModule(AsyncAdapt_dbapi_module):
    """`vsql` as the dialect's DB-API module, with `vsql.aio`'s connections."""

    paramstyle = "qmark"

    def __init__(self, aio: ModuleType, vsql: ModuleType) -> None:
        super().__init__(aio, dbapi_module=vsql)
        for name in vsql.__all__:
            if name not in ("connect", "paramstyle"):
                setattr(self, name, getattr(vsql, name))

    def connect(self, *arguments: Any, **options: Any) -> AdaptedConnection:
        creator = options.pop("async_creator_fn", self.driver.connect)
        return await_(AdaptedConnection.create(self, creator(*arguments, **options)))


class AsyncExecutionContext(ExecutionContext):
    """A statement's run, with a streaming cursor for `stream()`."""

    def create_server_side_cursor(self) -> Any:
        return self._dbapi_connection.cursor(server_side=True)


class AsyncVsqlDialect(VsqlDialect):
    """`vsql+aio:///folder`, `vsql+aio:///:memory:`, `vsql+aio://` (in memory)."""

    driver = "aio"
    is_async = True
    has_terminate = True
    supports_statement_cache = True
    supports_server_side_cursors = True
    execution_ctx_cls = AsyncExecutionContext

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        event.listen(self, "handle_error", _keep_after_cancel)

    @classmethod
    def import_dbapi(cls) -> Any:
        import vsql.aio

        return AdaptedModule(vsql.aio, vsql)

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.StaticPool if in_memory(url) else pool.AsyncAdaptedQueuePool

    def get_driver_connection(self, connection: Any) -> Any:
        return connection._connection

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.terminate()


def _keep_after_cancel(context: Any) -> None:
    """Keep the connection of a cancelled task: its statement has ended, and nothing is half read.

    SQLAlchemy would close it, and with it a database in memory.
    """
    if isinstance(context.original_exception, asyncio.CancelledError):
        context.is_disconnect = False
