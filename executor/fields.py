"""Fields of Arrow tables that say their SQL type, where the Arrow type is that of others too."""

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import DataError
from vsql.core.types import TEXT, Family, SqlType, from_arrow, named, no_sparse_arrays

TYPE_METADATA = b"vsql:type"
_AMBIGUOUS = (Family.BIT, Family.UUID, Family.SPARSEVEC)


def field_of(name: str, type_: SqlType, arrow: pa.DataType) -> pa.Field:
    """Return the field of a column that says its type where Arrow's does not.

    UUID and BIT(128) are 16 bytes alike; a SPARSEVEC without rows has no dimension.
    """
    if type_.family not in _AMBIGUOUS:
        return pa.field(name, arrow)
    return pa.field(name, arrow, metadata={TYPE_METADATA: str(type_).encode()})


def column_type(type_: SqlType, name: str) -> SqlType:
    """Return the type of a table's column that is made of a result's; raises DataError (0A000)."""
    if type_.element is not None and type_.element.is_sparse:
        raise no_sparse_arrays()
    if type_.is_sparse and not type_.arguments:
        raise DataError(
            f'the dimension of column "{name}" is not known',
            code=sqlstate.FEATURE_NOT_SUPPORTED,
            hint="cast it, as in e::sparsevec(30522), or create the table first",
        )
    return TEXT if type_.family is Family.NULL else type_


def type_of_field(field: pa.Field) -> SqlType:
    """Return the SQL type of a field; raises DataError (0A000) where there is none."""
    known = (field.metadata or {}).get(TYPE_METADATA)
    if known is None:
        return from_arrow(field.type)
    name, _, size = known.decode().removesuffix(")").partition("(")
    if not size and name == Family.SPARSEVEC.value:
        return SqlType(Family.SPARSEVEC)
    return named(name, (int(size),) if size else ())
