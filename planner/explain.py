"""Plans as text: one node a line, its parts indented below it."""

from collections.abc import Iterator

from sqlglot import exp

from vsql.grammar.render import render
from vsql.planner.nodes import Conjunct, Output, Subquery, TopK, Write
from vsql.planner.relational_nodes import (
    BatchTopK,
    ComputedDistance,
    FunctionInput,
    Input,
    Numbered,
    OutsideInput,
    Remainder,
    SystemInput,
    TableInput,
)
from vsql.planner.scan_nodes import Count, Lookup, OrderedScan, Scan
from vsql.planner.search_nodes import Fusion, JoinedBatch, JoinedSearch, SortKey
from vsql.planner.write_nodes import DeleteRows, InsertRows, MergeRows, UpdateRows

Node = Input | Write
_SHOWN_VALUE_MAX = 60


def explain(plan: Node, depth: int = 0) -> Iterator[str]:
    """Yield the lines of a plan."""
    indent = "  " * depth
    yield indent + _title(plan)
    for line in _details(plan):
        yield f"{indent}  {line}"
    for subquery in getattr(plan, "subqueries", ()):
        yield from _subquery(subquery, depth + 1)
    if isinstance(plan, Remainder):
        for name, source in plan.inputs:
            yield f"{indent}  {name}:"
            yield from explain(source, depth + 2)
    if isinstance(plan, BatchTopK | JoinedBatch):
        yield from explain(plan.search, depth + 1)
    if isinstance(plan, JoinedSearch):
        names = [plan.source.table, *(join.table for join in plan.joins)]
        for join in plan.joins:
            side, column = join.left
            kind = "left join" if join.outer else "join"
            yield f"{indent}  {kind} {join.table} by {join.key} = {names[side]}.{column}"
    if isinstance(plan, Fusion):
        for search in plan.searches:
            distance = f"{search.column} {search.metric.operator} {shown(search.query)}"
            yield f"{indent}  search by {distance}"
    for part in ("source", "joined"):
        inner = getattr(plan, part, None)
        if inner is not None:
            yield from explain(inner, depth + 1)


def _title(plan: Node) -> str:
    match plan:
        case TopK():
            limit = "all" if plan.limit is None else shown(plan.limit)
            skipped = "" if plan.offset is None else f", offset {shown(plan.offset)}"
            query = "query" if isinstance(plan.query, exp.Null) else shown(plan.query)
            return (
                f"TopK {limit}{skipped} of {plan.table} "
                f"by {plan.column} {plan.metric.operator} {query}"
            )
        case Fusion():
            limit = "all" if plan.limit is None else shown(plan.limit)
            skipped = "" if plan.offset is None else f" after {shown(plan.offset)}"
            options = "".join(f", {n} => {shown(v)}" for n, v in plan.options.items())
            return (
                f"Fusion {limit}{skipped} of {plan.table} by {plan.method}"
                f" of {len(plan.searches)} searches{options}"
            )
        case JoinedSearch():
            limit = "" if plan.limit is None else f", limit {shown(plan.limit)}"
            return f"Joined search{limit}"
        case Scan():
            limit = "" if plan.limit is None else f", limit {shown(plan.limit)}"
            return f"Scan {plan.table}{limit}"
        case OrderedScan():
            limit = "" if plan.limit is None else f", limit {shown(plan.limit)}"
            order = " descending" if plan.descending else ""
            nulls = ", NULL first" if plan.nulls_first else ""
            return f"Scan {plan.table} by {plan.column}{order}{nulls}{limit}"
        case Lookup():
            keys = ", ".join(shown(key) for key in plan.keys)
            return f"Lookup {plan.table} by primary key = {keys}"
        case Count():
            return f"Count {plan.table}"
        case Remainder():
            return "DuckDB"
        case TableInput():
            read = (*plan.columns, *(_distance(one) for one in plan.distances))
            return f"Scan {plan.table} ({', '.join(read)})"
        case OutsideInput():
            return f"Registered {plan.table} ({', '.join(plan.columns)})"
        case Numbered():
            return "Numbered"
        case BatchTopK():
            return _batch(plan)
        case JoinedBatch():
            limit = "" if plan.limit is None else f", limit {shown(plan.limit)}"
            return _batch(plan) + limit
        case InsertRows():
            rows = "" if plan.source is not None else f", {len(plan.rows)} rows"
            return f"Insert into {plan.table}{rows}{_on_conflict(plan)}"
        case MergeRows():
            actions = ", ".join(action.kind for action in plan.actions)
            return f"Merge into {plan.table} ({actions})"
        case FunctionInput():
            arguments = ", ".join(shown(argument) for argument in plan.arguments)
            return f"Function {plan.function}({arguments})"
        case SystemInput():
            return f"Catalog {plan.relation} ({', '.join(plan.columns)})"
        case DeleteRows():
            return f"Delete from {plan.table}"
        case UpdateRows():
            return f"Update {plan.table} ({', '.join(name for name, _ in plan.assignments)})"
    raise AssertionError(plan)


def _batch(plan: BatchTopK | JoinedBatch) -> str:
    return f"Batch of searches, one per row of {plan.outer_name}, by {plan.query_column}"


def _distance(one: ComputedDistance) -> str:
    return f"{one.column} {one.metric.operator} {shown(one.query)}"


def _on_conflict(plan: InsertRows) -> str:
    if plan.conflict is None:
        return ""
    names = ", ".join(name for name, _ in plan.conflict.assignments)
    keys = f" ({', '.join(plan.conflict.columns)})" if plan.conflict.columns else ""
    return f", on conflict{keys} {'update ' + names if names else 'do nothing'}"


def _details(plan: Node) -> Iterator[str]:
    outputs: tuple[Output, ...] = getattr(plan, "outputs", ())
    if outputs:
        yield "output: " + ", ".join(output.name for output in outputs)
    conjuncts: tuple[Conjunct, ...] = getattr(plan, "conjuncts", ())
    for conjunct in conjuncts:
        by = "index" if conjunct.condition is not None else "columns"
        by = by if conjunct.native else "DuckDB"
        yield f"filter: {_cut(conjunct.text)}  ({by}, keeps about {conjunct.selectivity:.2%})"
    for bound in getattr(plan, "bounds", ()):
        sign = (">" if bound.far else "<") + ("=" if bound.inclusive else "")
        yield f"range: distance {sign} {shown(bound.value)}"
    if isinstance(plan, OrderedScan) and plan.index_ids:
        yield "order: from the index, where it is sorted"
    if isinstance(plan, JoinedBatch):
        if plan.order:
            yield "order: " + ", ".join(_sort_key(key) for key in plan.order)
        if plan.outer:
            yield "left join: rows that find nothing stay"
    if isinstance(plan, Remainder):
        yield f"sql: {_cut(plan.sql, 400)}"


def _sort_key(key: SortKey) -> str:
    return f"{key.column}{' descending' * key.descending}{', NULL first' * key.nulls_first}"


def _subquery(subquery: Subquery, depth: int) -> Iterator[str]:
    yield "  " * depth + f":{subquery.key} is"
    yield from explain(subquery.plan, depth + 1)


def shown(node: exp.Expr) -> str:
    """Return an expression as text, long literals cut short."""
    return _cut(render(node))


def _cut(text: str, width: int = _SHOWN_VALUE_MAX) -> str:
    return text if len(text) <= width else text[:width] + "..."
