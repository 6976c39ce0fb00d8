"""PEP 249's Connection, with `execute` as a shortcut and `register` for outside data."""

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from vsql.core import sqlstate
from vsql.core.errors import InterfaceError
from vsql.database import Database
from vsql.driver.cursor import Cursor
from vsql.driver.exceptions import Exceptions
from vsql.driver.rows import arrow_table
from vsql.engine import Session

if TYPE_CHECKING:
    from vsql.core.snapshot import Snapshot
    from vsql.executor.context import ProgressReport


def _wake_worker(database: Database) -> None:
    # Imported when the first table changes: who only reads does without.
    from vsql.worker import wake_worker

    wake_worker(database)


def _place(database: object) -> str:
    """Return the folder that an argument of `connect` names; raises InterfaceError (22023)."""
    place = os.fspath(database) if isinstance(database, str | os.PathLike) else None
    if not isinstance(place, str) or not place or "\0" in place:
        raise InterfaceError(
            f"a database is a folder's name, not {database!r}",
            code=sqlstate.INVALID_PARAMETER_VALUE,
            hint='":memory:" is one that is not kept',
        )
    return place


class Connection(Exceptions):
    """One connection. Threads that share it take turns; `interrupt` may come from any."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._closed = False

    @classmethod
    def open(
        cls,
        database: str | os.PathLike[str],
        *,
        autocommit: bool,
        read_only: bool,
        settings: Mapping[str, Any],
    ) -> "Connection":
        """Open a database; raises OperationalError, ProgrammingError, InterfaceError."""
        session = Session.open(
            _place(database), autocommit=autocommit, read_only=read_only, settings=settings
        )
        if not read_only:
            session.after_commit = _wake_worker
        return cls(session)

    def cursor(self) -> Cursor:
        """Return a new cursor; raises InterfaceError on a closed connection."""
        self._open_session()
        return Cursor(self, self._open_session)

    def execute(self, operation: str, parameters: Any = ()) -> Cursor:
        """Return a new cursor that has run the statement."""
        return self.cursor().execute(operation, parameters)

    def executemany(self, operation: str, parameter_sets: Sequence[Any]) -> Cursor:
        """Return a new cursor that has run the statement for each set of parameters."""
        return self.cursor().executemany(operation, parameter_sets)

    def commit(self) -> None:
        """Make the transaction's changes lasting; raises OperationalError (40001)."""
        self._open_session().commit()

    def rollback(self) -> None:
        """Forget the transaction's changes."""
        self._open_session().rollback()

    def close(self) -> None:
        """Close it; what is not committed is lost. Raises InterfaceError when closed already."""
        self._open_session().close()
        self._closed = True

    def interrupt(self) -> None:
        """Cancel the running statement, from any thread; nothing where none runs."""
        self._session.interrupt()

    def register(self, name: str, data: Any) -> None:
        """Make an Arrow table, record batch reader or data frame readable by SQL under a name.

        Raises InterfaceError for what is no table, DataError (0A000) for a type that SQL has not.
        """
        if not isinstance(name, str):
            raise InterfaceError(
                f"a name is text, not {name!r}", code=sqlstate.INVALID_PARAMETER_VALUE
            )
        self._open_session().register(name.lower(), arrow_table(data))

    def unregister(self, name: str) -> None:
        """Forget a registered name."""
        self._open_session().unregister(name.lower())

    def snapshot(self) -> "Snapshot":
        """Return tables, indexes, views and schemas as the next statement would see them."""
        return self._open_session().seen()

    def parse_filter(self, text: str) -> str:
        """Return the SQL condition that a filter in Milvus's language states.

        Its `{name}`s become parameters `:name`. Raises ProgrammingError, NotSupportedError.
        """
        self._open_session()
        from vsql.grammar.filter import filter_to_sql

        return filter_to_sql(text)

    @property
    def autocommit(self) -> bool:
        """Whether every statement commits itself."""
        return self._session.autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        session = self._open_session()
        if value and session.in_transaction:
            session.commit()
        session.autocommit = bool(value)

    @property
    def progress(self) -> "ProgressReport | None":
        """Called with a label and the fraction done while COPY and CREATE INDEX run."""
        return self._session.progress

    @progress.setter
    def progress(self, report: "ProgressReport | None") -> None:
        self._session.progress = report

    @property
    def closed(self) -> bool:
        return self._closed

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._closed:
            return
        if kind is None:
            self.commit()
        else:
            self.rollback()
        self.close()

    def _open_session(self) -> Session:
        if self._closed:
            raise InterfaceError("the connection is closed")
        # Told at the fork: to ask who this process is takes longer than all other checks here.
        if self._session.database.is_parents:
            raise InterfaceError(
                "the connection belongs to the process that opened it",
                code=sqlstate.CONNECTION_DOES_NOT_EXIST,
                hint="after a fork, connect again in the child",
            )
        return self._session
