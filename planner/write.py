"""INSERT, UPDATE, DELETE and MERGE: trees to plans.

A write whose rows depend on other relations becomes a query over the target, which carries a row
number, and those relations: what comes out of it says which rows to change, and to what.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import NotSupportedError, ProgrammingError
from vsql.core.schema import DYNAMIC, Column
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import NULL_TYPE
from vsql.planner.bind import bind_columns, folded, qualifier, span_of
from vsql.planner.facts import Facts, unknown_column
from vsql.planner.nodes import Plan, Subquery
from vsql.planner.plan import lift_subqueries, plan_query
from vsql.planner.predicate import plan_predicate
from vsql.planner.resolve import table_name
from vsql.planner.select import NUMBERED, reads_elsewhere
from vsql.planner.write_nodes import (
    ACTION,
    EXCLUDED,
    ROW,
    Conflict,
    DeleteRows,
    InsertRows,
    MergeAction,
    MergeRows,
    Returning,
    UpdateRows,
)

_CARRIED = "vsql_from."
_PRESENT = "vsql_present"
_SOURCE = "vsql_source"
_RETURNED = "vsql_returned"


def plan_insert(tree: exp.Insert, facts: Facts, *, upsert: bool = False) -> InsertRows:
    """Return the plan of INSERT or UPSERT INTO t …; raises ProgrammingError, NotSupportedError."""
    for clause in ("overwrite", "ignore"):
        if tree.args.get(clause):
            raise NotSupportedError(f"INSERT with {clause.strip('_').upper()} is not supported")
    target = tree.this
    schema = target if isinstance(target, exp.Schema) else None
    table, alias = _target(target.this if schema is not None else target, facts)
    if tree.args.get("alias") is not None:
        alias = folded(tree.args["alias"])
    columns = _insert_columns(schema, table)
    source = tree.expression
    if isinstance(source, exp.Subquery):
        source = source.unnest()
    plan: InsertRows
    if tree.args.get("default"):
        plan = InsertRows(table.table.name, (), ((),))
    elif not isinstance(source, exp.Query | exp.Values):
        raise ProgrammingError(
            "INSERT needs VALUES, a query or DEFAULT VALUES", code=sqlstate.SYNTAX_ERROR
        )
    elif not isinstance(source, exp.Values):
        query = source.copy()
        if tree.args.get("with_"):
            query.set("with_", tree.args["with_"].copy())
        # Without a list of columns, a query fills as many as it gives: known when it has run.
        plan = InsertRows(table.table.name, columns, source=plan_query(query, facts))
    else:
        rows = tuple(tuple(row.expressions) for row in source.expressions)
        given = columns if schema is not None else columns[: max(len(row) for row in rows)]
        _check_widths(rows, given)
        plan = InsertRows(table.table.name, given, rows)
    conflict = _upsert(table, plan.columns) if upsert else _conflict(tree, table, alias)
    returning, _ = _returning(tree, table, alias, facts)
    overriding = "OVERRIDING" in str(tree.args.get("overriding") or "")
    return replace(plan, conflict=conflict, returning=returning, overriding=overriding)


def _check_widths(rows: Sequence[tuple[exp.Expr, ...]], given: tuple[str, ...]) -> None:
    for number, row in enumerate(rows, 1):
        if len(row) != len(given):
            raise ProgrammingError(
                f"row {number} has {len(row)} values, but {len(given)} columns are to be filled",
                span=span_of(row[-1]) if row else None,
                hint="columns: " + ", ".join(given),
            )


def _upsert(table: TableSnapshot, columns: tuple[str, ...]) -> Conflict:
    key = table.table.primary_key
    if any(table.table.find(name) is None for name in columns):
        raise NotSupportedError("UPSERT of keys that have no column: name the column $meta")
    if not key:
        raise ProgrammingError(
            f'table "{table.table.name}" has no primary key to upsert by',
            code=sqlstate.INVALID_TABLE_DEFINITION,
            hint="use INSERT, or create the table with a PRIMARY KEY",
        )
    assignments = tuple((c, _excluded(c)) for c in columns if c not in key)
    return Conflict(key, assignments, repeats=True)


def _excluded(name: str) -> exp.Expr:
    return exp.column(exp.to_identifier(EXCLUDED + name, quoted=True))


def _conflict(tree: exp.Insert, table: TableSnapshot, alias: str) -> Conflict | None:
    written = tree.args.get("conflict")
    if written is None:
        return None
    columns = tuple(folded(_bare(node)) for node in written.args.get("conflict_keys") or ())
    if written.args.get("constraint") is not None:
        name = folded(written.args["constraint"])
        index = next((i for i in table.indexes if i.unique and i.name == name), None)
        if index is None:
            raise ProgrammingError(
                f'constraint "{name}" of table "{table.table.name}" does not exist',
                code=sqlstate.UNDEFINED_OBJECT,
            )
        columns = index.key_columns
    known = [set(index.key_columns) for index in table.indexes if index.unique]
    if columns and set(columns) not in known:
        raise ProgrammingError(
            f"no PRIMARY KEY or UNIQUE constraint is on ({', '.join(columns)})",
            code="42P10",
            span=span_of(written),
        )
    if "UPDATE" not in str(written.args.get("action") or "").upper():
        return Conflict(columns)
    if not columns:
        raise ProgrammingError(
            "ON CONFLICT DO UPDATE needs the columns of a key",
            code=sqlstate.SYNTAX_ERROR,
            hint="as in ON CONFLICT (id) DO UPDATE SET …",
        )
    assignments = tuple(
        (name, _over_conflict(value, table, alias))
        for name, value in _assignments(written.expressions, table)
    )
    where = written.args.get("where")
    return Conflict(
        columns,
        assignments,
        _over_conflict(where.this, table, alias) if where is not None else None,
    )


def _bare(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node, exp.Ordered) else node


def _over_conflict(node: exp.Expr, table: TableSnapshot, alias: str) -> exp.Expr:
    """Bind an expression over the row that is there and the one that was to be inserted."""
    if node.find(exp.Query):
        raise NotSupportedError("a subquery in ON CONFLICT is not supported", span=span_of(node))
    renamed = node.copy()
    excluded: list[tuple[exp.Column, str]] = []
    for column in list(renamed.find_all(exp.Column)):
        if qualifier(column) == "excluded":
            name = folded(column.this)
            if table.table.find(name) is None:
                raise unknown_column(
                    f"excluded.{name}", table.table.columns, span_of(column), "ON CONFLICT"
                )
            excluded.append((column, name))
    root = exp.Paren(this=renamed)
    marks = {id(column): name for column, name in excluded}

    def bind(found: exp.Expr) -> exp.Expr:
        if not isinstance(found, exp.Column):
            return found
        if id(found) in marks:
            return _excluded(marks[id(found)])
        return bind_columns(found, table, alias)

    bound = root.transform(bind, copy=False).this
    assert isinstance(bound, exp.Expr)
    return bound


def _assignments(
    nodes: Sequence[exp.Expr], table: TableSnapshot
) -> tuple[tuple[str, exp.Expr], ...]:
    """Return (column, value) pairs of SET, `(a, b) = (1, 2)` too."""
    pairs: list[tuple[exp.Expr, exp.Expr]] = []
    if not nodes:
        raise ProgrammingError("SET needs column = value")
    for node in nodes:
        if not isinstance(node, exp.EQ):
            raise ProgrammingError("SET needs column = value", span=span_of(node))
        left, right = node.this, node.expression
        if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
            if len(left.expressions) != len(right.expressions):
                raise ProgrammingError("SET needs as many values as columns", span=span_of(node))
            pairs.extend(zip(left.expressions, right.expressions, strict=True))
        else:
            pairs.append((left.this if isinstance(left, exp.Paren) else left, right))
    result: dict[str, exp.Expr] = {}
    for column, value in pairs:
        if not isinstance(column, exp.Column):
            raise ProgrammingError("SET needs column = value", span=span_of(column))
        name = folded(column.this)
        found = table.table.find(name)
        if found is None:
            raise unknown_column(name, table.table.columns, span_of(column))
        if name in result:
            raise ProgrammingError(f'column "{name}" is assigned twice', span=span_of(column))
        _refuse_generated(found, value, column)
        result[name] = value
    return tuple(result.items())


def _refuse_generated(column: Column, value: exp.Expr, place: exp.Expr) -> None:
    if (column.generated is not None or column.identity == "always") and not is_default(value):
        raise ProgrammingError(
            f'column "{column.name}" is generated always: it can only be set to DEFAULT',
            code=sqlstate.GENERATED_ALWAYS,
            span=span_of(place),
        )


def is_default(node: exp.Expr) -> bool:
    """Whether a value is the word DEFAULT."""
    if isinstance(node, exp.Column) and not node.args.get("table"):
        return node.name.upper() == "DEFAULT" and not node.this.args.get("quoted")
    return isinstance(node, exp.Var) and node.name.upper() == "DEFAULT"


def plan_delete(tree: exp.Delete, facts: Facts) -> DeleteRows:
    """Return the plan of DELETE FROM t [USING …] [WHERE …]; raises ProgrammingError."""
    if tree.args.get("tables"):
        raise ProgrammingError("DELETE needs FROM", hint="as in DELETE FROM t WHERE …")
    _refuse(tree, "DELETE", ("order", "limit", "cluster"))
    table, alias = _target(tree.this, facts)
    where, subqueries = _where(tree, facts)
    others = list(tree.args.get("using") or ())
    returning, carried = _returning(tree, table, alias, facts)
    if others or tree.args.get("with_") or reads_elsewhere(where):
        joined = _joined(tree, table, alias, others, carried, facts)
        return DeleteRows(table.table.name, joined=joined, returning=returning)
    conjuncts = plan_predicate(where, table, alias)
    return DeleteRows(table.table.name, conjuncts, subqueries, returning=returning)


def plan_update(tree: exp.Update, facts: Facts) -> UpdateRows:
    """Return the plan of UPDATE t SET … [FROM …] [WHERE …]; raises ProgrammingError."""
    _refuse(tree, "UPDATE", ("order", "limit"))
    table, alias = _target(tree.this, facts)
    where, subqueries = _where(tree, facts)
    assignments = _assignments(tree.expressions, table)
    source = tree.args.get("from_")
    returning, carried = _returning(tree, table, alias, facts)
    name = table.table.name
    needs_query = source or tree.args.get("with_") or reads_elsewhere(where)
    if needs_query or any(reads_elsewhere(value) for _, value in assignments):
        values = [(c, v) for c, v in assignments if not is_default(v)]
        outputs: list[exp.Expr] = [_named(v, c) for c, v in values]
        outputs += carried
        others = [source.this, *(source.this.args.get("joins") or ())] if source else []
        joined = _joined(tree, table, alias, others, outputs, facts)
        defaults = tuple((c, v) for c, v in assignments if is_default(v))
        kept = (*((c, exp.null()) for c, _ in values), *defaults)
        return UpdateRows(name, kept, joined=joined, returning=returning)
    bound = tuple(
        (column, value if is_default(value) else bind_columns(value, table, alias))
        for column, value in assignments
    )
    conjuncts = plan_predicate(where, table, alias)
    return UpdateRows(name, bound, conjuncts, subqueries, returning=returning)


def _refuse(tree: exp.Expr, word: str, clauses: tuple[str, ...]) -> None:
    for clause in clauses:
        if tree.args.get(clause):
            raise NotSupportedError(f"{word} with {clause.strip('_').upper()} is not supported")


def _named(node: exp.Expr, name: str) -> exp.Expr:
    # `exp.alias_` would name a subquery itself, as a relation.
    return exp.Alias(this=node.copy(), alias=exp.to_identifier(name, quoted=True))


def _joined(
    tree: exp.Expr,
    table: TableSnapshot,
    alias: str,
    others: Sequence[exp.Expr],
    outputs: Sequence[exp.Expr],
    facts: Facts,
) -> Plan:
    """Return the plan of a query that gives the target's row numbers and some outputs."""
    select = exp.select(_column(alias, ROW), *outputs, copy=False)
    select.set("from_", exp.From(this=_numbered(table, alias)))
    for other in others:
        join = other.copy()
        if not isinstance(join, exp.Join):
            join.set("joins", None)
            join = exp.Join(this=join, kind="CROSS")
        select.append("joins", join)
    where = tree.args.get("where")
    if where is not None:
        select.set("where", where.copy())
    if tree.args.get("with_"):
        select.set("with_", tree.args["with_"].copy())
    return plan_query(select, facts)


def _name_of_source(source: exp.Expr) -> str:
    alias = source.args.get("alias")
    if alias is not None:
        return folded(alias)
    return folded(source.this) if isinstance(source.this, exp.Identifier) else _SOURCE


def _numbered(table: TableSnapshot, alias: str) -> exp.Table:
    node = exp.Table(this=exp.to_identifier(table.table.name, quoted=True))
    node.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    node.meta[NUMBERED] = ROW
    return node


def _column(table: str, name: str) -> exp.Column:
    return exp.column(
        exp.to_identifier(name, quoted=True), table=exp.to_identifier(table, quoted=True)
    )


def plan_merge(tree: exp.Merge, facts: Facts) -> MergeRows:
    """Return the plan of MERGE INTO t USING s ON … WHEN …; raises ProgrammingError."""
    table, alias = _target(tree.this, facts)
    source = tree.args["using"].copy()
    if isinstance(source, exp.Select | exp.SetOperation):
        raise ProgrammingError(
            "a subquery stands in parentheses",
            code=sqlstate.SYNTAX_ERROR,
            hint="MERGE INTO t USING (SELECT …) AS s ON …",
        )
    name = _name_of_source(source)
    inner = source.copy()
    wrapped = exp.Subquery(
        this=exp.select("*", exp.alias_(exp.true(), _PRESENT, quoted=True)).from_(inner),
        alias=exp.TableAlias(this=exp.to_identifier(name, quoted=True)),
    )
    whens = tree.args["whens"].expressions
    by_source = any(when.args.get("source") for when in whens)
    matched = exp.and_(_known(alias, ROW), _known(name, _PRESENT))
    only_source = exp.and_(_known(name, _PRESENT), _unknown(alias, ROW))
    only_target = exp.and_(_known(alias, ROW), _unknown(name, _PRESENT))
    branches: list[exp.If] = []
    outputs: list[exp.Expr] = []
    actions: list[MergeAction] = []
    for number, when in enumerate(whens):
        case = matched if when.args.get("matched") else only_source
        if not when.args.get("matched") and when.args.get("source"):
            case = only_target
        extra = when.args.get("condition")
        test = exp.and_(case.copy(), extra.copy()) if extra is not None else case.copy()
        branches.append(exp.If(this=test, true=exp.Literal.number(number)))
        action, values = _merge_action(when, table, number)
        actions.append(action)
        outputs += [
            _named(exp.Case(ifs=[exp.If(this=test.copy(), true=value.copy())]), column)
            for column, value in values
        ]
    select = exp.select(
        _column(alias, ROW),
        exp.alias_(exp.Case(ifs=branches), ACTION, quoted=True),
        *outputs,
        copy=False,
    )
    select.set("from_", exp.From(this=wrapped))
    side = "FULL" if by_source else "LEFT"
    join = exp.Join(this=_numbered(table, alias), side=side, on=tree.args["on"].copy())
    select.append("joins", join)
    returning, carried = _returning(tree, table, alias, facts)
    if carried:
        raise NotSupportedError("RETURNING of a MERGE gives columns of its target alone")
    return MergeRows(table.table.name, plan_query(select, facts), tuple(actions), returning)


def _known(table: str, name: str) -> exp.Expr:
    return exp.Not(this=_unknown(table, name))


def _unknown(table: str, name: str) -> exp.Expr:
    return exp.Is(this=_column(table, name), expression=exp.null())


def _merge_action(
    when: exp.Expr, table: TableSnapshot, number: int
) -> tuple[MergeAction, list[tuple[str, exp.Expr]]]:
    then = when.args["then"]
    if isinstance(then, exp.Update):
        pairs = list(_assignments(then.expressions, table))
        kind = "update"
    elif isinstance(then, exp.Insert):
        names = [folded(c) for c in then.this.expressions] if then.this is not None else []
        names = names or [column.name for column in table.table.columns]
        if not isinstance(then.this, exp.Tuple | None) or not isinstance(
            then.expression, exp.Tuple
        ):
            raise ProgrammingError(
                "INSERT of a MERGE needs VALUES", code=sqlstate.SYNTAX_ERROR, span=span_of(then)
            )
        values = then.expression.expressions
        if len(names) != len(values):
            raise ProgrammingError(
                f"INSERT has {len(values)} values for {len(names)} columns", span=span_of(then)
            )
        for place, name in enumerate(names):
            if table.table.find(name) is None:
                raise unknown_column(name, table.table.columns, span_of(then))
            if name in names[:place]:
                raise _named_twice(name, then)
        pairs = list(zip(names, values, strict=True))
        kind = "insert"
    else:
        kind = "delete" if "DELETE" in then.name.upper() else "nothing"
        return MergeAction(kind), []
    given = [(column, value) for column, value in pairs if not is_default(value)]
    outputs = [(f"vsql_{number}.{column}", value) for column, value in given]
    return MergeAction(kind, tuple((c, f"vsql_{number}.{c}") for c, _ in given)), outputs


def _returning(
    tree: exp.Expr, table: TableSnapshot, alias: str, facts: Facts
) -> tuple[Returning | None, list[exp.Expr]]:
    """Return the plan of RETURNING, and the columns of other relations that it needs."""
    written = tree.args.get("returning")
    if written is None:
        return None, []
    carried: dict[str, exp.Expr] = {}
    outputs: list[exp.Expr] = []
    own = (None, alias, table.table.name)
    others = (tree.args.get(name) for name in ("from_", "using", "with_"))
    is_alone = isinstance(tree, exp.Insert) or not any(others)
    for output in written.expressions:
        if output.is_star:
            outputs += [_column(alias, column.name) for column in table.table.columns]
            continue
        root = exp.Paren(this=output.copy())
        for node in list(root.find_all(exp.Column, exp.Anonymous)):
            if isinstance(node, exp.Column) and (qualifier(node) in own or _is_inner(node)):
                continue
            if is_alone and isinstance(node, exp.Column):
                raise ProgrammingError(
                    f'missing FROM-clause entry for table "{qualifier(node)}"',
                    code=sqlstate.UNDEFINED_TABLE,
                    span=span_of(node),
                )
            shown = _carried(node, carried)
            if shown is not None:
                name = folded(node.this)
                top = node.parent is root
                node.replace(exp.alias_(shown, name, quoted=True) if top else shown)
        outputs.append(root.this)
    extra = [Column(0, name, NULL_TYPE) for name in carried]
    if isinstance(tree, exp.Merge):
        extra.append(Column(0, ACTION, NULL_TYPE))
    known = Facts(facts.tables, {**facts.outside, _RETURNED: (*table.table.columns, *extra)})
    select = exp.select(*outputs, copy=False)
    source = exp.Table(
        this=exp.to_identifier(_RETURNED),
        alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)),
    )
    select.set("from_", exp.From(this=source))
    for column in select.find_all(exp.Column):
        if qualifier(column) == table.table.name and not _is_inner(column):
            column.set("table", exp.to_identifier(alias, quoted=True))
    return Returning(plan_query(select, known), _RETURNED, tuple(carried)), list(carried.values())


def _is_inner(column: exp.Column) -> bool:
    """Whether a subquery around a column reads the relation that it is qualified with."""
    select = column.find_ancestor(exp.Select)
    while select is not None and select.parent is not None:
        joins = select.args.get("joins") or ()
        sources = [part.this for part in (select.args.get("from_"), *joins) if part is not None]
        names = [folded(source.args.get("alias") or source.this) for source in sources]
        if (qualifier(column) or "") in names:
            return True
        select = select.find_ancestor(exp.Select)
    return False


def _carried(node: exp.Expr, carried: dict[str, exp.Expr]) -> exp.Expr | None:
    """Return what stands for a column of another relation, or for merge_action()."""
    if isinstance(node, exp.Anonymous):
        if node.name.lower() != "merge_action":
            return None
        return exp.column(exp.to_identifier(ACTION, quoted=True))
    assert isinstance(node, exp.Column)
    if isinstance(node.this, exp.Star):
        return None
    name = f"{_CARRIED}{qualifier(node)}.{folded(node.this)}"
    carried[name] = exp.alias_(node.copy(), name, quoted=True)
    return exp.column(exp.to_identifier(name, quoted=True))


def _insert_columns(schema: exp.Schema | None, table: TableSnapshot) -> tuple[str, ...]:
    if schema is None:
        shown = (c for c in table.table.columns if c.generated is None)
        return tuple(c.name for c in shown if not table.table.is_dynamic or c.name != DYNAMIC)
    names: list[str] = []
    for node in schema.expressions:
        name = folded(node)
        if table.table.find(name) is None and not table.table.is_dynamic:
            raise unknown_column(
                name, table.table.columns, span_of(node), f'table "{table.table.name}"'
            )
        if name in names:
            raise _named_twice(name, node)
        names.append(name)
    return tuple(names)


def _named_twice(name: str, node: exp.Expr) -> ProgrammingError:
    return ProgrammingError(
        f'column "{name}" is named twice', code=sqlstate.DUPLICATE_COLUMN, span=span_of(node)
    )


def _target(node: exp.Expr, facts: Facts) -> tuple[TableSnapshot, str]:
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
        raise ProgrammingError(
            "the target of a write is a table", code=sqlstate.SYNTAX_ERROR, span=span_of(node)
        )
    name = table_name(node)
    alias = node.args.get("alias")
    shown = folded(alias) if alias is not None else folded(node.this)
    return facts.require(name, span_of(node)), shown


def _where(tree: exp.Expr, facts: Facts) -> tuple[exp.Expr | None, tuple[Subquery, ...]]:
    where = tree.args.get("where")
    if where is None:
        return None, ()
    found: dict[exp.Expr, Subquery] = {}
    copy = where.copy()
    lift_subqueries(copy, facts, found)
    return copy.this, tuple(found.values())
