"""Conditions on JSON paths that a flat index over the whole column has candidates for."""

from sqlglot import exp

from vsql.core.schema import Index
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import Family
from vsql.grammar.filter_names import CONTAINS, FILTER, function_name
from vsql.grammar.json_paths import key_pointer, root_of
from vsql.grammar.render import render
from vsql.planner.scan_nodes import PathCondition

_CONSTANTS = exp.Literal | exp.Placeholder | exp.Boolean | exp.Neg | exp.Array


def path_condition(part: exp.Expr, table: TableSnapshot) -> PathCondition | None:
    """Return what a flat index may be asked for a conjunct, None where it can't help."""
    if isinstance(part, exp.Anonymous):
        return _filter_condition(part, table)
    if isinstance(part, exp.EQ | exp.In) and isinstance(part.this.unnest(), exp.JSONExtractScalar):
        return _condition(part.this, _values(part), table, text=True)
    return None


def _filter_condition(part: exp.Anonymous, table: TableSnapshot) -> PathCondition | None:
    name = function_name(part)
    if name == FILTER:
        leaf = part.expressions[0]
        is_path = isinstance(leaf.this.unnest(), exp.JSONExtract)
        return _condition(leaf.this, _values(leaf), table) if is_path else None
    if name is None or name not in CONTAINS.values():
        return None
    target, wanted = part.expressions[0], part.expressions[1].unnest()
    if name != CONTAINS[""] and isinstance(wanted, exp.Array):
        values = tuple(wanted.expressions)
    else:
        values = (wanted,)
    return _condition(target, values, table, element=True, every=name != CONTAINS["_any"])


def _values(part: exp.Expr) -> tuple[exp.Expr, ...]:
    match part:
        case exp.EQ():
            return (part.expression.unnest(),)
        case exp.In():
            return tuple(value.unnest() for value in part.expressions)
        case _:
            return ()


def _condition(
    path: exp.Expr,
    values: tuple[exp.Expr, ...],
    table: TableSnapshot,
    *,
    text: bool = False,
    element: bool = False,
    every: bool = False,
) -> PathCondition | None:
    pointer = key_pointer(path)
    index = _flat_index(root_of(path), table)
    if pointer is None or index is None or not values:
        return None
    if not all(isinstance(value, _CONSTANTS) for value in values):
        return None
    return PathCondition(index.id, pointer, values, text, element, every)


def _flat_index(root: exp.Expr, table: TableSnapshot) -> Index | None:
    column = table.table.find(root.name) if isinstance(root, exp.Column) else None
    if column is None or column.type.family is not Family.JSON:
        return None
    key = render(exp.column(exp.to_identifier(column.name, quoted=True)))
    plain = render(root)
    return next((i for i in table.indexes if i.metric is None and i.key in (key, plain)), None)
