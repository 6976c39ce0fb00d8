"""Joins as conditions: `t JOIN u ON u.k = t.id` keeps the rows of t whose id is among u's keys.

Asked of a search before it runs, where u's keys are few: a search that knows which rows can be
joined need not look at the others.
"""

import math
from collections.abc import Iterable, Iterator

from sqlglot import exp

from vsql.core.errors import Error
from vsql.core.snapshot import TableSnapshot
from vsql.planner.bind import conjuncts_of, folded, qualifier
from vsql.planner.facts import Facts
from vsql.planner.predicate import plan_predicate
from vsql.planner.resolve import is_cte
from vsql.planner.scope import reads_only
from vsql.planner.select import Single

# So many keys are looked up at most, and at most this share of the table's rows.
_KEYS_MAX, _SHARE_MAX = 50_000, 0.3


def semi_joins(
    scope: exp.Select, table: exp.Expr, snapshot: TableSnapshot, alias: str, facts: Facts
) -> list[exp.Expr]:
    """Return `column IN (SELECT key FROM other WHERE …)` for each inner join with few keys."""
    found: list[exp.Expr] = []
    known = {column.name for column in snapshot.table.columns}
    where = list(conjuncts_of(scope.args["where"].this)) if scope.args.get("where") else []
    for other, conditions in _inner(scope, table):
        shown = folded(other.args.get("alias") or other.this)
        stored = _stored(other, facts)
        if stored is None or shown == alias:
            continue
        for part in (*conditions, *where):
            sides = _equated(part, alias, shown)
            if sides is None or folded(sides[0].this) not in known:
                continue
            own = _own((*conditions, *where), shown, stored)
            if _rows(own, stored, shown) <= min(_KEYS_MAX, _SHARE_MAX * snapshot.live_count):
                found.append(_among(*sides, other, own))
                break
    return found


def exists_as_in(where: exp.Expr, single: Single, facts: Facts) -> None:
    """Turn `EXISTS (SELECT … FROM u WHERE u.k = t.id …)` into `t.id IN (SELECT u.k …)`, in place.

    Only where it must hold for a row to pass: a NULL among the keys would say otherwise elsewhere.
    """
    for node in list(where.find_all(exp.Exists)):
        parent = node.parent
        while isinstance(parent, exp.And | exp.Or | exp.Paren):
            parent = parent.parent
        if isinstance(parent, exp.Where):
            found = _membership(node.this, single, facts)
            if found is not None:
                node.replace(found)


def _membership(query: exp.Expr, single: Single, facts: Facts) -> exp.Expr | None:
    if not isinstance(query, exp.Select) or query.args.get("where") is None:
        return None
    if any(v for name, v in query.args.items() if name not in ("expressions", "from_", "where")):
        return None
    source = query.args.get("from_")
    other = None if source is None else source.this
    if not isinstance(other, exp.Table):
        return None
    stored = _stored(other, facts)
    if stored is None or stored.live_count > _KEYS_MAX:
        return None
    alias = folded(other.args.get("alias") or other.this)
    outer = {column.name for column in single.columns}
    inner = {column.name for column in stored.table.columns}
    parts = [part.copy() for part in conjuncts_of(query.args["where"].this)]
    if alias == single.alias:
        return None
    if not all(_qualify(part, alias, inner, single.alias, outer) for part in parts):
        return None
    joining = [p for p in parts if _equated(p, single.alias, alias) is not None]
    rest = _own(parts, alias, stored)
    if len(joining) != 1 or len(rest) != len(parts) - 1:
        return None
    sides = _equated(joining[0], single.alias, alias)
    assert sides is not None
    return _among(*sides, other, rest)


def _qualify(part: exp.Expr, alias: str, inner: set[str], outer: str, names: set[str]) -> bool:
    """Say which table each column is of, the nearer one first; False where neither has it."""
    for column in part.find_all(exp.Column):
        name = folded(column.this)
        if qualifier(column) is None:
            owner = alias if name in inner else outer
            column.set("table", exp.to_identifier(owner, quoted=True))
        if name not in {alias: inner, outer: names}.get(qualifier(column) or "", set()):
            return False
    return True


def _inner(scope: exp.Select, table: exp.Expr) -> Iterator[tuple[exp.Table, list[exp.Expr]]]:
    """Yield the tables that must have a partner for each row, with their join conditions."""
    joins = scope.args.get("joins") or []
    first = scope.args["from_"].this
    if isinstance(first, exp.Table) and first is not table:
        conditions = [
            part
            for join in joins
            if join.this is table and join.args.get("on") is not None
            for part in conjuncts_of(join.args["on"])
        ]
        yield first, conditions
    for join in joins:
        if join.this is table or join.side or join.kind in ("SEMI", "ANTI"):
            continue
        if isinstance(join.this, exp.Table):
            on = join.args.get("on")
            yield join.this, [] if on is None else list(conjuncts_of(on))


def _stored(table: exp.Table, facts: Facts) -> TableSnapshot | None:
    if not isinstance(table.this, exp.Identifier) or table.args.get("sample"):
        return None
    name = folded(table.this)
    return None if is_cte(table, name) else facts.stored(name)


def _equated(part: exp.Expr, alias: str, other: str) -> tuple[exp.Column, exp.Column] | None:
    """Return the columns of both tables where a condition says that they are equal."""
    if not isinstance(part, exp.EQ):
        return None
    left, right = part.this.unnest(), part.expression.unnest()
    if not isinstance(left, exp.Column) or not isinstance(right, exp.Column):
        return None
    match qualifier(left), qualifier(right):
        case (one, two) if one == alias and two == other:
            return left, right
        case (one, two) if one == other and two == alias:
            return right, left
        case _:
            return None


def _own(parts: Iterable[exp.Expr], alias: str, stored: TableSnapshot) -> list[exp.Expr]:
    """Return the conditions that read columns of one table alone."""
    known = {column.name for column in stored.table.columns}
    read = [part for part in parts if part.find(exp.Column) is not None]
    return [part for part in read if reads_only(part, alias, known)]


def _rows(own: list[exp.Expr], stored: TableSnapshot, alias: str) -> float:
    """Return the estimated number of rows that pass; all where nothing can be told."""
    try:
        planned = [c for part in own for c in plan_predicate(part, stored, alias)]
    except Error:
        return math.inf
    return stored.live_count * math.prod(conjunct.selectivity for conjunct in planned)


def _among(column: exp.Column, key: exp.Column, other: exp.Table, own: list[exp.Expr]) -> exp.Expr:
    query = exp.select(key.copy()).from_(_alone(other))
    if own:
        query = query.where(*(part.copy() for part in own), copy=False)
    return exp.In(this=column.copy(), query=exp.Subquery(this=query))


def _alone(table: exp.Table) -> exp.Table:
    copy = table.copy()
    copy.set("joins", None)
    return copy
