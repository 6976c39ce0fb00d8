"""LATERAL searches whose rows stand beside the rows that ask, without DuckDB.

`SELECT q.n, p.id, p.d FROM q CROSS JOIN LATERAL (SELECT … ORDER BY e <=> q.v LIMIT 10) p`: a table,
registered data or a query that runs natively, and columns of both sides. Joining by the number of
the row that asks took DuckDB an eighth of the whole. Anything richer is left to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from vsql.core.types import Family, SqlType
from vsql.planner.bind import folded
from vsql.planner.joined_outputs import (
    CLAUSES,
    Relation,
    joined_outputs,
    place_of,
    stored_table,
)
from vsql.planner.lateral import LateralSearch, find_lateral_search
from vsql.planner.native import Planning, native_query
from vsql.planner.nodes import Output, Plan, TopK
from vsql.planner.relational_nodes import OutsideInput
from vsql.planner.scan_nodes import Lookup, OrderedScan, Scan
from vsql.planner.scans import SORTED_FAMILIES
from vsql.planner.search_nodes import Fusion, JoinedBatch, JoinedOutput, SortKey
from vsql.planner.select import (
    Ordering,
    Single,
    has_modifiers,
    has_ties,
    projected,
    reads_elsewhere,
    resolve_output,
    top_k,
)
from vsql.planner.vector_types import relation_types

_OUTER_VECTOR = "vsql_outer_vector"
"""The parameter that stands for the outer row's vector while its search is planned."""
_REGISTERED_FAMILIES = frozenset(
    {
        *(Family.BOOLEAN, Family.TINYINT, Family.SMALLINT, Family.INTEGER, Family.BIGINT),
        *(Family.REAL, Family.DOUBLE, Family.DECIMAL, Family.TEXT, Family.VARCHAR),
        *(Family.DATE, Family.TIME, Family.TIMESTAMP, Family.VECTOR),
    }
)
"""Types of registered columns that come out of DuckDB with the values that went in."""


@dataclass(frozen=True, slots=True)
class _Asking:
    """The rows that ask, with all their columns."""

    plan: Plan | OutsideInput
    columns: Mapping[str, SqlType]

    def of(self, names: set[str]) -> Plan | OutsideInput | None:
        """Return the plan for some columns, None where DuckDB would make others of them."""
        if isinstance(self.plan, OutsideInput):
            if any(self.columns[name].family not in _REGISTERED_FAMILIES for name in names):
                return None
            kept = tuple(name for name in self.plan.columns if name in names)
            return replace(self.plan, columns=kept)
        assert isinstance(self.plan, Scan | OrderedScan | Lookup | TopK | Fusion)
        return replace(self.plan, outputs=tuple(o for o in self.plan.outputs if o.name in names))


def joined_batch(tree: exp.Select, planning: Planning) -> JoinedBatch | None:
    """Return the plan of a SELECT that is a lateral search and columns, None for any other.

    Raises ProgrammingError where the search's predicate does.
    """
    joins = tree.args.get("joins") or []
    if len(joins) != 1 or not isinstance(joins[0].this, exp.Lateral) or has_ties(tree):
        return None
    if any(value for name, value in tree.args.items() if name not in CLAUSES):
        return None
    tree = tree.copy()
    found = find_lateral_search(tree, relation_types(tree, planning.facts), planning.facts)
    if found is None or found.join.side not in ("", "LEFT"):
        return None
    asking, search = _asking(found, planning), _search(found, planning)
    if asking is None or search is None or tree.args.get("where") is not None:
        return None
    alias = folded(found.join.this.args["alias"])
    types = {output.name: output.type for output in search.outputs}
    relations = [Relation(found.outer_alias, asking.columns), Relation(alias, types)]
    if alias == found.outer_alias or len(types) < len(search.outputs):
        return None
    outputs, order = joined_outputs(tree, relations), _order(tree, found.single, relations)
    if outputs is None or order is None:
        return None
    read: tuple[JoinedOutput | SortKey, ...] = (*outputs, *order)
    source = asking.of({found.query_column, *_of(0, read)})
    if source is None:
        return None
    shown = tuple(output for output in search.outputs if output.name in _of(1, read))
    limits = Single(tree, found.single.table, alias)
    return JoinedBatch(
        source=source,
        outer_name=_name_of(found.outer),
        query_column=found.query_column,
        search=replace(search, outputs=shown),
        outputs=outputs,
        outer=found.join.side == "LEFT",
        order=order,
        limit=limits.limit,
        offset=limits.offset,
    )


def _of(relation: int, parts: tuple[JoinedOutput | SortKey, ...]) -> set[str]:
    return {part.column for part in parts if part.relation == relation}


def _name_of(relation: exp.Expr) -> str:
    return folded(relation.this if isinstance(relation, exp.Table) else relation.args["alias"])


def _asking(search: LateralSearch, planning: Planning) -> _Asking | None:
    """Return the rows that ask, where they need no DuckDB; takes conditions on them from WHERE."""
    relation, facts = search.outer, planning.facts
    plan: Plan | None = None
    if isinstance(relation, exp.Subquery):
        alias = relation.args["alias"]
        others = (value for name, value in relation.args.items() if name not in ("this", "alias"))
        if not any(others) and not alias.args.get("columns"):
            plan = native_query(relation.this, planning)
    elif isinstance(relation, exp.Table):
        stored = stored_table(relation, facts)
        if stored is not None:
            columns = frozenset(column.name for column in stored.table.columns)
            query = exp.select("*").from_(relation.copy())
            query.where(*search.own_conditions(columns), copy=False)
            plan = native_query(query, planning)
        elif not has_modifiers(relation) and folded(relation.this) in facts.outside:
            known = {column.name: column.type for column in facts.outside[folded(relation.this)]}
            return _Asking(OutsideInput(folded(relation.this), tuple(known)), known)
    if not isinstance(plan, Scan | OrderedScan | Lookup | TopK | Fusion):
        return None
    types = {output.name: output.type for output in plan.outputs}
    return _Asking(plan, types) if len(types) == len(plan.outputs) else None


def _search(search: LateralSearch, planning: Planning) -> TopK | None:
    """Return the search by the vector of one row, its outputs named as they are outside of it."""
    if reads_elsewhere(search.single.where):
        return None
    # To the search the vector is a constant, as any other.
    given, vector = search.ordering.query, exp.Placeholder(this=_OUTER_VECTOR)
    tree = search.single.tree.copy()
    for column in list(tree.find_all(exp.Column)):
        if column == given:
            column.replace(vector.copy())
    single = replace(search.single, tree=tree)
    known = {column.name for column in single.columns}
    read = (column for node in tree.expressions for column in node.find_all(exp.Column))
    # In DuckDB an output may read one before it.
    if any(folded(column.this) not in known and not column.is_star for column in read):
        return None
    ordering = Ordering(search.ordering.metric, search.ordering.column, vector)
    outputs = projected(single, ordering)
    names = [folded(name) for name in search.join.this.args["alias"].args.get("columns") or ()]
    if outputs is None or len(names) > len(outputs):
        return None
    renamed = (replace(o, name=name) for name, o in zip(names, outputs, strict=False))
    shown: tuple[Output, ...] = (*renamed, *outputs[len(names) :])
    plan = top_k(single, ordering, shown, planning.settings, ranges=False)
    return replace(plan, query=exp.null())


def _order(
    tree: exp.Select, single: Single, relations: list[Relation]
) -> tuple[SortKey, ...] | None:
    """Return the keys of ORDER BY, none without one, None where a key is more than a column."""
    order = tree.args.get("order")
    keys: list[SortKey] = []
    for ordered in () if order is None else order.expressions:
        node = resolve_output(ordered.this, replace(single, tree=tree))
        place = place_of(node, relations)
        if place is None or ordered.args.get("with_fill"):
            return None
        number, column = place
        if relations[number].columns[column].family not in SORTED_FAMILIES:
            return None
        descending, nulls_first = (bool(ordered.args.get(n)) for n in ("desc", "nulls_first"))
        keys.append(SortKey(number, column, descending, nulls_first))
    return tuple(keys)
