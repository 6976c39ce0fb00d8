"""A statement's walk through the rooms: text, tree, plan, rows; and the transaction around it.

`Session.execute` is the whole life of a statement. A transaction is a value: the snapshot that it
started from, the snapshot that it sees, and the changes between the two.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from vsql.catalog.catalog import Catalog
from vsql.core import changes as change
from vsql.core import settings as known_settings
from vsql.core import sqlstate
from vsql.core.changes import AddSegment, Change
from vsql.core.errors import Error, InternalError, OperationalError, ProgrammingError, Span
from vsql.core.schema import Column
from vsql.core.snapshot import Snapshot, TableSnapshot
from vsql.core.types import from_arrow
from vsql.executor.context import Context, ProgressReport, Resources
from vsql.executor.result import Result
from vsql.executor.run import Operator, prepare, run
from vsql.grammar import statements as st
from vsql.grammar.operators import pieces
from vsql.grammar.parse import Parsed, parse
from vsql.planner.facts import Facts
from vsql.planner.nodes import DeleteRows, InsertRows, Plan, UpdateRows
from vsql.planner.plan import (
    check_setting_names,
    plan_delete,
    plan_insert,
    plan_query,
    plan_update,
    tables_of,
)
from vsql.storage.store import Store

if TYPE_CHECKING:
    from vsql.executor.remainder import Relational

_PLANS_MAX = 512
_NAMED = (sqlstate.UNDEFINED_COLUMN, sqlstate.UNDEFINED_FUNCTION, sqlstate.AMBIGUOUS_COLUMN)
_NAME_IN_MESSAGE = re.compile(r'column "([^"]+)"|function (\w+) does')
_SEARCH_PARAMETERS = ("target_recall", "ef_search", "nprobe", "access_path")

AnyPlan = Plan | InsertRows | DeleteRows | UpdateRows
Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a transaction started from, what it sees now, and what it did."""

    base: Snapshot
    seen: Snapshot
    changes: tuple[Change, ...] = ()

    def stage(self, staged: Iterable[Change]) -> "Transaction":
        """Return the transaction with further changes."""
        added = tuple(staged)
        seen = self.seen
        for one in added:
            seen = change.apply(seen, one)
        return Transaction(self.base, seen, (*self.changes, *added))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parsed and, where it is a query or a write, planned statement.

    `depends` holds the definition of every table that the plan reads; while these are the same
    the plan is good.
    """

    parsed: Parsed
    plan: AnyPlan | None
    depends: tuple[tuple[str, object], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


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
        self, catalog: Catalog, store: Store, *, autocommit: bool, read_only: bool
    ) -> None:
        self.autocommit = autocommit
        self.read_only = read_only
        self.progress: ProgressReport | None = None
        self._catalog = catalog
        self._resources = Resources(store)
        self._settings: dict[str, Any] = dict(known_settings.DEFAULTS)
        self._outside: dict[str, pa.Table] = {}
        self._outside_columns: dict[str, tuple[Column, ...]] = {}
        self._plans: OrderedDict[str, Prepared] = OrderedDict()
        self._ready: dict[str, Ready] = {}
        self._committed = catalog.load()
        self._transaction: Transaction | None = None
        self._explicit = False
        self._local_settings: dict[str, Any] = {}
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
        session = cls(catalog, Store.open(root), autocommit=autocommit, read_only=read_only)
        for name, value in session._committed.settings.items():
            session._settings[name] = known_settings.checked(name, value)
        session._settings.update(checked)
        return session

    def close(self) -> None:
        """Forget what is not committed and let go of the files."""
        self._transaction = None
        if self._relational is not None:
            self._relational.close()
        self._catalog.close()

    def interrupt(self) -> None:
        """Cancel the running statement; callable from any thread."""
        self._interrupted.set()
        if self._relational is not None:
            self._relational.interrupt()

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table readable under a name."""
        columns = tuple(
            Column(number + 1, field_.name, from_arrow(field_.type))
            for number, field_ in enumerate(table.schema)
        )
        self._outside[name] = table
        self._outside_columns[name] = columns
        self._plans.clear()
        self._ready.clear()

    def unregister(self, name: str) -> None:
        """Forget a registered table."""
        self._outside.pop(name, None)
        self._outside_columns.pop(name, None)
        self._plans.clear()
        self._ready.clear()

    @property
    def in_transaction(self) -> bool:
        return self._transaction is not None

    def execute(self, text: str, bind: Callable[[Parsed], Sequence[Parameters]]) -> Result:
        """Run one statement: parse, plan, execute. `bind` gives its sets of parameters.

        Raises vsql errors alone; after one, the statement has had no effect.
        """
        with self._lock:
            if self._interrupted.is_set():
                self._interrupted.clear()
            try:
                snapshot = self._begin_statement()
                ready = self._ready.get(text)
                if (
                    ready is not None
                    and ready.snapshot is snapshot
                    and ready.base_settings is self._settings
                    and not self._local_settings
                ):
                    parameters = bind(ready.prepared.parsed)[0]
                    result = ready.operator(self._context(ready.settings, parameters))
                else:
                    prepared = self._prepare(text, snapshot)
                    result = self._dispatch(text, prepared, bind(prepared.parsed))
            except Error as error:
                if error.statement is None:
                    error.statement = text
                if error.span is None and error.sqlstate in _NAMED:
                    error.span = _place_of_name(error.message, text)
                raise
            except RecursionError:
                raise ProgrammingError(
                    "the statement is nested too deeply", code=sqlstate.STATEMENT_TOO_COMPLEX
                ) from None
            except MemoryError:
                raise OperationalError("out of memory", code="53200") from None
            except Exception as error:  # a bug of ours: no foreign exception reaches a user
                raise InternalError(
                    f"internal error: {type(error).__name__}: {error}",
                    statement=text,
                    hint="please report this statement",
                ) from error
            finally:
                if self.autocommit and not self._explicit:
                    self._transaction = None
            return result

    def _begin_statement(self) -> Snapshot:
        if self._transaction is not None:
            return self._transaction.seen
        if self._catalog.changed():
            self._committed = self._catalog.load()
        self._transaction = Transaction(self._committed, self._committed)
        return self._committed

    def _facts(self) -> Facts:
        assert self._transaction is not None
        return Facts(self._transaction.seen.tables, self._outside_columns, self._settings)

    def _prepare(self, text: str, snapshot: Snapshot) -> Prepared:
        known = self._plans.get(text)
        if known is not None and all(
            _definition(name, snapshot) == definition for name, definition in known.depends
        ):
            return known
        parsed = parse(
            text,
            statement_bytes_max=self._settings["statement_bytes_max"],
            nesting_max=self._settings["nesting_max"],
        )
        prepared = self._plan(parsed, snapshot)
        if prepared.plan is not None:
            self._plans[text] = prepared
            if len(self._plans) > _PLANS_MAX:
                self._plans.popitem(last=False)
        return prepared

    def _plan(self, parsed: Parsed, snapshot: Snapshot) -> Prepared:
        facts, statement = self._facts(), parsed.statement
        inner = statement.statement if isinstance(statement, st.Explain) else statement
        settings: dict[str, Any] = {}
        plan: AnyPlan
        match inner:
            case st.Query(tree, written):
                check_setting_names(written, _SEARCH_PARAMETERS)
                settings = {n: known_settings.checked(n, v) for n, v in written.items()}
                plan = plan_query(tree, facts)
            case st.Insert(tree):
                plan = plan_insert(tree, facts)
            case st.Update(tree):
                plan = plan_update(tree, facts)
            case st.Delete(tree):
                plan = plan_delete(tree, facts)
            case _:
                return Prepared(parsed, None)
        depends = tuple((name, _definition(name, snapshot)) for name in tables_of(plan))
        return Prepared(parsed, plan, depends, settings)

    def _context(self, settings: Mapping[str, Any], parameters: Parameters) -> Context:
        assert self._transaction is not None
        return Context(
            snapshot=self._transaction.seen,
            resources=self._resources,
            read_inlined=self._read_inlined,
            settings=settings,
            outside=self._outside,
            relational=self._relation,
            interrupted=self._interrupted,
            parameters=parameters,
            progress=self.progress,
        )

    def _read_inlined(self, segment_id: int) -> bytes:
        if self._transaction is not None:
            for staged in self._transaction.changes:
                if isinstance(staged, AddSegment) and staged.segment.id == segment_id:
                    from vsql.storage.segment_file import encode_batch

                    return encode_batch(staged.rows)
        return self._catalog.inlined_rows(segment_id)

    def _relation(self) -> "Relational":
        if self._relational is None:
            from vsql.executor.remainder import Relational

            self._relational = Relational()
        return self._relational

    def _dispatch(
        self, text: str, prepared: Prepared, parameter_sets: Sequence[Parameters]
    ) -> Result:
        parameters = parameter_sets[0] if parameter_sets else {}
        settings: Mapping[str, Any] = self._settings
        if self._local_settings or prepared.settings:
            settings = {**self._settings, **self._local_settings, **prepared.settings}
        context = self._context(settings, dict(parameters))
        statement, plan = prepared.parsed.statement, prepared.plan
        if isinstance(statement, st.Explain):
            return self._explain(statement, prepared, context, parameter_sets)
        match plan:
            case None:
                return self._utility(statement, context)
            case InsertRows() | DeleteRows() | UpdateRows():
                return self._write(plan, context, parameter_sets)
            case _:
                operator = prepare(plan, context)
                if not self._local_settings:
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
            raise ProgrammingError("EXPLAIN takes a query, INSERT, UPDATE or DELETE")

        def execute() -> Result:
            if isinstance(plan, InsertRows | DeleteRows | UpdateRows):
                return self._write(plan, context, parameter_sets)
            return run(plan, context)

        return explained(plan, context, execute if statement.analyze else None, statement.format)

    def _write(
        self,
        plan: InsertRows | DeleteRows | UpdateRows,
        context: Context,
        parameter_sets: Sequence[Parameters],
    ) -> Result:
        from vsql.executor import write

        self._refuse_read_only()
        if isinstance(plan, InsertRows):
            written, tag = write.insert(plan, parameter_sets or [{}], context), "INSERT 0"
            return self._staged(written.changes, f"{tag} {written.count}", written.count, context)
        count, all_changes = 0, False
        for parameters in parameter_sets or [{}]:
            context.parameters = dict(parameters)
            done = (
                write.delete(plan, context)
                if isinstance(plan, DeleteRows)
                else write.update(plan, context)
            )
            count += done.count
            self._stage(done.changes)
            assert self._transaction is not None
            context.snapshot = self._transaction.seen
            all_changes = True
        assert all_changes
        word = "DELETE" if isinstance(plan, DeleteRows) else "UPDATE"
        return self._staged((), f"{word} {count}", count, context)

    def _utility(self, statement: st.Statement, context: Context) -> Result:
        from vsql.executor import copy, ddl, write

        facts = self._facts()
        match statement:
            case st.Empty():
                return Result("")
            case st.Begin() | st.Commit() | st.Rollback():
                return self._transaction_statement(statement)
            case st.CreateTable():
                return self._change(ddl.create_table(statement, facts, context), "CREATE TABLE")
            case st.DropTable():
                return self._change(ddl.drop_table(statement, facts, context), "DROP TABLE")
            case st.CreateIndex():
                self._refuse_read_only()
                # An index covers what is there: rows that were still growing are sealed first.
                self._stage(write.seal_when_due(facts.require(statement.table), context, now=True))
                assert self._transaction is not None
                context.snapshot, facts = self._transaction.seen, self._facts()
                return self._change(ddl.create_index(statement, facts, context), "CREATE INDEX")
            case st.DropIndex():
                return self._change(ddl.drop_index(statement, facts, context), "DROP INDEX")
            case st.CopyFrom():
                self._refuse_read_only()
                loaded = copy.copy_from(statement, facts, context)
                return self._staged(loaded.changes, f"COPY {loaded.count}", loaded.count, context)
            case st.CopyTo(query):
                rows = run(plan_query(query, facts), context).table
                assert rows is not None
                count = copy.copy_to(statement, rows, context)
                return Result(f"COPY {count}", None, (), count)
            case st.Flush(table):
                self._refuse_read_only()
                tables = [facts.require(table)] if table else list(facts.tables.values())
                for one in tables:
                    self._stage(write.seal_when_due(one, context, now=True))
                return self._staged((), "FLUSH", -1, context)
            case st.ShowTables():
                return ddl.show_tables(facts, context)
            case st.ShowIndexes(table):
                return ddl.show_indexes(table, facts)
            case st.ShowColumns(table):
                return ddl.show_columns(table, facts)
            case _:
                return self._setting_statement(statement)

    def _setting_statement(self, statement: st.Statement) -> Result:
        from vsql.executor.ddl import show_settings

        match statement:
            case st.ShowSetting(name):
                current = {**self._settings, **self._local_settings}
                return show_settings(current, known_settings.canonical(name) if name else None)
            case st.ResetSetting(name):
                names = [known_settings.canonical(name)] if name else list(known_settings.DEFAULTS)
                for one in names:
                    self._set(one, known_settings.DEFAULTS[one])
                return Result("RESET")
            case st.SetSetting(name, written, scope):
                own = known_settings.canonical(name)
                default = written.lower() == "default"
                value = (
                    known_settings.DEFAULTS[own]
                    if default
                    else known_settings.checked(own, written)
                )
                if own == "busy_timeout_ms":
                    self._catalog.set_busy_timeout(value)
                if scope == "local":
                    self._local_settings[own] = value
                    return Result("SET")
                self._set(own, value)
                if scope == "global":
                    return self._change((change.PutSetting(own, str(value)),), "SET")
                return Result("SET")
            case _:
                raise AssertionError(statement)

    def _set(self, name: str, value: Any) -> None:
        # A new mapping: operators know by its identity that the settings are still theirs.
        self._settings = {**self._settings, name: value}

    def _transaction_statement(self, statement: st.Statement) -> Result:
        match statement:
            case st.Begin():
                self._explicit = True
                return Result("BEGIN")
            case st.Commit():
                self.commit()
                return Result("COMMIT")
            case _:
                self.rollback()
                return Result("ROLLBACK")

    def _change(self, changes: tuple[Change, ...], tag: str) -> Result:
        self._refuse_read_only()
        self._stage(changes)
        self._commit_when_auto()
        return Result(tag)

    def _staged(
        self, changes: tuple[Change, ...], tag: str, count: int, context: Context
    ) -> Result:
        from vsql.executor.write import seal_when_due

        self._stage(changes)
        assert self._transaction is not None
        touched = {
            s.segment.table_id for s in self._transaction.changes if isinstance(s, AddSegment)
        }
        for table in list(self._transaction.seen.tables.values()):
            if table.table.id in touched:
                context.snapshot = self._transaction.seen
                self._stage(seal_when_due(table, context))
        self._commit_when_auto()
        return Result(tag, None, (), count)

    def _stage(self, changes: Iterable[Change]) -> None:
        assert self._transaction is not None
        self._transaction = self._transaction.stage(changes)

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise OperationalError(
                "the database was opened read-only", code=sqlstate.READ_ONLY_SQL_TRANSACTION
            )

    def _commit_when_auto(self) -> None:
        if self.autocommit and not self._explicit:
            self.commit()

    def commit(self) -> None:
        """Make the transaction's changes visible, all or none; raises OperationalError (40001)."""
        with self._lock:
            transaction, self._transaction = self._transaction, None
            self._explicit = False
            self._local_settings = {}
            if transaction is None or not transaction.changes:
                return
            self._committed = self._catalog.commit(
                transaction.base,
                transaction.changes,
                lambda newest: self._check_keys(transaction, newest),
            )

    def rollback(self) -> None:
        """Forget the transaction's changes."""
        with self._lock:
            self._transaction = None
            self._explicit = False
            self._local_settings = {}

    def _check_keys(self, transaction: Transaction, newest: Snapshot) -> None:
        """Refuse keys that others committed since the transaction began."""
        from vsql.executor.keys import check_new_keys

        old = {s.id for t in transaction.base.tables.values() for s in t.segments}
        removed = {c.segment_id for c in transaction.changes if isinstance(c, change.RemoveSegment)}
        for table in newest.tables.values():
            others = tuple(s for s in table.segments if s.id not in old)
            mine = transaction.seen.tables.get(table.table.name)
            if mine is None or not others or not table.table.primary_key:
                continue
            added = tuple(s for s in mine.segments if s.id not in old and s.id not in removed)
            self._transaction = transaction
            context = self._context(self._settings, {})
            try:
                for segment in context.segments(replace(mine, segments=added)):
                    check_new_keys(replace(table, segments=others), segment.batch, context)
            finally:
                self._transaction = None


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
