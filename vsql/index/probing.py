"""Inverted lists: how many there are, and which of them a search scans.

What every structure of lists shares, whatever it keeps in them.
"""

import math
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vsql.core.bits import rows_of
from vsql.core.protocols import Bits, Floats, Option, Rows, Vectors

Counts = npt.NDArray[np.int64]
ListOfRow = npt.NDArray[np.int32]

LIST_ROWS_MIN = 8
NLIST = Option("nlist", 0, 0, 65_536, "inverted lists; 0: the square root of the rows")


def list_total(rows: int, wanted: int) -> int:
    """Return the number of lists: as wanted, but with eight rows each on average at least."""
    return max(1, min(wanted or round(math.sqrt(rows)), rows // LIST_ROWS_MIN))


def powers_to(total: int) -> tuple[int, ...]:
    """Return how many of `total` to look at, ascending: powers of two, all of them last."""
    powers = [1 << power for power in range(total.bit_length())]
    return (*(power for power in powers if power < total), total)


def padded(found: Sequence[Rows]) -> Rows:
    """Return the rows found for each query, (queries, most), -1 at the end of shorter ones."""
    result = np.full((len(found), max(map(len, found))), -1, dtype=np.int64)
    for number, rows in enumerate(found):
        result[number, : len(rows)] = rows
    return result


@dataclass(frozen=True, slots=True)
class Chosen:
    """Lists to scan, (queries, n), -1 at the end of shorter rows.

    `scores` is (queries, all lists), None where the lists were chosen without.
    """

    lists: Rows
    scores: Floats | None


class Probing:
    """Chooses lists; safe to use from several threads.

    `score` gives (queries, lists), the smaller the nearer; `list_of_row` is called once, at the
    first filter, since plain searches need none.
    """

    def __init__(
        self,
        total: int,
        score: Callable[[Vectors], Floats],
        list_of_row: Callable[[], ListOfRow],
    ) -> None:
        self.total = total
        self._score = score
        self._find_list_of_row = list_of_row
        self._lock = threading.Lock()
        self._list_of_row: ListOfRow | None = None
        self._counted: tuple[weakref.ref[Bits], Counts] | None = None

    @property
    def efforts(self) -> tuple[int, ...]:
        """Values of nprobe, ascending: powers of two, all lists last."""
        return powers_to(self.total)

    def counts(self, bitmap: Bits) -> Counts:
        """Return how many rows of `bitmap` lie in each list; remembered for a read-only bitmap."""
        known = self._counted
        if known is not None and known[0]() is bitmap:
            return known[1]
        lists = self.list_of_row()
        matching = rows_of(bitmap, min(len(lists), 8 * len(bitmap)))
        counts = np.bincount(lists[matching], minlength=self.total).astype(np.int64)
        if not bitmap.flags.writeable:
            self._counted = (weakref.ref(bitmap), counts)
        return counts

    def forget(self) -> None:
        """Forget which list each row is in: rows were added."""
        with self._lock:
            self._list_of_row = self._counted = None

    def list_of_row(self) -> ListOfRow:
        """Return the list of each row."""
        with self._lock:
            if self._list_of_row is None:
                self._list_of_row = self._find_list_of_row()
            return self._list_of_row

    def nearest(self, queries: Vectors, count: int) -> Chosen:
        """Return (queries, count) lists, nearest centre first."""
        scores = self._score(queries)
        if count == self.total:
            return Chosen(np.argsort(scores, axis=1), scores)
        nearest = np.argpartition(scores, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(scores, nearest, axis=1), axis=1)
        return Chosen(np.asarray(np.take_along_axis(nearest, order, axis=1)), scores)

    def matching(self, queries: Vectors, probes: int, bitmap: Bits) -> Chosen:
        """Return (queries, n) lists among the nearest `probes`, each with a row of `bitmap`.

        Nearest first unless all are probed.
        """
        occupied = self.counts(bitmap) > 0
        if probes == self.total:
            every = np.flatnonzero(occupied)
            lists = np.broadcast_to(every, (len(queries), len(every)))
            return Chosen(np.ascontiguousarray(lists), None)
        chosen = self.nearest(queries, probes)
        nearest = chosen.lists
        kept = occupied[nearest]
        if len(queries) == 1:
            return Chosen(nearest[kept][None], chosen.scores)
        nearest[~kept] = -1
        # Stable: lists stay in order of nearness, those to skip move to the end.
        order = np.argsort(~kept, axis=1, kind="stable")
        width = int(kept.sum(axis=1).max(initial=0))
        lists = np.take_along_axis(nearest, order, axis=1)[:, :width]
        return Chosen(np.ascontiguousarray(lists), chosen.scores)

    def rounds(self, query: Vectors, effort: int, bitmap: Bits, slack: float) -> Iterator[Chosen]:
        """Yield (1, n) lists with a row of `bitmap`, nearest first, to scan one after the other.

        The curve holds for a filter that is as dense near the query as overall: the nearest
        `effort` lists then hold their share of the matches, and they are all. Where these take
        more than `slack` times as many lists, the nearest matches may lie anywhere: each further
        round has as many matches as those before, until every list was named.
        """
        chosen = self.nearest(query[None], self.total)
        nearest = chosen.lists[0]
        matching = self.counts(bitmap)[nearest]
        reached = np.cumsum(matching)
        wanted = reached[-1] * min(effort / self.total, 1.0)
        start, end = 0, min(max(int(reached.searchsorted(wanted)) + 1, effort), self.total)
        while True:
            part = slice(start, end)
            yield Chosen(nearest[part][matching[part] > 0][None], chosen.scores)
            if end == self.total or (not start and end <= effort * slack):
                return
            doubled = int(reached.searchsorted(2 * reached[end - 1])) + 1
            start, end = end, min(max(doubled, end + 1), self.total)
