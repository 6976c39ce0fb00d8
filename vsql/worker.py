"""The background worker: one thread per process and database that seals, compacts and collects.

It works through a session of its own, so that readers never wait for it; its commits are adapted to
what others deleted meanwhile, and given up where they can't be. It runs at a lower priority than
the threads that users wait for.
"""

import atexit
import contextlib
import datetime
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from vsql.core import sqlstate
from vsql.core.changes import Change
from vsql.core.errors import Error
from vsql.core.snapshot import Snapshot, TableSnapshot
from vsql.database import Database
from vsql.engine import Session
from vsql.executor.context import Context
from vsql.executor.interim import INTERIM_ROWS, extend_interim_indexes
from vsql.executor.maintain import (
    Rewrite,
    adapted,
    due_for_rewrite,
    merged_inlined,
    missing_indexes,
    parts_to_merge,
)
from vsql.executor.seal import Moved, is_full, rewrite

_TICK_SECONDS = 1.0
_PAUSE_SECONDS = 0.1
_COLLECT_SECONDS = 600.0
_REMEMBERED = 100
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class Job:
    """One thing that the worker did, or is doing."""

    job: str
    table: str | None
    state: str
    started: datetime.datetime
    seconds: float = 0.0
    message: str | None = None


class Worker:
    """The thread, and what it did last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._jobs: deque[Job] = deque(maxlen=_REMEMBERED)
        self._session: Session | None = None
        self._thread = threading.Thread(target=self._run, name="vsql-worker", daemon=True)

    def start(self) -> None:
        """Start the thread; it ends before the interpreter does, whoever forgot to close."""
        atexit.register(self.stop)
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be work."""
        self._wanted.set()

    def stop(self) -> None:
        """End the thread; what it was building is given up."""
        atexit.unregister(self.stop)
        self._stopping.set()
        self._wanted.set()
        if self._session is not None:
            self._session.interrupt()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def jobs(self) -> list[dict[str, Any]]:
        """Return what it did and does, newest first."""
        return [
            {
                "job": job.job,
                "table_name": job.table,
                "state": job.state,
                "started_at": job.started,
                "seconds": job.seconds,
                "message": job.message,
            }
            for job in reversed(self._jobs)
        ]

    def _run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        collected = time.monotonic()
        while not self._stopping.is_set():
            self._wanted.wait(_TICK_SECONDS)
            woken = self._wanted.is_set()
            # A burst of commits is one piece of work.
            self._stopping.wait(_PAUSE_SECONDS if woken else 0)
            self._wanted.clear()
            if self._stopping.is_set():
                break
            with contextlib.suppress(Error):
                session = self._opened()
                if woken:
                    self._maintain(session)
                self._database.refresh(session.newest_version())
                if time.monotonic() - collected > _COLLECT_SECONDS:
                    collected = time.monotonic()
                    self._job("collect", None, session.collect)
        if self._session is not None:
            self._session.close_quietly()

    def _opened(self) -> Session:
        if self._session is None:
            self._session = Session.beside(self._database)
        return self._session

    def _maintain(self, session: Session) -> None:
        """Do all that is due, table by table, one commit at a time."""
        for table_id in [t.table.id for t in session.newest().tables.values()]:
            for word, plan in _STEPS:
                while not self._stopping.is_set() and self._step(session, table_id, word, plan):
                    pass

    def _step(self, session: Session, table_id: int, word: str, plan: "Plan") -> bool:
        """Do one rewrite where one is due; returns whether there may be more of it."""
        with session.statement() as context:
            table = next(
                (t for t in context.snapshot.tables.values() if t.table.id == table_id), None
            )
            if table is None or not plan.is_due(table, context):
                return False
            done = self._job(word, table.table.name, lambda: _commit(session, table, plan, context))
            return done and plan.repeats

    def _job(self, word: str, table: str | None, work: Callable[[], object]) -> bool:
        started = time.perf_counter()
        job = Job(word, table, "running", datetime.datetime.now(datetime.UTC))
        self._jobs.append(job)
        state, message = "done", None
        try:
            work()
        except Error as error:
            gave_up = error.sqlstate in (sqlstate.SERIALIZATION_FAILURE, sqlstate.QUERY_CANCELED)
            state, message = ("given up" if gave_up else "failed"), error.message
        finished = replace(job, state=state, seconds=time.perf_counter() - started, message=message)
        self._jobs[self._jobs.index(job)] = finished
        return state == "done"


@dataclass(frozen=True, slots=True)
class Plan:
    """One kind of work: whether a table is due for it, and the changes that do it."""

    is_due: Callable[[TableSnapshot, Context], bool]
    work: Callable[[TableSnapshot, Context], Rewrite | None]
    repeats: bool = False


def _commit(session: Session, table: TableSnapshot, plan: Plan, context: Context) -> None:
    found = plan.work(table, context)
    if found is None:
        return
    changes, moved = found

    def adapt(newest: Snapshot) -> tuple[Change, ...]:
        return adapted(changes, moved, table, newest)

    session.commit_rewrite(changes, adapt, context)


def _seal(table: TableSnapshot, context: Context) -> Rewrite:
    return rewrite(table, table.inlined, context)


def _first_group(table: TableSnapshot, context: Context) -> Iterator[Any]:
    return due_for_rewrite(table, context.settings["segment_rows"], full=False, eager=False)


def _compact(table: TableSnapshot, context: Context) -> Rewrite | None:
    group = next(_first_group(table, context), None)
    return None if group is None else rewrite(table, group, context)


def _complete(table: TableSnapshot, context: Context) -> Rewrite | None:
    changes = missing_indexes(table, context)
    return (changes, Moved((), ())) if changes else None


def _may_lag(table: TableSnapshot, context: Context) -> bool:
    rows = sum(segment.row_count for segment in table.inlined)
    return rows >= INTERIM_ROWS and any(i.metric is not None for i in table.indexes)


def _extend(table: TableSnapshot, context: Context) -> None:
    extend_interim_indexes(table, context, threads=1)


def _lacks_index(table: TableSnapshot, context: Context) -> bool:
    # A segment with fewer files than another lacks some, or has all that its kind needs.
    counts = {len(segment.index_files) for segment in table.sealed}
    return len(counts) > 1


_STEPS = (
    (
        "merge inlined",
        Plan(
            lambda table, context: bool(parts_to_merge(table)),
            merged_inlined,
        ),
    ),
    ("extend interim index", Plan(_may_lag, _extend)),
    ("seal", Plan(lambda table, context: is_full(table, context.settings), _seal)),
    (
        "compact",
        Plan(
            lambda table, context: next(_first_group(table, context), None) is not None,
            _compact,
            repeats=True,
        ),
    ),
    ("build index", Plan(_lacks_index, _complete)),
)


def wake_worker(database: Database) -> None:
    """Say that a table changed; the worker is started when this happens first."""
    with database.lock:
        if database.worker is None:
            database.worker = Worker(database)
            database.worker.start()
    database.worker.wake()
