"""Sparse vectors: one as a value, and many as the arrays of a compressed sparse row matrix.

Everywhere the same form: indices from 0, ascending, each once; no value is 0.
"""

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import DataError
from vsql.core.types import SPARSE_ARROW, SPARSE_DIMENSION_MAX, SPARSE_NONZERO_MAX, Family
from vsql.core.vector_checks import check_finite
from vsql.core.vector_text import real_text

Indices = npt.NDArray[np.int32]
Values = npt.NDArray[np.float32]

_TEXT = r"(?a)\s*\{([^{}]*)\}\s*/\s*([+-]?[0-9]+)\s*"
_ELEMENT = (
    r"(?ai)\s*([+-]?[0-9]+)\s*:\s*"
    r"([+-]?(?:[0-9]+\.?[0-9]*(?:e[+-]?[0-9]+)?|\.[0-9]+(?:e[+-]?[0-9]+)?|nan|inf(?:inity)?))\s*"
)
# Half of the smallest 32-bit float, and the midpoint above the largest.
_DIGITS_MAX = 12
_VALUE_MIN, _VALUE_MAX = 2.0**-150, 3.4028235677973366e38


class SparseVector:
    """A sparse vector as Python sees it, with the methods of pgvector's class of this name.

    Made of a dict {index: value} and the number of dimensions, of a sequence of all elements, or of
    a sparse array or matrix of scipy. Raises DataError where no SPARSEVEC could hold it.
    """

    __slots__ = ("_dimensions", "_indices", "_values")

    _dimensions: int
    _indices: Indices
    _values: Values

    def __init__(self, value: Any, dimensions: int | None = None) -> None:
        if isinstance(value, Mapping):
            if dimensions is None:
                raise DataError("missing dimensions", code=sqlstate.DATA_EXCEPTION)
            self._set(list(value), list(value.values()), dimensions)
            return
        parts = elements_of(value)
        if parts is None:
            raise DataError(
                f"expected elements of a sparse vector, got {type(value).__name__}",
                code=sqlstate.DATATYPE_MISMATCH,
                hint="give a dict {index: value} from index 0 and the number of dimensions, a "
                "row of a scipy matrix, or a list of all elements",
            )
        *_, found = parts
        if dimensions is not None and dimensions != found:
            raise expected_dimensions(dimensions, found)
        self._set(*parts)

    def _set(self, indices: Any, values: Any, dimensions: Any, prefix: str = "") -> None:
        self._dimensions = check_dimensions(dimensions, prefix)
        self._indices, self._values = canonical(indices, values, self._dimensions, prefix)

    @classmethod
    def of(cls, indices: Any, values: Any, dimensions: int, prefix: str = "") -> "SparseVector":
        """Return the vector with these values at these indices, from 0; raises DataError."""
        made = cls.__new__(cls)
        made._set(indices, values, dimensions, prefix)
        return made

    @classmethod
    def from_text(cls, text: str, prefix: str = "") -> "SparseVector":
        """Return the vector that '{1:0.5,3:2}/5' says, which counts indices from 1.

        Raises DataError: 22P02 for text that is none, 22003 for a number beyond the type's range,
        22000 for NaN, infinity, an index out of bounds or twice, 54000 for too much of it.
        """
        found = re.fullmatch(_TEXT, text)
        if found is None:
            raise _invalid(text, prefix)
        body, dimension = found.groups()
        parts = body.split(",") if body.strip() else []
        element = re.compile(_ELEMENT)
        elements = [element.fullmatch(part) for part in parts]
        indices = [_whole_number(part.group(1)) - 1 for part in elements if part is not None]
        if len(indices) < len(parts):
            raise _invalid(text, prefix)
        values = [_number(part.group(2), prefix) for part in elements if part is not None]
        return cls.of(indices, values, _whole_number(dimension), prefix)

    def dimensions(self) -> int:
        return self._dimensions

    def indices(self) -> list[int]:
        """Return where a value stands, from 0, ascending."""
        found: list[int] = self._indices.tolist()
        return found

    def values(self) -> list[float]:
        """Return the values, none of them 0, in the order of their indices."""
        found: list[float] = self._values.tolist()
        return found

    @property
    def arrays(self) -> tuple[Indices, Values]:
        """Return indices and values as they are held."""
        return self._indices, self._values

    def to_text(self) -> str:
        """Return '{1:0.5,3:2}/5'."""
        return sparse_text(self._indices, self._values, self._dimensions)

    def to_numpy(self) -> Values:
        """Return all elements, (dimensions,), float32."""
        dense = np.zeros(self._dimensions, dtype=np.float32)
        dense[self._indices] = self._values
        return dense

    def to_list(self) -> list[float]:
        """Return all elements."""
        found: list[float] = self.to_numpy().tolist()
        return found

    def to_coo(self) -> Any:
        """Return scipy's sparse array of one row; needs scipy."""
        from scipy.sparse import coo_array

        places = (np.zeros(len(self._indices), dtype=np.int32), self._indices)
        return coo_array((self._values, places), shape=(1, self._dimensions))

    def copy(self) -> "SparseVector":
        """Return a vector that shares no memory with a column."""
        made = SparseVector.__new__(SparseVector)
        made._dimensions = self._dimensions
        made._indices, made._values = self._indices.copy(), self._values.copy()
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseVector):
            return NotImplemented
        return (
            self._dimensions == other._dimensions
            and np.array_equal(self._indices, other._indices)
            and np.array_equal(self._values, other._values)
        )

    def __hash__(self) -> int:
        return hash((self._dimensions, self._indices.tobytes(), self._values.tobytes()))

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        elements = dict(zip(self.indices(), self.values(), strict=True))
        return f"SparseVector({elements}, {self._dimensions})"


def _whole_number(text: str) -> int:
    """Return a whole number, cut where it is beyond any index: Python reads few digits."""
    digits = text.lstrip("+-").lstrip("0")[:_DIGITS_MAX]
    return -int(digits or 0) if text.startswith("-") else int(digits or 0)


def _number(text: str, prefix: str) -> float:
    number = float(text)
    # "nan", "inf" and "infinity" have an n, no number does; so do those that are 0 as written.
    beyond = abs(number) >= _VALUE_MAX or abs(number) <= _VALUE_MIN
    if beyond and "n" not in text.lower() and text.lower().partition("e")[0].strip("+-0."):
        raise DataError(
            f'{prefix}"{text[:40]}" is out of range for type sparsevec',
            code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE,
        )
    return number


def _invalid(text: str, prefix: str) -> DataError:
    shown = text if len(text) <= 40 else text[:40] + "..."
    return DataError(
        f"{prefix}invalid input syntax for type sparsevec: '{shown}'",
        code=sqlstate.INVALID_TEXT_REPRESENTATION,
        hint="a sparse vector looks like '{1:0.5,3:2}/5'",
    )


def elements_of(value: Any, prefix: str = "") -> tuple[Any, Any, int] | None:
    """Return indices, values and dimension of a sparse matrix of scipy's, or of all elements.

    None for what is neither. Raises DataError (42804) for a matrix of more rows than one.
    """
    if hasattr(value, "tocoo"):
        return _of_matrix(value, prefix)
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if numbers.ndim != 1:
        return None
    places = np.flatnonzero(numbers)
    return places, numbers[places], len(numbers)


def _of_matrix(matrix: Any, prefix: str) -> tuple[Any, Any, int]:
    rows = matrix.shape[0] if len(matrix.shape) == 2 else 1
    if rows != 1:
        raise DataError(
            f"{prefix}a matrix of {rows} rows is no vector", code=sqlstate.DATATYPE_MISMATCH
        )
    # A coordinate may stand twice in a matrix, which then means the sum.
    found = matrix.tocsr().tocoo() if len(matrix.shape) == 2 else matrix.tocoo()
    return found.coords[-1], found.data, matrix.shape[-1]


def expected_dimensions(wanted: int, found: int, prefix: str = "") -> DataError:
    """Return the error for a vector of other dimensions than wanted."""
    return DataError(
        f"{prefix}expected {wanted} dimensions, not {found}", code=sqlstate.DATA_EXCEPTION
    )


def check_dimensions(dimensions: Any, prefix: str = "") -> int:
    """Return the number of dimensions; raises DataError (22000, 54000) for one that none has.

    42804 for what is no whole number.
    """
    try:
        whole = operator.index(dimensions)
    except TypeError:
        raise DataError(
            f"{prefix}the number of dimensions must be a whole number",
            code=sqlstate.DATATYPE_MISMATCH,
        ) from None
    if whole < 1:
        raise DataError(
            f"{prefix}sparsevec must have at least 1 dimension", code=sqlstate.DATA_EXCEPTION
        )
    if whole > SPARSE_DIMENSION_MAX:
        raise DataError(
            f"{prefix}sparsevec cannot have more than {SPARSE_DIMENSION_MAX} dimensions",
            code=sqlstate.PROGRAM_LIMIT_EXCEEDED,
        )
    return whole


def canonical(
    indices: Any, values: Any, dimension: int, prefix: str = ""
) -> tuple[Indices, Values]:
    """Return the same elements in the form that is stored: sorted, without zeros.

    `prefix` begins every message. Raises DataError: 22000 for an index out of bounds or twice, NaN
    and infinity, 54000 for too many values.
    """
    try:
        places = _whole(indices)
        with np.errstate(over="ignore", under="ignore"):
            numbers = np.array(values, dtype=np.float32)
        same = places.ndim == numbers.ndim == 1 and len(places) == len(numbers)
    except (TypeError, ValueError, OverflowError):
        same = False
    if not same:
        raise DataError(
            f"{prefix}a sparse vector needs a number for each whole index",
            code=sqlstate.DATATYPE_MISMATCH,
        )
    check_finite(numbers, Family.SPARSEVEC, prefix)
    kept = numbers != 0
    if not kept.all():
        places, numbers = places[kept], numbers[kept]
    if len(places) > SPARSE_NONZERO_MAX:
        raise too_many_values(prefix)
    if len(places) and not 0 <= int(places.min()) <= int(places.max()) < dimension:
        raise index_out_of_bounds(prefix)
    if (np.diff(places) <= 0).any():
        order = np.argsort(places, kind="stable")
        places, numbers = places[order], numbers[order]
        if (np.diff(places) == 0).any():
            raise duplicate_indices(prefix)
    return places.astype(np.int32), numbers


def _whole(indices: Any) -> npt.NDArray[np.int64]:
    found = np.asarray(indices)
    if found.dtype == object:
        # Beyond 64 bits: no dimension is that large.
        found = np.array([min(max(int(index), -1), 2**62) for index in indices])
    if len(found) and not np.issubdtype(found.dtype, np.integer):
        raise TypeError(found.dtype)
    return found.astype(np.int64)


def too_many_values(prefix: str = "") -> DataError:
    """Return the error for a vector with more values than any may have."""
    return DataError(
        f"{prefix}sparsevec cannot have more than {SPARSE_NONZERO_MAX} non-zero elements",
        code=sqlstate.PROGRAM_LIMIT_EXCEEDED,
    )


def index_out_of_bounds(prefix: str = "") -> DataError:
    """Return the error for an index below 0, or not below the dimension."""
    return DataError(f"{prefix}sparsevec index out of bounds", code=sqlstate.DATA_EXCEPTION)


def duplicate_indices(prefix: str = "") -> DataError:
    """Return the error for an index with two values."""
    return DataError(
        f"{prefix}sparsevec indices must not contain duplicates", code=sqlstate.DATA_EXCEPTION
    )


def sparse_text(indices: Indices, values: Values, dimension: int) -> str:
    """Return '{1:0.5,3:2}/5', which counts indices from 1."""
    shown = map(real_text, map(str, values))
    elements = (f"{index + 1}:{text}" for index, text in zip(indices.tolist(), shown, strict=True))
    return f"{{{','.join(elements)}}}/{dimension}"


def text_of_struct(value: Mapping[str, Any]) -> str:
    """Return the text of a vector that Arrow gave as a Python value."""
    return SparseVector.of(value["indices"], value["values"], value["dimension"]).to_text()


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Sparse vectors one after the other: those of row i stand from offsets[i] to offsets[i + 1].

    dimensions (rows,) int32; offsets (rows + 1,) int64; indices and values (all values,).
    """

    dimensions: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    indices: Indices
    values: Values

    def __len__(self) -> int:
        return len(self.dimensions)

    def __getitem__(self, row: int) -> SparseVector:
        start, end = self.offsets[row], self.offsets[row + 1]
        made = SparseVector.__new__(SparseVector)
        made._dimensions = int(self.dimensions[row])
        made._indices, made._values = self.indices[start:end], self.values[start:end]
        return made

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many values each row has."""
        return np.diff(self.offsets)

    @classmethod
    def read(cls, array: pa.Array) -> "SparseRows":
        """Return a view of an Arrow column; a NULL is a row without values."""
        offsets, indices = _lists(array.field(1), np.int32)
        return cls(
            _view(array.field(0), np.int32), offsets, indices, _lists(array.field(2), np.float32)[1]
        )

    @classmethod
    def of(cls, vectors: Sequence[SparseVector]) -> "SparseRows":
        """Return vectors as rows."""
        parts = [vector.arrays for vector in vectors]
        offsets = np.zeros(len(parts) + 1, dtype=np.int64)
        np.cumsum([len(indices) for indices, _ in parts], out=offsets[1:])
        return cls(
            np.array([vector.dimensions() for vector in vectors], dtype=np.int32),
            offsets,
            _joined((indices for indices, _ in parts), np.int32),
            _joined((values for _, values in parts), np.float32),
        )

    def to_arrow(self, missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
        """Return the rows as an Arrow column, NULL where `missing` is true."""
        offsets = pa.array(self.offsets.astype(np.int32))
        lists = [pa.array(self.indices), pa.array(self.values)]
        return pa.StructArray.from_arrays(
            [pa.array(self.dimensions), *(pa.ListArray.from_arrays(offsets, x) for x in lists)],
            fields=list(SPARSE_ARROW),
            mask=None if missing is None or not missing.any() else pa.array(missing),
        )

    def take(self, rows: npt.NDArray[np.int64]) -> "SparseRows":
        """Return some rows, copied."""
        counts = self.counts[rows]
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], counts)
        return SparseRows(self.dimensions[rows], offsets, self.indices[places], self.values[places])

    def part(self, start: int, end: int) -> "SparseRows":
        """Return a view of the rows from `start` to `end`."""
        first, last = self.offsets[start], self.offsets[end]
        return SparseRows(
            self.dimensions[start:end],
            self.offsets[start : end + 1] - first,
            self.indices[first:last],
            self.values[first:last],
        )

    def sums(self, numbers: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the sum over each row of one number per value, in 64 bits."""
        return row_sums(numbers, self.offsets)

    def lengths(self) -> npt.NDArray[np.float64]:
        """Return the Euclidean length of each row."""
        return np.sqrt(self.sums(np.square(self.values, dtype=np.float64)))


def row_sums(numbers: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the sum of the numbers of each row, in 64 bits; row i ends where row i + 1 begins."""
    result = np.zeros(len(offsets) - 1)
    # reduceat gives an empty row the number after it.
    filled = np.flatnonzero(np.diff(offsets))
    if len(filled):
        result[filled] = np.add.reduceat(numbers, offsets[filled], dtype=np.float64)
    return result


def _joined(parts: Iterable[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    known = list(parts)
    return np.concatenate(known) if known else np.empty(0, dtype=dtype)


def _view(array: pa.Array, dtype: Any, extra: int = 0) -> npt.NDArray[Any]:
    """Return a buffer as it lies: Arrow's own `to_numpy` imports pandas first."""
    buffer = array.buffers()[1]
    if buffer is None or not buffer.size:
        return np.zeros(len(array) + extra, dtype=dtype)
    whole = np.frombuffer(buffer, dtype=dtype)
    return whole[array.offset : array.offset + len(array) + extra]


def _lists(array: pa.Array, dtype: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    offsets = _view(array, np.int32, extra=1).astype(np.int64)
    flat = _view(array.values, dtype)[offsets[0] : offsets[-1]]
    return offsets - offsets[0], flat
