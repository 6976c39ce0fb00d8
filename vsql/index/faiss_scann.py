"""SCANN: inverted lists of 4-bit codes, scanned with vector instructions.

Each vector lies in the list of its nearest centre, as half a byte per pair of dimensions (short
vectors as half a byte per dimension, the shortest as they are). A scan
costs nanoseconds per row whatever the filter, and lists without a matching row are skipped, so
that a filter that correlates with the vectors makes it faster, never wrong. The caller ranks the
candidates exactly.
Source: Guo et al., https://arxiv.org/abs/1908.10396; André et al., https://arxiv.org/abs/1812.09162;
faiss, IndexIVFPQFastScan.
"""

import math
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vsql.core.distance import Metric
from vsql.core.protocols import Bits, Floats, Option, Progress, Rows, Shape
from vsql.core.types import SqlType
from vsql.index.faiss_hnsw import COLUMN_FAMILIES, FLOAT_DIMENSIONS, METRICS

Counts = npt.NDArray[np.int64]

_CODE_BITS = 4
_PAIRED_DIMENSIONS = 128
"""From here on one 4-bit code stands for two dimensions; below, that blurs too much."""
_BLOCK_ROWS = 16_384
_TRAINING_ROWS_MIN = 64
"""At least a few vectors for each of the 16 centres of a sub-quantiser."""
_TRAINING_ROWS_PER_LIST = 48
_TRAINING_ROWS_OF_CODES = 4_096
_SEED = 1234


class Lists:
    """Opened inverted lists over one segment; safe to search from several threads."""

    def __init__(self, index: Any) -> None:
        import faiss

        from vsql.index.faiss_calls import Scratch

        def parameters(effort: int, sel: Any = None) -> Any:
            return faiss.SearchParametersIVF(nprobe=effort, sel=sel)  # type: ignore[call-arg]

        self._index = index
        self._list_total = int(index.nlist)
        self._scratch = Scratch(parameters)
        self._lock = threading.Lock()
        self._list_of_row: npt.NDArray[np.int32] | None = None
        self._centres: Floats | None = None
        self._counted: tuple[weakref.ref[Bits], Counts] | None = None

    @property
    def efforts(self) -> tuple[int, ...]:
        """Values of nprobe, ascending: powers of two, all lists last."""
        powers = [1 << power for power in range(self._list_total.bit_length())]
        return (*(power for power in powers if power < self._list_total), self._list_total)

    def search(self, queries: Floats, k: int, effort: int, bitmap: Bits | None = None) -> Rows:
        """Return (n, k) row numbers of candidates, nearest first, -1 where fewer were found.

        With a bitmap, lists among the `effort` nearest that hold no matching row are skipped.
        """
        from vsql.index.faiss_calls import search, search_lists

        probes = min(max(effort, 1), self._list_total)
        if bitmap is None:
            parameters = self._scratch.parameters(probes, None)
            return search(self._index, queries, k, parameters, self._scratch)
        lists = self._lists_to_scan(queries, probes, self.list_counts(bitmap))
        if not lists.shape[1]:
            return np.full((len(queries), k), -1, dtype=np.int64)
        parameters = self._scratch.parameters(lists.shape[1], bitmap)
        return search_lists(self._index, queries, k, lists, parameters, self._scratch)

    def candidates(self, k: int) -> int:
        """How many candidates hold the top `k`: 4-bit codes blur the order of near rows."""
        return 3 * k + 20

    def search_dense(self, query: Floats, k: int, effort: int, bitmap: Bits, slack: float) -> Rows:
        """Return what `search` does for one query, with as many lists as the filter calls for.

        The curve holds for a filter that is as dense near the query as overall: the nearest
        `effort` lists then hold their share of the matches. Where these take more than `slack`
        times as many lists, the nearest matches may lie anywhere, and every list that has one
        is scanned.
        """
        from vsql.index.faiss_calls import search_lists

        counts = self.list_counts(bitmap)
        total = self._list_total
        nearest = self._nearest_lists(query[None], total)[0]
        matching = counts[nearest]
        reached = np.cumsum(matching)
        wanted = reached[-1] * min(effort / total, 1.0)
        probes = max(int(reached.searchsorted(wanted)) + 1, min(effort, total))
        if probes > effort * slack:
            probes = total
        lists = nearest[:probes][matching[:probes] > 0][None]
        if not lists.shape[1]:
            return np.full(k, -1, dtype=np.int64)
        parameters = self._scratch.parameters(lists.shape[1], bitmap)
        found: Rows = search_lists(self._index, query[None], k, lists, parameters, self._scratch)[0]
        return found

    def list_counts(self, bitmap: Bits) -> Counts:
        """Return how many rows of `bitmap` lie in each list; remembered for a read-only bitmap."""
        known = self._counted
        if known is not None and known[0]() is bitmap:
            return known[1]
        lists = self._lists_by_row()
        bits = np.unpackbits(bitmap, count=min(len(lists), 8 * len(bitmap)), bitorder="little")
        matching = np.flatnonzero(bits)
        counts = np.bincount(lists[matching], minlength=self._list_total).astype(np.int64)
        if not bitmap.flags.writeable:
            self._counted = (weakref.ref(bitmap), counts)
        return counts

    def save(self, path: Path) -> None:
        """Write the lists to `path`; raises OperationalError."""
        from vsql.index.faiss_calls import write

        write(self._index, path)

    def byte_size(self) -> int:
        """Bytes of codes, row numbers and centres."""
        per_row = self._index.code_size + 8
        return int(self._index.ntotal * per_row + self._list_total * self._index.d * 4)

    def _lists_to_scan(self, queries: Floats, probes: int, counts: Counts) -> Rows:
        """Return (queries, n) lists, each with a matching row, -1 at the end of shorter rows."""
        occupied = counts > 0
        if probes == self._list_total:
            lists = np.flatnonzero(occupied)
            return np.ascontiguousarray(np.broadcast_to(lists, (len(queries), len(lists))))
        nearest = self._nearest_lists(queries, probes)
        kept = occupied[nearest]
        if len(queries) == 1:
            return nearest[kept][None]
        nearest[~kept] = -1
        # Stable: lists stay in order of nearness, those to skip move to the end.
        order = np.argsort(~kept, axis=1, kind="stable")
        width = int(kept.sum(axis=1).max(initial=0))
        return np.ascontiguousarray(np.take_along_axis(nearest, order, axis=1)[:, :width])

    def _nearest_lists(self, queries: Floats, count: int) -> Rows:
        """Return (queries, count) lists, nearest centre first."""
        import faiss

        centres = self._list_centres()
        scores = queries @ centres.T
        if self._index.metric_type == faiss.METRIC_L2:
            scores -= 0.5 * np.einsum("ij,ij->i", centres, centres)
        np.negative(scores, out=scores)
        if count == self._list_total:
            return np.argsort(scores, axis=1)
        nearest = np.argpartition(scores, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(scores, nearest, axis=1), axis=1)
        return np.take_along_axis(nearest, order, axis=1)

    def _list_centres(self) -> Floats:
        centres = self._centres
        if centres is None:
            centres = self._centres = self._index.quantizer.reconstruct_n(0, self._list_total)
        return centres

    def _lists_by_row(self) -> npt.NDArray[np.int32]:
        """Return the list of each row; made at the first filter, since plain searches need none."""
        with self._lock:
            if self._list_of_row is None:
                self._list_of_row = _lists_by_row(self._index)
            return self._list_of_row


def _lists_by_row(index: Any) -> npt.NDArray[np.int32]:
    import faiss

    lists = np.zeros(index.ntotal, dtype=np.int32)
    for number in range(index.nlist):
        size = index.invlists.list_size(number)
        if size:
            lists[faiss.rev_swig_ptr(index.invlists.get_ids(number), size)] = number
    return lists


@dataclass(frozen=True, slots=True)
class ListsKind:
    """The kind SCANN."""

    name: str = "SCANN"
    shape: Shape = Shape.LISTS
    options: tuple[Option, ...] = (
        Option("nlist", 0, 0, 65_536, "inverted lists; 0: the square root of the rows"),
    )

    def supports(self, type_: SqlType, metric: Metric) -> bool:
        """Whether the column is numeric and the metric one that the codes know."""
        return type_.family in COLUMN_FAMILIES and metric in METRICS

    def build(
        self,
        vectors: Floats,
        metric: Metric,
        options: Mapping[str, int],
        *,
        threads: int,
        progress: Progress,
    ) -> Lists:
        """Build over (rows, dimension) vectors, in blocks; raises OperationalError."""
        from vsql.index.faiss_calls import add_in_blocks, building

        rows, dimension = vectors.shape
        list_total = _list_total(rows, options["nlist"])
        with building(threads):
            index = _empty(dimension, list_total, metric)
            index.train(_training_set(vectors, list_total, metric))
            add_in_blocks(index, vectors, metric, _BLOCK_ROWS, progress)
        return Lists(index)

    def load(self, path: Path) -> Lists:
        """Read the lists at `path` (mapping is slower for them); raises OSError or ValueError."""
        import faiss

        from vsql.index.faiss_calls import read

        index = read(path, mapped=False)
        if not isinstance(index, (faiss.IndexIVFPQFastScan, faiss.IndexIVFFlat)):
            raise ValueError(f"the index file {path} does not hold inverted lists")
        return Lists(index)


def _list_total(rows: int, wanted: int) -> int:
    """Return the number of lists: as wanted, but with eight rows each on average at least."""
    return max(1, min(wanted or round(math.sqrt(rows)), rows // 8))


def _empty(dimension: int, list_total: int, metric: Metric) -> Any:
    import faiss

    from vsql.index.faiss_calls import faiss_metric

    kind = faiss_metric(metric)
    flat: Any = faiss.IndexFlatL2 if kind == faiss.METRIC_L2 else faiss.IndexFlatIP
    centres = flat(dimension)
    index: Any
    if dimension < FLOAT_DIMENSIONS:
        index = faiss.IndexIVFFlat(centres, dimension, list_total, kind)
        clusterings = [index.cp]
    else:
        fine = dimension % 2 or dimension < _PAIRED_DIMENSIONS
        index = faiss.IndexIVFPQFastScan(
            centres, dimension, list_total, dimension if fine else dimension // 2, _CODE_BITS, kind
        )
        index.pq.cp.max_points_per_centroid = _TRAINING_ROWS_OF_CODES >> _CODE_BITS
        clusterings = [index.cp, index.pq.cp]
    # The index outlives this function, and Python would free the centres under it.
    centres.this.disown()
    index.own_fields = True
    for clustering in clusterings:
        clustering.min_points_per_centroid = 1  # else faiss warns on stderr
        clustering.seed = _SEED
        clustering.niter = 8
    return index


def _training_set(vectors: Floats, list_total: int, metric: Metric) -> Floats:
    """Return vectors to train on: a sample, or all repeated where they are too few."""
    from vsql.index.faiss_calls import prepared

    rows, dimension = vectors.shape
    wanted = max(_TRAINING_ROWS_MIN, _TRAINING_ROWS_OF_CODES, _TRAINING_ROWS_PER_LIST * list_total)
    if rows == 0:
        return np.zeros((_TRAINING_ROWS_MIN, dimension), dtype=np.float32)
    if rows < _TRAINING_ROWS_MIN:
        return np.resize(prepared(vectors, metric), (_TRAINING_ROWS_MIN, dimension))
    if rows <= wanted:
        return prepared(vectors, metric)
    chosen = np.random.default_rng(_SEED).choice(rows, wanted, replace=False)
    chosen.sort()
    return prepared(vectors[chosen], metric)


KIND = ListsKind()
