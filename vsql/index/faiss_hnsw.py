"""Graphs: HNSW over codes of the vectors.

A graph walks codes, which makes it twice as fast at 8 bits as walking float32 at the same recall;
the caller ranks the candidates exactly from the column itself. The kinds differ in their codes:
HNSW takes 8 bits per dimension, HNSW_SQ what it is told, HNSW_PQ product codes, and DISKANN as
many bytes of these as its share of the vectors' size allows.
Source: Malkov and Yashunin, https://arxiv.org/abs/1603.09320; Jégou et al., Product quantization
for nearest neighbor search, 2011; faiss, IndexHNSWSQ and IndexHNSWPQ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vsql.core.distance import Metric
from vsql.core.protocols import (
    MAPPED,
    AnyOption,
    Bits,
    FlagOption,
    FractionOption,
    Option,
    Options,
    Progress,
    Rows,
    Shape,
    Vectors,
    WordOption,
)
from vsql.core.types import SqlType
from vsql.index import codes

_BLOCK_ROWS = 8_192
_EFFORTS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)
_SCALAR_CODES = {"SQ8": "QT_8bit", "SQ6": "QT_6bit", "FP16": "QT_fp16", "BF16": "QT_bf16"}


class Graph:
    """An opened graph over one segment; safe to search from several threads."""

    __slots__ = ("_bits", "_code_bytes", "_index", "_scratch")

    def __init__(self, index: Any) -> None:
        import faiss

        from vsql.index.faiss_calls import Scratch

        untyped: Any = faiss  # its stub lacks this class

        def parameters(effort: int, sel: Any = None) -> Any:
            return untyped.SearchParametersHNSW(efSearch=effort, sel=sel)

        self._index = index
        binary = isinstance(index, faiss.IndexBinary)
        self._code_bytes: int = index.code_size if binary else index.storage.sa_code_size()
        # Bits are themselves, whole; what codes blur is worse where few dimensions tell rows apart.
        self._bits: float = codes.WHOLE if binary else codes.bits(self._code_bytes, index.d)
        self._scratch = Scratch(parameters, np.int32 if binary else np.float32)

    @property
    def efforts(self) -> tuple[int, ...]:
        """Values of ef_search, ascending."""
        return _EFFORTS

    def search(self, queries: Vectors, k: int, effort: int, bitmap: Bits | None = None) -> Rows:
        """Return (n, k) row numbers of candidates, nearest first, -1 where fewer were found."""
        from vsql.index.faiss_calls import search

        parameters = self._scratch.parameters(max(effort, 1), bitmap)
        return search(self._index, queries, k, parameters, self._scratch)

    def candidates(self, k: int) -> int:
        """How many candidates hold the top `k`, by the length of the codes."""
        return codes.candidates(k, self._bits)

    def search_dense(self, query: Vectors, k: int, effort: int, bitmap: Bits, slack: float) -> Rows:
        """Graphs have no lists."""
        raise AssertionError("a graph has no inverted lists")

    def save(self, path: Path) -> None:
        """Write the graph to `path`; raises OperationalError."""
        from vsql.index.faiss_calls import write

        write(self._index, path)

    def byte_size(self) -> int:
        """Bytes of codes and links."""
        links = 4 * self._index.hnsw.neighbors.size() + 8 * self._index.hnsw.offsets.size()
        return int(self._index.ntotal * self._code_bytes + links)


@dataclass(frozen=True, slots=True)
class GraphKind:
    """A kind of graph; `make` returns faiss's index of all vectors."""

    name: str
    make: Callable[[Vectors, Metric, Options, Progress], Any]
    options: tuple[AnyOption, ...]
    shape: Shape = Shape.GRAPH

    def supports(self, type_: SqlType, metric: Metric) -> bool:
        """Whether the column has codes under the metric."""
        return codes.serve(type_, metric)

    def build(
        self,
        vectors: Vectors,
        metric: Metric,
        options: Options,
        *,
        threads: int,
        progress: Progress,
    ) -> Graph:
        """Build over (rows, dimension) vectors, in blocks; raises OperationalError."""
        from vsql.index.faiss_calls import building

        with building(threads):
            return Graph(self.make(vectors, metric, options, progress))

    def load(self, path: Path, *, mapped: bool = True) -> Graph:
        """Open the graph at `path`, mapped or read; raises OSError or ValueError."""
        import faiss

        from vsql.index.faiss_calls import read

        index = read(path, mapped=mapped)
        if not isinstance(index, (faiss.IndexHNSWSQ, faiss.IndexHNSWFlat, faiss.IndexHNSWPQ)):
            raise ValueError(f"the index file {path} does not hold a graph")
        return Graph(index)


def _eight_bits(vectors: Vectors, metric: Metric, options: Options, progress: Progress) -> Any:
    links, ef_construction = options["m"], options["ef_construction"]
    if vectors.shape[1] >= codes.FLOAT_DIMENSIONS:
        return _over_scalars(vectors, metric, links, ef_construction, "SQ8", progress)
    import faiss

    from vsql.index.faiss_calls import faiss_metric

    index: Any = faiss.IndexHNSWFlat(vectors.shape[1], links, faiss_metric(metric))
    return _filled(index, vectors, metric, ef_construction, progress)


def _scalar(vectors: Vectors, metric: Metric, options: Options, progress: Progress) -> Any:
    links, ef_construction = options["m"], options["ef_construction"]
    return _over_scalars(vectors, metric, links, ef_construction, options["sq_type"], progress)


def _product(vectors: Vectors, metric: Metric, options: Options, progress: Progress) -> Any:
    rows, dimension = vectors.shape
    fine = dimension if dimension < codes.FLOAT_DIMENSIONS else dimension // 2
    count = codes.sub_quantisers(dimension, options["m"], fine)
    bits = codes.product_bits(options["nbits"], rows)
    links, ef_construction = options["M"], options["ef_construction"]
    return _over_products(vectors, metric, links, ef_construction, count, bits, progress)


def _on_disk(vectors: Vectors, metric: Metric, options: Options, progress: Progress) -> Any:
    rows, dimension = vectors.shape
    budget = int(4 * dimension * options["pq_code_budget_gb_ratio"])
    fine = dimension if dimension < codes.FLOAT_DIMENSIONS else budget
    count = codes.sub_quantisers(dimension, 0, fine)
    # The lowest level of HNSW has twice the links.
    links, ef_construction = max(2, options["max_degree"] // 2), options["search_list_size"]
    bits = codes.product_bits(8, rows)
    return _over_products(vectors, metric, links, ef_construction, count, bits, progress)


def _over_scalars(
    vectors: Vectors,
    metric: Metric,
    links: int,
    ef_construction: int,
    code: str,
    progress: Progress,
    *,
    measured: int | None = None,
) -> Any:
    import faiss

    from vsql.index.faiss_calls import faiss_metric

    measured = faiss_metric(metric) if measured is None else measured
    coded: Any = faiss.IndexHNSWSQ  # its stub lacks this constructor
    quantiser = getattr(faiss.ScalarQuantizer, _SCALAR_CODES[code])
    index = coded(vectors.shape[1], quantiser, links, measured)
    if not index.is_trained:
        index.train(codes.extremes(vectors, metric))
    return _filled(index, vectors, metric, ef_construction, progress)


def _over_products(
    vectors: Vectors,
    metric: Metric,
    links: int,
    ef_construction: int,
    count: int,
    bits: int,
    progress: Progress,
) -> Any:
    """Return a graph that was made over 8-bit codes, and walks product codes.

    Construction measures distances between codes, where product codes blur twice, and of which
    faiss has tables for L2 alone: graphs of inner products came out with a recall of 0.7.
    """
    import faiss

    from vsql.index.faiss_calls import add_in_blocks, alone, product_metric, quiet_clustering

    measured = product_metric(metric, vectors)

    def most(done: float) -> None:
        progress(0.9 * done)

    made = _over_scalars(vectors, metric, links, ef_construction, "SQ8", most, measured=measured)
    coded: Any = faiss.IndexHNSWPQ  # its stub lacks this constructor
    index = coded(vectors.shape[1], count, links, bits, measured)
    storage: Any = faiss.downcast_index(index.storage)
    rows = codes.product_training_rows(bits)
    quiet_clustering(storage.pq.cp, rows >> bits)
    with alone():
        storage.train(codes.sample(vectors, rows, 1 << bits, metric))
    index.hnsw = made.hnsw
    add_in_blocks(storage, vectors, metric, _BLOCK_ROWS, lambda done: progress(0.9 + 0.1 * done))
    index.ntotal, index.is_trained = storage.ntotal, True
    return index


def _filled(
    index: Any, vectors: Vectors, metric: Metric, ef_construction: int, progress: Progress
) -> Any:
    from vsql.index.faiss_calls import add_in_blocks

    index.hnsw.efConstruction = ef_construction
    add_in_blocks(index, vectors, metric, _BLOCK_ROWS, progress)
    return index


_MAPPED = FlagOption(MAPPED, True, "map the file into memory instead of reading it")
_EF_CONSTRUCTION = Option("ef_construction", 200, 4, 10_000, "candidates considered for each link")
HNSW = GraphKind(
    "HNSW",
    _eight_bits,
    (Option("m", 16, 2, 512, "links of each vector"), _EF_CONSTRUCTION, _MAPPED),
)
HNSW_SQ = GraphKind(
    "HNSW_SQ",
    _scalar,
    (
        Option("m", 16, 2, 512, "links of each vector"),
        _EF_CONSTRUCTION,
        WordOption("sq_type", "SQ8", tuple(_SCALAR_CODES), "code of each dimension"),
        *codes.REFINED,
        _MAPPED,
    ),
)
HNSW_PQ = GraphKind(
    "HNSW_PQ",
    _product,
    (
        Option("M", 16, 2, 512, "links of each vector"),
        Option("m", 0, 0, 32_768, "sub-quantisers; 0: one for two dimensions", True),
        Option("nbits", 8, 1, codes.PRODUCT_BITS_MAX, "bits of each sub-quantiser"),
        _EF_CONSTRUCTION,
        *codes.REFINED,
        _MAPPED,
    ),
)
DISKANN = GraphKind(
    "DISKANN",
    _on_disk,
    (
        Option("max_degree", 56, 4, 512, "links of each vector"),
        Option("search_list_size", 100, 4, 10_000, "candidates considered for each link"),
        FractionOption(
            "pq_code_budget_gb_ratio", 0.125, 0.001, 0.25, "size of the codes, in vectors"
        ),
        _MAPPED,
    ),
)
