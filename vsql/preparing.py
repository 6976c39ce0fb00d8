"""Text to plan, and the plans that a session keeps.

A plan is kept by the statement's text and is good while the definitions that it was made with are
the same; an operator made of it is good for one snapshot.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.core.schema import Column
from vsql.core.settings import NOTHING, checked
from vsql.core.snapshot import Snapshot, TableSnapshot
from vsql.executor.run import Operator
from vsql.grammar import statements as st
from vsql.grammar.parse import Parsed, parse
from vsql.planner.facts import Facts
from vsql.planner.nodes import Plan, Write
from vsql.planner.plan import check_setting_names, plan_query, tables_of
from vsql.planner.resolve import Names, resolve

_PLANS_MAX = 512
_SEARCH_PARAMETERS = ("target_recall", "ef_search", "nprobe", "access_path")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parsed and, where it is a query or a write, planned statement.

    `depends` holds the definition of every table that the plan reads; while these, and the views
    and aliases in `objects`, are the same the plan is good. One that reads older versions is
    good for one run: `older` are these tables. `nanoseconds` were spent, by phase.
    """

    parsed: Parsed
    plan: Plan | Write | None
    depends: tuple[tuple[str, object], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    objects: Mapping[Any, Any] = field(default_factory=dict)
    older: Mapping[str, TableSnapshot] = field(default_factory=dict)
    nanoseconds: Mapping[str, int] = field(default_factory=dict)

    def is_good_for(self, snapshot: Snapshot) -> bool:
        """Whether nothing that the plan was made with has changed."""
        return self.objects == snapshot.objects and all(
            _definition(name, snapshot) == before for name, before in self.depends
        )


@dataclass(slots=True)
class Ready:
    """A prepared statement with the operator that was made for one snapshot and its settings."""

    prepared: Prepared
    operator: Operator
    snapshot: Snapshot
    base_settings: Mapping[str, Any]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a statement's names may mean, and the settings that it is read under.

    `past` returns the snapshot that VERSION or TIMESTAMP and a constant mean.
    """

    seen: Snapshot
    outside: Mapping[str, tuple[Column, ...]]
    settings: Mapping[str, Any]
    past: Callable[[str, exp.Expr], Snapshot]

    def facts(self, older: Mapping[str, TableSnapshot] = NOTHING) -> Facts:
        """Return what the planner may know."""
        tables = {**self.seen.tables, **older} if older else self.seen.tables
        return Facts(tables, self.outside)

    def resolved(self, tree: Any, older: dict[str, TableSnapshot]) -> Any:
        """Return a tree with its names resolved; tables of older versions are put in `older`."""

        def at(name: str, kind: str, moment: exp.Expr) -> str:
            snapshot = self.past(kind, moment)
            known_as = f"{name}@{snapshot.version}"
            found = snapshot.tables.get(name)
            if found is None:
                raise ProgrammingError(
                    f'table "{name}" did not exist at version {snapshot.version}',
                    code=sqlstate.UNDEFINED_TABLE,
                )
            older[known_as] = replace(found, table=replace(found.table, name=known_as))
            return known_as

        def has_table(name: str) -> bool:
            return name in self.outside or name in self.seen.tables

        def columns(name: str) -> tuple[str, ...] | None:
            table = older.get(name) or self.seen.tables.get(name)
            if name in self.outside or table is None or not table.table.is_dynamic:
                return None
            return tuple(column.name for column in table.table.columns)

        return resolve(tree, Names(self.seen.objects, has_table, columns, at))


class Plans:
    """The plans and operators that a session keeps, by the text of their statements."""

    def __init__(self) -> None:
        self._prepared: OrderedDict[str, Prepared] = OrderedDict()
        self._ready: dict[str, Ready] = {}

    def forget(self) -> None:
        """Forget them all: names mean other things now."""
        self._prepared.clear()
        self._ready.clear()

    def ready(self, text: str, snapshot: Snapshot, settings: Mapping[str, Any]) -> Ready | None:
        """Return the operator kept for a statement where it still holds, else None."""
        kept = self._ready.get(text)
        if kept is None or kept.snapshot is not snapshot or kept.base_settings is not settings:
            return None
        return kept

    def keep_ready(self, text: str, ready: Ready) -> None:
        """Keep an operator; those of older snapshots go, since they hold what it read."""
        newest = next(iter(self._ready.values()), ready)
        if newest.snapshot is not ready.snapshot or len(self._ready) >= _PLANS_MAX:
            self._ready.clear()
        self._ready[text] = ready

    def prepare(self, text: str, around: Surroundings) -> Prepared:
        """Return a statement with its plan; raises what parsing and planning raise."""
        known = self._prepared.get(text)
        if known is not None and known.is_good_for(around.seen):
            return known
        started = time.perf_counter_ns()
        parsed = parse(
            text,
            statement_bytes_max=around.settings["statement_bytes_max"],
            nesting_max=around.settings["nesting_max"],
        )
        read = time.perf_counter_ns()
        prepared = _planned(parsed, around)
        spent = {"parse": read - started, "plan": time.perf_counter_ns() - read}
        prepared = replace(prepared, nanoseconds=spent)
        if (prepared.plan is not None and not prepared.older) or _is_repeated(parsed.statement):
            self._prepared[text] = prepared
            if len(self._prepared) > _PLANS_MAX:
                self._prepared.popitem(last=False)
        return prepared


def _planned(parsed: Parsed, around: Surroundings) -> Prepared:
    statement = parsed.statement
    inner = statement.statement if isinstance(statement, st.Explain) else statement
    settings: dict[str, Any] = {}
    older: dict[str, TableSnapshot] = {}

    def known(tree: exp.Expr) -> tuple[Any, Facts]:
        return around.resolved(tree, older), around.facts(older)

    plan: Plan | Write
    match inner:
        case st.Query(tree, written):
            check_setting_names(written, _SEARCH_PARAMETERS)
            settings = {n: checked(n, v) for n, v in written.items()}
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
    depends = tuple((name, _definition(name, around.seen)) for name in tables_of(plan))
    return Prepared(parsed, plan, depends, settings, around.seen.objects, older)


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


def _definition(name: str, snapshot: Snapshot) -> object:
    table: TableSnapshot | None = snapshot.tables.get(name)
    return None if table is None else (table.table, table.indexes)
