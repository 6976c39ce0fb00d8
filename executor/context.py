"""What an operator may reach while it runs: segments, parameters, settings, caches."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import OperationalError, ProgrammingError
from vsql.core.protocols import Bits, Rows
from vsql.core.schema import Column, Table
from vsql.core.snapshot import SegmentFacts, Snapshot, TableSnapshot
from vsql.core.types import SqlType
from vsql.executor.expiry import unexpired
from vsql.storage.byte_cache import NO_LIMIT, ByteCache
from vsql.storage.segment import OpenSegment
from vsql.storage.segment_file import decode_batch
from vsql.storage.store import Growings, Store

if TYPE_CHECKING:
    from vsql.catalog.catalog import Catalog
    from vsql.executor.garbage import Collected
    from vsql.executor.remainder import Relational
    from vsql.executor.trace import Trace

_MASK_BYTES = 64 * 1024 * 1024
_DERIVED_BYTES = 512 * 1024 * 1024
_RANKER_BYTES = 1024 * 1024 * 1024
# Less than this and it can't run a join at all.
_RELATIONAL_BYTES_MIN = 32 * 1024 * 1024

T = TypeVar("T")
ProgressReport = Callable[[str, float], None]


@dataclass
class Resources:
    """What a database keeps between statements: opened files and what was derived from them.

    `masks` are predicates over immutable segments, `derived` expressions over them (a JSON path
    read once), `rankers` exact distances with the norms of a column. `recent` are inlined batches
    that this process committed and has not read back yet. `unbuildable` are structures, by segment,
    index and name, that could not be built: their rows are searched exactly.
    """

    store: Store
    masks: ByteCache = field(default_factory=lambda: ByteCache(_MASK_BYTES))
    derived: ByteCache = field(default_factory=lambda: ByteCache(_DERIVED_BYTES))
    rankers: ByteCache = field(default_factory=lambda: ByteCache(_RANKER_BYTES))
    recent: dict[int, pa.RecordBatch] = field(default_factory=dict)
    unbuildable: set[tuple[int, int, str]] = field(default_factory=set)
    memory_limit: int = 0

    def limit_memory(self, limit: int) -> None:
        """Hold at most `limit` bytes of structures and caches, 0 for the defaults.

        Half is for index structures, a quarter for the caches, and a quarter may be used by each
        connection's relational engine. Rows that grow, and what is mapped, are not counted.
        """
        self.memory_limit = limit
        self.store.structures.resize(limit // 2 if limit else NO_LIMIT)
        for cache, most, share in (
            (self.masks, _MASK_BYTES, 32),
            (self.derived, _DERIVED_BYTES, 8),
            (self.rankers, _RANKER_BYTES, 16),
        ):
            cache.resize(min(most, limit // share) if limit else most)

    @property
    def relational_bytes(self) -> int:
        """What a connection's relational engine may hold, 0 for its own default."""
        return max(self.memory_limit // 4, _RELATIONAL_BYTES_MIN) if self.memory_limit else 0


class StagedRows:
    """Inlined batches that a session wrote and has not committed, or keeps to itself."""

    def __init__(self) -> None:
        self.batches: dict[int, pa.RecordBatch] = {}
        self.growings = Growings()


class Host(Protocol):
    """What few operators need of the session that runs them: the catalog's past, and its jobs."""

    @property
    def catalog(self) -> "Catalog": ...

    def version_of(self, kind: str, moment: Any) -> int:
        """Return the version that VERSION or TIMESTAMP and a constant expression mean."""

    def refuse_inside_transaction(self, what: str) -> None:
        """Raise OperationalError (25001) where the transaction has done something already."""

    def run_query(self, text: str, settings: Mapping[str, Any]) -> pa.Table:
        """Return the rows of a query, run with some settings changed; raises what it raises."""

    def outputs_of(
        self, query: str, *, as_relation: bool = True
    ) -> tuple[tuple[str, SqlType], ...]:
        """Return name and type of each output of a query, planned anew; raises what it raises."""

    def run_script(self, text: str) -> None:
        """Run the statements of a script inside the current transaction."""

    def collect(self) -> "Collected":
        """Remove what no snapshot and no retention needs."""

    def jobs(self) -> list[dict[str, Any]]:
        """Return what the background worker did and does."""


@dataclass(slots=True)
class Context:
    """One statement's run."""

    snapshot: Snapshot
    resources: Resources
    host: Host
    staged: StagedRows
    settings: Mapping[str, Any]
    outside: Mapping[str, pa.Table]
    relational: Callable[[], "Relational"]
    allocate: Callable[[int, int], int]
    interrupted: threading.Event
    parameters: dict[str, Any]
    trace: "Trace | None" = None
    progress: ProgressReport | None = None
    describes: bool = False
    """Whether only outputs are wanted: tables have no rows then, nor the catalogs."""

    _made: dict[Any, tuple[Snapshot, Any]] = field(default_factory=dict)

    @property
    def threads(self) -> int:
        """How many threads a build, a batch or COPY may take: as SET threads says, or all cores."""
        return int(self.settings["threads"]) or os.cpu_count() or 1

    def once(self, make: "Callable[[Context], T]") -> T:
        """Return what `make` makes of this run, made once for its snapshot."""
        known = self._made.get(make)
        if known is None or known[0] is not self.snapshot:
            known = self._made[make] = (self.snapshot, make(self))
        found: T = known[1]
        return found

    def table(self, name: str) -> TableSnapshot:
        return self.snapshot.tables[name]

    def segments(self, table: TableSnapshot) -> tuple[OpenSegment, ...]:
        """Return the opened segments of a table."""
        opened = self.resources.store.open_table(
            table, self._read_batch, self.staged.batches, self.staged.growings
        )
        if "ttl" in table.table.properties:
            return unexpired(opened, table.table)
        return opened

    def past(self, facts: SegmentFacts, table: Table) -> OpenSegment:
        """Return a segment of the past, nothing of it deleted."""
        return self.resources.store.open_past(facts, table, self._read_batch)

    def _read_batch(self, segment_id: int) -> pa.RecordBatch:
        own = self.staged.batches.get(segment_id)
        if own is None:
            own = self.resources.recent.pop(segment_id, None)
        return own if own is not None else decode_batch(self.host.catalog.inlined_rows(segment_id))

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
    "column_of",
    "shown_parameter",
]
