"""The plug-in points: what an index kind must offer.

An index kind is one value in the registry (`vsql.index.registry`); nothing else in the program
names a kind. A *vector* kind builds a searcher over the vectors of one segment; a *scalar* kind
answers simple conditions on one key with row numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core.distance import Metric
from vsql.core.types import SqlType

Floats = npt.NDArray[np.float32]
Vectors = npt.NDArray[Any]
"""Vectors as a column stores them: (rows, dimension) in the dtype that `vsql.core.dense` says;
packed bits as uint8, (rows, bytes)."""
Rows = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint8]
Progress = Callable[[float], None]
"""Called with the fraction done, 0.0 to 1.0."""


class Shape(Enum):
    """How a vector structure finds its candidates, which decides how it takes a filter."""

    GRAPH = "graph"
    """Walks from neighbour to neighbour: a filter that keeps few rows starves it."""
    LISTS = "lists"
    """Scans inverted lists: sound under any filter when it scans enough of them."""
    ROWS = "rows"
    """Lists of row numbers alone: all rows of the lists come back, for the caller to rank."""


@dataclass(frozen=True, slots=True)
class Option:
    """A build option of an index kind that is an integer, as WITH (name = value) takes it."""

    name: str
    default: int
    minimum: int
    maximum: int
    meaning: str
    divides_dimension: bool = False
    """Whether the value, unless it is 0, must divide the dimension of the column."""


@dataclass(frozen=True, slots=True)
class FractionOption:
    """A build option that is a real number."""

    name: str
    default: float
    minimum: float
    maximum: float
    meaning: str


@dataclass(frozen=True, slots=True)
class WordOption:
    """A build option that is one of a few words, upper or lower case."""

    name: str
    default: str
    choices: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class FlagOption:
    """A build option that is true or false."""

    name: str
    default: bool
    meaning: str


AnyOption = Option | FractionOption | WordOption | FlagOption
Options = Mapping[str, Any]
"""Checked values by the name of their option: int, float, str or bool."""

MAPPED = "mmap"
"""The option of kinds whose `load` takes `mapped`."""


class Ranker(Protocol):
    """Exact distances from queries to the vectors of one column of one segment.

    A query, and several, are what the column's kind of vector makes them: arrays (dimension,) and
    (queries, dimension) of dense ones, `SparseVector` and `SparseRows` of sparse ones.
    """

    @property
    def norms_bytes(self) -> int:
        """Memory beside the vectors themselves."""

    def distances(self, query: Any, rows: Rows | None = None) -> Floats:
        """Return float32 distances from `query` to `rows`, or to all rows."""

    def best(self, query: Any, rows: Rows, k: int) -> tuple[Rows, Floats]:
        """Return the nearest `k` of `rows`, ascending, by (distance, row), NaN last."""

    def within(self, query: Any, rows: Rows, bound: float) -> tuple[Rows, Floats] | None:
        """Return those of `rows` at most `bound` far, by (distance, row); None beside a NaN."""

    def nearest(self, queries: Any, k: int, rows: Rows | None = None) -> tuple[Rows, Floats]:
        """Return the top `k` of each query, (queries, k): rows, -1 for none, and distances."""

    def rank(self, queries: Any, candidates: Rows, k: int) -> tuple[Rows, Floats]:
        """Return the top `k` among each query's candidates, (queries, n) rows, -1 for none."""


class VectorSearcher(Protocol):
    """An opened vector structure over one segment; safe to search from several threads."""

    @property
    def efforts(self) -> tuple[int, ...]:
        """The search settings worth measuring, ascending (ef_search, nprobe)."""

    def search(self, queries: Vectors, k: int, effort: int, bitmap: Bits | None = None) -> Rows:
        """Return row numbers of candidates.

        `queries` is (n, dimension) float32, C-contiguous, normalised already when the metric is
        cosine; for bits (n, bytes) uint8, packed as in the column. The answer is (n, c) row
        numbers, -1 at the end where fewer were found: c is k where the structure knows distances,
        nearest first; more where it leaves all of them to the caller. `bitmap` holds one bit per
        row, least significant first; rows whose bit is 0 are not returned. Distances inside may
        be approximate: the caller ranks candidates by exact distance.
        """

    def candidates(self, k: int) -> int:
        """How many candidates to ask for so that exact ranking finds the top `k` among them."""

    def search_dense(self, query: Vectors, k: int, effort: int, bitmap: Bits, slack: float) -> Rows:
        """Search for one query, (dimension,), as hard as the filter around it needs; no GRAPH does.

        `effort` lists serve a filter that is as dense near the query as overall; `slack` is how
        many times more lists the same share of matches may take before the nearest may lie
        anywhere. The answer is (c,), as of `search`.
        """

    def save(self, path: Path) -> None:
        """Write the structure to `path`, complete but not yet synced."""

    def byte_size(self) -> int:
        """Bytes in memory or on disk, about."""


class VectorIndexKind(Protocol):
    """A kind of vector structure."""

    name: str
    shape: Shape
    options: tuple[AnyOption, ...]

    def supports(self, type_: SqlType, metric: Metric) -> bool:
        """Whether it can index this column type under this metric."""

    def build(
        self,
        vectors: Vectors,
        metric: Metric,
        options: Options,
        *,
        threads: int,
        progress: Progress,
    ) -> VectorSearcher:
        """Build over the vectors of a column, not normalised, NULL rows all zero."""

    def load(self, path: Path) -> VectorSearcher:
        """Open what `save` wrote; raises OSError or ValueError where the file is unusable.

        A kind with the option `mmap` takes its value as the keyword `mapped`: whether the file is
        mapped into memory rather than read.
        """


class Comparison(Enum):
    """What a scalar index can be asked."""

    EQUAL = "="
    IN = "IN"
    RANGE = "BETWEEN"
    IS_NULL = "IS NULL"
    CONTAINS_ANY = "&&"
    CONTAINS_ALL = "@>"
    PREFIX = "LIKE 'x%'"
    SUBSTRINGS = "LIKE '%x%'"


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of an index's key with constants.

    EQUAL, IN and those of arrays, whose elements they compare, use `values`; so do PREFIX and
    SUBSTRINGS, the pieces that a text must hold, whatever their case: what that finds are
    candidates, which the caller checks. RANGE uses `low` and
    `high` (None: open) with their inclusiveness.
    Values are Python values of the key's type.
    """

    comparison: Comparison
    values: tuple[Any, ...] = ()
    low: Any = None
    high: Any = None
    low_inclusive: bool = True
    high_inclusive: bool = True


class ScalarSearcher(Protocol):
    """An opened scalar structure over one segment."""

    def lookup(self, condition: Condition) -> npt.NDArray[np.uint32] | None:
        """Return the matching row numbers, in any order; None where it can't answer this."""

    def estimate(self, condition: Condition) -> int | None:
        """Return the number of matching rows without making them, None where it can't."""

    def save(self, path: Path) -> None:
        """Write the structure to `path`, complete but not yet synced."""

    def byte_size(self) -> int:
        """Bytes in memory or on disk, about."""


class ScalarIndexKind(Protocol):
    """A kind of scalar structure."""

    name: str
    options: tuple[AnyOption, ...]

    def supports(self, type_: SqlType) -> bool:
        """Whether it can index keys of this type."""

    def build(self, values: pa.Array, options: Mapping[str, int]) -> ScalarSearcher:
        """Build over the key of every row of a segment, in row order."""

    def load(self, path: Path) -> ScalarSearcher:
        """Open what `save` wrote; raises OSError or ValueError where the file is unusable."""
