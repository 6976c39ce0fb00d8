"""Rows by partition."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core.partitions import partition_of
from vsql.core.protocols import Rows
from vsql.core.schema import Partitioning, Table


def split(batch: pa.RecordBatch, table: Table) -> Iterator[tuple[str, Rows | None]]:
    """Yield each partition that has rows in a batch, with their numbers; None for all rows."""
    partitioning = table.partitioning
    if partitioning is None:
        yield "", None
        return
    encoded = pc.dictionary_encode(batch.column(partitioning.column), null_encoding="encode")
    names = [partition_of(v, partitioning) for v in encoded.dictionary.to_pylist()]
    known = {name: number for number, name in enumerate(dict.fromkeys(names))}
    of_value = np.array([known[name] for name in names], dtype=np.int64)
    of_row = of_value[encoded.indices.to_numpy(zero_copy_only=False)]
    for name, number in known.items():
        yield name, np.flatnonzero(of_row == number)


def rows_in(partition: str, column: pa.Array, partitioning: Partitioning) -> Any:
    """Return a boolean array: which rows of a column belong to a partition."""
    encoded = pc.dictionary_encode(column, null_encoding="encode")
    inside = np.array(
        [partition_of(v, partitioning) == partition for v in encoded.dictionary.to_pylist()], bool
    )
    return inside[encoded.indices.to_numpy(zero_copy_only=False)]
