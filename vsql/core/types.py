"""SQL types: their names, their Arrow form, and the way between the two.

A type is a value: a family, its arguments (`VARCHAR(20)`, `DECIMAL(10, 2)`, `VECTOR(384)`) and, for
arrays, the type of an element.

| type | Arrow |
|---|---|
| VECTOR(n), HALFVEC(n), INT8VEC(n) | fixed_size_list of float32, float16, int8 |
| BFLOATVEC(n) | fixed_size_list of uint16, the bits of a bfloat16, for which Arrow has no type |
| BIT(n) | fixed_size_binary of n / 8 bytes, most significant bit first |
| SPARSEVEC(n) | struct of the dimension, ascending indices from 0, and values, none of them 0 |
| JSON | string holding the document's text |
| UUID | fixed_size_binary of 16 bytes |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import DataError, NotSupportedError, ProgrammingError, did_you_mean

VECTOR_DIMENSION_MAX = 32_768
BIT_LENGTH_MAX = 262_144
SPARSE_DIMENSION_MAX = 1_000_000_000
SPARSE_NONZERO_MAX = 16_000


class Family(Enum):
    """What kind of type; the value is its SQL name."""

    BOOLEAN = "BOOLEAN"
    TINYINT = "TINYINT"
    SMALLINT = "SMALLINT"
    INTEGER = "INTEGER"
    BIGINT = "BIGINT"
    REAL = "REAL"
    DOUBLE = "DOUBLE PRECISION"
    DECIMAL = "DECIMAL"
    VARCHAR = "VARCHAR"
    TEXT = "TEXT"
    BYTEA = "BYTEA"
    DATE = "DATE"
    TIME = "TIME"
    TIMESTAMP = "TIMESTAMP"
    TIMESTAMPTZ = "TIMESTAMPTZ"
    INTERVAL = "INTERVAL"
    UUID = "UUID"
    JSON = "JSON"
    ARRAY = "ARRAY"
    VECTOR = "VECTOR"
    HALFVEC = "HALFVEC"
    BFLOATVEC = "BFLOATVEC"
    INT8VEC = "INT8VEC"
    BIT = "BIT"
    SPARSEVEC = "SPARSEVEC"
    NULL = "NULL"


_INTEGERS = (Family.TINYINT, Family.SMALLINT, Family.INTEGER, Family.BIGINT)
_NUMBERS = (*_INTEGERS, Family.REAL, Family.DOUBLE, Family.DECIMAL)
_STRINGS = (Family.VARCHAR, Family.TEXT)
DENSE = (Family.VECTOR, Family.HALFVEC, Family.BFLOATVEC, Family.INT8VEC)
"""Vectors that hold each of their numbers: the numeric ones that are not sparse."""
_VECTORS = (*DENSE, Family.BIT, Family.SPARSEVEC)
_SPARSE_NUMBERS = 128


@dataclass(frozen=True, slots=True)
class SqlType:
    """One SQL type; `element` is set for arrays alone."""

    family: Family
    arguments: tuple[int, ...] = ()
    element: "SqlType | None" = None

    def __str__(self) -> str:
        if self.element is not None:
            return f"{self.element}[]"
        if self.arguments:
            return f"{self.family.value}({', '.join(map(str, self.arguments))})"
        return self.family.value

    @property
    def is_vector(self) -> bool:
        """Whether a distance can be taken of it."""
        return self.family in _VECTORS

    @property
    def is_integer(self) -> bool:
        return self.family in _INTEGERS

    @property
    def is_number(self) -> bool:
        return self.family in _NUMBERS

    @property
    def is_string(self) -> bool:
        return self.family in _STRINGS

    @property
    def dimension(self) -> int:
        """The dimension of a vector type, in bits for BIT."""
        assert self.is_vector
        return self.arguments[0]

    @property
    def number_count(self) -> int:
        """How many numbers a vector holds, for estimates: of a sparse one, some hundred at most."""
        return min(self.dimension, _SPARSE_NUMBERS) if self.is_sparse else self.dimension

    @property
    def is_dense(self) -> bool:
        return self.family in DENSE

    @property
    def is_sparse(self) -> bool:
        return self.family is Family.SPARSEVEC

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of a column of this type."""
        return _to_arrow(self)


NULL_TYPE = SqlType(Family.NULL)
BOOLEAN = SqlType(Family.BOOLEAN)
BIGINT = SqlType(Family.BIGINT)
DOUBLE = SqlType(Family.DOUBLE)
TEXT = SqlType(Family.TEXT)
JSON = SqlType(Family.JSON)
TIMESTAMPTZ = SqlType(Family.TIMESTAMPTZ)

SPARSE_ARROW = pa.struct(
    [
        pa.field("dimension", pa.int32()),
        pa.field("indices", pa.list_(pa.int32())),
        pa.field("values", pa.list_(pa.float32())),
    ]
)
"""A sparse vector says its dimension itself, so that it may stand where no column's type does."""

_ARROW_OF_FAMILY: dict[Family, pa.DataType] = {
    Family.NULL: pa.null(),
    Family.BOOLEAN: pa.bool_(),
    Family.TINYINT: pa.int8(),
    Family.SMALLINT: pa.int16(),
    Family.INTEGER: pa.int32(),
    Family.BIGINT: pa.int64(),
    Family.REAL: pa.float32(),
    Family.DOUBLE: pa.float64(),
    Family.VARCHAR: pa.string(),
    Family.TEXT: pa.string(),
    Family.BYTEA: pa.binary(),
    Family.DATE: pa.date32(),
    Family.TIME: pa.time64("us"),
    Family.TIMESTAMP: pa.timestamp("us"),
    Family.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
    Family.INTERVAL: pa.month_day_nano_interval(),
    Family.UUID: pa.binary(16),
    Family.JSON: pa.string(),
    Family.SPARSEVEC: SPARSE_ARROW,
}


_ARROW_OF_ELEMENT: dict[Family, pa.DataType] = {
    Family.VECTOR: pa.float32(),
    Family.HALFVEC: pa.float16(),
    Family.BFLOATVEC: pa.uint16(),
    Family.INT8VEC: pa.int8(),
}


def _to_arrow(type_: SqlType) -> pa.DataType:
    match type_.family:
        case Family.ARRAY:
            assert type_.element is not None
            return pa.list_(_to_arrow(type_.element))
        case Family.DECIMAL:
            return pa.decimal128(*type_.arguments)
        case family if family in DENSE:
            item = pa.field("item", _ARROW_OF_ELEMENT[family], nullable=False)
            return pa.list_(item, type_.dimension)
        case Family.BIT:
            return pa.binary(type_.dimension // 8)
        case family:
            return _ARROW_OF_FAMILY[family]


_FAMILY_OF_ELEMENT = {
    **{element: family for family, element in _ARROW_OF_ELEMENT.items()},
    pa.float64(): Family.VECTOR,
}


def from_arrow(arrow: pa.DataType) -> SqlType:
    """Return the SQL type of an Arrow column; raises DataError (0A000) where there is none."""
    if pa.types.is_dictionary(arrow):
        return from_arrow(arrow.value_type)
    if isinstance(arrow, pa.BaseExtensionType):
        if arrow.extension_name == "arrow.uuid":
            return SqlType(Family.UUID)
        if arrow.extension_name == "arrow.json":
            return SqlType(Family.JSON)
        if arrow.extension_name == "arrow.opaque" and arrow.type_name == "bignum":
            raise DataError(
                "a whole number of more than 38 digits has no SQL type",
                code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE,
            )
        return from_arrow(arrow.storage_type)
    for test, type_ in _SIMPLE_ARROW_TYPES:
        if test(arrow):
            return type_
    if pa.types.is_decimal(arrow) and not pa.types.is_decimal256(arrow):
        return SqlType(Family.DECIMAL, (arrow.precision, arrow.scale))
    if pa.types.is_fixed_size_list(arrow):
        family = _FAMILY_OF_ELEMENT.get(arrow.value_type)
        if family is not None:
            return SqlType(family, (arrow.list_size,))
    if pa.types.is_fixed_size_binary(arrow):
        return SqlType(Family.BYTEA)
    if _is_list(arrow):
        return SqlType(Family.ARRAY, element=from_arrow(arrow.value_type))
    if is_sparse(arrow):
        return SqlType(Family.SPARSEVEC)
    if pa.types.is_struct(arrow) or pa.types.is_map(arrow):
        return SqlType(Family.JSON)
    raise DataError(f"no SQL type for the Arrow type {arrow}", code=sqlstate.FEATURE_NOT_SUPPORTED)


def is_sparse(arrow: pa.DataType) -> bool:
    """Whether an Arrow type is that of sparse vectors, whatever its lists call their elements."""
    if not pa.types.is_struct(arrow):
        return False
    fields = [arrow.field(number) for number in range(arrow.num_fields)]
    shapes = [
        (
            field.name,
            _is_list(field.type),
            field.type.value_type if _is_list(field.type) else field.type,
        )
        for field in fields
    ]
    return shapes == _SPARSE_SHAPES


_SPARSE_SHAPES = [
    ("dimension", False, pa.int32()),
    ("indices", True, pa.int32()),
    ("values", True, pa.float32()),
]


def _is_list(arrow: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(arrow)
        or pa.types.is_large_list(arrow)
        or pa.types.is_fixed_size_list(arrow)
        or pa.types.is_list_view(arrow)
        or pa.types.is_large_list_view(arrow)
    )


def _is_text(arrow: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(arrow) for test in tests)


def _is_bytes(arrow: pa.DataType) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(arrow) for test in tests)


# Unsigned integers and 16-bit floats take the next wider signed type, so that no value is lost.
_SIMPLE_ARROW_TYPES = (
    (pa.types.is_null, NULL_TYPE),
    (pa.types.is_boolean, BOOLEAN),
    (pa.types.is_int8, SqlType(Family.TINYINT)),
    (pa.types.is_int16, SqlType(Family.SMALLINT)),
    (pa.types.is_uint8, SqlType(Family.SMALLINT)),
    (pa.types.is_int32, SqlType(Family.INTEGER)),
    (pa.types.is_uint16, SqlType(Family.INTEGER)),
    (pa.types.is_int64, BIGINT),
    (pa.types.is_uint32, BIGINT),
    (pa.types.is_uint64, SqlType(Family.DECIMAL, (20, 0))),
    (pa.types.is_float16, SqlType(Family.REAL)),
    (pa.types.is_float32, SqlType(Family.REAL)),
    (pa.types.is_float64, DOUBLE),
    (_is_text, TEXT),
    (_is_bytes, SqlType(Family.BYTEA)),
    (pa.types.is_date, SqlType(Family.DATE)),
    (pa.types.is_time, SqlType(Family.TIME)),
    (lambda t: pa.types.is_timestamp(t) and t.tz is None, SqlType(Family.TIMESTAMP)),
    (lambda t: pa.types.is_timestamp(t) and t.tz is not None, SqlType(Family.TIMESTAMPTZ)),
    (pa.types.is_interval, SqlType(Family.INTERVAL)),
    (pa.types.is_duration, SqlType(Family.INTERVAL)),
)

_ALIASES: dict[str, Family] = {
    **{family.value: family for family in Family if family is not Family.ARRAY},
    "BOOL": Family.BOOLEAN,
    "INT1": Family.TINYINT,
    "INT8": Family.BIGINT,
    "INT2": Family.SMALLINT,
    "INT": Family.INTEGER,
    "INT4": Family.INTEGER,
    "INT64": Family.BIGINT,
    "FLOAT4": Family.REAL,
    "FLOAT": Family.DOUBLE,
    "FLOAT8": Family.DOUBLE,
    "DOUBLE": Family.DOUBLE,
    "NUMERIC": Family.DECIMAL,
    "STRING": Family.TEXT,
    "CHARACTER VARYING": Family.VARCHAR,
    "CHAR": Family.VARCHAR,
    "BLOB": Family.BYTEA,
    "BYTES": Family.BYTEA,
    "TIMESTAMP WITH TIME ZONE": Family.TIMESTAMPTZ,
    "TIMESTAMP WITHOUT TIME ZONE": Family.TIMESTAMP,
    "TIME WITHOUT TIME ZONE": Family.TIME,
    "CHARACTER": Family.VARCHAR,
    "BPCHAR": Family.VARCHAR,
    "DATETIME": Family.TIMESTAMP,
    "JSONB": Family.JSON,
    "FLOAT_VECTOR": Family.VECTOR,
    "FLOAT16_VECTOR": Family.HALFVEC,
    "BFLOAT16_VECTOR": Family.BFLOATVEC,
    "INT8_VECTOR": Family.INT8VEC,
    "BINARY_VECTOR": Family.BIT,
    "SPARSE_FLOAT_VECTOR": Family.SPARSEVEC,
    "FLOAT16VEC": Family.HALFVEC,
    "BFLOAT16VEC": Family.BFLOATVEC,
    "BINARYVEC": Family.BIT,
}

VECTOR_FAMILIES: Mapping[str, Family] = {
    name: family for name, family in _ALIASES.items() if family in _VECTORS
}
"""Every name of a vector type, in upper case."""

TYPE_NAMES: tuple[str, ...] = tuple(sorted(set(_ALIASES) - {"NULL"}))


def named(name: str, arguments: tuple[int, ...] = (), array_depth: int = 0) -> SqlType:
    """Return the type that `name(arguments)[]…` means; raises ProgrammingError (42704, 22023)."""
    folded = " ".join(name.upper().split())
    family = _ALIASES.get(folded)
    if family is None or family is Family.NULL:
        raise ProgrammingError(
            f'type "{name.lower()}" does not exist',
            code=sqlstate.UNDEFINED_OBJECT,
            hint=did_you_mean(name, TYPE_NAMES),
        )
    type_ = SqlType(family, _checked_arguments(family, arguments))
    if array_depth:
        check_element(type_)
    for _ in range(array_depth):
        type_ = SqlType(Family.ARRAY, element=type_)
    return type_


def check_element(type_: SqlType) -> None:
    """Raise NotSupportedError for a type of which a column holds no arrays."""
    if type_.family in (Family.SPARSEVEC, Family.BFLOATVEC):
        name = "sparse vectors" if type_.is_sparse else type_.family.value
        raise NotSupportedError(
            f"a column cannot hold arrays of {name}", hint="give each vector a row of its own"
        )


def _checked_arguments(family: Family, arguments: tuple[int, ...]) -> tuple[int, ...]:
    match family, arguments:
        case family, (int(dimension),) if family in DENSE:
            _check_range(family, "dimension", dimension, 1, VECTOR_DIMENSION_MAX)
            return arguments
        case Family.BIT, (int(length),):
            _check_range(family, "length", length, 8, BIT_LENGTH_MAX)
            if length % 8:
                raise _bad_argument(f"the length of BIT must be a multiple of 8, not {length}")
            return arguments
        case Family.SPARSEVEC, (int(dimension),):
            _check_range(family, "dimension", dimension, 1, SPARSE_DIMENSION_MAX)
            return arguments
        case family, _ if family in _VECTORS:
            raise _bad_argument(f"{family.value} needs one argument, as in {family.value}(384)")
        case Family.DECIMAL, ():
            return (38, 10)
        case Family.DECIMAL, (int(precision), *rest) if len(rest) <= 1:
            scale = rest[0] if rest else 0
            _check_range(family, "precision", precision, 1, 38)
            _check_range(family, "scale", scale, 0, precision)
            return (precision, scale)
        case Family.VARCHAR, (int(length),):
            _check_range(family, "length", length, 1, 10_485_760)
            return arguments
        case ((Family.TIMESTAMP | Family.TIMESTAMPTZ | Family.TIME), (int(digits),)):
            _check_range(family, "precision", digits, 0, 6)
            return ()
        case _, ():
            return ()
        case _:
            raise _bad_argument(f"{family.value} does not take the arguments {arguments}")


def _check_range(family: Family, what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise _bad_argument(f"the {what} of {family.value} must be {low} to {high}, not {value}")


def _bad_argument(message: str) -> ProgrammingError:
    return ProgrammingError(message, code=sqlstate.INVALID_PARAMETER_VALUE)
