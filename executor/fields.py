"""Fields of Arrow tables that say their SQL type, where the Arrow type is that of others too.

Arrow has no bfloat16. Inside, a fixed-size list of uint16 is a BFLOATVEC, always; outside it holds
whatever numbers a program put there. So bits never leave: `outgoing` gives float32, which holds
each number exactly and which every program reads, under a field that says BFLOATVEC(n), so that
what comes back is one again. And `incoming` gives integers of other tables a type of their own.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.dense import floats
from vsql.core.errors import DataError
from vsql.core.types import TEXT, Family, SqlType, check_element, from_arrow, named

TYPE_METADATA = b"vsql:type"
_AMBIGUOUS = (Family.BIT, Family.UUID, Family.SPARSEVEC, Family.BFLOATVEC)


def field_of(name: str, type_: SqlType, arrow: pa.DataType) -> pa.Field:
    """Return the field of a column that says its type where Arrow's does not.

    UUID and BIT(128) are 16 bytes alike; a SPARSEVEC without rows has no dimension; a BFLOATVEC is
    the bits of its numbers here, and float32 outside.
    """
    if type_.family not in _AMBIGUOUS:
        return pa.field(name, arrow)
    return pa.field(name, arrow, metadata={TYPE_METADATA: str(type_).encode()})


def column_type(type_: SqlType, name: str) -> SqlType:
    """Return the type of a table's column that is made of a result's; raises DataError (0A000)."""
    if type_.element is not None:
        check_element(type_.element)
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


def incoming(table: pa.Table) -> pa.Table:
    """Return a table from outside whose lists of uint16 are no BFLOATVECs unless they say so."""
    for number, field in enumerate(table.schema):
        if (field.metadata or {}).get(TYPE_METADATA, b"").startswith(b"BFLOATVEC"):
            continue
        wider = _without_bits(field.type)
        if wider != field.type:
            column = table.column(number).cast(wider)
            table = table.set_column(number, field.with_type(wider), column)
    return table


def _without_bits(type_: pa.DataType) -> pa.DataType:
    fixed = pa.types.is_fixed_size_list(type_)
    if not fixed and not pa.types.is_list(type_):
        return type_
    inner = type_.value_type
    inner = pa.int32() if pa.types.is_uint16(inner) else _without_bits(inner)
    if inner == type_.value_type:
        return type_
    return pa.list_(inner, type_.list_size) if fixed else pa.list_(inner)


def outgoing(table: pa.Table) -> pa.Table:
    """Return a table with BFLOATVECs as lists of float32; the fields still say what they are."""
    for number, field in enumerate(table.schema):
        if holds_bits(field.type):
            wide = with_floats(table.column(number))
            table = table.set_column(number, field.with_type(wide.type), wide)
    return table


def holds_bits(type_: pa.DataType) -> bool:
    """Whether a column inside is of BFLOATVECs."""
    return bool(pa.types.is_fixed_size_list(type_) and pa.types.is_uint16(type_.value_type))


def with_floats(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of BFLOATVECs as lists of float32."""
    size = column.type.list_size
    type_ = pa.list_(pa.field("item", pa.float32(), nullable=False), size)
    chunks = []
    for chunk in column.chunks:
        flat = numbers_in(chunk.values.slice(chunk.offset * size, len(chunk) * size))
        missing = chunk.is_null() if chunk.null_count else None
        # `pa.array` would import pandas to look at them.
        buffers = [None, pa.py_buffer(floats(flat))]
        wide = pa.Array.from_buffers(pa.float32(), len(flat), buffers)
        chunks.append(pa.FixedSizeListArray.from_arrays(wide, type=type_, mask=missing))
    return pa.chunked_array(chunks, type=type_)


def numbers_in(array: pa.Array) -> npt.NDArray[Any]:
    """Return a view of an array of numbers; where one is NULL it may be any."""
    # Straight from the buffer: `to_numpy` makes floats of integers with a NULL among them.
    whole = np.frombuffer(array.buffers()[1], dtype=array.type.to_pandas_dtype())
    view: npt.NDArray[Any] = whole[array.offset : array.offset + len(array)]
    return view
