"""A statement's walk through the rooms: text, tree, plan, rows; and the transaction around it.

`Session.execute` is the whole life of a statement. What a statement does is staged in the session's
transaction, a value; committing writes it to the catalog, rolling back forgets it.
"""

import contextlib
import functools
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from vsql.catalog.catalog import Catalog
from vsql.catalog.conflicts import conflict, refuse_conflicts
from vsql.core import changes as change
from vsql.core import settings as known_settings
from vsql.core import sqlstate
from vsql.core.changes import AddSegment, Change
from vsql.core.errors import (
    Error,
    IntegrityError,
    InternalError,
    OperationalError,
    ProgrammingError,
    Span,
)
from vsql.core.schema import Column
from vsql.core.snapshot import Snapshot, TableSnapshot
from vsql.core.types import SqlType, from_arrow
from vsql.database import Database, OpenDatabases
from vsql.deadline import Deadline
from vsql.executor.context import Collected, Context, ProgressReport, StagedRows
from vsql.executor.external import check_external_access
from vsql.executor.interim import extend_graphs
from vsql.executor.moments import microseconds_long, microseconds_of, version_number
from vsql.executor.named_objects import NamedObjects
from vsql.executor.result import Result
from vsql.executor.run import Operator, prepare, run
from vsql.grammar import statements as st
from vsql.grammar.operators import pieces
from vsql.grammar.parse import Parsed, parse, split_statements
from vsql.planner.facts import Facts
from vsql.planner.nodes import DeleteRows, InsertRows, MergeRows, Plan, UpdateRows, Write
from vsql.planner.plan import check_setting_names, plan_query, tables_of
from vsql.planner.resolve import Names, resolve
from vsql.transaction import Transaction

if TYPE_CHECKING:
    from vsql.executor.maintain import Rewrite
    from vsql.executor.portal import Portal
    from vsql.executor.remainder import Relational
    from vsql.grammar.utility_statements import Prepare

_PLANS_MAX = 512
_RETRIES = 10
_NAMED = (sqlstate.UNDEFINED_COLUMN, sqlstate.UNDEFINED_FUNCTION, sqlstate.AMBIGUOUS_COLUMN)
_NAME_IN_MESSAGE = re.compile(r'column "([^"]+)"|function (\w+) does')
_SEARCH_PARAMETERS = ("target_recall", "ef_search", "nprobe", "access_path")
# How far past its limits a table may grow before a writer seals it itself, worker or not.
_BACKLOG = 4
# So many inlined batches are merged by the writer itself, where no worker does.
_PARTS_MAX = 64

_WRITE_WORDS: Mapping[type, str] = {
    InsertRows: "INSERT 0",
    DeleteRows: "DELETE",
    UpdateRows: "UPDATE",
    MergeRows: "MERGE",
}

Parameters = dict[str, Any]
Bind = Callable[[Parsed], Sequence[Parameters]]

_OPEN = OpenDatabases()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parsed and, where it is a query or a write, planned statement.

    `depends` holds the definition of every table that the plan reads; while these, and the views
    and aliases in `objects`, are the same the plan is good. One that reads older versions is
    good for one run: `older` are these tables.
    """

    parsed: Parsed
    plan: Plan | Write | None
    depends: tuple[tuple[str, object], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    objects: Mapping[Any, Any] = field(default_factory=dict)
    older: Mapping[str, TableSnapshot] = field(default_factory=dict)
    nanoseconds: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Ready:
    """A prepared statement with the operator that was made for one snapshot and its settings."""

    prepared: Prepared
    operator: Operator
    snapshot: Snapshot
    base_settings: Mapping[str, Any]
    settings: Mapping[str, Any]


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
        self._settings: dict[str, Any] = dict(known_settings.DEFAULTS)
        self._outside: dict[str, pa.Table] = {}
        self._outside_columns: dict[str, tuple[Column, ...]] = {}
        self._plans: OrderedDict[str, Prepared] = OrderedDict()
        self._ready: dict[str, Ready] = {}
        self._committed = catalog.load()
        self._temporary: Mapping[str, TableSnapshot] = {}
        self._overlaid: tuple[Snapshot, Snapshot] | None = None
        self._staged = StagedRows()
        self._transaction: Transaction | None = None
        self._explicit = False
        self._local_settings: dict[str, Any] = {}
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
        for name, value in session._committed.settings.items():
            session._settings[name] = known_settings.checked(name, value)
        session._settings.update(checked)
        return session

    def close(self) -> None:
        """Forget what is not committed and let go of the files."""
        self.rollback()
        if self._relational is not None:
            self._relational.close()
        self.catalog.close()
        _OPEN.release(self.database, _stop_worker)

    def interrupt(self) -> None:
        """Cancel the running statement; callable from any thread."""
        self._interrupted.set()
        if self._relational is not None:
            self._relational.interrupt()

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table readable under a name."""
        with self._lock:
            self._outside[name] = table
            self._outside_columns[name] = tuple(
                Column(number + 1, field_.name, from_arrow(field_.type))
                for number, field_ in enumerate(table.schema)
            )
            self._forget_plans()

    def unregister(self, name: str) -> None:
        """Forget a registered table."""
        with self._lock:
            self._outside.pop(name, None)
            self._outside_columns.pop(name, None)
            self._forget_plans()

    def _forget_plans(self) -> None:
        self._plans.clear()
        self._ready.clear()

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
        with self._lock:
            if self._interrupted.is_set():
                self._interrupted.clear()
            timeout = self._settings["statement_timeout"]
            try:
                if not timeout:
                    return self._attempt(once, retries)
                with Deadline(timeout / 1000, self.interrupt):
                    return self._attempt(once, retries)
            except Error as error:
                if error.statement is None:
                    error.statement = text
                if error.span is None and text is not None and error.sqlstate in _NAMED:
                    error.span = _place_of_name(error.message, text)
                raise
            except RecursionError:
                raise ProgrammingError(
                    "the statement is nested too deeply", code=sqlstate.STATEMENT_TOO_COMPLEX
                ) from None
            except MemoryError:
                raise OperationalError("out of memory", code="53200") from None
            except OSError as error:
                raise OperationalError(
                    f"the file system refused: {error.strerror or error}", code=sqlstate.IO_ERROR
                ) from None
            except Exception as error:  # a bug of ours: no foreign exception reaches a user
                raise InternalError(
                    f"internal error: {type(error).__name__}: {error}",
                    statement=text,
                    hint="please report this statement",
                ) from error

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
            return result
        raise AssertionError("unreachable")

    def _ingest(
        self, name: str, reader: pa.RecordBatchReader, mode: str, temporary: bool
    ) -> Result:
        from vsql.executor.ingest import ingest

        self._begin_statement()
        self._refuse_read_only()
        context = self._context(self._settings, {})
        written = ingest(name, reader, mode, self._facts(), context, temporary=temporary)
        tag = f"COPY {written.count}"
        self._stage(written.changes, context, tag)
        self._commit_when_alone()
        return Result(tag, None, (), written.count)

    def _once(self, text: str, bind: Bind) -> Result:
        snapshot = self._begin_statement()
        ready = self._ready.get(text)
        if (
            ready is not None
            and ready.snapshot is snapshot
            and ready.base_settings is self._settings
            and not self._local_settings
        ):
            parameters = bind(ready.prepared.parsed)[0]
            return ready.operator(self._context(ready.settings, parameters))
        prepared = self._prepare(text, snapshot)
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
            kept = len(before.changes) if before is not None else 0
            self._resources.store.abandon(_files_of(current.changes[kept:]))

    def _current(self) -> Transaction:
        assert self._transaction is not None
        return self._transaction

    def _facts(self, older: Mapping[str, TableSnapshot] = known_settings.NOTHING) -> Facts:
        tables = self._current().seen.tables
        if older:
            tables = {**tables, **older}
        return Facts(tables, self._outside_columns, self._settings)

    def _prepare(self, text: str, snapshot: Snapshot) -> Prepared:
        known = self._plans.get(text)
        if (
            known is not None
            and known.objects == snapshot.objects
            and all(_definition(name, snapshot) == before for name, before in known.depends)
        ):
            return known
        started = time.perf_counter_ns()
        parsed = parse(
            text,
            statement_bytes_max=self._settings["statement_bytes_max"],
            nesting_max=self._settings["nesting_max"],
        )
        read = time.perf_counter_ns()
        prepared = self._plan(parsed, snapshot)
        spent = {"parse": read - started, "plan": time.perf_counter_ns() - read}
        prepared = replace(prepared, nanoseconds=spent)
        if (prepared.plan is not None and not prepared.older) or _is_repeated(parsed.statement):
            self._plans[text] = prepared
            if len(self._plans) > _PLANS_MAX:
                self._plans.popitem(last=False)
        return prepared

    def _plan(self, parsed: Parsed, snapshot: Snapshot) -> Prepared:
        statement = parsed.statement
        inner = statement.statement if isinstance(statement, st.Explain) else statement
        settings: dict[str, Any] = {}
        older: dict[str, TableSnapshot] = {}

        def known(tree: Any) -> tuple[Any, Facts]:
            return self._resolved(tree, older), self._facts(older)

        plan: Plan | Write
        match inner:
            case st.Query(tree, written):
                check_setting_names(written, _SEARCH_PARAMETERS)
                settings = {n: known_settings.checked(n, v) for n, v in written.items()}
                plan = plan_query(*known(tree))
            case st.Insert(tree, upsert):
                plan = _writes().plan_insert(*known(tree), upsert=upsert)
            case st.Update(tree):
                plan = _writes().plan_update(*known(tree))
            case st.Delete(tree):
                plan = _writes().plan_delete(*known(tree))
            case st.Merge(tree):
                plan = _writes().plan_merge(*known(tree))
            case _:
                return Prepared(parsed, None)
        depends = tuple((name, _definition(name, snapshot)) for name in tables_of(plan))
        return Prepared(parsed, plan, depends, settings, snapshot.objects, older)

    def _resolved(self, tree: Any, older: dict[str, TableSnapshot]) -> Any:
        """Return a tree with its names resolved; tables of older versions are put in `older`."""
        seen = self._current().seen

        def at(name: str, kind: str, moment: Any) -> str:
            version = self.version_of(kind, moment)
            known_as = f"{name}@{version}"
            tables = self.catalog.load_version(version).tables
            if name not in tables:
                raise ProgrammingError(
                    f'table "{name}" did not exist at version {version}',
                    code=sqlstate.UNDEFINED_TABLE,
                )
            found = tables[name]
            older[known_as] = replace(found, table=replace(found.table, name=known_as))
            return known_as

        def has_table(name: str) -> bool:
            return name in self._outside_columns or name in seen.tables

        def columns(name: str) -> tuple[str, ...] | None:
            table = older.get(name) or seen.tables.get(name)
            if name in self._outside_columns or table is None or not table.table.is_dynamic:
                return None
            return tuple(column.name for column in table.table.columns)

        return resolve(tree, Names(seen.objects, has_table, columns, at))

    def version_of(self, kind: str, moment: Any) -> int:
        """Return the version that a constant expression means; raises ProgrammingError (22023)."""
        from vsql.executor.values import value_of

        value = value_of(moment, self._context(self._settings, {}))
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
            block = max(count, self._settings["identity_cache"])
            first = self.catalog.allocate(column_id, block)
            end = first + block
        self._numbers[column_id] = first + count, end
        return first

    def _relation(self) -> "Relational":
        if self._relational is None:
            from vsql.executor.remainder import Relational

            allowed = self._settings["external_access"] == "on"
            root = self._resources.store.root
            name = "memory" if root is None else root.resolve().name
            self._relational = Relational(name, external_access=allowed)
        return self._relational

    def _dispatch(
        self, text: str, prepared: Prepared, parameter_sets: Sequence[Parameters]
    ) -> Result:
        parameters = parameter_sets[0] if parameter_sets else {}
        settings: Mapping[str, Any] = self._settings
        if self._local_settings or prepared.settings:
            settings = {**self._settings, **self._local_settings, **prepared.settings}
        context = self._context(settings, dict(parameters))
        if prepared.older:
            tables = {**context.snapshot.tables, **prepared.older}
            context.snapshot = replace(context.snapshot, tables=tables)
        statement, plan = prepared.parsed.statement, prepared.plan
        if isinstance(statement, st.Explain):
            return self._explain(statement, prepared, context, parameter_sets)
        match plan:
            case None:
                return self._utility(statement, context)
            case InsertRows() | DeleteRows() | UpdateRows() | MergeRows():
                return self._write(plan, context, parameter_sets)
            case _:
                operator = prepare(plan, context)
                if not self._local_settings and not prepared.older:
                    self._remember(
                        text, Ready(prepared, operator, context.snapshot, self._settings, settings)
                    )
                return operator(context)

    def _remember(self, text: str, ready: Ready) -> None:
        """Keep an operator; those of older snapshots go, since they hold what it read."""
        newest = next(iter(self._ready.values()), ready)
        if newest.snapshot is not ready.snapshot or len(self._ready) >= _PLANS_MAX:
            self._ready.clear()
        self._ready[text] = ready

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
            if isinstance(plan, InsertRows | DeleteRows | UpdateRows | MergeRows):
                return self._write(plan, context, parameter_sets)
            return run(plan, context)

        wanted = execute if statement.analyze else None
        return explained(plan, context, wanted, statement.format, prepared.nanoseconds)

    def _write(self, plan: Write, context: Context, parameter_sets: Sequence[Parameters]) -> Result:
        from vsql.executor.insert import insert, is_one_batch
        from vsql.executor.modify import delete, merge, update
        from vsql.executor.written import all_returned, returned

        self._refuse_read_only()
        sets = list(parameter_sets) or [{}]
        # The sets of an INSERT make one batch, unless more than its values reads them.
        together = isinstance(plan, InsertRows) and is_one_batch(plan)
        count = 0
        results: list[Result] = []
        if len(sets) > 1 and isinstance(plan, UpdateRows | DeleteRows):
            from vsql.executor.keyed_writes import keyed_write

            at_once = keyed_write(plan, sets, context)
            if at_once is not None:
                self._stage(at_once.changes, context)
                count, sets = at_once.count, []
        word = _WRITE_WORDS[type(plan)]
        for parameters in sets[:1] if together else sets:
            context.parameters = dict(parameters)
            match plan:
                case InsertRows():
                    rows = sets if together else [parameters]
                    written = insert(plan, rows, context)
                case DeleteRows():
                    written = delete(plan, context)
                case UpdateRows():
                    written = update(plan, context)
                case MergeRows():
                    written = merge(plan, context)
            count += written.count
            if plan.returning is not None:
                results.append(returned(written, plan.returning, context))
            self._stage(written.changes, context)
        tag = f"{word} {count}"
        self._stage((), context, tag)
        self._seal_backlog(plan.table, context)
        self._commit_when_alone()
        if not self._has_worker():
            extend_graphs(self._committed.tables.get(plan.table), context)
        return all_returned(results, tag) if results else Result(tag, None, (), count)

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
            self._stage(found[0], context)

    def _backlog(self, table: TableSnapshot, context: Context) -> "Rewrite | None":
        times = _BACKLOG if self._has_worker() else 1
        parts = table.inlined
        rows = sum([part.row_count for part in parts])
        size = sum([part.byte_size for part in parts])
        settings = context.settings
        if rows >= settings["seal_rows"] * times or size >= settings["seal_bytes"] * times:
            from vsql.executor.seal import rewrite

            return None if table.table.temporary else rewrite(table, parts, context)
        if len(parts) >= _PARTS_MAX * times:
            from vsql.executor.maintain import merged_inlined

            return merged_inlined(table, context)
        return None

    def _seal_committed(self, written: Iterable[int]) -> None:
        """Seal what the commits of transactions left growing; where others hinder it, later."""
        from vsql.executor.maintain import adapted

        for table_id in written:
            with self.statement() as context:
                tables = context.snapshot.tables.values()
                table = next((t for t in tables if t.table.id == table_id), None)
                found = None if table is None else self._backlog(table, context)
                if found is None or table is None:
                    continue
                with contextlib.suppress(OperationalError):
                    adapt = functools.partial(adapted, found[0], found[1], table)
                    self.commit_rewrite(found[0], adapt, context)

    def _utility(self, statement: st.Statement, context: Context) -> Result:
        own = self._session_statement(statement, context)
        if own is not None:
            return own
        from vsql.executor.utility import run_utility

        statement, older = self._with_resolved_query(statement)
        facts = self._facts(older)
        if older:
            tables = {**context.snapshot.tables, **older}
            context.snapshot = replace(context.snapshot, tables=tables)
        done = run_utility(statement, facts, context)
        if done.changes:
            self._refuse_read_only()
            self._stage(done.changes, context, done.tag)
            self._commit_when_alone()
        return done.result or Result(done.tag, None, (), done.count)

    def _with_resolved_query(
        self, statement: st.Statement
    ) -> tuple[st.Statement, dict[str, TableSnapshot]]:
        from vsql.grammar.utility_statements import CopyTo, CreateTableAs

        older: dict[str, TableSnapshot] = {}
        if isinstance(statement, CopyTo | CreateTableAs):
            statement = replace(statement, query=self._resolved(statement.query, older))
        return statement, older

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
                return self._setting_statement(statement)
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

    def _setting_statement(self, statement: st.Statement) -> Result:
        from vsql.executor.ddl import show_settings
        from vsql.grammar import utility_statements as ut

        match statement:
            case ut.ShowSetting(name):
                current = {**self._settings, **self._local_settings}
                return show_settings(current, known_settings.canonical(name) if name else None)
            case ut.ResetSetting(name):
                names = [known_settings.canonical(name)] if name else list(known_settings.DEFAULTS)
                for one in names:
                    if one == "external_access" and name is None:
                        continue
                    self._check_external_access(one, known_settings.DEFAULTS[one])
                    self._set(one, known_settings.DEFAULTS[one])
                return Result("RESET")
            case ut.SetSetting(name, written, scope):
                own = known_settings.canonical(name)
                default = written.lower() == "default"
                value = (
                    known_settings.DEFAULTS[own]
                    if default
                    else known_settings.checked(name, written)
                )
                self._check_external_access(own, value)
                if own == "external_access":
                    scope = "session" if scope == "local" else scope
                if own == "busy_timeout_ms":
                    self.catalog.set_busy_timeout(value)
                if scope == "local":
                    self._local_settings[own] = value
                    return Result("SET")
                self._set(own, value)
                if scope == "global":
                    self._refuse_read_only()
                    self._transaction = self._current().stage((change.PutSetting(own, str(value)),))
                    self._commit_when_alone()
                return Result("SET")
            case _:
                raise AssertionError(statement)

    def _check_external_access(self, name: str, value: Any) -> None:
        """Turn external access off for good; raises ProgrammingError (42501) for a way back."""
        if name != "external_access":
            return
        if value == "on":
            check_external_access(self._settings)
        elif self._relational is not None:
            self._relational.refuse_external_access()

    def _set(self, name: str, value: Any) -> None:
        # A new mapping: operators know by its identity that the settings are still theirs.
        self._settings = {**self._settings, name: value}

    def _stage(self, changes: Iterable[Change], context: Context, tag: str | None = None) -> None:
        staged = tuple(changes)
        for one in staged:
            if isinstance(one, AddSegment) and one.rows is not None:
                self._staged.batches[one.segment.id] = one.rows
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
        with self._lock:
            transaction = self._transaction
            alone = self.autocommit and not self._explicit
            self._explicit = False
            self._end_portals(committed=True)
            self._local_settings = {}
            if transaction is None or not transaction.changes:
                self._undo_to(None)
                return
            try:
                self._commit_changes(transaction)
            except BaseException:
                self._undo_to(None)
                raise
            self._resources.store.pending.difference_update(_files_of(transaction.changes))
            self._transaction = None
            self.database.unpin(id(self))
            if not alone:
                written = {change.table_of(c) for c in transaction.changes}
                self._seal_committed(id_ for id_ in written if id_ is not None)
            self._wake_worker()

    def _commit_changes(self, transaction: Transaction) -> None:
        private = {t.table.id for t in transaction.seen.tables.values() if t.table.temporary}
        private |= {t.table.id for t in self._temporary.values()}
        durable = tuple(c for c in transaction.changes if change.table_of(c) not in private)

        def adapt(newest: Snapshot) -> Sequence[Change]:
            refuse_conflicts(transaction.base, newest, durable)
            self._refuse_taken_keys(transaction, newest)
            return durable

        if durable:
            operation = "; ".join(transaction.tags[:5])
            seen = None if private else transaction.seen
            self._committed = self.catalog.commit(transaction.base, durable, adapt, operation, seen)
        for one in durable:
            if isinstance(one, AddSegment) and one.rows is not None:
                batch = self._staged.batches.pop(one.segment.id, None)
                if batch is not None:
                    self._resources.recent[one.segment.id] = batch
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
            self._local_settings = {}

    def _refuse_taken_keys(self, transaction: Transaction, newest: Snapshot) -> None:
        """Refuse keys that others committed since the transaction began; raises 40001."""
        from vsql.executor.keys import check_new_keys
        from vsql.executor.scan import pick
        from vsql.executor.seal import batch_of

        context = self._context(self._settings, {})
        for table in newest.tables.values():
            mine = transaction.seen.tables.get(table.table.name)
            before = transaction.base.tables.get(table.table.name)
            if mine is None or before is None or not any(i.unique for i in table.indexes):
                continue
            old = {segment.id for segment in before.segments}
            others = tuple(s for s in table.segments if s.id not in old)
            added = tuple(s for s in mine.segments if s.id not in old)
            if not others or not added:
                continue
            # Only rows that live: a transaction may have replaced what it inserted itself.
            rows = batch_of(mine.table, pick((), replace(mine, segments=added), context))
            try:
                check_new_keys(replace(table, segments=others), rows, context)
            except IntegrityError as error:
                raise conflict(f"the same key was inserted ({error.message})") from None

    def run_query(self, text: str, settings: Mapping[str, Any]) -> pa.Table:
        """Return the rows of a query, run with some settings changed; raises what it raises."""
        prepared = self._prepare(text, self._current().seen)
        if prepared.plan is None or isinstance(prepared.plan, Write):
            raise ProgrammingError("a query is wanted here: SELECT, WITH or VALUES")
        merged = {**self._settings, **self._local_settings, **prepared.settings, **settings}
        table = run(prepared.plan, self._context(merged, {})).table
        assert table is not None
        return table

    def outputs_of(self, query: str) -> tuple[tuple[str, SqlType], ...]:
        """Return name and type of each output of a query, planned anew; raises what it raises.

        The place that an error names is one in `query`.
        """
        body = query.rstrip().rstrip(";")
        before = "SELECT * FROM (\n"
        try:
            prepared = self._prepare(
                f"{before}{body}\n) AS vsql_query LIMIT 0", self._current().seen
            )
            assert prepared.plan is not None and not isinstance(prepared.plan, Write)
            context = replace(self._context(self._settings, {}), describes=True)
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

    def collect(self) -> Collected:
        """Remove what no snapshot and no retention needs, and files that nobody knows."""
        from vsql.executor.garbage import collect

        self._refuse_read_only()
        self.database.unpin(id(self))
        kept_since = time.time_ns() // 1000 - microseconds_long(self._settings["retention"])
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
        for name, value in session._committed.settings.items():
            session._settings[name] = known_settings.checked(name, value)
        session._settings.update(threads=1, background="off")
        return session

    def close_quietly(self) -> None:
        """Close a session that was opened beside others."""
        with contextlib.suppress(Error):
            self.rollback()
            self.catalog.close()
        if self._relational is not None:
            self._relational.close()

    def seen(self) -> Snapshot:
        """Return the snapshot that the next statement would read."""
        with self._lock:
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
                yield self._context(self._settings, {})
            finally:
                self._undo_to(None)

    def commit_rewrite(
        self,
        changes: Sequence[Change],
        adapt: Callable[[Snapshot], Sequence[Change]],
        context: Context,
    ) -> None:
        """Commit changes that move rows; raises OperationalError (40001) where they can't be."""
        self._stage(changes, context)
        committed = self.catalog.commit(self._current().base, tuple(changes), adapt, "")
        self._committed = committed
        self._resources.store.pending.difference_update(_files_of(changes))
        self._transaction = None
        for one in changes:
            if isinstance(one, AddSegment) and one.rows is not None:
                self._staged.batches.pop(one.segment.id, None)
                self._resources.recent[one.segment.id] = one.rows

    def jobs(self) -> list[dict[str, Any]]:
        """Return what the background worker did and does."""
        return [] if self.database.worker is None else self.database.worker.jobs()

    def _has_worker(self) -> bool:
        wanted: bool = self._settings["background"] == "on"
        return wanted and self.database.root is not None and self.after_commit is not None

    def _wake_worker(self) -> None:
        if self.after_commit is not None and self._has_worker():
            self.after_commit(self.database)


def _is_repeated(statement: st.Statement) -> bool:
    """Whether a statement without a plan is worth keeping: it comes again with other values."""
    if isinstance(statement, st.Query | st.Insert | st.Update | st.Delete | st.Merge | st.Explain):
        return False
    from vsql.grammar.utility_statements import Execute, FetchCursor

    return isinstance(statement, Execute | FetchCursor)


def _writes() -> Any:
    # Imported for the first write: who only reads does without.
    from vsql.planner import write

    return write


def _stop_worker(database: Database) -> None:
    if database.worker is not None:
        database.worker.stop()


def _files_of(changes: Iterable[Change]) -> list[str]:
    names: list[str] = []
    for one in changes:
        if isinstance(one, AddSegment) and one.segment.name is not None:
            names.append(one.segment.name)
        elif isinstance(one, change.AddIndexFile):
            names.append(one.file.name)
    return names


def _place_of_name(message: str, text: str) -> Span | None:
    """Return where the name that DuckDB complained of stands in the statement."""
    quoted = _NAME_IN_MESSAGE.search(message)
    if quoted is None:
        return None
    name = next(group for group in quoted.groups() if group)
    literals = [p for p in pieces(text) if p.kind in ("string", "escaped", "line_comment")]
    for found in re.finditer(rf"(?<![\w.]){re.escape(name)}(?!\w)", text, re.IGNORECASE):
        if not any(literal.start <= found.start() < literal.end for literal in literals):
            return Span(found.start(), found.end())
    return None


def _definition(name: str, snapshot: Snapshot) -> object:
    table: TableSnapshot | None = snapshot.tables.get(name)
    return None if table is None else (table.table, table.indexes)
