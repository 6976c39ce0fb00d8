"""MINHASH_LSH: near duplicates among sets, by bands of their MinHash signatures.

A row is the set of its 1 bits. Each of several hash functions gives every bit a number, as good as
random, and the least number in a set is the set's hash; two sets share it with a probability that
is their Jaccard similarity. Hashes are taken together in bands; rows that share a whole band with
the query are candidates, which the caller ranks by their exact Jaccard distance. Rows of low
similarity share none: the curve tells the planner so, and it searches exactly.
Source: Broder, On the resemblance and containment of documents, 1997; Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, chapter 3.

A file is one Arrow record batch of one row: the keys of all bands, ascending within each, and the
rows that have them; the number of bands and the hashes of each are in the schema's metadata.
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
    Option,
    Options,
    Progress,
    Rows,
    Shape,
    Vectors,
)
from vsql.core.types import Family, SqlType
from vsql.index import probing

Keys = npt.NDArray[np.uint32]
_FIELDS = ("keys", "minhash_rows")
_SEED = 1234
_BLOCK_HASHES = 1 << 22
"""Hashes made at a time, were all bits set: 16 MB of them."""
_MULTIPLIER = np.uint32(0x9E3779B1)
"""2**32 divided by the golden ratio: multiplying by it spreads keys."""


@dataclass(frozen=True, slots=True)
class _Contents:
    """Sorted keys and their rows, each (bands, rows of the segment)."""

    band_hashes: int
    keys: Keys
    rows: npt.NDArray[np.int32]


class Bands:
    """Opened bands over one segment; safe to search from several threads."""

    def __init__(self, contents: _Contents) -> None:
        self._contents = contents

    @property
    def efforts(self) -> tuple[int, ...]:
        """How many bands to look at, ascending: powers of two, all of them last."""
        return probing.powers_to(len(self._contents.keys))

    def search(self, queries: Vectors, k: int, effort: int, bitmap: Bits | None = None) -> Rows:
        """Return all rows that share one of the first `effort` bands with each query, (n, c)."""
        if not k or not len(queries):
            return np.empty((len(queries), 0), dtype=np.int64)
        contents = self._contents
        bands = min(max(effort, 1), len(contents.keys))
        hashed = _band_keys(_signatures(queries, bands * contents.band_hashes), bands)
        return probing.padded([self._rows(own, bitmap) for own in hashed])

    def candidates(self, k: int) -> int:
        """How many candidates to ask for: all rows of a band come back."""
        return k

    def search_dense(self, query: Vectors, k: int, effort: int, bitmap: Bits, slack: float) -> Rows:
        """Return what `search` does for one query with every band: a filter needs them all."""
        rows: Rows = self.search(query[None], k, len(self._contents.keys), bitmap)[0]
        return rows if len(rows) else np.full(1, -1, dtype=np.int64)

    def save(self, path: Path) -> None:
        """Write the bands to `path`; raises OperationalError."""
        from vsql.index.files import write_arrays

        contents = self._contents
        described = {"bands": str(len(contents.keys)), "hashes": str(contents.band_hashes)}
        write_arrays(path, _FIELDS, (contents.keys, contents.rows), described)

    def byte_size(self) -> int:
        """Bytes of keys and row numbers."""
        return self._contents.keys.nbytes + self._contents.rows.nbytes

    def _rows(self, keys: Keys, bitmap: Bits | None) -> Rows:
        contents = self._contents
        parts = []
        for band, key in enumerate(keys):
            own = contents.keys[band]
            start, end = own.searchsorted(key), own.searchsorted(key, side="right")
            parts.append(contents.rows[band, start:end])
        rows: Rows = np.unique(np.concatenate(parts)).astype(np.int64)
        return rows if bitmap is None else within(bitmap, rows)


def _signatures(bits: Vectors, count: int) -> Keys:
    """Return (rows, count) hashes of packed bits; the empty set's are all ones."""
    result = np.full((len(bits), count), np.iinfo(np.uint32).max, dtype=np.uint32)
    owners, places = np.nonzero(np.unpackbits(bits, axis=1))
    if not len(owners):
        return result
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    random = np.random.default_rng(_SEED)
    # The same numbers however many are drawn: a search may ask for fewer bands than were built.
    drawn = random.integers(0, 1 << 32, (count, 2), dtype=np.uint32)
    mixed = (places.astype(np.uint32)[:, None] + drawn[:, 0]) * (drawn[:, 1] | np.uint32(1))
    mixed ^= mixed >> np.uint32(16)
    mixed *= _MULTIPLIER
    mixed ^= mixed >> np.uint32(13)
    result[owners[starts]] = np.minimum.reduceat(mixed, starts, axis=0)
    return result


def _band_keys(signatures: Keys, bands: int) -> Keys:
    """Return (rows, bands): the hashes of each band mixed to one key."""
    grouped = signatures.reshape(len(signatures), bands, -1)
    keys = np.zeros(grouped.shape[:2], dtype=np.uint32)
    for place in range(grouped.shape[2]):
        keys = (keys ^ grouped[:, :, place]) * _MULTIPLIER
        keys ^= keys >> np.uint32(15)
    return keys


@dataclass(frozen=True, slots=True)
class BandsKind:
    """The kind MINHASH_LSH."""

    name: str = "MINHASH_LSH"
    shape: Shape = Shape.ROWS
    options: tuple[AnyOption, ...] = (
        Option("mh_lsh_band", 32, 1, 1_024, "bands of hashes, of which one must agree"),
        Option("mh_band_hashes", 3, 1, 64, "hashes in each band, which must all agree"),
        FlagOption("with_raw_data", True, "accepted: the bits are in the column"),
        FlagOption(MAPPED, True, "map the file into memory instead of reading it"),
    )

    def supports(self, type_: SqlType, metric: Metric) -> bool:
        """Whether the column holds bits and the metric is Jaccard's."""
        return type_.family is Family.BIT and metric is Metric.JACCARD

    def build(
        self,
        vectors: Vectors,
        metric: Metric,
        options: Options,
        *,
        threads: int,
        progress: Progress,
    ) -> Bands:
        """Build over (rows, bytes) packed bits, in blocks, on one thread."""
        bands, hashes = options["mh_lsh_band"], options["mh_band_hashes"]
        keys = np.empty((bands, len(vectors)), dtype=np.uint32)
        step = max(1, _BLOCK_HASHES // (8 * vectors.shape[1] * bands * hashes))
        for start in range(0, len(vectors), step):
            block = vectors[start : start + step]
            signatures = _signatures(block, bands * hashes)
            keys[:, start : start + len(block)] = _band_keys(signatures, bands).T
            progress((start + len(block)) / len(vectors))
        progress(1.0)
        order = np.argsort(keys, axis=1, kind="stable")
        sorted_keys = np.ascontiguousarray(np.take_along_axis(keys, order, axis=1))
        return Bands(_Contents(hashes, sorted_keys, order.astype(np.int32)))

    def load(self, path: Path, *, mapped: bool = True) -> Bands:
        """Open the bands at `path`, mapped or read; raises OSError or ValueError."""
        from vsql.index.files import read_arrays

        found = read_arrays(path, _FIELDS, mapped=mapped)
        if found is None:
            raise ValueError(f"the index file {path} does not hold bands of MinHash signatures")
        (keys, rows), described = found
        bands, hashes = int(described.get("bands", "0")), int(described.get("hashes", "0"))
        if bands < 1 or hashes < 1 or len(keys) != len(rows) or len(keys) % bands:
            raise ValueError(f"the index file {path} contradicts itself")
        width = len(keys) // bands
        return Bands(_Contents(hashes, keys.reshape(bands, width), rows.reshape(bands, width)))


MINHASH_LSH = BandsKind()
