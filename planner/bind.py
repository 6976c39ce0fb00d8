"""Names and types of expressions over one table.

Binding turns the columns of a tree into bare column names of the table, folds case as PostgreSQL
does (unquoted names are lower case), and refuses what is unknown, with the nearest name.
"""

from collections.abc import Iterator

from sqlglot import exp

from vsql.core.distance import METRIC_BY_FUNCTION, Metric
from vsql.core.errors import Span
from vsql.core.schema import Column
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import Family
from vsql.planner.facts import unknown_column


def folded(identifier: exp.Expr | str | None) -> str:
    """Return a name as PostgreSQL folds it: lower case unless it was quoted."""
    if isinstance(identifier, exp.Identifier):
        return identifier.name if identifier.args.get("quoted") else identifier.name.lower()
    if isinstance(identifier, exp.Expr):
        return folded(identifier.this)
    return (identifier or "").lower()


def quoted(name: str) -> exp.Identifier:
    """Return a name as an identifier in quotes, which nothing folds."""
    return exp.to_identifier(name, quoted=True)


def span_of(node: exp.Expr) -> Span | None:
    """Return the place of a node in the statement, where the parser kept it."""
    for candidate in (node, node.args.get("this")):
        if isinstance(candidate, exp.Expr) and "start" in candidate.meta:
            return Span(candidate.meta["start"], candidate.meta["end"] + 1)
    return None


def type_name(type_: exp.DataType) -> str:
    """Return the name of a type, one of sqlglot's own or one that it does not know."""
    kind = type_.args.get("kind")
    # regclass and its like, whose name is a text.
    own = type_.this if isinstance(type_.this, str) else type_.this.name
    return str(kind.name if isinstance(kind, exp.Expr) else own).upper()


def qualifier(column: exp.Column) -> str | None:
    """Return the table name that stands before a column, folded, or None."""
    table = column.args.get("table")
    return folded(table) if table is not None else None


def bind_columns(tree: exp.Expr, table: TableSnapshot, alias: str) -> exp.Expr:
    """Return a copy of `tree` whose columns are bare names of `table`.

    Raises ProgrammingError (42703) for a column, or a qualifier, that is unknown.
    """
    columns = table.table.columns
    known = {column.name for column in columns}

    def bind(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        name, table_name = folded(node.this), qualifier(node)
        if name not in known or table_name not in (None, alias):
            shown = f"{table_name}.{name}" if table_name not in (None, alias) else name
            raise unknown_column(shown, columns, span_of(node), f'table "{table.table.name}"')
        return exp.column(exp.to_identifier(name, quoted=True))

    return tree.transform(bind)


def conjuncts_of(predicate: exp.Expr | None) -> Iterator[exp.Expr]:
    """Yield the parts of nested ANDs, without the parentheses around them."""
    if predicate is None:
        return
    # A loop, not recursion: chains of thousands are left-deep.
    stack = [predicate]
    while stack:
        part = stack.pop().unnest()
        if isinstance(part, exp.And):
            stack.extend((part.right, part.left))
        else:
            yield part


def distance_of(node: exp.Expr) -> tuple[Metric, exp.Expr, exp.Expr] | None:
    """Return metric and both operands where `node` is one of the six distances."""
    node = node.unnest()
    if isinstance(node, exp.Anonymous) and len(node.expressions) == 2:
        metric = METRIC_BY_FUNCTION.get(node.name.lower())
        if metric is not None:
            return metric, node.expressions[0], node.expressions[1]
    return None


def vector_distance(
    node: exp.Expr, columns: tuple[Column, ...]
) -> tuple[Metric, Column, exp.Expr] | None:
    """Return (metric, column, query) where `node` is a distance of a vector column to a constant.

    A constant is anything without columns of its own: a literal, a parameter, a subquery.
    """
    found = distance_of(node)
    if found is None:
        return None
    metric, left, right = found
    for side, other in ((left.unnest(), right), (right.unnest(), left)):
        column = _vector_column(side, columns)
        fits = column is not None and (column.type.family is Family.BIT) is metric.over_bits
        if column is not None and fits and is_constant(other):
            return metric, column, other.unnest()
    return None


def _vector_column(node: exp.Expr, columns: tuple[Column, ...]) -> Column | None:
    if not isinstance(node, exp.Column):
        return None
    name = folded(node.this)
    return next((c for c in columns if c.name == name and c.type.is_vector), None)


def is_constant(node: exp.Expr) -> bool:
    """Whether an expression reads no column outside a subquery of its own."""
    if isinstance(node.unnest(), exp.Subquery | exp.Select):
        return True
    return all(_inside_subquery(column, node) for column in node.find_all(exp.Column))


def _inside_subquery(node: exp.Expr, root: exp.Expr) -> bool:
    parent = node.parent
    while parent is not None and node is not root:
        if isinstance(parent, exp.Select):
            return True
        if parent is root:
            return False
        parent = parent.parent
    return False
