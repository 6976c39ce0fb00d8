"""What an operator may reach while it runs: segments, parameters, settings, caches."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import OperationalError, ProgrammingError
from vsql.core.protocols import Bits, Rows
from vsql.core.schema import Column
from vsql.core.snapshot import IndexFile, Snapshot, TableSnapshot
from vsql.executor.cache import ByteCache
from vsql.index import registry
from vsql.storage.segment import OpenSegment
from vsql.storage.store import Store

if TYPE_CHECKING:
    from vsql.executor.remainder import Relational

_MASK_BYTES = 64 * 1024 * 1024
_DERIVED_BYTES = 512 * 1024 * 1024
_RANKER_BYTES = 1024 * 1024 * 1024

ProgressReport = Callable[[str, float], None]


@dataclass
class Resources:
    """What a database keeps between statements: opened files and what was derived from them.

    `masks` are predicates over immutable segments, `derived` expressions over them (a JSON path
    read once), `rankers` exact distances with the norms of a column, `graphs` the incremental
    indexes of growing segments, by column id.
    """

    store: Store
    masks: ByteCache = field(default_factory=lambda: ByteCache(_MASK_BYTES))
    derived: ByteCache = field(default_factory=lambda: ByteCache(_DERIVED_BYTES))
    rankers: ByteCache = field(default_factory=lambda: ByteCache(_RANKER_BYTES))


@dataclass
class Trace:
    """What EXPLAIN ANALYZE shows: nanoseconds by phase, and a line for each segment searched."""

    phases: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    mask_hits: int = 0
    mask_misses: int = 0
    distances: int = 0

    def add(self, phase: str, nanoseconds: int) -> None:
        self.phases[phase] = self.phases.get(phase, 0) + nanoseconds


@dataclass
class Context:
    """One statement's run."""

    snapshot: Snapshot
    resources: Resources
    read_inlined: Callable[[int], bytes]
    settings: Mapping[str, Any]
    outside: Mapping[str, pa.Table]
    relational: Callable[[], "Relational"]
    interrupted: threading.Event
    parameters: dict[str, Any]
    trace: Trace | None = None
    progress: ProgressReport | None = None

    def table(self, name: str) -> TableSnapshot:
        return self.snapshot.tables[name]

    def segments(self, table: TableSnapshot) -> tuple[OpenSegment, ...]:
        """Return the opened segments of a table."""
        return self.resources.store.open_table(table, self.read_inlined)

    def parameter(self, key: str) -> Any:
        """Return a parameter's value; raises ProgrammingError (42P02) where it was not given."""
        try:
            return self.parameters[key]
        except KeyError:
            raise ProgrammingError(
                f"there is no parameter {shown_parameter(key)}", code=sqlstate.UNDEFINED_PARAMETER
            ) from None

    def check_interrupt(self) -> None:
        """Raise OperationalError (57014) where the statement was cancelled."""
        if self.interrupted.is_set():
            raise OperationalError(
                "canceling statement due to user request", code=sqlstate.QUERY_CANCELED
            )

    def index(self, file: IndexFile) -> Any:
        """Return an opened index structure."""
        name = file.structure
        kind = (
            registry.vector_kind(name)
            if registry.is_vector_kind(name)
            else registry.scalar_kind(name)
        )
        return self.resources.store.open_index(file, kind.load)


def shown_parameter(key: str) -> str:
    return f"${key}" if key.isdigit() else f":{key}"


def column_of(segment: OpenSegment, column: Column) -> pa.Array:
    """Return a column of a segment, as Arrow."""
    return segment.column(column.id, column.type.arrow)


__all__ = [
    "Bits",
    "Context",
    "ProgressReport",
    "Resources",
    "Rows",
    "Trace",
    "column_of",
    "shown_parameter",
]
