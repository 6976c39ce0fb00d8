"""The values of one JSON path, one per row, apart by what they are: columns instead of text.

A sealed segment keeps the paths that many of its documents have in further columns of its file;
any other path is read from the documents when it is asked for, into the same form.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core.protocols import Rows


class Kind(IntEnum):
    """What a JSON value is; NUMBER is an integer beyond 64 bits, ARRAY a list of anything else."""

    ABSENT = 0
    NULL = 1
    BOOLEAN = 2
    INTEGER = 3
    DOUBLE = 4
    STRING = 5
    INTEGERS = 6
    STRINGS = 7
    OBJECT = 8
    ARRAY = 9
    NUMBER = 10


TYPES: Mapping[Kind, pa.DataType] = MappingProxyType(
    {
        Kind.BOOLEAN: pa.bool_(),
        Kind.INTEGER: pa.int64(),
        Kind.DOUBLE: pa.float64(),
        Kind.STRING: pa.string(),
        Kind.INTEGERS: pa.list_(pa.int64()),
        Kind.STRINGS: pa.list_(pa.string()),
    }
)
"""The kinds that have columns of their own; values of the others stay in the documents."""

_COLUMN, _PATH, _PART = b"vsql:json_column", b"vsql:json_path", b"vsql:json_part"
_KINDS = b"kinds"


@dataclass(frozen=True, slots=True)
class PathValues:
    """`kinds` holds a `Kind` per row; each part has one value per row, NULL where it is none."""

    kinds: npt.NDArray[np.uint8]
    parts: Mapping[Kind, pa.Array]

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def byte_size(self) -> int:
        """The bytes that it takes in memory."""
        return sum((int(part.nbytes) for part in self.parts.values()), self.kinds.nbytes)

    def has(self, *kinds: Kind) -> bool:
        """Whether any row is of one of these kinds."""
        return any(
            kind in self.parts if kind in TYPES else bool((self.kinds == kind).any())
            for kind in kinds
        )

    def rows_of(self, *kinds: Kind) -> Rows:
        """Return the rows of some kinds, ascending."""
        found: Rows = np.flatnonzero(np.isin(self.kinds, kinds))
        return found

    def take(self, rows: Rows) -> "PathValues":
        """Return the values of some rows."""
        places = pa.array(rows)
        return PathValues(
            self.kinds[rows], {kind: part.take(places) for kind, part in self.parts.items()}
        )


def columns_of(
    column_id: int, pointer: str, values: PathValues
) -> Iterable[tuple[pa.Field, pa.Array]]:
    """Yield the columns that keep a path's values in a segment file."""
    kinds = pa.array(values.kinds)
    for part, array in (
        (_KINDS, kinds),
        *((str(int(k)).encode(), a) for k, a in values.parts.items()),
    ):
        metadata = {_COLUMN: str(column_id).encode(), _PATH: pointer.encode(), _PART: part}
        yield (
            pa.field(f"{column_id}{pointer} {part.decode()}", array.type, metadata=metadata),
            array,
        )


class ShreddedPaths:
    """The paths that a segment file keeps, by column id and JSON pointer."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._fields: dict[tuple[int, str], dict[bytes, int]] = {}
        for number, field in enumerate(batch.schema):
            metadata = field.metadata or {}
            if _COLUMN in metadata:
                key = (int(metadata[_COLUMN]), metadata[_PATH].decode())
                self._fields.setdefault(key, {})[metadata[_PART]] = number
        self._values: dict[tuple[int, str], PathValues] = {}

    def __iter__(self) -> Iterable[tuple[int, str]]:
        return iter(self._fields)

    def find(self, column_id: int, pointer: str) -> PathValues | None:
        """Return a path's values, None where the file does not keep it."""
        key = (column_id, pointer)
        known = self._values.get(key)
        if known is None and key in self._fields:
            fields = self._fields[key]
            kinds = self._batch.column(fields[_KINDS]).to_numpy(zero_copy_only=True)
            parts = {
                Kind(int(part)): self._batch.column(number)
                for part, number in fields.items()
                if part != _KINDS
            }
            known = self._values[key] = PathValues(kinds, parts)
        return known
