"""IVF_FLAT and BIN_IVF_FLAT: inverted lists of row numbers alone.

Each row lies in the list of its nearest centre. A list holds no vectors: a search returns all rows
of the nearest lists, and the caller ranks them exactly from the column, so that vectors are kept
once. Bits cluster as vectors of zeros and ones; a centre is the share of its rows that have each
bit, and Hamming and Jaccard distances to it are what its rows' distances are on average.

A file is one Arrow record batch of one row: centres, where each list begins, and the rows, list
after list; the metric and the dimension are in the schema's metadata.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vsql.core.bits import within
from vsql.core.distance import Metric
from vsql.core.protocols import (
    MAPPED,
    AnyOption,
    Bits,
    FlagOption,
    Floats,
    Options,
    Progress,
    Rows,
    Shape,
    Vectors,
)
from vsql.core.types import DENSE, Family, SqlType
from vsql.index import codes, probing
from vsql.index.centres import Centres
from vsql.index.probing import Probing

_TRAINING_ROWS_PER_LIST = 48
_FIELDS = ("centres", "starts", "rows")


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a file holds; `starts` has one more than there are lists, `rows` is list after list."""

    metric: Metric
    centres: Floats
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]


class RowLists:
    """Opened lists of row numbers over one segment; safe to search from several threads."""

    def __init__(self, contents: _Contents) -> None:
        self._contents = contents
        self._centres = Centres(contents.centres, contents.metric)
        self._probing = Probing(len(contents.centres), self._scores, self._list_of_row)

    @property
    def efforts(self) -> tuple[int, ...]:
        """Values of nprobe, ascending: powers of two, all lists last."""
        return self._probing.efforts

    def search(self, queries: Vectors, k: int, effort: int, bitmap: Bits | None = None) -> Rows:
        """Return every row of the nearest `effort` lists, (n, c), -1 at the end of shorter ones."""
        probes = min(max(effort, 1), self._probing.total)
        if not k or not len(queries):
            return np.empty((len(queries), 0), dtype=np.int64)
        if bitmap is None:
            chosen = self._probing.nearest(queries, probes)
        else:
            chosen = self._probing.matching(queries, probes, bitmap)
        return probing.padded([self._rows(own, bitmap) for own in chosen.lists])

    def candidates(self, k: int) -> int:
        """How many candidates to ask for: whole lists come back."""
        return k

    def search_dense(self, query: Vectors, k: int, effort: int, bitmap: Bits, slack: float) -> Rows:
        """Return what `search` does for one query, with as many lists as the filter calls for."""
        rounds = self._probing.rounds(query, effort, bitmap, slack)
        rows = self._rows(np.hstack([chosen.lists[0] for chosen in rounds]), bitmap)
        return rows if len(rows) else np.full(1, -1, dtype=np.int64)

    def save(self, path: Path) -> None:
        """Write the lists to `path`; raises OperationalError."""
        from vsql.index.files import write_arrays

        contents = self._contents
        described = {"metric": contents.metric.value, "dimension": str(contents.centres.shape[1])}
        write_arrays(path, _FIELDS, (contents.centres, contents.starts, contents.rows), described)

    def byte_size(self) -> int:
        """Bytes of centres and row numbers."""
        contents = self._contents
        return contents.centres.nbytes + contents.starts.nbytes + contents.rows.nbytes

    def _rows(self, lists: Rows, bitmap: Bits | None) -> Rows:
        """Return the rows of some lists, of `bitmap` alone where there is one."""
        starts, all_rows = self._contents.starts, self._contents.rows
        parts = [all_rows[starts[number] : starts[number + 1]] for number in lists if number >= 0]
        rows: Rows = np.concatenate(parts).astype(np.int64) if parts else np.empty(0, np.int64)
        return rows if bitmap is None else within(bitmap, rows)

    def _scores(self, queries: Vectors) -> Floats:
        if self._contents.metric.over_bits:
            queries = np.unpackbits(queries, axis=1).astype(np.float32)
        return self._centres.scores(queries)

    def _list_of_row(self) -> probing.ListOfRow:
        contents = self._contents
        numbers = np.arange(len(contents.centres), dtype=np.int32)
        result = np.empty(len(contents.rows), dtype=np.int32)
        result[contents.rows] = np.repeat(numbers, np.diff(contents.starts))
        return result


@dataclass(frozen=True, slots=True)
class RowListsKind:
    """A kind of lists of row numbers."""

    name: str
    families: frozenset[Family]
    metrics: frozenset[Metric]
    shape: Shape = Shape.ROWS
    options: tuple[AnyOption, ...] = (
        probing.NLIST,
        FlagOption(MAPPED, True, "map the file into memory instead of reading it"),
    )

    def supports(self, type_: SqlType, metric: Metric) -> bool:
        """Whether the kind is for such columns and knows the metric."""
        return type_.family in self.families and metric in self.metrics

    def build(
        self,
        vectors: Vectors,
        metric: Metric,
        options: Options,
        *,
        threads: int,
        progress: Progress,
    ) -> RowLists:
        """Build over the vectors or bits of a column, in blocks; raises OperationalError."""
        import faiss

        from vsql.index.exact import blocks
        from vsql.index.faiss_calls import building, centres_of, prepared

        count = probing.list_total(len(vectors), options["nlist"])
        with building(threads):
            sample = codes.sample(vectors, _TRAINING_ROWS_PER_LIST * count, count, metric)
            by_product = metric in (Metric.COSINE, Metric.INNER_PRODUCT)
            kind = faiss.METRIC_INNER_PRODUCT if by_product else faiss.METRIC_L2
            centres: Floats = centres_of(sample, count, kind).reconstruct_n(0, count)
            found = Centres(centres, metric)
            list_of_row = np.empty(len(vectors), dtype=np.int32)
            for start, end in blocks(len(vectors), max(sample.shape[1], count)):
                block = prepared(vectors[start:end], metric)
                list_of_row[start:end] = found.scores(block).argmin(axis=1)
                progress(end / len(vectors))
        progress(1.0)
        sizes = np.bincount(list_of_row, minlength=count)
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.argsort(list_of_row, kind="stable").astype(np.int32)
        return RowLists(_Contents(metric, centres, starts, rows))

    def load(self, path: Path, *, mapped: bool = True) -> RowLists:
        """Open the lists at `path`, mapped or read; raises OSError or ValueError."""
        from vsql.index.files import read_arrays

        found = read_arrays(path, _FIELDS, mapped=mapped)
        if found is None:
            raise ValueError(f"the index file {path} does not hold inverted lists of rows")
        (centres, starts, rows), described = found
        metric = Metric(described.get("metric", ""))
        centres = centres.reshape(-1, int(described.get("dimension", "0")))
        ascending = (
            len(starts) == len(centres) + 1 and starts[0] == 0 and (np.diff(starts) >= 0).all()
        )
        inside = len(rows) == 0 or 0 <= rows.min() <= rows.max() < len(rows)
        if not ascending or starts[-1] != len(rows) or not inside:
            raise ValueError(f"the index file {path} contradicts itself")
        if metric not in self.metrics:
            raise ValueError(f"the index file {path} does not hold inverted lists of {self.name}")
        return RowLists(_Contents(metric, centres, starts, rows))


IVF_FLAT = RowListsKind("IVF_FLAT", frozenset(DENSE), codes.METRICS)
BIN_IVF_FLAT = RowListsKind(
    "BIN_IVF_FLAT", frozenset({Family.BIT}), frozenset({Metric.HAMMING, Metric.JACCARD})
)
