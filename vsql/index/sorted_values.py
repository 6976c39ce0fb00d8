"""STL_SORT, also called BTREE: sorted keys beside their row numbers.

A file is one record batch of two columns, `key` (stored form, ascending, NULLs last) and `row`
(uint32). Every condition is a slice of it, found by binary search. Equal keys keep row order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core.protocols import Condition, Option, Rows
from vsql.core.types import SqlType
from vsql.index import keys
from vsql.index.files import read_batch, reading, write_batch

RowNumbers = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class SortedValues:
    """An opened sorted structure; `key` holds stored forms of `type`, NULLs last."""

    type: pa.DataType
    key: pa.Array
    rows: RowNumbers
    present: int

    def lookup(self, condition: Condition) -> RowNumbers | None:
        """Return the matching row numbers, None where a constant has no exact form."""
        slices = keys.matches(self.key, self.type, condition)
        if slices is None:
            return None
        if len(slices) == 1:
            return self.rows[slices[0][0] : slices[0][1]]
        if not slices:
            return self.rows[:0]
        return np.concatenate([self.rows[start:end] for start, end in slices])

    def estimate(self, condition: Condition) -> int | None:
        """Return the exact number of matching rows without making them."""
        slices = keys.matches(self.key, self.type, condition)
        return None if slices is None else sum(end - start for start, end in slices)

    def find(self, wanted: pa.Array) -> Rows:
        """Return the row number of each key, -1 where absent or NULL; the first row if several.

        `wanted` must have the key's own type.
        """
        assert wanted.type == self.type, (wanted.type, self.type)
        encoded = keys.encode(wanted)
        found = np.full(len(wanted), -1, dtype=np.int64)
        if not self.present:
            return found
        left, right = keys.places(self.key, encoded)
        hits = left < right
        found[hits] = self.rows[left[hits]]
        return found

    def save(self, path: Path) -> None:
        """Write the structure to `path`; raises OperationalError."""
        schema = pa.schema(
            [("key", self.key.type), ("row", pa.uint32())], metadata=keys.key_metadata(self.type)
        )
        batch = pa.RecordBatch.from_arrays([self.key, pa.array(self.rows)], schema=schema)
        write_batch(path, batch)

    def byte_size(self) -> int:
        """Bytes of keys and row numbers."""
        return int(self.key.nbytes + self.rows.nbytes)


@dataclass(frozen=True, slots=True)
class SortedValuesKind:
    """The kind STL_SORT (BTREE)."""

    name: str = "STL_SORT"
    options: tuple[Option, ...] = ()

    def supports(self, type_: SqlType) -> bool:
        """Whether keys of this type have an order."""
        return keys.is_indexable(type_)

    def build(self, values: pa.Array, options: Mapping[str, int]) -> SortedValues:
        """Sort the key of every row of a segment, in row order; NULLs come last."""
        encoded = keys.encode(values)
        order = keys.sort_order(encoded)
        return SortedValues(
            values.type,
            encoded.take(order),
            order.to_numpy().astype(np.uint32),
            len(encoded) - encoded.null_count,
        )

    def load(self, path: Path) -> SortedValues:
        """Map what `save` wrote; raises OSError or ValueError."""
        batch = read_batch(path)
        with reading(path):
            key = batch.column("key")
            rows = batch.column("row").to_numpy()
            return SortedValues(keys.key_type(batch.schema), key, rows, len(key) - key.null_count)


KIND = SortedValuesKind()
