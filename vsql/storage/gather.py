"""One batch from many, column by column.

Where the number of rows is known beforehand, vectors are copied to their place as they come: then
the largest column is in memory once, and the copying is done when the last batch is there.
"""

from collections.abc import Iterable

import pyarrow as pa


def one_batch(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], rows_expected: int = 0
) -> pa.RecordBatch:
    """Return batches as one, their columns in the schema's order; a single one is not copied."""
    columns = [_Column(field.type, rows_expected) for field in schema]
    for batch in batches:
        for column, array in zip(columns, batch.columns, strict=True):
            column.add(array)
    arrays = []
    for column in columns:
        arrays.append(column.finish())
        # What it was made of goes back to the system before the next is joined.
        pa.default_memory_pool().release_unused()
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


class _Column:
    """A column that is being put together."""

    def __init__(self, type_: pa.DataType, rows_expected: int) -> None:
        self._type = type_
        self._rows_expected = rows_expected if pa.types.is_fixed_size_list(type_) else 0
        self._parts: list[pa.Array] = []
        self._place: _Place | None = None

    def add(self, array: pa.Array) -> None:
        """Take the next rows."""
        is_first = self._place is None and not self._parts
        if is_first and len(array) < self._rows_expected:
            self._place = _Place(self._type, self._rows_expected)
        if self._place is not None and not self._parts and self._place.holds(array):
            self._place.add(array)
        else:
            self._parts.append(array)

    def finish(self) -> pa.Array:
        """Return all rows as one array, and let go of what they came in."""
        parts, self._parts = self._parts, []
        if self._place is not None:
            parts.insert(0, self._place.finish())
        if len(parts) == 1:
            return parts[0]
        return pa.concat_arrays(parts) if parts else pa.array([], self._type)


class _Place:
    """Memory for the vectors of so many rows."""

    def __init__(self, type_: pa.FixedSizeListType, rows: int) -> None:
        self._type = type_
        self._octets = type_.value_type.bit_width // 8
        self._width = type_.list_size * self._octets
        self._room = rows
        self._rows = 0
        self._buffer = pa.allocate_buffer(rows * self._width)
        self._sink = pa.FixedSizeBufferWriter(self._buffer)
        self._missing: list[pa.Array] = []

    def holds(self, array: pa.Array) -> bool:
        """Whether there is room for these rows."""
        return self._rows + len(array) <= self._room

    def add(self, array: pa.FixedSizeListArray) -> None:
        """Copy vectors to their place; where one is NULL it may be anything."""
        values = array.values
        start = array.offset * self._width + values.offset * self._octets
        self._sink.write(values.buffers()[1].slice(start, len(array) * self._width))
        self._missing.append(array.is_null())
        self._rows += len(array)

    def finish(self) -> pa.Array:
        """Return the vectors."""
        count = self._rows * self._type.list_size
        values = pa.Array.from_buffers(self._type.value_type, count, [None, self._buffer])
        missing = pa.concat_arrays(self._missing)
        mask = missing if missing.true_count else None
        return pa.FixedSizeListArray.from_arrays(values, type=self._type, mask=mask)
