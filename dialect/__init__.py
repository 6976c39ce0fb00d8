"""SQLAlchemy's dialect: `create_engine("vsql:///path/to/db")`, and the vector types.

`Vector`, `HalfVector`, `Bit`, `SparseVector` and their comparators have the names of pgvector's
Python package, so that its users change an import and a URL; `BFloatVector` and `Int8Vector` are
for the types that pgvector has not.
"""

if __name__ != "vsql.dialect":
    raise ImportError("import vsql.dialect, not dialect")

from vsql.dialect.dialect import VsqlDialect as VsqlDialect
from vsql.dialect.functions import avg as avg
from vsql.dialect.functions import sum as sum
from vsql.dialect.types import BFLOATVEC as BFLOATVEC
from vsql.dialect.types import BIT as BIT
from vsql.dialect.types import HALFVEC as HALFVEC
from vsql.dialect.types import INT8VEC as INT8VEC
from vsql.dialect.types import SPARSEVEC as SPARSEVEC
from vsql.dialect.types import VECTOR as VECTOR
from vsql.dialect.types import BFloatVector as BFloatVector
from vsql.dialect.types import Bit as Bit
from vsql.dialect.types import HalfVector as HalfVector
from vsql.dialect.types import Int8Vector as Int8Vector
from vsql.dialect.types import SparseVector as SparseVector
from vsql.dialect.types import Vector as Vector

dialect = VsqlDialect
