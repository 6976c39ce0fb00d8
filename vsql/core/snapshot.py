"""A snapshot: everything that the catalog says at one version, as immutable values.

Rows of a table lie in segments. A *sealed* segment is an immutable Arrow file; an *inlined* one is
a small batch of rows inside the catalog. Deletes never change a segment: they are row numbers
beside it. A snapshot is passed by value and never changes; a commit makes a new one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vsql.core.machine import BUILT_IN, Machine
from vsql.core.schema import Index, NamedObject, Table
from vsql.core.statistics import ColumnStatistics, PathStatistics


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What one search setting was measured to give on a segment's own vectors.

    `effort` is ef_search for graphs, nprobe for inverted lists; `depth` the k of the measurement;
    `recall` is within the top `depth`; `nanoseconds` per query, one thread. `reorder_factor` is how
    many times as many candidates were ranked exactly as codes of that length mostly need.
    """

    effort: int
    depth: int
    recall: float
    nanoseconds: float
    reorder_factor: int = 1


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One structure of an index over one segment: a file, or an object in memory.

    An index has one or more structures per segment: AUTOINDEX has a graph and a scan. `structure`
    is the registry name of what the file holds (HNSW, SCANN, BTREE, …); `name` the file's name
    relative to the database, which is also its key in memory; `curve` is empty for scalar ones;
    `exact_nanoseconds` is the measured cost of one exact distance at build time.
    """

    index_id: int
    segment_id: int
    structure: str
    name: str
    byte_size: int
    checksum: str
    curve: tuple[CurvePoint, ...] = ()
    exact_nanoseconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """One segment as the catalog sees it.

    `name` is the file's name relative to the database, None for an inlined batch; `deletes` are
    serialised 32-bit roaring bitmaps, one per commit that deleted rows, to be united;
    `statistics` maps column ids to what is known, `paths` column ids and JSON pointers of the paths
    that it keeps in columns; both are empty for inlined batches. `rewritten` tells
    that the rows were there before, in other segments: they were moved here, not inserted.
    """

    id: int
    table_id: int
    row_count: int
    byte_size: int
    name: str | None = None
    checksum: str = ""
    deletes: tuple[bytes, ...] = ()
    deleted_count: int = 0
    statistics: Mapping[int, ColumnStatistics] = field(default_factory=dict)
    paths: Mapping[tuple[int, str], PathStatistics] = field(default_factory=dict)
    index_files: tuple[IndexFile, ...] = ()
    partition: str = ""
    rewritten: bool = False

    @property
    def is_inlined(self) -> bool:
        return self.name is None

    @property
    def live_count(self) -> int:
        return self.row_count - self.deleted_count

    def structure(self, index_id: int, name: str) -> IndexFile | None:
        """Return the file of one structure of one index, or None where it is not built."""
        for file in self.index_files:
            if file.index_id == index_id and file.structure == name:
                return file
        return None


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """One table with its segments, oldest first, and its indexes, in order of creation."""

    table: Table
    segments: tuple[SegmentFacts, ...] = ()
    indexes: tuple[Index, ...] = ()

    @property
    def live_count(self) -> int:
        """The exact number of rows, in time proportional to the number of segments."""
        return sum([segment.row_count - segment.deleted_count for segment in self.segments])

    @property
    def sealed(self) -> tuple[SegmentFacts, ...]:
        return tuple([segment for segment in self.segments if segment.name is not None])

    @property
    def inlined(self) -> tuple[SegmentFacts, ...]:
        return tuple([segment for segment in self.segments if segment.name is None])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All tables at one version, by name, and the database's own settings (SET GLOBAL).

    `objects` are schemas, views and aliases by kind and name; `machine` is what work costs here,
    the same for every version.
    """

    version: int
    tables: Mapping[str, TableSnapshot] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    objects: Mapping[tuple[str, str], NamedObject] = field(default_factory=dict)
    machine: Machine = BUILT_IN

    def named(self, kind: str) -> Mapping[str, NamedObject]:
        """Return the objects of one kind by name."""
        return {name: found for (own, name), found in self.objects.items() if own == kind}
