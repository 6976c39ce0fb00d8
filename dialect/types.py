"""Vector columns: values are lists, tuples or numpy arrays; comparators are distances.

Names and signatures follow pgvector's Python package, https://github.com/pgvector/pgvector-python.
"""

from typing import Any

import numpy as np
from sqlalchemy import types
from sqlalchemy.sql import functions
from sqlalchemy.sql.operators import Operators

_FLOAT = types.Float()


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
    """VECTOR(n): float32; values come back as numpy arrays."""

    cache_ok = True
    name = "VECTOR"
    __visit_name__ = "VECTOR"
    comparator_factory = _Distances

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def get_col_spec(self, **options: Any) -> str:
        return self.name if self.dim is None else f"{self.name}({self.dim})"

    def bind_processor(self, dialect: Any) -> Any:
        def process(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return np.asarray(value, dtype=np.float32)
            return value

        return process

    def literal_processor(self, dialect: Any) -> Any:
        def process(value: Any) -> str:
            text = value if isinstance(value, str) else str(np.asarray(value).tolist())
            return "'" + text.replace("'", "''") + "'"

        return process


class HalfVector(Vector):
    """HALFVEC(n): float16."""

    cache_ok = True
    name = "HALFVEC"
    __visit_name__ = "HALFVEC"


class Bit(types.UserDefinedType[Any]):
    """BIT(n), n a multiple of 8; values are strings of 0 and 1, or bytes."""

    cache_ok = True
    __visit_name__ = "BIT"
    comparator_factory = _BitDistances

    def __init__(self, length: int | None = None) -> None:
        self.length = length

    def get_col_spec(self, **options: Any) -> str:
        return "BIT" if self.length is None else f"BIT({self.length})"


class _OfVectors(functions.GenericFunction[Any]):
    """An aggregate that gives what it takes."""

    inherit_cache = True
    _register = False

    def __init__(self, vectors: Any, **options: Any) -> None:
        super().__init__(vectors, **options)
        self.type = self.clauses.clauses[0].type


class avg(_OfVectors):  # noqa: N801
    """The average of vectors; the name is pgvector's."""

    inherit_cache = True
    _register = False
    name = "avg"


class sum(_OfVectors):  # noqa: N801
    """The sum of vectors; the name is pgvector's."""

    inherit_cache = True
    _register = False
    name = "sum"


VECTOR, HALFVEC, BIT = Vector, HalfVector, Bit
