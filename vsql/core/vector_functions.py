"""What can be computed of vectors besides distances: one registry for planner and executor.

An `Operation` is a kernel (`executor/vector_kernels.py`) that DuckDB calls by `Operation.function`;
a `VectorFunction` is what a user writes, with pgvector's name.
"""

from dataclasses import dataclass
from enum import Enum

from vsql.core.types import Family

NUMERIC_FAMILIES = (Family.VECTOR, Family.HALFVEC)


class Kind(Enum):
    """What an operation takes and gives; the value is DuckDB's type for it."""

    VECTOR = "FLOAT[]"
    VECTORS = "FLOAT[][]"
    NUMBERS = "DOUBLE[]"
    INTEGER = "INTEGER"
    DOUBLE = "DOUBLE"
    TEXT = "VARCHAR"


class Operation(Enum):
    """One kernel; it exists for VECTOR and, rounding as 16-bit floats do, for HALFVEC."""

    ADD = ("add", (Kind.VECTOR, Kind.VECTOR), Kind.VECTOR)
    SUBTRACT = ("subtract", (Kind.VECTOR, Kind.VECTOR), Kind.VECTOR)
    MULTIPLY = ("multiply", (Kind.VECTOR, Kind.VECTOR), Kind.VECTOR)
    CONCATENATE = ("concatenate", (Kind.VECTOR, Kind.VECTOR), Kind.VECTOR)
    SUM = ("sum", (Kind.VECTORS,), Kind.VECTOR)
    AVERAGE = ("average", (Kind.VECTORS,), Kind.VECTOR)
    L1_DISTANCE = ("l1_distance", (Kind.VECTOR, Kind.VECTOR), Kind.DOUBLE)
    NORM = ("norm", (Kind.VECTOR,), Kind.DOUBLE)
    NORMALIZE = ("normalize", (Kind.VECTOR,), Kind.VECTOR)
    SUBVECTOR = ("subvector", (Kind.VECTOR, Kind.INTEGER, Kind.INTEGER), Kind.VECTOR)
    QUANTIZE = ("quantize", (Kind.VECTOR,), Kind.TEXT)
    ROUND = ("round", (Kind.VECTOR,), Kind.VECTOR)
    FROM_ARRAY = ("from_array", (Kind.NUMBERS,), Kind.VECTOR)
    PARSE = ("parse", (Kind.TEXT,), Kind.VECTOR)
    SHOW = ("show", (Kind.VECTOR,), Kind.TEXT)

    def __init__(self, word: str, parameters: tuple[Kind, ...], result: Kind) -> None:
        self.word = word
        self.parameters = parameters
        self.result = result

    def function(self, family: Family) -> str:
        """The name by which DuckDB calls the kernel for a family."""
        return f"vsql_{family.value.lower()}_{self.word}"


@dataclass(frozen=True, slots=True)
class VectorFunction:
    """A function in SQL: so many vectors, then so many integers.

    Where `operation` is None, `planner/vectors.py` says it in DuckDB's own words.
    """

    name: str
    vectors: int
    operation: Operation | None = None
    integers: int = 0


_ARITHMETIC = {
    "add": Operation.ADD,
    "sub": Operation.SUBTRACT,
    "mul": Operation.MULTIPLY,
    "concat": Operation.CONCATENATE,
}

VECTOR_FUNCTIONS: dict[str, VectorFunction] = {
    function.name: function
    for function in (
        VectorFunction("inner_product", 2),
        VectorFunction("vector_dims", 1),
        VectorFunction("vector_norm", 1, Operation.NORM),
        VectorFunction("l2_norm", 1, Operation.NORM),
        VectorFunction("l2_normalize", 1, Operation.NORMALIZE),
        VectorFunction("binary_quantize", 1, Operation.QUANTIZE),
        VectorFunction("subvector", 1, Operation.SUBVECTOR, integers=2),
        *(
            VectorFunction(f"{family.value.lower()}_{word}", 2, operation)
            for family in NUMERIC_FAMILIES
            for word, operation in _ARITHMETIC.items()
        ),
    )
}
