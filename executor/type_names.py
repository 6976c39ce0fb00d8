"""From sqlglot's type nodes to our types."""

from sqlglot import exp

from vsql.core import types
from vsql.core.types import Family, SqlType


def type_named(node: exp.DataType) -> SqlType:
    """Return the type that a sqlglot type node means; raises ProgrammingError (42704)."""
    if node.this is exp.DType.ARRAY or node.this.name in ("ARRAY", "LIST"):
        return SqlType(Family.ARRAY, element=type_named(node.expressions[0]))
    arguments = tuple(int(e.name) for e in node.expressions if e.name.isdigit())
    kind = node.args.get("kind")
    if isinstance(kind, exp.Expr):
        return types.named(kind.name, arguments)
    name = {"TIMESTAMPTZ": "TIMESTAMPTZ", "VARBINARY": "BYTEA"}.get(node.this.name, node.this.name)
    if name == "VECTOR" and not arguments:
        return SqlType(Family.VECTOR, (1,))
    return types.named(str(name), arguments)
