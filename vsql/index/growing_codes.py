"""The interim index of a growing segment: one list of 4-bit codes, to which rows are appended.

Scanning every code beats a graph until some ten thousands of rows: codes are read in order, where a
graph jumps about in vectors that the cache no longer has; a row costs a tenth of a graph's to add;
a filter is a bitmap, whatever it keeps; and the vectors exist once, in the segment.
"""

import threading

from vsql.core.distance import Metric
from vsql.core.protocols import Bits, Rows, Vectors
from vsql.index.calibrate import reorder_factor
from vsql.index.faiss_lists import SCANN

_ONE_LIST = {"nlist": 1}
_OUTGROWN = 4
"""Codes learned from the first rows no longer suit so many times as many."""


class GrowingCodes:
    """Codes of rows 0, 1, 2, …; safe to use from several threads.

    `metric` is COSINE, INNER_PRODUCT or L2. Raises OperationalError (54000) for vectors that codes
    can't hold.
    """

    def __init__(self, vectors: Vectors, metric: Metric, threads: int = 1) -> None:
        # One lock for readers too: codes that grow must stand still while they are read.
        self._lock = threading.Lock()
        self._metric = metric
        self._learned_from = len(vectors)
        self._lists = SCANN.build(
            vectors, metric, _ONE_LIST, threads=threads, progress=lambda _: None
        )
        self._rows = len(vectors)
        self._reorder_factor = reorder_factor(self._lists, vectors, metric)

    def __len__(self) -> int:
        """The number of rows."""
        return self._rows

    def is_outgrown_by(self, rows: int) -> bool:
        """Whether so many rows deserve codes that are learned anew."""
        return rows >= _OUTGROWN * self._learned_from

    def append(self, vectors: Vectors, threads: int = 1) -> None:
        """Append (n, dimension) vectors as the next rows."""
        with self._lock:
            self._lists.append(vectors, self._metric, threads)
            self._rows += len(vectors)

    def candidates(self, k: int) -> int:
        """How many candidates hold the top `k`, by how much the codes blur these vectors."""
        return self._reorder_factor * self._lists.candidates(k)

    def search(self, query: Vectors, k: int, bitmap: Bits | None = None) -> Rows:
        """Return the rows of at most `k` candidates for one query, nearest first.

        `bitmap` holds one bit per row, least significant first; rows beyond it do not match.
        """
        with self._lock:
            rows: Rows = self._lists.search(query[None], min(k, self._rows), 1, bitmap)[0]
        return rows if rows[-1] >= 0 else rows[rows >= 0]

    def byte_size(self) -> int:
        """Bytes in memory, about."""
        return self._lists.byte_size()
