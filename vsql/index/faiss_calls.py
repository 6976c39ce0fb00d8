"""How faiss is called: with raw pointers, reused parameters, and its failures as vsql's own.

A parameters object costs several microseconds to make and a search takes fifty, so each thread
keeps the ones it used last. One query runs on its own thread; a batch uses faiss's threads.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from vsql.core import sqlstate
from vsql.core.dense import floats
from vsql.core.distance import Metric
from vsql.core.errors import OperationalError
from vsql.core.protocols import Bits, Floats, Progress, Rows, Vectors
from vsql.index.files import reading, writing
from vsql.index.openmp import use_threads

_pointer = faiss.swig_ptr
_SEED = 1234
END = b"vsql: index ends"
_ITERATIONS = 8
_CLUSTERING_ROWS_PER_CENTRE = 256
_BLOCK_ROWS = 8_192


class Scratch(threading.local):
    """What one thread keeps between searches of one structure."""

    def __init__(self, make: Callable[..., Any], distance: Any = np.float32) -> None:
        self._make = make
        self._unfiltered: dict[int, Any] = {}
        self._bitmap: Bits | None = None
        self._filtered: dict[int, Any] = {}
        self._distances = np.empty(0, dtype=distance)

    def parameters(self, effort: int, bitmap: Bits | None) -> Any:
        """Return search parameters that respect `bitmap`, kept while the bitmap is the same."""
        if bitmap is None:
            found = self._unfiltered.get(effort)
            if found is None:
                found = self._unfiltered[effort] = self._make(effort)
            return found
        if bitmap is not self._bitmap:
            assert bitmap.dtype == np.uint8 and bitmap.flags.c_contiguous
            # faiss keeps a pointer into the bitmap: hold the array as long as its selector.
            self._filtered = {}
            self._bitmap = bitmap
        found = self._filtered.get(effort)
        if found is None:
            selector = faiss.IDSelectorBitmap(len(bitmap), _pointer(bitmap))
            found = self._filtered[effort] = self._make(effort, sel=selector)
        return found

    def distances(self, size: int) -> Vectors:
        """Return an array of at least `size` for faiss to write distances that nobody reads."""
        if self._distances.size < size:
            self._distances = np.empty(size, dtype=self._distances.dtype)
        return self._distances


def search(index: Any, queries: Vectors, k: int, parameters: Any, scratch: Scratch) -> Rows:
    """Return (queries, k) row numbers, nearest first, -1 where fewer were found."""
    count = len(queries)
    rows = np.empty((count, k), dtype=np.int64)
    if count and k:
        distances = scratch.distances(count * k)
        use_threads(count)
        index.search_c(count, _pointer(queries), k, _pointer(distances), _pointer(rows), parameters)
    return rows


def search_lists(
    index: Any,
    queries: Vectors,
    k: int,
    lists: Rows,
    parameters: Any,
    centre_distances: Floats | None = None,
) -> tuple[Rows, Floats]:
    """Return what `search` does, scanning the given inverted lists alone, and what orders the rows.

    The latter are distances or negated products, anything where there is no row.

    `lists` is (queries, n), -1 where there is none, and `parameters` has nprobe = n. Only codes of
    residuals need the distances to the lists' centres, (queries, n).
    """
    count = len(queries)
    rows = np.empty((count, k), dtype=np.int64)
    distances = np.empty((count, k), dtype=np.float32)
    if count and k:
        centres = centre_distances
        if centres is None:
            centres = np.zeros(lists.shape, dtype=np.float32)
        use_threads(count)
        index.search_preassigned_c(
            count,
            _pointer(queries),
            k,
            _pointer(lists),
            _pointer(centres),
            _pointer(distances),
            _pointer(rows),
            False,
            parameters,
        )
        if index.metric_type == faiss.METRIC_INNER_PRODUCT:
            np.negative(distances, out=distances)
    return rows, distances


def quiet_clustering(clustering: Any, rows_per_centre: int) -> None:
    """Let a clustering train on few vectors without a word, the same way each time."""
    clustering.min_points_per_centroid = 1  # else faiss warns on stderr
    clustering.max_points_per_centroid = rows_per_centre
    clustering.seed = _SEED
    clustering.niter = _ITERATIONS


def centres_of(sample: Floats, count: int, metric: int) -> Any:
    """Return faiss's flat index of the centres of `count` clusters of (rows, dimension) vectors."""
    dimension = sample.shape[1]
    flat: Any = faiss.IndexFlatL2 if metric == faiss.METRIC_L2 else faiss.IndexFlatIP
    centres = flat(dimension)
    clustering = faiss.Clustering(dimension, count)
    quiet_clustering(clustering, _CLUSTERING_ROWS_PER_CENTRE)
    clustering.train(sample, centres)
    return centres


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    """Let faiss use so many threads, and as many as before afterwards."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def alone() -> AbstractContextManager[None]:
    """Let faiss use this thread only: sub-quantisers are so small that threads would mostly wait.

    On two busy cores a second thread made their training five times slower.
    """
    return _limited(1)


@contextmanager
def building(threads: int) -> Iterator[None]:
    """Let faiss use `threads` threads; its failures become OperationalError (54000)."""
    try:
        with _limited(max(1, threads)):
            yield
    except (RuntimeError, MemoryError) as error:
        raise OperationalError(
            f"cannot build the vector index: {error}", code=sqlstate.PROGRAM_LIMIT_EXCEEDED
        ) from error


def write(index: Any, path: Path) -> None:
    """Write a faiss index, binary ones too; raises OperationalError."""
    binary = isinstance(index, faiss.IndexBinary)
    with writing(path):
        (faiss.write_index_binary if binary else faiss.write_index)(index, str(path))
        with path.open("ab") as file:
            file.write(END)


def read(path: Path, *, mapped: bool, binary: bool = False) -> Any:
    """Open a faiss index, mapped into memory or read; raises OSError or ValueError.

    A file without its end is read, not mapped: faiss's mapping reader trusts that the last fields
    are there, and crashed where they were not.
    """
    with path.open("rb") as file, reading(path):
        whole = file.seek(0, os.SEEK_END) > len(END)
        if whole:
            file.seek(-len(END), os.SEEK_END)
            whole = file.read() == END
        # Tables of distances between codes serve construction alone.
        flags = faiss.IO_FLAG_PQ_SKIP_SDC_TABLE
        if mapped and whole:
            flags |= faiss.IO_FLAG_MMAP_IFC
        if binary:
            return faiss.read_index_binary(str(path), flags)
        return faiss.read_index(str(path), flags)


def faiss_metric(metric: Metric) -> int:
    """Return faiss's metric; for cosine the vectors are normalised and inner products serve."""
    return int(faiss.METRIC_L2 if metric is Metric.L2 else faiss.METRIC_INNER_PRODUCT)


def product_metric(metric: Metric, vectors: Vectors) -> int:
    """Return faiss's metric for product codes: for cosine the distance between unit vectors.

    The code of a vector is the shorter the less it fits, so inner products rank those last whose
    codes are worst; distances count what a code is short of. Among clusters with few dimensions of
    their own, the 50 nearest codes had 0.51 of the top 10 by inner products and 0.91 by distances.
    But a zero vector, which is near nothing, would be nearer than every row at over 60 degrees:
    where there is one, inner products serve.
    """
    zeros = metric is Metric.COSINE and any(
        not vectors[start : start + _BLOCK_ROWS].any(axis=1).all()
        for start in range(0, len(vectors), _BLOCK_ROWS)
    )
    by_distance = metric is Metric.L2 or (metric is Metric.COSINE and not zeros)
    return int(faiss.METRIC_L2 if by_distance else faiss.METRIC_INNER_PRODUCT)


def prepared(vectors: Vectors, metric: Metric) -> Floats:
    """Return a block as floats, as structures want it: normalised for cosine, bits unpacked."""
    if metric.over_bits:
        return np.unpackbits(vectors, axis=1).astype(np.float32)
    if metric is not Metric.COSINE:
        return np.ascontiguousarray(floats(vectors))
    copy = np.array(floats(vectors), order="C")
    # Zero vectors, which stand for NULL, stay zero.
    faiss.normalize_L2(copy)
    return copy


def add_in_blocks(
    index: Any, vectors: Vectors, metric: Metric, block_rows: int, progress: Progress
) -> None:
    """Add all vectors in row order; between blocks an interrupt gets its chance."""
    for start in range(0, len(vectors), block_rows):
        index.add(prepared(vectors[start : start + block_rows], metric))
        progress(min(1.0, (start + block_rows) / len(vectors)))
    progress(1.0)
