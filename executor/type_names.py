"""From sqlglot's type nodes to our types."""

from typing import Any

from sqlglot import exp

from vsql.core import types
from vsql.core.types import VECTOR_TYPE_NAMES, Family, SqlType
from vsql.executor.vectors import of_any_dimension, to_vector


def type_named(node: exp.DataType) -> SqlType:
    """Return the type that a sqlglot type node means; raises ProgrammingError (42704)."""
    if node.this is exp.DType.ARRAY or node.this.name in ("ARRAY", "LIST"):
        return SqlType(Family.ARRAY, element=type_named(node.expressions[0]))
    arguments = tuple(int(e.name) for e in node.expressions if e.name.isdigit())
    kind = node.args.get("kind")
    if isinstance(kind, exp.Expr):
        if not arguments and kind.name.upper() in VECTOR_TYPE_NAMES:
            return SqlType(Family(kind.name.upper()))
        return types.named(kind.name, arguments)
    name = {"TIMESTAMPTZ": "TIMESTAMPTZ", "VARBINARY": "BYTEA"}.get(node.this.name, node.this.name)
    if name == "VECTOR" and not arguments:
        return SqlType(Family.VECTOR, (1,))
    return types.named(str(name), arguments)


def cast_to_vector(value: Any, to: exp.DataType) -> Any:
    """Return a value cast to a vector type, which may be without a dimension; raises DataError."""
    type_ = type_named(to)
    if value is None:
        return None
    if to.expressions:
        return to_vector(value, type_, "vector literal")
    return of_any_dimension(value, type_.family)
