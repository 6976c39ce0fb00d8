"""The graph of a growing segment: hnswlib, because it takes rows one batch at a time.

hnswlib's own filter calls back into Python for every vector it visits. So a filtered search asks
for more neighbours than wanted, as many more as the filter is selective, keeps those in the bitmap,
widens until enough remain, and takes exact distances of the matching rows when that gets as dear.
"""

import threading
from typing import Any, Literal

import hnswlib
import numpy as np

from vsql.core.bits import within
from vsql.core.distance import Metric
from vsql.core.protocols import Bits, Floats, Rows

_SPACES: dict[Metric, Literal["cosine", "ip", "l2"]] = {
    Metric.COSINE: "cosine",
    Metric.INNER_PRODUCT: "ip",
    Metric.L2: "l2",
}
_CAPACITY_MIN = 1_024
_SEED = 1234
_EXACT_SHARE = 8
"""Exact distances take over when a search would have to visit one row in so many."""


class GrowingGraph:
    """An incremental graph; rows are numbered by the caller. Safe to use from several threads.

    `metric` is COSINE, INNER_PRODUCT or L2. Vectors of rows that are never added (NULLs, say) are
    simply not found.
    """

    def __init__(
        self, dimension: int, metric: Metric, m: int = 16, ef_construction: int = 100
    ) -> None:
        assert metric in _SPACES, metric
        self.dimension = dimension
        self.metric = metric
        # One lock for readers too: ef is the graph's own, and a graph that grows must stand still.
        self._lock = threading.Lock()
        self._graph: Any = hnswlib.Index(space=_SPACES[metric], dim=dimension)
        self._graph.init_index(
            max_elements=_CAPACITY_MIN, M=m, ef_construction=ef_construction, random_seed=_SEED
        )
        self._rows = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        """The number of vectors added."""
        return len(self._rows)

    def add(self, vectors: Floats, first_row: int, threads: int = 1) -> None:
        """Add (n, dimension) vectors as the rows `first_row`, `first_row` + 1, …, all new."""
        if not len(vectors):
            return
        rows = np.arange(first_row, first_row + len(vectors), dtype=np.int64)
        with self._lock:
            total = len(self._rows) + len(rows)
            capacity = self._graph.get_max_elements()
            if total > capacity:
                self._graph.resize_index(max(total, 2 * capacity))
            self._graph.add_items(vectors, rows, num_threads=threads)
            self._rows = np.concatenate([self._rows, rows])

    def search(self, queries: Floats, k: int, effort: int, bitmap: Bits | None = None) -> Rows:
        """Return (n, k) row numbers, nearest first, -1 where fewer than `k` rows match.

        `effort` is ef_search; `bitmap` holds one bit per row, least significant first.
        """
        with self._lock:
            matching = self._rows if bitmap is None else within(bitmap, self._rows)
            found = np.full((len(queries), k), -1, dtype=np.int64)
            wanted = min(k, len(matching))
            if not wanted or not len(queries):
                return found
            ratio = len(self._rows) / len(matching)
            for number in range(len(queries)):
                rows = self._search_one(queries[number], wanted, effort, bitmap, ratio)
                if rows is None:
                    rows = self._exact(queries[number], wanted, matching)
                found[number, :wanted] = rows
            return found

    def _search_one(
        self, query: Floats, wanted: int, effort: int, bitmap: Bits | None, ratio: float
    ) -> Rows | None:
        """Return `wanted` rows, or None where exact distances are the better way."""
        total = len(self._rows)
        width = wanted if bitmap is None else int(1.5 * ratio * wanted) + 8
        while width <= max(wanted, total // _EXACT_SHARE):
            self._graph.set_ef(max(effort, width))
            try:
                labels, _ = self._graph.knn_query(query, k=min(width, total), num_threads=1)
            except RuntimeError:
                # hnswlib refuses to return fewer than k, as when part of the graph is cut off.
                return None
            rows: Rows = labels[0].astype(np.int64)
            rows = rows if bitmap is None else within(bitmap, rows)
            if len(rows) >= wanted:
                return rows[:wanted]
            width *= 2
        return None

    def _exact(self, query: Floats, wanted: int, matching: Rows) -> Rows:
        vectors = np.asarray(self._graph.get_items(matching, return_type="numpy"))
        if self.metric is Metric.L2:
            difference = vectors - query
            scores = np.einsum("ij,ij->i", difference, difference)
        else:
            # Stored normalised for cosine; the query's own length does not change the order.
            scores = -(vectors @ query)
        return matching[np.lexsort((matching, scores))[:wanted]]

    def byte_size(self) -> int:
        """Bytes in memory, about."""
        return int(self._graph.index_file_size())
