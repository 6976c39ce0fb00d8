"""HNSW: a navigable small-world graph over 8-bit codes of the vectors.

The graph walks codes, a quarter of the vectors' size, which makes it twice as fast as walking
float32 at the same recall; the caller ranks the candidates exactly from the column itself.
Source: Malkov and Yashunin, https://arxiv.org/abs/1603.09320; faiss, IndexHNSWSQ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vsql.core.distance import Metric
from vsql.core.protocols import Bits, Floats, Option, Progress, Rows, Shape
from vsql.core.types import Family, SqlType

METRICS = frozenset({Metric.COSINE, Metric.INNER_PRODUCT, Metric.L2})
COLUMN_FAMILIES = frozenset({Family.VECTOR, Family.HALFVEC})
FLOAT_DIMENSIONS = 32
"""Vectors shorter than this are kept as floats: codes would save little and blur much."""
_BLOCK_ROWS = 8_192
_EFFORTS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)


class Graph:
    """An opened graph over one segment; safe to search from several threads."""

    __slots__ = ("_index", "_scratch")

    def __init__(self, index: Any) -> None:
        import faiss

        from vsql.index.faiss_calls import Scratch

        def parameters(effort: int, sel: Any = None) -> Any:
            return faiss.SearchParametersHNSW(efSearch=effort, sel=sel)  # type: ignore[attr-defined]

        self._index = index
        self._scratch = Scratch(parameters)

    @property
    def efforts(self) -> tuple[int, ...]:
        """Values of ef_search, ascending."""
        return _EFFORTS

    def search(self, queries: Floats, k: int, effort: int, bitmap: Bits | None = None) -> Rows:
        """Return (n, k) row numbers of candidates, nearest first, -1 where fewer were found."""
        from vsql.index.faiss_calls import search

        parameters = self._scratch.parameters(max(effort, 1), bitmap)
        return search(self._index, queries, k, parameters, self._scratch)

    def candidates(self, k: int) -> int:
        """How many candidates hold the top `k`: 8-bit codes misplace few, and not by far."""
        return k + max(6, k // 8)

    def search_dense(self, query: Floats, k: int, effort: int, bitmap: Bits, slack: float) -> Rows:
        """Graphs have no lists."""
        raise AssertionError("a graph has no inverted lists")

    def save(self, path: Path) -> None:
        """Write the graph to `path`; raises OperationalError."""
        from vsql.index.faiss_calls import write

        write(self._index, path)

    def byte_size(self) -> int:
        """Bytes of codes and links."""
        codes = self._index.ntotal * self._index.storage.sa_code_size()
        links = 4 * self._index.hnsw.neighbors.size() + 8 * self._index.hnsw.offsets.size()
        return int(codes + links)


@dataclass(frozen=True, slots=True)
class GraphKind:
    """The kind HNSW."""

    name: str = "HNSW"
    shape: Shape = Shape.GRAPH
    options: tuple[Option, ...] = (
        Option("m", 16, 2, 512, "links of each vector"),
        Option("ef_construction", 200, 4, 10_000, "candidates considered for each link"),
    )

    def supports(self, type_: SqlType, metric: Metric) -> bool:
        """Whether the column is numeric and the metric one that faiss's graph knows."""
        return type_.family in COLUMN_FAMILIES and metric in METRICS

    def build(
        self,
        vectors: Floats,
        metric: Metric,
        options: Mapping[str, int],
        *,
        threads: int,
        progress: Progress,
    ) -> Graph:
        """Build over (rows, dimension) vectors, in blocks; raises OperationalError."""
        from vsql.index.faiss_calls import add_in_blocks, building, faiss_metric

        with building(threads):
            index = _empty(vectors.shape[1], options["m"], faiss_metric(metric))
            index.hnsw.efConstruction = options["ef_construction"]
            if not index.is_trained:
                index.train(_extremes(vectors, metric))
            add_in_blocks(index, vectors, metric, _BLOCK_ROWS, progress)
        return Graph(index)

    def load(self, path: Path) -> Graph:
        """Map the graph at `path`; raises OSError or ValueError."""
        import faiss

        from vsql.index.faiss_calls import read

        index = read(path, mapped=True)
        if not isinstance(index, (faiss.IndexHNSWSQ, faiss.IndexHNSWFlat)):
            raise ValueError(f"the index file {path} does not hold a graph")
        return Graph(index)


def _empty(dimension: int, m: int, metric: int) -> Any:
    import faiss

    if dimension < FLOAT_DIMENSIONS:
        return faiss.IndexHNSWFlat(dimension, m, metric)
    coded: Any = faiss.IndexHNSWSQ  # its stub lacks this constructor
    return coded(dimension, faiss.ScalarQuantizer.QT_8bit, m, metric)


def _extremes(vectors: Floats, metric: Metric) -> Floats:
    """Return two vectors, the least and greatest value of each dimension.

    The 8-bit codes learn nothing else from training, so this trains them on every row without
    a copy of all of them.
    """
    from vsql.index.faiss_calls import prepared

    extremes = np.zeros((2, vectors.shape[1]), dtype=np.float32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = prepared(vectors[start : start + _BLOCK_ROWS], metric)
        np.minimum(extremes[0], block.min(axis=0), out=extremes[0])
        np.maximum(extremes[1], block.max(axis=0), out=extremes[1])
    return extremes


KIND = GraphKind()
