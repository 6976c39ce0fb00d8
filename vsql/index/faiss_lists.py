"""Inverted lists of codes, through faiss.

Each vector lies in the list of its nearest centre, as a code. A scan costs nanoseconds per row
whatever the filter, and lists without a matching row are skipped, so that a filter that correlates
with the vectors makes it faster, never wrong. The caller ranks the candidates exactly. The kinds
differ in their codes: SCANN has half a byte per pair of dimensions, scanned with vector
instructions (short vectors half a byte per dimension, the shortest as they are); IVF_SQ8 a byte per
dimension; IVF_PQ product codes; IVF_RABITQ one bit per dimension, of vectors that a random rotation
has spread evenly over them: without it, vectors whose dimensions differ in size lost half their
recall.
Source: Guo et al., https://arxiv.org/abs/1908.10396; André et al., https://arxiv.org/abs/1812.09162;
Gao and Long, https://arxiv.org/abs/2405.12497; faiss, IndexIVFPQFastScan, IndexIVFScalarQuantizer,
IndexIVFPQ, IndexIVFRaBitQ, HadamardRotation.
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
    Floats,
    Option,
    Options,
    Progress,
    Rows,
    Shape,
    Vectors,
)
from vsql.core.types import SqlType
from vsql.index import codes, probing
from vsql.index.centres import Centres
from vsql.index.probing import Chosen, Probing

_SCANN_BITS = 4
_PAIRED_DIMENSIONS = 128
"""From here on one 4-bit code stands for two dimensions; below, that blurs too much."""
_SCANN_TRAINING_ROWS = 4_096
_BLOCK_ROWS = 16_384
_TRAINING_ROWS_PER_LIST = 48
_SETTLING_CANDIDATES = 64
"""So many candidates at least tell whether a scan has settled: of ten, one is chance."""
_SETTLED_SHARE = 0.1
"""Scanning as many matches again changed so few of the candidates: the top ten of these stay."""


class Lists:
    """Opened inverted lists over one segment; safe to search from several threads.

    `index` is faiss's, within a rotation where it has one.
    """

    def __init__(self, index: Any) -> None:
        import faiss

        from vsql.index.faiss_calls import Scratch

        made: Any = faiss.SearchParametersIVF  # its stub lacks these arguments

        def parameters(effort: int, sel: Any = None) -> Any:
            return made(nprobe=effort, sel=sel)

        self._whole = index
        self._rotation: Any = None
        if isinstance(index, faiss.IndexPreTransform):
            chain: Any = index.chain
            self._rotation = faiss.downcast_VectorTransform(chain.at(0))
            index = faiss.downcast_index(index.index)
        self._index = index
        one_bit = isinstance(index, faiss.IndexIVFRaBitQ)
        self._bits: float = 1 if one_bit else codes.bits(index.code_size, index.d)
        self._scratch = Scratch(parameters)
        self._centres: Centres | None = None
        self._probing = Probing(int(index.nlist), self._scores, lambda: _list_of_row(index))

    @property
    def efforts(self) -> tuple[int, ...]:
        """Values of nprobe, ascending: powers of two, all lists last."""
        return self._probing.efforts

    def search(self, queries: Vectors, k: int, effort: int, bitmap: Bits | None = None) -> Rows:
        """Return (n, k) row numbers of candidates, nearest first, -1 where fewer were found.

        With a bitmap, lists among the `effort` nearest that hold no matching row are skipped.
        """
        from vsql.index.faiss_calls import search

        queries = self._rotated(queries)
        probes = min(max(effort, 1), self._probing.total)
        # Of a single list there is nothing to choose, and no rows to count for it.
        if bitmap is None or self._probing.total == 1:
            parameters = self._scratch.parameters(probes, bitmap)
            return search(self._index, queries, k, parameters, self._scratch)
        chosen = self._probing.matching(queries, probes, bitmap)
        return self._scanned(queries, k, chosen, bitmap)[0]

    def append(self, vectors: Vectors, metric: Metric, threads: int) -> None:
        """Add (n, dimension) vectors as the next rows; nobody may search meanwhile."""
        from vsql.index.faiss_calls import add_in_blocks, building

        with building(threads):
            add_in_blocks(self._whole, vectors, metric, _BLOCK_ROWS, lambda _: None)
        self._probing.forget()

    def candidates(self, k: int) -> int:
        """How many candidates hold the top `k`, by the length of the codes."""
        return codes.candidates(k, self._bits)

    def search_dense(self, query: Vectors, k: int, effort: int, bitmap: Bits, slack: float) -> Rows:
        """Return what `search` does for one query, with as many lists as the filter calls for.

        Where the nearest matches may lie anywhere, further lists are scanned until as many matches
        again change next to nothing.
        """
        queries = self._rotated(query[None])
        wanted = max(k, _SETTLING_CANDIDATES)
        rounds = self._probing.rounds(queries[0], effort, bitmap, slack)
        rows, distances = self._scanned(queries, wanted, next(rounds), bitmap)
        for chosen in rounds:
            more_rows, more_distances = self._scanned(queries, wanted, chosen, bitmap)
            rows = np.hstack([rows, more_rows])
            distances = np.hstack([distances, more_distances])
            distances[rows < 0] = np.inf
            order = np.argsort(distances[0], kind="stable")[:wanted]
            rows, distances = rows[:, order], distances[:, order]
            entered = int((order >= wanted).sum())
            if rows[0, -1] >= 0 and entered <= _SETTLED_SHARE * wanted:
                break
        return rows[0, :k]

    def save(self, path: Path) -> None:
        """Write the lists to `path`; raises OperationalError."""
        from vsql.index.faiss_calls import write

        write(self._whole, path)

    def byte_size(self) -> int:
        """Bytes of codes, row numbers and centres."""
        per_row = self._index.code_size + 8
        return int(self._index.ntotal * per_row + self._probing.total * self._index.d * 4)

    def _rotated(self, queries: Vectors) -> Vectors:
        if self._rotation is None or not len(queries):
            return queries
        rotated: Floats = self._rotation.apply(queries)
        return rotated

    def _scanned(
        self, queries: Vectors, k: int, chosen: Chosen, bitmap: Bits
    ) -> tuple[Rows, Floats]:
        """Return the best rows of lists, (queries, k), -1 for none, and what orders them."""
        from vsql.index.faiss_calls import search_lists

        lists = chosen.lists
        if not lists.shape[1]:
            shape = (len(queries), k)
            return np.full(shape, -1, dtype=np.int64), np.full(shape, np.inf, dtype=np.float32)
        centres = self._centre_distances(queries, chosen) if self._index.by_residual else None
        parameters = self._scratch.parameters(lists.shape[1], bitmap)
        return search_lists(self._index, queries, k, lists, parameters, centres)

    def _scores(self, queries: Vectors) -> Floats:
        centres = self._centres
        if centres is None:
            import faiss

            by_distance = self._index.metric_type == faiss.METRIC_L2
            vectors = self._index.quantizer.reconstruct_n(0, self._probing.total)
            metric = Metric.L2 if by_distance else Metric.INNER_PRODUCT
            centres = self._centres = Centres(vectors, metric)
        return centres.scores(queries)

    def _centre_distances(self, queries: Vectors, chosen: Chosen) -> Floats:
        """Return faiss's distances to the centres of lists, which codes of residuals need."""
        import faiss

        every = self._scores(queries) if chosen.scores is None else chosen.scores
        scores = np.take_along_axis(every, np.maximum(chosen.lists, 0), axis=1)
        if self._index.metric_type != faiss.METRIC_L2:
            return np.ascontiguousarray(-scores)
        squares = np.einsum("ij,ij->i", queries, queries)[:, None]
        return np.ascontiguousarray(2 * scores + squares, dtype=np.float32)


def _list_of_row(index: Any) -> probing.ListOfRow:
    import faiss

    lists = np.zeros(index.ntotal, dtype=np.int32)
    for number in range(index.nlist):
        size = index.invlists.list_size(number)
        if size:
            lists[faiss.rev_swig_ptr(index.invlists.get_ids(number), size)] = number
    return lists


@dataclass(frozen=True, slots=True)
class ListsKind:
    """A kind of lists; `make` returns faiss's untrained index for (centres, rows, options)."""

    name: str
    make: Callable[[Any, int, Options], Any]
    options: tuple[AnyOption, ...]
    holds: tuple[str, ...]
    """Names of faiss's classes that a file of this kind may hold."""
    by_products: bool = False
    rotates: bool = False
    shape: Shape = Shape.LISTS

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
    ) -> Lists:
        """Build over (rows, dimension) vectors, in blocks; raises OperationalError."""
        import faiss

        from vsql.index.faiss_calls import (
            add_in_blocks,
            building,
            centres_of,
            faiss_metric,
            product_metric,
        )

        rows, dimension = vectors.shape
        lists = probing.list_total(rows, options["nlist"])
        with building(threads):
            wanted = max(_SCANN_TRAINING_ROWS, _TRAINING_ROWS_PER_LIST * lists)
            sample = codes.sample(vectors, wanted, lists, metric)
            rotation: Any = None
            if self.rotates:
                rotation = faiss.HadamardRotation(dimension)
                rotation.train(sample)
                sample = rotation.apply(sample)
            measured = product_metric(metric, vectors) if self.by_products else faiss_metric(metric)
            centres = centres_of(sample, lists, measured)
            index = self.make(centres, rows, options)
            # The index outlives this function, and Python would free the centres under it.
            centres.this.disown()
            index.own_fields = True
            whole = index
            if rotation is not None:
                whole = faiss.IndexPreTransform(rotation, index)
                rotation.this.disown()
                index.this.disown()
                whole.own_fields = True
            _train(index, vectors, sample, metric)
            whole.is_trained = True
            add_in_blocks(whole, vectors, metric, _BLOCK_ROWS, progress)
        return Lists(whole)

    def load(self, path: Path, *, mapped: bool = False) -> Lists:
        """Open the lists at `path`, read or mapped; raises OSError or ValueError."""
        import faiss

        from vsql.index.faiss_calls import read

        index = read(path, mapped=mapped)
        inner = index
        if isinstance(index, faiss.IndexPreTransform):
            inner = faiss.downcast_index(index.index)
        if type(inner).__name__ not in self.holds:
            raise ValueError(f"the index file {path} does not hold inverted lists of {self.name}")
        return Lists(index)


def _train(index: Any, vectors: Vectors, sample: Floats, metric: Metric) -> None:
    import faiss

    from vsql.index.faiss_calls import alone

    if isinstance(index, faiss.IndexIVFScalarQuantizer):
        index.sq.train(codes.extremes(vectors, metric))
        index.is_trained = True
        return
    if isinstance(index, faiss.IndexIVFPQ):
        bits = index.pq.nbits
        sample = codes.sample(vectors, codes.product_training_rows(bits), 1 << bits, metric)
    with alone():
        index.train(sample)


def _four_bits(centres: Any, rows: int, options: Options) -> Any:
    import faiss

    from vsql.index.faiss_calls import quiet_clustering

    dimension, lists, metric = centres.d, centres.ntotal, centres.metric_type
    if dimension < codes.FLOAT_DIMENSIONS:
        return faiss.IndexIVFFlat(centres, dimension, lists, metric)
    fine = dimension % 2 or dimension < _PAIRED_DIMENSIONS
    count = dimension if fine else dimension // 2
    index: Any = faiss.IndexIVFPQFastScan(centres, dimension, lists, count, _SCANN_BITS, metric)
    _code_residuals(index)
    quiet_clustering(index.pq.cp, _SCANN_TRAINING_ROWS >> _SCANN_BITS)
    return index


def _eight_bits(centres: Any, rows: int, options: Options) -> Any:
    import faiss

    coded: Any = faiss.IndexIVFScalarQuantizer  # its stub lacks this constructor
    quantiser = faiss.ScalarQuantizer.QT_8bit
    return coded(centres, centres.d, centres.ntotal, quantiser, centres.metric_type, False)


def _products(centres: Any, rows: int, options: Options) -> Any:
    import faiss

    from vsql.index.faiss_calls import quiet_clustering

    fine = centres.d if centres.d < codes.FLOAT_DIMENSIONS else centres.d // 4
    count = codes.sub_quantisers(centres.d, options["m"], fine)
    bits = codes.product_bits(options["nbits"], rows)
    index: Any = faiss.IndexIVFPQ(
        centres, centres.d, centres.ntotal, count, bits, centres.metric_type
    )
    _code_residuals(index)
    quiet_clustering(index.pq.cp, codes.product_training_rows(bits) >> bits)
    return index


def _code_residuals(index: Any) -> None:
    """Let product codes hold what is left without the centre, where that costs nothing.

    They blur less. Under inner products the tables are the same for every list; under L2 each list
    would need its own, as large as the codes themselves.
    """
    import faiss

    index.by_residual = index.metric_type == faiss.METRIC_INNER_PRODUCT


def _one_bit(centres: Any, rows: int, options: Options) -> Any:
    import faiss

    if centres.d < codes.FLOAT_DIMENSIONS:
        return faiss.IndexIVFFlat(centres, centres.d, centres.ntotal, centres.metric_type)
    return faiss.IndexIVFRaBitQ(centres, centres.d, centres.ntotal, centres.metric_type)


_MAPPED = FlagOption(MAPPED, False, "map the file into memory instead of reading it")
SCANN = ListsKind(
    "SCANN",
    _four_bits,
    (
        probing.NLIST,
        FlagOption("with_raw_data", True, "accepted: the vectors are in the column"),
        FlagOption(MAPPED, False, "accepted: codes laid out for vector instructions are read"),
    ),
    ("IndexIVFPQFastScan", "IndexIVFFlat"),
    by_products=True,
)
IVF_SQ8 = ListsKind("IVF_SQ8", _eight_bits, (probing.NLIST, _MAPPED), ("IndexIVFScalarQuantizer",))
IVF_PQ = ListsKind(
    "IVF_PQ",
    _products,
    (
        probing.NLIST,
        Option("m", 0, 0, 32_768, "sub-quantisers; 0: one for four dimensions", True),
        Option("nbits", 8, 1, codes.PRODUCT_BITS_MAX, "bits of each sub-quantiser"),
        _MAPPED,
    ),
    ("IndexIVFPQ",),
    by_products=True,
)
IVF_RABITQ = ListsKind(
    "IVF_RABITQ",
    _one_bit,
    (probing.NLIST, *codes.REFINED, _MAPPED),
    ("IndexIVFRaBitQ", "IndexIVFFlat"),
    rotates=True,
)
