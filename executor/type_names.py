"""From sqlglot's type nodes to our types."""

from typing import Any

import numpy as np
from sqlglot import exp

from vsql.core import types
from vsql.core.dense import shown
from vsql.core.schema import Index
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import VECTOR_FAMILIES, Family, SqlType
from vsql.executor.vectors import of_any_dimension, to_vector
from vsql.grammar.parse import parse_expression
from vsql.planner.bind import type_name


def type_named(node: exp.DataType) -> SqlType:
    """Return the type that a sqlglot type node means; raises ProgrammingError (42704)."""
    if node.this is exp.DType.ARRAY or node.this.name in ("ARRAY", "LIST"):
        return SqlType(Family.ARRAY, element=type_named(node.expressions[0]))
    arguments = tuple(int(e.name) for e in node.expressions if e.name.isdigit())
    kind = node.args.get("kind")
    if isinstance(kind, exp.Expr):
        family = VECTOR_FAMILIES.get(kind.name.upper())
        if not arguments and family is not None:
            return SqlType(family)
        return types.named(kind.name, arguments)
    name = {"TIMESTAMPTZ": "TIMESTAMPTZ", "VARBINARY": "BYTEA"}.get(node.this.name, node.this.name)
    if name == "VECTOR" and not arguments:
        return SqlType(Family.VECTOR, (1,))
    return types.named(str(name), arguments)


def operator_class(index: Index, table: TableSnapshot) -> str:
    """Return the class of a vector index's key, named after the type of the column, or of the cast.

    An expression of which no type is seen is taken for a VECTOR.
    """
    assert index.metric is not None
    family = Family.BIT if index.metric.over_bits else Family.VECTOR
    column, key = table.table.key_column(index), parse_expression(index.key)
    if column is not None:
        family = column.type.family
    elif isinstance(key, exp.Cast):
        family = VECTOR_FAMILIES.get(type_name(key.to), family)
    return f"{family.value.lower()}_{index.metric.operator_class}"


def cast_to_vector(value: Any, cast: exp.Cast) -> Any:
    """Return what `cast` makes of a value; the type may be without a dimension.

    Raises DataError.
    """
    type_ = type_named(cast.to)
    if value is None:
        return None
    of_vector = isinstance(cast.this.unnest(), exp.Cast) and isinstance(value, np.ndarray)
    if of_vector and type_.family is Family.INT8VEC:
        # What a user writes must be whole; a vector that there is already is rounded.
        value = np.rint(value)
    if not cast.to.expressions:
        return of_any_dimension(value, type_.family)
    vector = to_vector(value, type_, "vector literal")
    return shown(vector) if type_.is_dense else vector
