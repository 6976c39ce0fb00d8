"""INVERTED: postings, the row numbers of each value; of arrays, of each element.

Values and their rows lie sorted, as in STL_SORT, so that a value's postings are a slice. An array
stands with each of its elements once, and with NULL where it is NULL itself; elements that are NULL
are left out. Source: Zobel and Moffat, https://doi.org/10.1145/1132956.1132959.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Comparison, Condition, Option
from vsql.core.types import Family, SqlType
from vsql.index import keys, sorted_values
from vsql.index.files import read_batch, reading, write_batch
from vsql.index.sorted_values import RowNumbers, SortedValues


@dataclass(frozen=True, slots=True)
class Postings:
    """Opened postings of arrays: `elements` sorts their elements, `type` is the array's own."""

    type: pa.DataType
    elements: SortedValues

    def lookup(self, condition: Condition) -> RowNumbers | None:
        """Return the matching row numbers, None where postings can't tell."""
        match condition.comparison:
            case Comparison.IS_NULL:
                return self.elements.lookup(condition)
            case Comparison.CONTAINS_ANY:
                found = [self._rows_with(value) for value in condition.values]
                if any(rows is None for rows in found):
                    return None
                known = [rows for rows in found if rows is not None]
                return reduce(np.union1d, known, np.empty(0, np.uint32))
            case Comparison.CONTAINS_ALL:
                found = [self._rows_with(value) for value in condition.values]
                if not found or any(rows is None for rows in found):
                    return None
                return reduce(np.intersect1d, [rows for rows in found if rows is not None])
            case _:
                return None

    def _rows_with(self, value: object) -> RowNumbers | None:
        return self.elements.lookup(Condition(Comparison.EQUAL, (value,)))

    def estimate(self, condition: Condition) -> int | None:
        """Return the most rows that may match, None where postings can't tell."""
        if condition.comparison is Comparison.IS_NULL:
            return self.elements.estimate(condition)
        if condition.comparison not in (Comparison.CONTAINS_ANY, Comparison.CONTAINS_ALL):
            return None
        counts = [
            self.elements.estimate(Condition(Comparison.EQUAL, (value,)))
            for value in condition.values
        ]
        known = [count for count in counts if count is not None]
        if len(known) < len(counts) or not known:
            return None
        return sum(known) if condition.comparison is Comparison.CONTAINS_ANY else min(known)

    def save(self, path: Path) -> None:
        """Write the postings to `path`; raises OperationalError."""
        schema = pa.schema(
            [("key", self.elements.key.type), ("row", pa.uint32())],
            metadata=keys.key_metadata(self.type),
        )
        arrays = [self.elements.key, pa.array(self.elements.rows)]
        write_batch(path, pa.RecordBatch.from_arrays(arrays, schema=schema))

    def byte_size(self) -> int:
        """Bytes of elements and row numbers."""
        return self.elements.byte_size()


@dataclass(frozen=True, slots=True)
class InvertedKind:
    """The kind INVERTED."""

    name: str = "INVERTED"
    options: tuple[Option, ...] = ()

    def supports(self, type_: SqlType) -> bool:
        """Whether values, or elements of this array, have one order; JSON by its leaves."""
        if type_.family is Family.JSON:
            return True
        if type_.family is Family.ARRAY:
            return type_.element is not None and keys.is_indexable(type_.element)
        return keys.is_indexable(type_)

    def build(self, values: pa.Array, options: Mapping[str, int]) -> SortedValues | Postings:
        """Build over the key of every row of a segment, in row order."""
        if not pa.types.is_list(values.type):
            return sorted_values.KIND.build(values, options)
        lengths = np.diff(values.offsets.to_numpy())
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        owners = np.repeat(np.arange(len(values), dtype=np.uint32), np.where(valid, lengths, 0))
        elements = values.flatten()
        present = elements.is_valid().to_numpy(zero_copy_only=False)
        encoded = keys.encode(elements.filter(pa.array(present)))
        owners = owners[present]
        order = keys.sort_order(encoded).to_numpy()
        sorted_owners = owners[order]
        key = encoded.take(pa.array(order))
        # An element that an array holds twice stands once.
        kept = np.ones(len(order), dtype=bool)
        if len(order) > 1:
            same = keys.equal_to_next(key)
            kept[1:] = ~(same & (sorted_owners[1:] == sorted_owners[:-1]))
        missing = np.flatnonzero(~valid).astype(np.uint32)
        key = pa.concat_arrays([key.filter(pa.array(kept)), pa.nulls(len(missing), key.type)])
        rows = np.concatenate([sorted_owners[kept], missing])
        element = values.type.value_type
        return Postings(values.type, SortedValues(element, key, rows, len(key) - len(missing)))

    def load(self, path: Path) -> SortedValues | Postings:
        """Map what `save` wrote; raises OSError or ValueError."""
        batch = read_batch(path)
        with reading(path):
            key, rows = batch.column("key"), batch.column("row").to_numpy()
            type_ = keys.key_type(batch.schema)
            present = len(key) - key.null_count
            if pa.types.is_list(type_):
                element = SortedValues(type_.value_type, key, rows, present)
                return Postings(type_, element)
            return SortedValues(type_, key, rows, present)


KIND = InvertedKind()
