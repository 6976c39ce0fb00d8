"""The relational rest: a tree split into Arrow inputs and SQL for DuckDB.

Every vector search inside (an ordered SELECT over one table with a LIMIT, wherever a query may
stand, and LATERAL ones) becomes an input that vsql computes; every table becomes an input with the
columns that the tree names; what is left is printed as DuckDB's SQL.

A search keeps its own select list: `SELECT upper(name), d FROM t ORDER BY e <=> q LIMIT 5` becomes
`SELECT upper(name), vsql_distance FROM vsql_input_1 AS t ORDER BY vsql_ordinal`.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from functools import partial

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.core.types import DOUBLE, named
from vsql.planner.array_text import read_array_text
from vsql.planner.bind import (
    conjuncts_of,
    folded,
    quoted,
    span_of,
    type_name,
)
from vsql.planner.computed_distances import Computed, take_distances
from vsql.planner.facts import Facts, unknown_table
from vsql.planner.filter_types import is_filter, resolve_filters
from vsql.planner.fusion import Fused, refuse_fusion
from vsql.planner.lateral import LateralSearch, find_lateral_search
from vsql.planner.lateral_outer import outer_input, put_input
from vsql.planner.native import Planning, native_query
from vsql.planner.nodes import Conjunct, Output, Plan
from vsql.planner.predicate import plan_predicate
from vsql.planner.relational_nodes import (
    DISTANCE,
    ORDINAL,
    TABLE_FUNCTIONS,
    BatchTopK,
    FunctionInput,
    Input,
    OutsideInput,
    Remainder,
    SystemInput,
    TableInput,
)
from vsql.planner.resolve import is_cte
from vsql.planner.scope import is_standalone, named_columns, outer_names, reads_only, stored_type
from vsql.planner.select import (
    NUMBERED,
    Ordering,
    Single,
    ordering_of,
    search_plan,
    single_table,
    top_k,
)
from vsql.planner.stars import hide_from_stars, write_out_rows
from vsql.planner.system_catalog import relations, type_of
from vsql.planner.system_functions import mentions_system, replace_system_functions
from vsql.planner.translate import to_duckdb
from vsql.planner.vector_types import Types, outputs_of, relation_types, typed_parameters
from vsql.planner.widening import ACROSS_ROWS, find_widenable, widen

INPUT_PREFIX = "vsql_input_"

# A conjunct that keeps more than this share of a table is left to DuckDB's own vectorised filter.
_PUSHED_SHARE_MAX = 0.2


@dataclass
class _Inputs:
    """The inputs found so far, the one mutable thing of a split; `taken` are names of tables."""

    taken: Container[str]
    found: list[tuple[str, Input]] = field(default_factory=list)

    def add(self, plan: Input) -> str:
        for name, known in self.found:
            if known == plan:
                return name
        number = len(self.found) + 1
        while (name := f"{INPUT_PREFIX}{number}") in self.taken or name in self.names:
            number += 1
        self.found.append((name, plan))
        return name

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.found)

    def outer_name(self, outer: str) -> str | None:
        """Return what the statement calls an input that asks in a batch, None for any other."""
        batches = (plan for _, plan in self.found if isinstance(plan, BatchTopK))
        return next((batch.outer_name for batch in batches if batch.outer == outer), None)


@dataclass(frozen=True, slots=True)
class _Split:
    """A tree that is being split: the types of its columns, and the inputs found so far."""

    tree: exp.Expr
    types: Types
    planning: Planning
    inputs: _Inputs

    @property
    def facts(self) -> Facts:
        return self.planning.facts


def plan_remainder(tree: exp.Expr, planning: Planning) -> Remainder:
    """Return the plan that runs `tree` in DuckDB over inputs made by vsql.

    Raises ProgrammingError (42P01, 42703) for unknown names.
    """
    tree, facts = tree.copy(), planning.facts
    named = {folded(cte.args["alias"]) for cte in tree.find_all(exp.CTE)}
    inputs = _Inputs({*facts.tables, *facts.outside, *named})
    for select in tree.find_all(exp.Select):
        _check_distinct_order(select)
    _name_outputs(tree)
    if mentions_system(tree):
        tree = replace_system_functions(tree, facts)
    read_array_text(tree, partial(stored_type, facts=facts))
    types = relation_types(tree, facts)
    write_out_rows(tree, types)
    shown = outputs_of(tree, types) or ()
    split = _Split(tree, types, planning, inputs)
    widening = None
    for select in list(tree.find_all(exp.Select, bfs=False)):
        found = find_widenable(select, facts)
        if found is None:
            continue
        if select is tree:
            widening = widen(found, planning, inputs.add)
        else:
            inner = inputs.add(plan_remainder(select, planning))
            select.replace(exp.select("*").from_(inner))
    for select in list(tree.find_all(exp.Select, bfs=True)):
        while (lateral := find_lateral_search(select, types, facts)) is not None:
            if not _replace_lateral(lateral, split):
                break
    for select in list(tree.find_all(exp.Select)):
        _replace_search(select, split)
    refuse_fusion(tree)
    computed = take_distances(tree, facts)
    for table in list(tree.find_all(exp.Table)):
        _replace_table(table, split, computed)
    tree = to_duckdb(tree, types)
    sql = tree.sql(dialect="duckdb")
    parameters = tuple(dict.fromkeys(p.name for p in tree.find_all(exp.Placeholder)))
    return Remainder(
        sql,
        tuple(inputs.found),
        parameters,
        vectors=tuple((n, t) for n, (_, t) in enumerate(shown) if t is not None and t.is_vector),
        typed_parameters=typed_parameters(tree),
        widening=widening,
    )


def _check_distinct_order(select: exp.Select) -> None:
    """Refuse an order by what SELECT DISTINCT does not show: which row's value would it be?"""
    distinct, order = select.args.get("distinct"), select.args.get("order")
    if distinct is None or order is None or distinct.args.get("on") is not None:
        return
    outputs = select.expressions
    if any(output.is_star for output in outputs):
        return
    names = {folded(o.args["alias"]) for o in outputs if isinstance(o, exp.Alias)}
    shown = [output.unalias() for output in outputs]
    columns = {folded(node.this) for node in shown if isinstance(node, exp.Column)}
    for key in order.expressions:
        node = key.this.unnest()
        if isinstance(node, exp.Literal) or node in shown:
            continue
        if isinstance(node, exp.Column) and folded(node.this) in names | columns:
            continue
        raise ProgrammingError(
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            code=sqlstate.INVALID_COLUMN_REFERENCE,
            span=span_of(node),
        )


def _name_outputs(tree: exp.Expr) -> None:
    """Give outputs the names that PostgreSQL gives them, not DuckDB's."""
    top = tree
    while isinstance(top, exp.SetOperation | exp.Subquery):
        top = top.this
    if not isinstance(top, exp.Select):
        return
    for node in list(top.expressions):
        if isinstance(node, exp.Star | exp.Aliases) or node.is_star:
            continue
        if isinstance(node, exp.Alias | exp.Column):
            # Folded, as every name that is not quoted.
            written = node.args["alias"] if isinstance(node, exp.Alias) else node.this
            if folded(written) == written.name:
                continue
            name = folded(written)
        else:
            name = default_name(node)
        node.replace(exp.alias_(node.unalias().copy(), name, quoted=True))


def default_name(node: exp.Expr) -> str:
    """PostgreSQL's name of an output that has none: FigureColname in its parser."""
    return _figured(node)[0]


def _figured(node: exp.Expr) -> tuple[str, int]:
    """Return a name, and how well it fits: 2 a column's or function's, 1 a type's, 0 none."""
    node = node.unnest()
    match node:
        case exp.Alias():
            return folded(node.args["alias"]), 2
        case exp.Cast():
            name, fit = _figured(node.this)
            return (name, fit) if fit == 2 else (_name_of_type(node.to), 1)
        case exp.Column():
            return folded(node.this), 2
        case exp.Dot() if isinstance(node.expression, exp.Identifier):
            return folded(node.expression), 2
        case exp.Case():
            other = node.args.get("default")
            name, fit = _figured(other) if other is not None else ("", 0)
            return (name, fit) if fit == 2 else ("case", 1)
        case exp.Exists():
            return "exists", 2
        case exp.Array():
            return "array", 2
        case exp.Window() | exp.Filter() | exp.WithinGroup() | exp.IgnoreNulls() | exp.Bracket():
            return _figured(node.this)
        case exp.Select() if node.expressions:
            return _figured(node.expressions[0])
        case exp.Anonymous():
            return node.name.lower(), 2
        case exp.CurrentVersion():
            return "version", 2
        case exp.Func() if not isinstance(node, exp.Binary | exp.Connector):
            return node.sql_name().lower(), 2
        case _:
            return "?column?", 0


def _name_of_type(type_: exp.DataType) -> str:
    """PostgreSQL's own name of a type, such as int4 for INTEGER."""
    try:
        return type_of(named(type_name(type_))).name
    except ProgrammingError:
        return type_name(type_).lower()


def _replace_lateral(lateral: LateralSearch, split: _Split) -> bool:
    """Put a batch in the place of a lateral search; False where its outer rows can't be told."""

    def plan_query(query: exp.Select) -> Plan:
        native = native_query(query, planning)
        return plan_remainder(query, planning) if native is None else native

    planning, inputs = split.planning, split.inputs
    name = folded(lateral.outer.this) if isinstance(lateral.outer, exp.Table) else ""
    shown = inputs.outer_name(name)
    if shown is None:
        if name in inputs.names:
            return False
        outer = outer_input(lateral, split.tree, split.types, split.facts, plan_query)
        if outer is None:
            return False
        shown = name or lateral.outer_alias
        name = inputs.add(outer)
        put_input(lateral, name)
    outputs = _needed_outputs(lateral.single, lateral.is_distance)
    search = top_k(lateral.single, lateral.ordering, outputs, planning.settings, ranges=False)
    search = replace(search, query=exp.null())
    batch = BatchTopK(name, shown, lateral.query_column, search, lateral.ordinal)
    lateral.replace(inputs.add(batch), DISTANCE)
    return True


def _replace_search(select: exp.Select, split: _Split) -> None:
    single = single_table(select, split.facts)
    if single is None or single.limit is None or not _is_search(select):
        return
    if ordering_of(single) is None or not is_standalone(select, split.facts, outer_names(select)):
        return
    lifted_tree, subqueries = split.planning.lift(select)
    lifted = replace(single, tree=lifted_tree)
    ordering = ordering_of(lifted)
    assert ordering is not None
    is_distance = partial(ordering.is_value, columns=lifted.columns)
    outputs = _needed_outputs(lifted, is_distance)
    search = search_plan(lifted, ordering, outputs, split.planning.settings)
    name = split.inputs.add(replace(search, subqueries=subqueries))
    original = ordering_of(single)
    assert original is not None
    replace_distances(select, single, original, exp.column(quoted(DISTANCE)))
    select.set("from_", exp.From(this=exp.to_table(name).as_(single.alias)))
    for clause in ("where", "limit", "offset"):
        select.set(clause, None)
    ordinal = exp.column(quoted(ORDINAL))
    select.set("order", exp.Order(expressions=[exp.Ordered(this=ordinal, nulls_first=False)]))
    hide_from_stars(select, {single.alias: (DISTANCE, ORDINAL)})


def _is_search(select: exp.Select) -> bool:
    """A search's outputs must not look across rows: those would count rows beyond the limit."""
    return not any(node.find(*ACROSS_ROWS) for node in select.expressions)


def _needed_outputs(single: Single, is_distance: Callable[[exp.Expr], bool]) -> tuple[Output, ...]:
    """Return the columns that the select list reads, then the distance."""
    # The distance is given: its column is not read for it.
    selected = exp.Tuple(expressions=[e.copy() for e in single.tree.expressions])
    for node in list(selected.find_all(exp.Anonymous)):
        if is_distance(node):
            node.replace(exp.null())
    needed = named_columns(selected)
    columns = [c for c in single.columns if needed is None or c.name in needed]
    outputs = tuple(Output(c.name, c.type, c.name) for c in columns)
    return (*outputs, Output(DISTANCE, DOUBLE, None))


def replace_distances(
    select: exp.Select, single: Single, ordering: Ordering | Fused, by: exp.Expr
) -> None:
    """Replace what orders the rows in the select list by `by`."""
    for output in select.expressions:
        for node in list(output.find_all(exp.Anonymous)):
            if ordering.is_value(node, single.columns):
                node.replace(by.copy())


def _replace_table(table: exp.Table, split: _Split, computed: Computed) -> None:
    facts, inputs = split.facts, split.inputs
    if isinstance(table.this, exp.Anonymous):
        _replace_function(table, table.this, inputs)
    if not isinstance(table.this, exp.Identifier):
        return
    name = folded(table.this)
    if name in inputs.names or is_cte(table, name):
        return
    columns = facts.columns(name)
    if columns is None:
        raise unknown_table(name, facts, span_of(table))
    alias = table.args.get("alias")
    # An alias that renames the columns names all of them, in their order.
    is_renamed = alias is not None and bool(alias.args.get("columns"))
    needed = None if is_renamed else named_columns(split.tree)
    kept = tuple(c.name for c in columns if needed is None or c.name in needed)
    kept = kept or tuple(c.name for c in columns[:1])
    ordinal = table.meta.get(NUMBERED)
    if name in relations():
        plan: Input = SystemInput(name, kept)
    elif name in facts.outside:
        plan = OutsideInput(name, kept, ordinal)
    else:
        pushed = () if ordinal or is_renamed else _pushed_down(table, facts)
        plan = TableInput(name, kept, pushed, ordinal, computed.get(id(table), ()))
    shown = alias.copy() if alias is not None else exp.TableAlias(this=table.this.copy())
    replacement = exp.to_table(inputs.add(plan))
    replacement.set("alias", shown)
    for part in ("joins", "sample", "pivots"):
        if table.args.get(part):
            replacement.set(part, table.args[part])
    table.replace(replacement)


def _replace_function(table: exp.Table, call: exp.Anonymous, inputs: _Inputs) -> None:
    name = call.name.lower()
    if name not in TABLE_FUNCTIONS:
        return
    arguments = tuple(argument.copy() for argument in call.expressions)
    alias = table.args.get("alias")
    shown = alias.copy() if alias is not None else exp.TableAlias(this=exp.to_identifier(name))
    replacement = exp.to_table(inputs.add(FunctionInput(name, arguments)))
    replacement.set("alias", shown)
    if table.args.get("joins"):
        replacement.set("joins", table.args["joins"])
    table.replace(replacement)


def _pushed_down(table: exp.Table, facts: Facts) -> tuple[Conjunct, ...]:
    """Take selective conjuncts over this table alone out of WHERE.

    Only where the table is the FROM of a SELECT without joins: then WHERE is about it alone.
    """
    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select is not None else None
    if select is None or where is None or select.args.get("joins"):
        return ()
    source = select.args.get("from_")
    if source is None or source.this is not table:
        return ()
    snapshot = facts.stored(folded(table.this))
    assert snapshot is not None
    alias = table.args.get("alias")
    shown = folded(alias.this) if alias is not None else snapshot.table.name
    known = {column.name for column in snapshot.table.columns}
    pushed: list[Conjunct] = []
    rest: list[exp.Expr] = []
    for written in conjuncts_of(where.this):
        # The columns inside a subquery are not this table's.
        has_query = written.find(exp.Query) is not None
        part = written if has_query else resolve_filters(written, snapshot, shown)
        if has_query or not reads_only(part, shown, known, known):
            rest.append(part)
            continue
        planned = plan_predicate(part, snapshot, shown)
        if all(c.native and (is_filter(c.expression) or _is_worth_pushing(c)) for c in planned):
            pushed.extend(planned)
        else:
            rest.append(part)
    select.set("where", exp.Where(this=exp.and_(*rest, copy=False)) if rest else None)
    return tuple(pushed)


def _is_worth_pushing(conjunct: Conjunct) -> bool:
    return conjunct.condition is not None or conjunct.selectivity <= _PUSHED_SHARE_MAX
