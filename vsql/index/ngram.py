"""NGRAM: the rows of every run of n characters, for LIKE '%…%'.

Every character of a text begins one gram of `max_gram` characters, filled up beyond the end; case
is folded, so that LIKE and ILIKE are both served. Grams are numbers, sorted: those that begin with
a shorter run are a range. A look-up gives candidates, which hold the grams and are to be checked.
Source: Zobel, Moffat and Sacks-Davis, Searching Large Lexicons for Partially Specified Terms using
Compressed Inverted Files, VLDB 1993; PostgreSQL's pg_trgm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.core.protocols import Comparison, Condition, Option
from vsql.core.types import SqlType
from vsql.index.files import read_batch, reading, write_batch
from vsql.index.sorted_values import RowNumbers

_ALPHABET, _MIN, _MAX = b"vsql:alphabet", b"vsql:min_gram", b"vsql:max_gram"
# With so few candidates left, checking them costs less than reading another posting list.
_FEW = 64
_CODE_POINTS = 0x110000
_Codes = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Grams:
    """Opened postings; `alphabet` holds the folded code points, ascending, `grams` run over it.

    A gram's number is written in base `len(alphabet) + 1`, its first character foremost; digit 0
    fills up what lies beyond the end of the text.
    """

    min_gram: int
    max_gram: int
    alphabet: _Codes
    grams: npt.NDArray[np.uint64]
    postings: pa.LargeListArray

    def lookup(self, condition: Condition) -> RowNumbers | None:
        """Return candidates for texts that hold all of some pieces, None where they are short."""
        ranges = self._ranges(condition)
        if ranges is None:
            return None
        ranges.sort(key=self._count)
        found = self._rows(ranges[0])
        for wanted in ranges[1:]:
            if len(found) <= _FEW:
                break
            found = np.intersect1d(found, self._rows(wanted), assume_unique=True)
        return found

    def estimate(self, condition: Condition) -> int | None:
        """Return how many rows have the rarest gram, the most there may be."""
        ranges = self._ranges(condition)
        return None if ranges is None else min(map(self._count, ranges))

    def save(self, path: Path) -> None:
        """Write the postings to `path`; raises OperationalError."""
        metadata = {
            _ALPHABET: self.alphabet.tobytes(),
            _MIN: str(self.min_gram).encode(),
            _MAX: str(self.max_gram).encode(),
        }
        schema = pa.schema([("gram", pa.uint64()), ("rows", self.postings.type)], metadata=metadata)
        columns = [pa.array(self.grams), self.postings]
        write_batch(path, pa.RecordBatch.from_arrays(columns, schema=schema))

    def byte_size(self) -> int:
        """Bytes of grams and row numbers."""
        return int(self.grams.nbytes + self.postings.nbytes + self.alphabet.nbytes)

    def _ranges(self, condition: Condition) -> list[tuple[int, int]] | None:
        """Return the places of the grams of all pieces that are long enough, None without any."""
        if condition.comparison is not Comparison.SUBSTRINGS:
            return None
        ranges: list[tuple[int, int]] = []
        for piece in condition.values:
            if len(piece) < self.min_gram:
                continue
            digits = self._digits(piece)
            if digits is None:
                return [(0, 0)]
            width = min(len(digits), self.max_gram)
            ranges.extend(
                self._places(digits[start : start + width])
                for start in range(len(digits) - width + 1)
            )
        return ranges or None

    def _digits(self, piece: str) -> list[int] | None:
        """Return the digits of a piece, None where a character is in no text."""
        codes = folded(_code_points(piece))
        places = np.searchsorted(self.alphabet, codes)
        inside = places < len(self.alphabet)
        if not inside.all() or (self.alphabet[places] != codes).any():
            return None
        digits: list[int] = (places + 1).tolist()
        return digits

    def _places(self, digits: Sequence[int]) -> tuple[int, int]:
        base, missing = len(self.alphabet) + 1, self.max_gram - len(digits)
        number = reduce(lambda value, digit: value * base + digit, digits, 0)
        bounds = np.array([number, number + 1], dtype=np.uint64) * np.uint64(base**missing)
        low, high = np.searchsorted(self.grams, bounds).tolist()
        return low, high

    def _count(self, places: tuple[int, int]) -> int:
        offsets = self.postings.offsets
        return int(offsets[places[1]].as_py() - offsets[places[0]].as_py())

    def _rows(self, places: tuple[int, int]) -> RowNumbers:
        offsets = self.postings.offsets
        first, last = offsets[places[0]].as_py(), offsets[places[1]].as_py()
        rows: RowNumbers = self.postings.values.slice(first, last - first).to_numpy()
        return rows if places[1] - places[0] == 1 else np.unique(rows)


@dataclass(frozen=True, slots=True)
class NgramKind:
    """The kind NGRAM."""

    name: str = "NGRAM"
    options: tuple[Option, ...] = (
        Option("min_gram", 2, 1, 8, "pieces of a pattern shorter than this don't use the index"),
        Option("max_gram", 3, 1, 4, "characters of a gram"),
    )

    def supports(self, type_: SqlType) -> bool:
        """Whether it is a string."""
        return type_.is_string

    def build(self, values: pa.Array, options: Mapping[str, int]) -> Grams:
        """Build over the text of every row, in row order; NULL has no gram.

        Raises ProgrammingError (54000) where the texts have too many different characters.
        """
        size = options["max_gram"]
        filled = values.fill_null("") if values.null_count else values
        codes = folded(_all_code_points(filled))
        alphabet = _distinct(codes)
        digit_of = np.zeros(_CODE_POINTS, dtype=np.uint64)
        digit_of[alphabet] = np.arange(1, len(alphabet) + 1)
        row_bits = max(len(values), 1).bit_length()
        if (len(alphabet) + 1) ** size >= 2 ** (64 - row_bits):
            raise ProgrammingError(
                f"an NGRAM index with max_gram = {size} takes fewer than {len(alphabet):,} "
                "different characters",
                code=sqlstate.PROGRAM_LIMIT_EXCEEDED,
                hint="use max_gram = 3",
            )
        lengths = pc.utf8_length(filled).to_numpy().astype(np.int64)
        pairs = _numbers(digit_of[codes], lengths, size, len(alphabet) + 1)
        pairs <<= np.uint64(row_bits)
        pairs |= np.repeat(np.arange(len(values), dtype=np.uint64), lengths)
        pairs.sort()
        # A gram that a text has twice stands once.
        pairs = pairs[np.concatenate(([True], pairs[1:] != pairs[:-1]))] if len(pairs) else pairs
        rows = (pairs & np.uint64(2**row_bits - 1)).astype(np.uint32)
        pairs >>= np.uint64(row_bits)
        starts = np.flatnonzero(np.concatenate(([True], pairs[1:] != pairs[:-1])))[: len(pairs)]
        offsets = pa.array(np.append(starts, len(pairs)))
        postings = pa.LargeListArray.from_arrays(offsets, pa.array(rows))
        return Grams(options["min_gram"], size, alphabet, pairs[starts], postings)

    def load(self, path: Path) -> Grams:
        """Map what `save` wrote; raises OSError or ValueError."""
        batch = read_batch(path)
        with reading(path):
            known = batch.schema.metadata
            return Grams(
                int(known[_MIN]),
                int(known[_MAX]),
                np.frombuffer(known[_ALPHABET], dtype=np.uint32),
                batch.column("gram").to_numpy(),
                batch.column("rows"),
            )


def _numbers(
    digits: npt.NDArray[np.uint64], lengths: npt.NDArray[np.int64], size: int, base: int
) -> npt.NDArray[np.uint64]:
    """Return the number of the gram that begins at each character."""
    ends = np.repeat(np.cumsum(lengths), lengths)
    places = np.arange(len(digits))
    numbers = np.zeros(len(digits), dtype=np.uint64)
    for step in range(size):
        following = np.zeros(len(digits), dtype=np.uint64)
        following[: len(digits) - step] = digits[step:]
        following[places + step >= ends] = 0
        numbers = numbers * np.uint64(base) + following
    return numbers


def _code_points(text: str) -> _Codes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _all_code_points(texts: pa.Array) -> _Codes:
    """Return the code points of all texts, one after the other; none is NULL."""
    if not len(texts):
        return np.empty(0, np.uint32)
    _, ends, data = texts.buffers()
    offsets = np.frombuffer(ends, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    return _code_points(data.slice(first, last - first).to_pybytes().decode() if data else "")


def folded(codes: _Codes) -> _Codes:
    """Return code points with those alike that differ in case only, as far as one is one."""
    distinct = _distinct(codes)
    plain = np.zeros(_CODE_POINTS, dtype=np.uint32)
    plain[distinct] = [_folded_code(chr(code)) for code in distinct.tolist()]
    return plain[codes]


def _distinct(codes: _Codes) -> _Codes:
    present = np.zeros(_CODE_POINTS, dtype=bool)
    present[codes] = True
    return np.flatnonzero(present).astype(np.uint32)


def _folded_code(character: str) -> int:
    for form in (character.casefold(), character.lower()):
        if len(form) == 1:
            return ord(form)
    return ord(character)


KIND = NgramKind()
