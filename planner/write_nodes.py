"""Plans of writes: INSERT, UPDATE, DELETE and MERGE."""

from dataclasses import dataclass

from sqlglot import exp

from vsql.planner.nodes import Conjunct, Plan, Subquery, Write

EXCLUDED = "vsql_excluded."
ROW = "vsql_row"
ACTION = "vsql_action"


@dataclass(frozen=True, slots=True)
class Returning:
    """What a write gives back: a query over the rows that it made, or removed.

    `relation` is the name under which `plan` reads these rows; `carried` names columns of other
    relations that go along with each row, as the write's own query gives them.
    """

    plan: Plan
    relation: str
    carried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """ON CONFLICT: `columns` name the key, empty for any; no assignments mean DO NOTHING.

    In assignments and `where`, the columns of the row that is there are bare, and those of the row
    that was to be inserted begin with `EXCLUDED`. `repeats` allows a key to occur more than once
    among the new rows, the last one wins.
    """

    columns: tuple[str, ...]
    assignments: tuple[tuple[str, exp.Expr], ...] = ()
    where: exp.Expr | None = None
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class InsertRows(Write):
    """INSERT: rows of value expressions, or those of a query; `columns` in the order given."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[exp.Expr, ...], ...] = ()
    source: Plan | None = None
    conflict: Conflict | None = None
    returning: Returning | None = None
    overriding: bool = False


@dataclass(frozen=True, slots=True)
class DeleteRows(Write):
    """DELETE of the rows that pass the predicate, or that `joined` names by `ROW`."""

    table: str
    conjuncts: tuple[Conjunct, ...] = ()
    subqueries: tuple[Subquery, ...] = ()
    joined: Plan | None = None
    returning: Returning | None = None


@dataclass(frozen=True, slots=True)
class UpdateRows(Write):
    """UPDATE: `assignments` pairs a column with the SQL of its new value over the old row.

    With `joined`, that query gives `ROW` and the new values, named after their columns.
    """

    table: str
    assignments: tuple[tuple[str, exp.Expr], ...]
    conjuncts: tuple[Conjunct, ...] = ()
    subqueries: tuple[Subquery, ...] = ()
    joined: Plan | None = None
    returning: Returning | None = None


@dataclass(frozen=True, slots=True)
class MergeAction:
    """One WHEN of a MERGE: `kind` is update, delete, insert or nothing.

    `values` pairs a column of the table with the column of the merge's query that holds its value.
    """

    kind: str
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MergeRows(Write):
    """MERGE: `joined` gives `ROW`, `ACTION` (a place in `actions`) and the values."""

    table: str
    joined: Plan
    actions: tuple[MergeAction, ...]
    returning: Returning | None = None
