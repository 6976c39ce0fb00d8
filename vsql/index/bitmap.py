"""BITMAP: one roaring bitmap of row numbers per distinct key.

A file is one record batch of three columns, `key` (stored form, ascending, NULL last), `count`
(uint32) and `bitmap` (the portable roaring format). Bitmaps are read only when asked for.
Source: https://github.com/RoaringBitmap/RoaringFormatSpec
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyroaring import BitMap

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.core.protocols import Condition, Option
from vsql.core.types import SqlType
from vsql.index import keys
from vsql.index.files import read_batch, reading, write_batch

DISTINCT_MAX = 100_000
RowNumbers = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Bitmaps:
    """An opened bitmap structure; the key of NULL rows is last, and NULL."""

    type: pa.DataType
    key: pa.Array
    counts: RowNumbers
    bitmaps: pa.Array

    def lookup(self, condition: Condition) -> RowNumbers | None:
        """Return the matching row numbers ascending, None where a constant has no exact form."""
        places = self._places(condition)
        if places is None:
            return None
        parts = [BitMap.deserialize(self.bitmaps[place].as_py()) for place in places]
        united = BitMap.union(*parts) if parts else BitMap()
        return np.frombuffer(united.to_array(), dtype=np.uint32)

    def estimate(self, condition: Condition) -> int | None:
        """Return the exact number of matching rows without making them."""
        places = self._places(condition)
        return None if places is None else sum(int(self.counts[place]) for place in places)

    def save(self, path: Path) -> None:
        """Write the structure to `path`; raises OperationalError."""
        schema = pa.schema(
            [("key", self.key.type), ("count", pa.uint32()), ("bitmap", pa.large_binary())],
            metadata=keys.key_metadata(self.type),
        )
        columns = [self.key, pa.array(self.counts), self.bitmaps]
        write_batch(path, pa.RecordBatch.from_arrays(columns, schema=schema))

    def byte_size(self) -> int:
        """Bytes of keys, counts and bitmaps."""
        return int(self.key.nbytes + self.counts.nbytes + self.bitmaps.nbytes)

    def _places(self, condition: Condition) -> list[int] | None:
        slices = keys.matches(self.key, self.type, condition)
        if slices is None:
            return None
        return [place for start, end in slices for place in range(start, end)]


@dataclass(frozen=True, slots=True)
class BitmapKind:
    """The kind BITMAP."""

    name: str = "BITMAP"
    options: tuple[Option, ...] = ()

    def supports(self, type_: SqlType) -> bool:
        """Whether keys of this type have an order."""
        return keys.is_indexable(type_)

    def build(self, values: pa.Array, options: Mapping[str, int]) -> Bitmaps:
        """Build over the key of every row; raises ProgrammingError (54000) for too many keys."""
        encoded = keys.encode(values)
        order = keys.sort_order(encoded)
        ordered = encoded.take(order)
        rows = order.to_numpy().astype(np.uint32)
        starts = _run_starts(ordered)
        if len(starts) > DISTINCT_MAX:
            raise ProgrammingError(
                f"a BITMAP index takes at most {DISTINCT_MAX:,} distinct keys, found "
                f"{len(starts):,}",
                code=sqlstate.PROGRAM_LIMIT_EXCEEDED,
                hint="use BTREE",
            )
        runs = np.split(rows, starts[1:]) if len(starts) else []
        distinct = ordered.take(pa.array(starts))
        return Bitmaps(
            values.type,
            distinct,
            np.array([len(run) for run in runs], dtype=np.uint32),
            pa.array([_serialised(run) for run in runs], type=pa.large_binary()),
        )

    def load(self, path: Path) -> Bitmaps:
        """Map what `save` wrote; raises OSError or ValueError."""
        batch = read_batch(path)
        with reading(path):
            return Bitmaps(
                keys.key_type(batch.schema),
                batch.column("key"),
                batch.column("count").to_numpy(),
                batch.column("bitmap"),
            )


def _run_starts(ordered: pa.Array) -> npt.NDArray[np.int64]:
    """Return where each run of equal keys begins; NULLs are one run."""
    codes = ordered.dictionary_encode(null_encoding="encode").indices.to_numpy()
    return np.flatnonzero(np.diff(codes, prepend=-1)).astype(np.int64)


def _serialised(rows: RowNumbers) -> bytes:
    bitmap = BitMap(rows)
    bitmap.run_optimize()
    return bytes(bitmap.serialize())


KIND = BitmapKind()
