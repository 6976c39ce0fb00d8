"""SELECTs over one table that no distance orders: counts, look-ups by key, scans."""

from sqlglot import exp

from vsql.core.protocols import Comparison
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import Family
from vsql.planner.nodes import Conjunct, Output
from vsql.planner.scan_nodes import Count, IndexCondition, Lookup, OrderedScan, Scan
from vsql.planner.select import (
    Single,
    column_key,
    column_of,
    output_name,
    predicate_of,
    projected,
    resolve_output,
    unaliased,
)

# Types whose order Arrow and PostgreSQL agree on.
SORTED_FAMILIES = frozenset(
    {
        *(Family.BOOLEAN, Family.TINYINT, Family.SMALLINT, Family.INTEGER, Family.BIGINT),
        *(Family.REAL, Family.DOUBLE, Family.DECIMAL, Family.TEXT, Family.VARCHAR),
        *(Family.DATE, Family.TIME, Family.TIMESTAMP, Family.TIMESTAMPTZ),
    }
)


def scan_plan(single: Single) -> Count | Scan | Lookup | OrderedScan | None:
    """Return the plan of the SELECT, or None where it needs DuckDB.

    Raises ProgrammingError for unknown columns.
    """
    if _is_count(single):
        name = output_name(single.tree.expressions[0], "count")
        return Count(single.table.table.name, name, predicate_of(single))
    if single.tree.args.get("order") is not None:
        return _ordered_scan(single)
    outputs = projected(single, None)
    return None if outputs is None else _scan_or_lookup(single, outputs)


def _ordered_scan(single: Single) -> OrderedScan | None:
    """Return the plan of a SELECT that one column of an ordinary type orders."""
    keys = single.tree.args["order"].expressions
    if len(keys) != 1 or keys[0].args.get("with_fill"):
        return None
    node = resolve_output(keys[0].this, single)
    if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
        return None
    column, outputs = column_of(node, single), projected(single, None)
    if outputs is None or column.type.family not in SORTED_FAMILIES:
        return None
    key = column_key(column)
    return OrderedScan(
        table=single.table.table.name,
        outputs=outputs,
        column=column.name,
        descending=bool(keys[0].args.get("desc")),
        nulls_first=bool(keys[0].args.get("nulls_first")),
        index_ids=tuple(
            i.id for i in single.table.indexes if i.leading_key == key and i.metric is None
        ),
        conjuncts=predicate_of(single),
        limit=single.limit,
        offset=single.offset,
    )


def _scan_or_lookup(single: Single, outputs: tuple[Output, ...]) -> Scan | Lookup:
    table = single.table.table
    conjuncts = predicate_of(single)
    keys, rest = _key_equalities(single.table, conjuncts)
    if keys is None:
        return Scan(table.name, outputs, conjuncts, single.limit, single.offset)
    index_id, values = keys
    return Lookup(table.name, outputs, index_id, values, rest, single.limit, single.offset)


def _key_equalities(
    table: TableSnapshot, conjuncts: tuple[Conjunct, ...]
) -> tuple[tuple[int, tuple[exp.Expr, ...]] | None, tuple[Conjunct, ...]]:
    """Split off the equality on a primary key of one column."""
    if len(table.table.primary_key) != 1:
        return None, conjuncts
    unique = next((index.id for index in table.indexes if index.unique), None)
    for conjunct in conjuncts:
        condition = conjunct.condition
        if unique is None or not isinstance(condition, IndexCondition):
            continue
        if unique in condition.index_ids and condition.comparison is Comparison.EQUAL:
            rest = tuple(other for other in conjuncts if other is not conjunct)
            return (unique, condition.values), rest
    return None, conjuncts


def _is_count(single: Single) -> bool:
    tree = single.tree
    if len(tree.expressions) != 1 or tree.args.get("order") or single.limit or single.offset:
        return False
    counted = unaliased(tree.expressions[0])
    return isinstance(counted, exp.Count) and isinstance(counted.this, exp.Star)
