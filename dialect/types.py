"""Vector columns, and the comparators that make distances of them.

Names, signatures and what values come back as follow pgvector's Python package,
https://github.com/pgvector/pgvector-python. Parameters may be whatever the driver takes for a
vector: lists, tuples, numpy arrays, pgvector's own value classes.
"""

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
from sqlalchemy import types
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.operators import Operators

from vsql.core.errors import DataError
from vsql.core.types import Family, SqlType

_FLOAT = types.Float()
_Process = Callable[[Any], Any]


class _Distances(types.UserDefinedType.Comparator[Any]):
    """Distances of a dense vector: smaller is nearer, so ORDER BY one of them is a search."""

    def l2_distance(self, other: Any) -> Operators:
        return self.op("<->", return_type=_FLOAT)(other)

    def max_inner_product(self, other: Any) -> Operators:
        """Return minus the inner product."""
        return self.op("<#>", return_type=_FLOAT)(other)

    def cosine_distance(self, other: Any) -> Operators:
        return self.op("<=>", return_type=_FLOAT)(other)

    def l1_distance(self, other: Any) -> Operators:
        return self.op("<+>", return_type=_FLOAT)(other)


class _BitDistances(types.UserDefinedType.Comparator[Any]):
    """Distances of bit strings."""

    def hamming_distance(self, other: Any) -> Operators:
        return self.op("<~>", return_type=_FLOAT)(other)

    def jaccard_distance(self, other: Any) -> Operators:
        return self.op("<%>", return_type=_FLOAT)(other)


class Vector(types.UserDefinedType[Any]):
    """VECTOR(n): float32; values come back as lists, with `as_numpy` as arrays.

    A list costs about 15 us per thousand numbers, an array nothing.
    """

    cache_ok = True
    name = "VECTOR"
    __visit_name__ = "VECTOR"
    comparator_factory = _Distances
    number: type[np.number[Any]] | None = np.float32

    # Not by keyword alone: SQLAlchemy tells types apart by their positional arguments.
    def __init__(self, dim: int | None = None, as_numpy: bool = False) -> None:
        self.dim = dim
        self.as_numpy = as_numpy

    def get_col_spec(self, **options: Any) -> str:
        return self.name if self.dim is None else f"{self.name}({self.dim})"

    def bind_processor(self, dialect: Any) -> _Process | None:
        number = self.number
        if number is None:
            return None

        def process(value: Any) -> Any:
            if isinstance(value, list | tuple):
                with np.errstate(over="ignore"):
                    return np.asarray(value, dtype=number)
            return value

        return process

    def result_processor(self, dialect: Any, coltype: Any) -> _Process | None:
        return None if self.as_numpy else _listed

    def literal_processor(self, dialect: Any) -> _Process:
        def process(value: Any) -> str:
            return _quoted(value if isinstance(value, str) else _text(value))

        return process

    def compare_values(self, x: Any, y: Any) -> bool:
        """Whether two values are one: a unit of work asks this, and numpy's == is no answer."""
        return _equal(x, y)


class HalfVector(Vector):
    """HALFVEC(n): float16."""

    cache_ok = True
    name = "HALFVEC"
    __visit_name__ = "HALFVEC"
    number = np.float16


class BFloatVector(Vector):
    """BFLOATVEC(n): bfloat16; values come back as lists or arrays of float32."""

    cache_ok = True
    name = "BFLOATVEC"
    __visit_name__ = "BFLOATVEC"


class Int8Vector(Vector):
    """INT8VEC(n): int8; what is no whole number of 8 bits is refused by the driver."""

    cache_ok = True
    name = "INT8VEC"
    __visit_name__ = "INT8VEC"
    number = None


class Interval(postgresql.INTERVAL):
    """INTERVAL; values are timedeltas, of which a month is 30 days, as psycopg counts it."""

    cache_ok = True

    @classmethod
    def adapt_emulated_to_native(cls, impl: Any, **options: Any) -> "Interval":
        return cls(precision=impl.second_precision)

    def result_processor(self, dialect: Any, coltype: Any) -> _Process:
        return _timedelta


def _timedelta(value: Any) -> datetime.timedelta | None:
    if value is None:
        return None
    microseconds = value.nanoseconds // 1_000
    return datetime.timedelta(days=value.months * 30 + value.days, microseconds=microseconds)


class Bit(types.UserDefinedType[Any]):
    """BIT(n); values are strings of 0 and 1, and may be bound as bytes or arrays as well."""

    cache_ok = True
    __visit_name__ = "BIT"
    comparator_factory = _BitDistances

    def __init__(self, length: int | None = None) -> None:
        self.length = length

    def get_col_spec(self, **options: Any) -> str:
        return "BIT" if self.length is None else f"BIT({self.length})"

    def compare_values(self, x: Any, y: Any) -> bool:
        return _equal(x, y)

    def result_processor(self, dialect: Any, coltype: Any) -> _Process:
        length = self.length

        def process(value: Any) -> Any:
            if isinstance(value, bytes):
                return "".join(f"{octet:08b}" for octet in value)[:length]
            return value

        return process

    def literal_processor(self, dialect: Any) -> _Process:
        def process(value: Any) -> str:
            if isinstance(value, bytes):
                value = "".join(f"{octet:08b}" for octet in value)
            return _quoted(value if isinstance(value, str) else _bit_text(value))

        return process


class SparseVector(types.UserDefinedType[Any]):
    """SPARSEVEC(n); values are `vsql.SparseVector`, whose methods are those of pgvector's class.

    Bound may be those, text, a dict {index: value} or a pair (indices, values) with indices from 0,
    a row of a scipy matrix, or a list of all elements.
    """

    cache_ok = True
    __visit_name__ = "SPARSEVEC"
    comparator_factory = _Distances

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def get_col_spec(self, **options: Any) -> str:
        return "SPARSEVEC" if self.dim is None else f"SPARSEVEC({self.dim})"

    def bind_processor(self, dialect: Any) -> _Process:
        return self._read

    def literal_processor(self, dialect: Any) -> _Process:
        return lambda value: _quoted(str(self._read(value)))

    def compare_values(self, x: Any, y: Any) -> bool:
        return bool(self._read(x) == self._read(y))

    def _read(self, value: Any) -> Any:
        """Return a value as a sparse vector; what is none is left for the driver to refuse."""
        from vsql.executor.sparse_values import to_sparse

        if value is None:
            return None
        type_ = SqlType(Family.SPARSEVEC, () if self.dim is None else (self.dim,))
        try:
            return to_sparse(value, type_, "value")
        except DataError:
            return value


def _listed(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _array(value: Any) -> Any:
    return np.asarray(value.to_numpy() if hasattr(value, "to_numpy") else value)


def _equal(x: Any, y: Any) -> bool:
    if x is None or y is None:
        return x is y
    return np.array_equal(_array(x), _array(y))


def _text(value: Any) -> str:
    return "[" + ",".join(str(float(number)) for number in _array(value).tolist()) + "]"


def _bit_text(value: Any) -> str:
    return "".join("1" if bit else "0" for bit in _array(value).tolist())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


VECTOR, HALFVEC, BIT, SPARSEVEC = Vector, HalfVector, Bit, SparseVector
BFLOATVEC, INT8VEC = BFloatVector, Int8Vector
