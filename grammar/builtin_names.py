"""Names of PostgreSQL's own functions, types and collations, with and without their schema."""

from sqlglot import exp
from sqlglot.errors import SqlglotError

_SCHEMAS = ("pg_catalog", "information_schema")
_COLLATIONS = ("default", "c", "posix", "c.utf-8", "ucs_basic")


def lower_builtin(node: exp.Expr) -> exp.Expr:
    """Return the node without the schema of what is built in; any other node as it is.

    A collation that compares bytes, as vsql does, is left out.
    """
    if isinstance(node, exp.Dot):
        return _function(node)
    if isinstance(node, exp.DataType):
        return _type(node)
    if isinstance(node, exp.Collate) and node.expression.name.lower() in _COLLATIONS:
        compared: exp.Expr = node.this
        return compared
    # `FROM pg_catalog.generate_series(…)`; a relation keeps its schema.
    is_table = isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier)
    if is_table and _is_builtin(node.args.get("db")):
        node.set("db", None)
    return node


def _function(node: exp.Dot) -> exp.Expr:
    if not _is_builtin(node.this) or not isinstance(node.expression, exp.Func):
        return node
    call = node.expression
    if not isinstance(call, exp.Anonymous):
        return call
    return exp.func(call.name, *call.expressions, dialect="postgres")


def _type(node: exp.DataType) -> exp.Expr:
    kind = node.args.get("kind")
    if isinstance(kind, exp.Dot) and _is_builtin(kind.this):
        try:
            return exp.DataType.build(kind.expression.name, dialect="postgres")
        except SqlglotError:
            node.set("kind", kind.expression)
            return node
    # "char" in quotes is PostgreSQL's type of one byte, which its catalogs use for flags.
    is_byte = isinstance(kind, exp.Identifier) and kind.quoted and kind.name == "char"
    if is_byte or node.this == exp.DataType.Type.NAME:
        return exp.DataType.build("text", dialect="postgres")
    return node


def _is_builtin(node: object) -> bool:
    return isinstance(node, exp.Identifier) and node.name.lower() in _SCHEMAS
