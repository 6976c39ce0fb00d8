"""A statement's walk through the rooms: text, tree, plan, rows; and the transaction around it.

`Session.execute` is the whole life of a statement. What a statement does is staged in the session's
transaction, a value; committing writes it to the catalog, rolling back forgets it.
"""

# Arrow imports pandas with the first Python value that it is given, pandas imports this, and while
# the interpreter shuts down it can't be imported: statements run then too.
import concurrent.futures.thread  # noqa: F401  # for pandas, as said above
import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from vsql.catalog.catalog import Catalog
from vsql.core import settings as known_settings
from vsql.core import sqlstate
from vsql.core.durations import microseconds_long
from vsql.core.errors import Error, OperationalError, ProgrammingError
from vsql.core.schema import Column
from vsql.core.snapshot import Snapshot, TableSnapshot
from vsql.core.types import SqlType
from vsql.database import Database, OpenDatabases
from vsql.deadline import Deadline
from vsql.executor.context import Context, ProgressReport, StagedRows
from vsql.executor.fields import incoming, type_of_field
from vsql.executor.interim import extend_interim_indexes
from vsql.executor.moments import microseconds_of, version_number
from vsql.executor.named_objects import NamedObjects
from vsql.executor.result import Result
from vsql.executor.run import prepare, run
from vsql.executor.session_settings import SessionSettings
from vsql.grammar import statements as st
from vsql.grammar.parse import Parsed, split_statements
from vsql.guard import own_errors
from vsql.planner.nodes import Write
from vsql.preparing import Plans, Prepared, Ready, Surroundings
from vsql.transaction import Transaction

if TYPE_CHECKING:
    from vsql.core.changes import Change
    from vsql.executor.garbage import Collected
    from vsql.executor.maintain import Rewrite
    from vsql.executor.portal import Portal
    from vsql.executor.remainder import Relational
    from vsql.grammar.utility_statements import Prepare

_RETRIES = 10

Parameters = dict[str, Any]
Bind = Callable[[Parsed], Sequence[Parameters]]

_OPEN = OpenDatabases()


class Session:
    """One connection's state: its catalog connection, settings, transaction and plans."""

    def __init__(
        self, database: Database, catalog: Catalog, *, autocommit: bool, read_only: bool
    ) -> None:
        self.autocommit = autocommit
        self.read_only = read_only
        self.progress: ProgressReport | None = None
        self.after_commit: Callable[[Database], None] | None = None
        self.database = database
        self.catalog = catalog
        self._resources = database.resources
        self._settings = SessionSettings(self._apply_setting)
        self._outside: dict[str, pa.Table] = {}
        self._outside_columns: dict[str, tuple[Column, ...]] = {}
        self._plans = Plans()
        self._committed = catalog.load()
        self._temporary: Mapping[str, TableSnapshot] = {}
        self._overlaid: tuple[Snapshot, Snapshot] | None = None
        self._staged = StagedRows()
        self._transaction: Transaction | None = None
        self._explicit = False
        self._numbers: dict[int, tuple[int, int]] = {}
        self._statements: NamedObjects[Prepare] = NamedObjects(
            "prepared statement",
            duplicate=sqlstate.DUPLICATE_STATEMENT,
            missing=sqlstate.INVALID_STATEMENT_NAME,
        )
        self._portals: NamedObjects[Portal] = NamedObjects(
            "cursor", duplicate=sqlstate.DUPLICATE_CURSOR, missing=sqlstate.INVALID_CURSOR_NAME
        )
        self._relational: Relational | None = None
        self._interrupted = threading.Event()
        self._lock = threading.RLock()

    @classmethod
    def open(
        cls, database: str, *, autocommit: bool, read_only: bool, settings: Mapping[str, Any]
    ) -> "Session":
        """Open a database directory, or a private one in memory; raises OperationalError."""
        checked = {
            known_settings.canonical(name): known_settings.checked(name, value)
            for name, value in settings.items()
        }
        root = None if database == ":memory:" else Path(database).expanduser()
        timeout = checked.get("busy_timeout_ms", known_settings.DEFAULTS["busy_timeout_ms"])
        catalog = Catalog.open(root, read_only=read_only, busy_timeout_ms=timeout)
        shared = _OPEN.acquire(root, read_only=read_only)
        try:
            session = cls(shared, catalog, autocommit=autocommit, read_only=read_only)
        except BaseException:
            _OPEN.release(shared, _stop_worker)
            catalog.close()
            raise
        session._settings.begin_with(session._committed.settings)
        session._settings.begin_with(checked)
        return session

    def close(self) -> None:
        """Forget what is not committed and let go of the files."""
        self.rollback()
        self._close_relational()
        self.catalog.close()
        _OPEN.release(self.database, _stop_worker)

    def interrupt(self) -> None:
        """Cancel the running statement; callable from any thread."""
        self._interrupted.set()
        relational = self._relational
        if relational is not None:
            relational.interrupt()

    def _close_relational(self) -> None:
        # Forgotten first: another thread may want to interrupt it.
        relational, self._relational = self._relational, None
        if relational is not None:
            relational.close()

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table readable under a name."""
        table = incoming(table)
        columns = tuple(
            Column(number + 1, field.name, type_of_field(field))
            for number, field in enumerate(table.schema)
        )
        repeated = {c.name for c in columns if table.column_names.count(c.name) > 1}
        if repeated:
            raise ProgrammingError(
                f'column "{min(repeated)}" is there twice', code=sqlstate.DUPLICATE_COLUMN
            )
        with self._lock:
            self._outside[name] = table
            self._outside_columns[name] = columns
            self._plans.forget()

    def unregister(self, name: str) -> None:
        """Forget a registered table."""
        with self._lock:
            self._outside.pop(name, None)
            self._outside_columns.pop(name, None)
            self._plans.forget()

    @property
    def in_transaction(self) -> bool:
        return self._transaction is not None

    def execute(self, text: str, bind: Bind) -> Result:
        """Run one statement: parse, plan, execute. `bind` gives its sets of parameters.

        Raises vsql errors alone; after one, the statement has had no effect.
        """
        return self._guarded(text, functools.partial(self._once, text, bind), _RETRIES)

    def ingest(
        self, name: str, reader: pa.RecordBatchReader, mode: str, *, temporary: bool
    ) -> Result:
        """Load Arrow batches into a table that is there or made for them; raises as `execute`."""
        # Never run again: a reader gives its rows once.
        once = functools.partial(self._ingest, name, reader, mode, temporary)
        return self._guarded(None, once, 0)

    def _guarded(self, text: str | None, once: Callable[[], Result], retries: int) -> Result:
        with self._lock, own_errors(text):
            if self._interrupted.is_set():
                self._interrupted.clear()
            timeout = self._settings.current["statement_timeout"]
            if not timeout:
                return self._attempt(once, retries)
            with Deadline(timeout / 1000, self.interrupt):
                return self._attempt(once, retries)

    def _attempt(self, once: Callable[[], Result], retries: int) -> Result:
        """Run a statement; one that is its own transaction is run again where another overtook."""
        alone = self.autocommit and not self._explicit
        for attempt in range(retries + 1):
            before = self._transaction
            try:
                result = once()
            except BaseException as error:
                # A failed statement undoes itself alone; what came before it stays.
                self._undo_to(None if alone else before)
                overtaken = (
                    isinstance(error, OperationalError)
                    and error.sqlstate == sqlstate.SERIALIZATION_FAILURE
                )
                if alone and overtaken and attempt < retries:
                    continue
                raise
            if alone and not self._explicit:
                self._undo_to(None)
                self._settings.end_transaction()
            return result
        raise AssertionError("unreachable")

    def _ingest(
        self, name: str, reader: pa.RecordBatchReader, mode: str, temporary: bool
    ) -> Result:
        from vsql.executor.ingest import ingest

        self._begin_statement()
        self._refuse_read_only()
        context = self._context(self._settings.current, {})
        facts = self._surroundings().facts()
        written = ingest(name, reader, mode, facts, context, temporary=temporary)
        tag = f"COPY {written.count}"
        self._stage(context, written.changes, tag)
        self._commit_when_alone()
        return Result(tag, None, (), written.count)

    def _once(self, text: str, bind: Bind) -> Result:
        snapshot = self._begin_statement()
        ready = self._plans.ready(text, snapshot, self._settings.current)
        if ready is not None:
            parameters = _only(bind(ready.prepared.parsed))
            return ready.operator(self._context(ready.settings, parameters))
        prepared = self._prepare(text)
        return self._dispatch(text, prepared, bind(prepared.parsed))

    def _begin_statement(self) -> Snapshot:
        if self._transaction is not None:
            return self._transaction.seen
        if self.catalog.changed():
            self._committed = self.catalog.load()
        seen = self._with_temporary(self._committed)
        self._transaction = Transaction(self._committed, seen)
        self.database.pin(id(self), seen.version)
        return seen

    def _with_temporary(self, committed: Snapshot) -> Snapshot:
        if not self._temporary:
            return committed
        if self._overlaid is None or self._overlaid[0] is not committed:
            tables = {**committed.tables, **self._temporary}
            self._overlaid = committed, replace(committed, tables=tables)
        return self._overlaid[1]

    def _undo_to(self, before: Transaction | None) -> None:
        """Go back to an earlier state of the transaction, or to none; files made since go."""
        current, self._transaction = self._transaction, before
        if before is None:
            self.database.unpin(id(self))
        if current is not None and current.changes:
            from vsql.core import changes as change

            kept = len(before.changes) if before is not None else 0
            self._resources.store.abandon(change.files_of(current.changes[kept:]))

    def _current(self) -> Transaction:
        assert self._transaction is not None
        return self._transaction

    def _surroundings(self) -> Surroundings:
        seen = self._current().seen
        return Surroundings(seen, self._outside_columns, self._settings.current, self._past)

    def _prepare(self, text: str) -> Prepared:
        return self._plans.prepare(text, self._surroundings())

    def _past(self, kind: str, moment: exp.Expr) -> Snapshot:
        return self.catalog.load_version(self.version_of(kind, moment))

    def version_of(self, kind: str, moment: exp.Expr) -> int:
        """Return the version that a constant expression means; raises ProgrammingError (22023)."""
        from vsql.executor.values import value_of

        value = value_of(moment, self._context(self._settings.current, {}))
        if kind == "VERSION":
            return version_number(value)
        return self.catalog.version_at(microseconds_of(value))

    def _context(self, settings: Mapping[str, Any], parameters: Parameters) -> Context:
        return Context(
            snapshot=self._current().seen,
            resources=self._resources,
            host=self,
            staged=self._staged,
            settings=settings,
            outside=self._outside,
            relational=self._relation,
            allocate=self._allocate,
            interrupted=self._interrupted,
            parameters=parameters,
            progress=self.progress,
        )

    def _allocate(self, column_id: int, count: int) -> int:
        """Hand out numbers of an identity column, asking the catalog for some at a time."""
        first, end = self._numbers.get(column_id, (1, 1))
        if first + count > end:
            block = max(count, self._settings.current["identity_cache"])
            first = self.catalog.allocate(column_id, block)
            end = first + block
        self._numbers[column_id] = first + count, end
        return first

    def _relation(self) -> "Relational":
        if self._relational is None:
            from vsql.executor.remainder import Relational

            allowed = self._settings.current["external_access"] == "on"
            root = self._resources.store.root
            name = "memory" if root is None else root.resolve().name
            most = self._resources.relational_bytes
            self._relational = Relational(name, external_access=allowed, bytes_max=most)
        return self._relational

    def _dispatch(
        self, text: str, prepared: Prepared, parameter_sets: Sequence[Parameters]
    ) -> Result:
        statement, plan = prepared.parsed.statement, prepared.plan
        parameters = parameter_sets[0] if isinstance(plan, Write) else _only(parameter_sets)
        settings = current = self._settings.current
        if prepared.settings:
            settings = {**current, **prepared.settings}
        context = self._context(settings, dict(parameters))
        _show(prepared.older, context)
        if isinstance(statement, st.Explain):
            return self._explain(statement, prepared, context, parameter_sets)
        match plan:
            case None:
                return self._utility(statement, context)
            case Write():
                return self._write(plan, context, parameter_sets)
            case _:
                operator = prepare(plan, context)
                if not prepared.older:
                    ready = Ready(prepared, operator, context.snapshot, current, settings)
                    self._plans.keep_ready(text, ready)
                return operator(context)

    def _explain(
        self,
        statement: st.Explain,
        prepared: Prepared,
        context: Context,
        parameter_sets: Sequence[Parameters],
    ) -> Result:
        from vsql.executor.explain import explained

        plan = prepared.plan
        if plan is None:
            raise ProgrammingError("EXPLAIN takes a query, INSERT, UPDATE, DELETE or MERGE")

        def execute() -> Result:
            if isinstance(plan, Write):
                return self._write(plan, context, parameter_sets)
            return run(plan, context)

        wanted = execute if statement.analyze else None
        return explained(plan, context, wanted, statement.format, prepared.nanoseconds)

    def _write(self, plan: Write, context: Context, parameter_sets: Sequence[Parameters]) -> Result:
        from vsql.executor.write import write

        self._refuse_read_only()
        result = write(plan, parameter_sets, functools.partial(self._stage, context), context)
        self._stage(context, (), result.tag)
        self._seal_backlog(plan.table, context)
        self._commit_when_alone()
        if not self._has_worker():
            extend_interim_indexes(self._committed.tables.get(plan.table), context)
        return result

    def _seal_backlog(self, name: str, context: Context) -> None:
        """Seal a table's growing rows where no worker does, or where it does not keep up.

        Inside a transaction only its own rows: to move those of others would clash with whoever
        changes them meanwhile.
        """
        table = self._current().seen.tables[name]
        if not self.autocommit or self._explicit:
            own = self._staged.batches
            table = replace(table, segments=tuple(s for s in table.segments if s.id in own))
        found = self._backlog(table, context)
        if found is not None:
            self._stage(context, found[0])

    def _backlog(self, table: TableSnapshot, context: Context) -> "Rewrite | None":
        from vsql.executor.backlog import backlog

        return backlog(table, context, has_worker=self._has_worker())

    def _seal_committed(self, written: Iterable[int]) -> None:
        """Seal what the commits of transactions left growing; where that fails, a later one does.

        The commit has happened: nothing raised here may look as if it had not.
        """
        for table_id in written:
            with contextlib.suppress(Error), own_errors(), self.statement() as context:
                self._seal(table_id, context)

    def _seal(self, table_id: int, context: Context) -> None:
        from vsql.executor.maintain import adapted

        tables = context.snapshot.tables.values()
        table = next((t for t in tables if t.table.id == table_id), None)
        found = None if table is None else self._backlog(table, context)
        if table is not None and found is not None:
            adapt = functools.partial(adapted, found[0], found[1], table)
            self.commit_rewrite(found[0], adapt, context)

    def _utility(self, statement: st.Statement, context: Context) -> Result:
        own = self._session_statement(statement, context)
        if own is not None:
            return own
        from vsql.executor.utility import run_utility
        from vsql.grammar.utility_statements import CopyTo, CreateTableAs

        around, older = self._surroundings(), dict[str, TableSnapshot]()
        if isinstance(statement, CopyTo | CreateTableAs):
            statement = replace(statement, query=around.resolved(statement.query, older))
        _show(older, context)
        done = run_utility(statement, around.facts(older), context)
        if done.changes:
            self._refuse_read_only()
            self._stage(context, done.changes, done.tag)
            self._commit_when_alone()
        return done.result or Result(done.tag, None, (), done.count)

    def _session_statement(self, statement: st.Statement, context: Context) -> Result | None:
        """Run what concerns this session alone; None for any other statement."""
        from vsql.grammar import utility_statements as ut

        match statement:
            case st.Empty():
                return Result("")
            case ut.Begin(read_only):
                self._explicit = True
                if read_only is not None:
                    self._transaction = replace(self._current(), read_only=read_only)
                return Result("BEGIN")
            case ut.SetTransaction(read_only):
                if read_only is not None:
                    self._transaction = replace(self._current(), read_only=read_only)
                return Result("SET")
            case ut.Commit():
                self.commit()
                return Result("COMMIT")
            case ut.Rollback():
                self.rollback()
                return Result("ROLLBACK")
            case ut.SetSavepoint(name):
                self._refuse_outside_transaction("SAVEPOINT")
                self._transaction = self._current().save(name)
                return Result("SAVEPOINT")
            case ut.RollbackTo(name):
                self._refuse_outside_transaction("ROLLBACK TO SAVEPOINT")
                self._undo_to(self._current().rolled_back_to(name))
                return Result("ROLLBACK")
            case ut.ReleaseSavepoint(name):
                self._refuse_outside_transaction("RELEASE SAVEPOINT")
                self._transaction = self._current().released(name)
                return Result("RELEASE")
            case ut.ShowSetting() | ut.ResetSetting() | ut.SetSetting():
                from vsql.executor.set import run_setting

                if isinstance(statement, ut.SetSetting) and statement.scope == "global":
                    self._refuse_read_only()
                result, stored = run_setting(statement, self._settings)
                self._stage(context, stored)
                if stored:
                    self._commit_when_alone()
                return result
            case ut.Prepare() | ut.Execute() | ut.Deallocate():
                from vsql.executor.named import run_named

                return run_named(statement, self._statements, self._inner, context)
            case ut.DeclareCursor() | ut.FetchCursor() | ut.CloseCursor():
                from vsql.executor.portal import run_cursor

                if isinstance(statement, ut.DeclareCursor) and not statement.hold:
                    self._refuse_outside_transaction("DECLARE CURSOR without HOLD")
                alone = self.autocommit and not self._explicit
                return run_cursor(statement, self._portals, self._inner, context, alone=alone)
            case _:
                return None

    def _inner(self, text: str, parameters: Parameters) -> Result:
        """Run the statement inside of another; the places of its errors are in its own text."""
        try:
            return self._once(text, lambda parsed: [parameters])
        except Error as error:
            if error.statement is None:
                error.statement = text
            raise

    def _end_portals(self, *, committed: bool) -> None:
        """Close the cursors that end with their transaction."""
        for name, portal in self._portals:
            portal.committed |= committed and portal.hold
            if not portal.committed:
                self._portals.drop(name)

    def _refuse_outside_transaction(self, what: str) -> None:
        if self.autocommit and not self._explicit:
            raise OperationalError(
                f"{what} can only be used in a transaction",
                code=sqlstate.NO_ACTIVE_SQL_TRANSACTION,
                hint="BEGIN first",
            )

    def refuse_inside_transaction(self, what: str) -> None:
        """Raise OperationalError (25001) where a transaction has done something already."""
        if self._explicit or self._current().changes:
            raise OperationalError(
                f"{what} cannot run inside a transaction",
                code=sqlstate.ACTIVE_SQL_TRANSACTION,
                hint="COMMIT first",
            )

    def _apply_setting(self, name: str, value: Any) -> None:
        """Do at once what a setting says of files and locks."""
        if name == "busy_timeout_ms":
            self.catalog.set_busy_timeout(value)
        if name == "memory_limit":
            self._resources.limit_memory(value)
            if self._relational is not None:
                self._relational.limit_memory(self._resources.relational_bytes)
        if name == "external_access" and value == "off" and self._relational is not None:
            self._relational.refuse_external_access()

    def _stage(self, context: Context, changes: Iterable["Change"], tag: str | None = None) -> None:
        # Not at the top: who only reads does not wait for the classes of changes.
        from vsql.core import changes as change

        staged = tuple(changes)
        self._staged.batches.update(change.inlined_by(staged))
        self._transaction = self._current().stage(staged, tag)
        context.snapshot = self._transaction.seen

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise OperationalError(
                "the database was opened read-only", code=sqlstate.READ_ONLY_SQL_TRANSACTION
            )
        if self._current().read_only:
            raise OperationalError(
                "the transaction is read-only", code=sqlstate.READ_ONLY_SQL_TRANSACTION
            )

    def _commit_when_alone(self) -> None:
        if self.autocommit and not self._explicit:
            self.commit()

    def commit(self) -> None:
        """Make the transaction's changes visible, all or none; raises OperationalError (40001)."""
        with self._lock, own_errors():
            transaction = self._transaction
            alone = self.autocommit and not self._explicit
            self._explicit = False
            self._end_portals(committed=True)
            self._settings.end_transaction()
            if transaction is None or not transaction.changes:
                self._undo_to(None)
                return
            from vsql.core import changes as change

            try:
                self._commit_changes(transaction)
            except BaseException:
                self._undo_to(None)
                raise
            self._resources.store.pending.difference_update(change.files_of(transaction.changes))
            self._transaction = None
            self.database.unpin(id(self))
            if not alone:
                written = {change.table_of(c) for c in transaction.changes}
                self._seal_committed(id_ for id_ in written if id_ is not None)
            self._wake_worker()

    def _commit_changes(self, transaction: Transaction) -> None:
        from vsql.core import changes as change

        private = {t.table.id for t in transaction.seen.tables.values() if t.table.temporary}
        private |= {t.table.id for t in self._temporary.values()}
        durable = tuple(c for c in transaction.changes if change.table_of(c) not in private)

        def adapt(newest: Snapshot) -> Sequence["Change"]:
            from vsql.catalog.conflicts import refuse_conflicts
            from vsql.executor.keys import refuse_taken_keys

            refuse_conflicts(transaction.base, newest, durable)
            context = self._context(self._settings.current, {})
            refuse_taken_keys(transaction.base, transaction.seen, newest, context)
            return durable

        if durable:
            operation = "; ".join(transaction.tags[:5])
            seen = None if private else transaction.seen
            self._committed = self.catalog.commit(transaction.base, durable, adapt, operation, seen)
        for segment_id in change.inlined_by(durable):
            batch = self._staged.batches.pop(segment_id, None)
            if batch is not None:
                self._resources.recent[segment_id] = batch
        self._temporary = {
            name: t for name, t in transaction.seen.tables.items() if t.table.temporary
        }
        self._overlaid = None

    def rollback(self) -> None:
        """Forget the transaction's changes."""
        with self._lock:
            self._undo_to(None)
            self._end_portals(committed=False)
            self._explicit = False
            self._settings.end_transaction()

    def run_query(self, text: str, settings: Mapping[str, Any]) -> pa.Table:
        """Return the rows of a query, run with some settings changed; raises what it raises."""
        prepared = self._prepare(text)
        if prepared.plan is None or isinstance(prepared.plan, Write):
            raise ProgrammingError("a query is wanted here: SELECT, WITH or VALUES")
        merged = {**self._settings.current, **prepared.settings, **settings}
        table = run(prepared.plan, self._context(merged, {})).table
        assert table is not None
        return table

    def outputs_of(
        self, query: str, *, as_relation: bool = True
    ) -> tuple[tuple[str, SqlType], ...]:
        """Return name and type of each output of a query, planned anew; raises what it raises.

        As a relation no two have one name. The place that an error names is one in `query`.
        """
        body = query.rstrip().rstrip(";")
        before, after = ("SELECT * FROM (\n", "AS vsql_query ") if as_relation else ("(\n", "")
        try:
            prepared = self._prepare(f"{before}{body}\n) {after}LIMIT 0")
            assert prepared.plan is not None and not isinstance(prepared.plan, Write)
            context = replace(self._context(self._settings.current, {}), describes=True)
            result = run(prepared.plan, context)
        except Error as error:
            if error.span is not None and error.statement is None:
                error.span = error.span.moved(-len(before))
            raise
        return tuple(zip(result.names, result.types, strict=True))

    def run_script(self, text: str) -> None:
        """Run the statements of a script inside the current transaction."""
        explicit, self._explicit = self._explicit, True
        try:
            for piece in split_statements(text):
                self._once(piece.text, lambda parsed: [{}])
        finally:
            self._explicit = explicit
        self._commit_when_alone()

    def collect(self) -> "Collected":
        """Remove what no snapshot and no retention needs, and files that nobody knows."""
        from vsql.executor.garbage import collect

        self._refuse_read_only()
        self.database.unpin(id(self))
        kept_since = time.time_ns() // 1000 - microseconds_long(self._settings.current["retention"])
        return collect(
            self.catalog,
            self._resources.store,
            pinned=self.database.oldest_pinned(),
            kept_since=kept_since,
            alone=not self.database.is_shared(),
        )

    @classmethod
    def beside(cls, database: Database) -> "Session":
        """Open a session for the database's own work; it does not keep the database open."""
        catalog = Catalog.open(database.root, read_only=False, busy_timeout_ms=5_000)
        session = cls(database, catalog, autocommit=True, read_only=False)
        session._settings.begin_with(session._committed.settings)
        session._settings.begin_with({"threads": 1, "background": "off"})
        return session

    def close_quietly(self) -> None:
        """Close a session that was opened beside others."""
        with contextlib.suppress(Error):
            self.rollback()
            self.catalog.close()
        self._close_relational()

    def seen(self) -> Snapshot:
        """Return the snapshot that the next statement would read."""
        with self._lock, own_errors():
            before = self._transaction
            snapshot = self._begin_statement()
            if before is None and self.autocommit and not self._explicit:
                self._undo_to(None)
            return snapshot

    def newest(self) -> Snapshot:
        """Return the newest committed snapshot."""
        if self.catalog.changed():
            self._committed = self.catalog.load()
        return self._committed

    def newest_version(self) -> int:
        """Return the newest committed version."""
        return self.newest().version

    @contextlib.contextmanager
    def statement(self) -> Iterator[Context]:
        """Give a context over the newest snapshot, for work that is no statement's."""
        with self._lock:
            try:
                self._begin_statement()
                yield self._context(self._settings.current, {})
            finally:
                self._undo_to(None)

    def commit_rewrite(
        self,
        changes: Sequence["Change"],
        adapt: Callable[[Snapshot], Sequence["Change"]],
        context: Context,
    ) -> None:
        """Commit changes that move rows; raises OperationalError (40001) where they can't be."""
        from vsql.core import changes as change

        self._stage(context, changes)
        committed = self.catalog.commit(self._current().base, tuple(changes), adapt, "")
        self._committed = committed
        self._resources.store.pending.difference_update(change.files_of(changes))
        self._transaction = None
        for segment_id, batch in change.inlined_by(changes).items():
            self._staged.batches.pop(segment_id, None)
            self._resources.recent[segment_id] = batch

    def jobs(self) -> list[dict[str, Any]]:
        """Return what the background worker did and does."""
        return [] if self.database.worker is None else self.database.worker.jobs()

    def _has_worker(self) -> bool:
        wanted: bool = self._settings.current["background"] == "on"
        return wanted and self.database.root is not None and self.after_commit is not None

    def _wake_worker(self) -> None:
        if self.after_commit is not None and self._has_worker():
            self.after_commit(self.database)


def _only(parameter_sets: Sequence[Parameters]) -> Parameters:
    """Return the one set of parameters of what is no write; raises ProgrammingError."""
    if len(parameter_sets) > 1:
        raise ProgrammingError(
            "many sets of parameters are for INSERT, UPDATE, DELETE and MERGE",
            hint="execute takes one set",
        )
    return parameter_sets[0]


def _show(older: Mapping[str, TableSnapshot], context: Context) -> None:
    """Let a statement see tables of older versions, under the names it knows them by."""
    if older:
        tables = {**context.snapshot.tables, **older}
        context.snapshot = replace(context.snapshot, tables=tables)


def _stop_worker(database: Database) -> None:
    if database.worker is not None:
        database.worker.stop()
