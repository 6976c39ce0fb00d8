"""BIN_HNSW: a graph over bits, walked by Hamming distance.

The graph needs the bits beside its links, a copy of the column; Jaccard distances would need a walk
of their own, so lists serve those.
Source: faiss, IndexBinaryHNSW.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vsql.core.distance import Metric
from vsql.core.protocols import AnyOption, Options, Progress, Shape, Vectors
from vsql.core.types import Family, SqlType
from vsql.index import faiss_hnsw
from vsql.index.faiss_hnsw import Graph

_BLOCK_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class BinaryGraphKind:
    """The kind BIN_HNSW."""

    name: str = "BIN_HNSW"
    shape: Shape = Shape.GRAPH
    options: tuple[AnyOption, ...] = faiss_hnsw.HNSW.options

    def supports(self, type_: SqlType, metric: Metric) -> bool:
        """Whether the column holds bits and the metric is Hamming's."""
        return type_.family is Family.BIT and metric is Metric.HAMMING

    def build(
        self,
        vectors: Vectors,
        metric: Metric,
        options: Options,
        *,
        threads: int,
        progress: Progress,
    ) -> Graph:
        """Build over (rows, bytes) packed bits, in blocks; raises OperationalError."""
        import faiss

        from vsql.index.faiss_calls import building

        rows, width = vectors.shape
        with building(threads):
            index: Any = faiss.IndexBinaryHNSW(8 * width, options["m"])
            index.hnsw.efConstruction = options["ef_construction"]
            for start in range(0, rows, _BLOCK_ROWS):
                index.add(np.ascontiguousarray(vectors[start : start + _BLOCK_ROWS]))
                progress(min(1.0, (start + _BLOCK_ROWS) / rows))
        progress(1.0)
        return Graph(index)

    def load(self, path: Path, *, mapped: bool = True) -> Graph:
        """Open the graph at `path`, mapped or read; raises OSError or ValueError."""
        import faiss

        from vsql.index.faiss_calls import read

        index = read(path, mapped=mapped, binary=True)
        if not isinstance(index, faiss.IndexBinaryHNSW):
            raise ValueError(f"the index file {path} does not hold a graph over bits")
        return Graph(index)


BIN_HNSW = BinaryGraphKind()
