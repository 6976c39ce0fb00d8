"""TRIE: the distinct strings in order, each with the rows that have it.

A trie laid flat: the strings below a prefix lie next to each other, so that a prefix is a range
found by two binary searches, and its rows are one slice. A string that many rows share stands once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Condition, Option
from vsql.core.types import SqlType
from vsql.index import keys
from vsql.index.files import read_batch, reading, write_batch
from vsql.index.sorted_values import RowNumbers


@dataclass(frozen=True, slots=True)
class Trie:
    """An opened structure; `postings` lists the rows of each of `strings`, NULLs' rows last."""

    strings: pa.Array
    postings: pa.LargeListArray

    def lookup(self, condition: Condition) -> RowNumbers | None:
        """Return the matching row numbers, None where a constant is no string."""
        slices = keys.matches(self.strings, pa.string(), condition)
        if slices is None:
            return None
        parts = [self._rows(start, end) for start, end in slices]
        return np.concatenate(parts) if parts else np.empty(0, np.uint32)

    def estimate(self, condition: Condition) -> int | None:
        """Return the exact number of matching rows without making them."""
        slices = keys.matches(self.strings, pa.string(), condition)
        if slices is None:
            return None
        offsets = self.postings.offsets
        return sum(int(offsets[end].as_py() - offsets[start].as_py()) for start, end in slices)

    def save(self, path: Path) -> None:
        """Write the structure to `path`; raises OperationalError."""
        names = ["string", "rows"]
        write_batch(path, pa.RecordBatch.from_arrays([self.strings, self.postings], names))

    def byte_size(self) -> int:
        """Bytes of strings and row numbers."""
        return int(self.strings.nbytes + self.postings.nbytes)

    def _rows(self, start: int, end: int) -> RowNumbers:
        offsets = self.postings.offsets
        first, last = offsets[start].as_py(), offsets[end].as_py()
        rows: RowNumbers = self.postings.values.slice(first, last - first).to_numpy()
        return rows


@dataclass(frozen=True, slots=True)
class TrieKind:
    """The kind TRIE."""

    name: str = "TRIE"
    options: tuple[Option, ...] = ()

    def supports(self, type_: SqlType) -> bool:
        """Whether it is a string."""
        return type_.is_string

    def build(self, values: pa.Array, options: Mapping[str, int]) -> Trie:
        """Build over the key of every row of a segment, in row order."""
        encoded = keys.encode(values)
        order = keys.sort_order(encoded)
        ordered = encoded.take(order)
        codes = ordered.dictionary_encode(null_encoding="encode").indices.to_numpy()
        starts = np.flatnonzero(np.diff(codes, prepend=-1)).astype(np.int64)
        offsets = pa.array(np.append(starts, len(ordered)))
        rows = pa.array(order.to_numpy().astype(np.uint32))
        return Trie(ordered.take(pa.array(starts)), pa.LargeListArray.from_arrays(offsets, rows))

    def load(self, path: Path) -> Trie:
        """Map what `save` wrote; raises OSError or ValueError."""
        batch = read_batch(path)
        with reading(path):
            return Trie(batch.column("string"), batch.column("rows"))


KIND = TrieKind()
