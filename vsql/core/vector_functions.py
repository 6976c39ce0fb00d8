"""What can be computed of vectors besides distances: one registry for planner and executor.

An `Operation` is a kernel (`executor/vector_kernels.py`) that DuckDB calls by `Operation.function`;
a `VectorFunction` is what a user writes, with pgvector's name.
"""

from dataclasses import dataclass
from enum import Enum

from vsql.core.types import DENSE, Family

SPARSE_DUCKDB = 'STRUCT(dimension INTEGER, indices INTEGER[], "values" FLOAT[])'
"""DuckDB's type for `vsql.core.types.SPARSE_ARROW`."""


class Kind(Enum):
    """What an operation takes and gives; the value is DuckDB's type for it."""

    SPARSE = SPARSE_DUCKDB
    BYTES = "BLOB"

    VECTOR = "FLOAT[]"
    VECTORS = "FLOAT[][]"
    NUMBERS = "DOUBLE[]"
    INTEGER = "INTEGER"
    DOUBLE = "DOUBLE"
    TEXT = "VARCHAR"


class Operation(Enum):
    """One kernel for dense vectors; its results are rounded as the family rounds."""

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


class SparseOperation(Enum):
    """One kernel for SPARSEVEC."""

    L2_DISTANCE = ("l2_distance", (Kind.SPARSE, Kind.SPARSE), Kind.DOUBLE)
    NEGATIVE_INNER_PRODUCT = ("negative_inner_product", (Kind.SPARSE, Kind.SPARSE), Kind.DOUBLE)
    COSINE_DISTANCE = ("cosine_distance", (Kind.SPARSE, Kind.SPARSE), Kind.DOUBLE)
    L1_DISTANCE = ("l1_distance", (Kind.SPARSE, Kind.SPARSE), Kind.DOUBLE)
    NORM = ("norm", (Kind.SPARSE,), Kind.DOUBLE)
    NORMALIZE = ("normalize", (Kind.SPARSE,), Kind.SPARSE)
    SORT_KEY = ("sort_key", (Kind.SPARSE,), Kind.BYTES)
    OF_VECTOR = ("of_vector", (Kind.VECTOR,), Kind.SPARSE)
    OF_ARRAY = ("of_array", (Kind.NUMBERS,), Kind.SPARSE)
    TO_VECTOR = ("to_vector", (Kind.SPARSE,), Kind.VECTOR)
    CHECK_DIMENSION = ("check_dimension", (Kind.SPARSE, Kind.INTEGER), Kind.SPARSE)
    PARSE = ("parse", (Kind.TEXT,), Kind.SPARSE)
    SHOW = ("show", (Kind.SPARSE,), Kind.TEXT)

    def __init__(self, word: str, parameters: tuple[Kind, ...], result: Kind) -> None:
        self.word = word
        self.parameters = parameters
        self.result = result

    @property
    def function(self) -> str:
        """The name by which DuckDB calls the kernel."""
        return f"vsql_sparsevec_{self.word}"


@dataclass(frozen=True, slots=True)
class VectorFunction:
    """A function in SQL: so many vectors, then so many integers.

    Where `operation` is None, `planner/vectors.py` says it in DuckDB's own words; `sparse` is what
    it is of sparse vectors, None where it takes none; `family` is what it makes of its vectors
    first, None where they stay what they are.
    """

    name: str
    vectors: int
    operation: Operation | None = None
    integers: int = 0
    sparse: SparseOperation | None = None
    family: Family | None = None


_ARITHMETIC = {
    "add": Operation.ADD,
    "sub": Operation.SUBTRACT,
    "mul": Operation.MULTIPLY,
    "concat": Operation.CONCATENATE,
}

VECTOR_FUNCTIONS: dict[str, VectorFunction] = {
    function.name: function
    for function in (
        VectorFunction("inner_product", 2, sparse=SparseOperation.NEGATIVE_INNER_PRODUCT),
        VectorFunction("vector_dims", 1),
        VectorFunction("vector_norm", 1, Operation.NORM),
        VectorFunction("l2_norm", 1, Operation.NORM, sparse=SparseOperation.NORM),
        VectorFunction("l2_normalize", 1, Operation.NORMALIZE, sparse=SparseOperation.NORMALIZE),
        VectorFunction("binary_quantize", 1, Operation.QUANTIZE),
        VectorFunction("subvector", 1, Operation.SUBVECTOR, integers=2),
        *(
            VectorFunction(
                f"{family.value.lower()}_{word}",
                2,
                operation,
                family=None if family is Family.VECTOR else family,
            )
            for family in DENSE
            for word, operation in _ARITHMETIC.items()
        ),
    )
}
