"""Plans of scans: the rows of one table by storage, by a column or by a key, and their number."""

from dataclasses import dataclass

from sqlglot import exp

from vsql.core.protocols import Comparison
from vsql.planner.nodes import Conjunct, Output, Plan, Subquery


@dataclass(frozen=True, slots=True)
class IndexCondition:
    """A condition that a scalar index may answer: comparison of its key with value expressions.

    `index_ids` are the indexes of the key; the first that knows the comparison answers.
    """

    index_ids: tuple[int, ...]
    comparison: Comparison
    values: tuple[exp.Expr, ...] = ()
    low: exp.Expr | None = None
    high: exp.Expr | None = None
    low_inclusive: bool = True
    high_inclusive: bool = True


@dataclass(frozen=True, slots=True)
class PatternCondition:
    """`key LIKE pattern`, for which an index may have the rows, or candidates."""

    index_ids: tuple[int, ...]
    pattern: exp.Expr
    escape: str
    ignore_case: bool


@dataclass(frozen=True, slots=True)
class PathCondition:
    """A condition on a JSON path that a flat index may give candidates for.

    `values` are the constants, one of which, or with `every` each, must be found; `text` compares
    with the text of the value, `element` looks inside lists.
    """

    index_id: int
    pointer: str
    values: tuple[exp.Expr, ...]
    text: bool = False
    element: bool = False
    every: bool = False


KeyCondition = IndexCondition | PatternCondition | PathCondition
"""What an index can say of a conjunct."""


@dataclass(frozen=True, slots=True)
class Scan(Plan):
    """Rows of one table that pass the predicate, in storage order."""

    table: str
    outputs: tuple[Output, ...]
    conjuncts: tuple[Conjunct, ...] = ()
    limit: exp.Expr | None = None
    offset: exp.Expr | None = None
    subqueries: tuple[Subquery, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderedScan(Plan):
    """Rows of one table that pass the predicate, in the order of one column.

    `index_ids` are the indexes of that column: one that keeps it sorted spares the sort.
    """

    table: str
    outputs: tuple[Output, ...]
    column: str
    descending: bool
    nulls_first: bool
    index_ids: tuple[int, ...] = ()
    conjuncts: tuple[Conjunct, ...] = ()
    limit: exp.Expr | None = None
    offset: exp.Expr | None = None
    subqueries: tuple[Subquery, ...] = ()


@dataclass(frozen=True, slots=True)
class Lookup(Plan):
    """Rows whose primary key equals `keys` (one expression per key column), then the rest."""

    table: str
    outputs: tuple[Output, ...]
    index_id: int
    keys: tuple[exp.Expr, ...]
    conjuncts: tuple[Conjunct, ...] = ()
    limit: exp.Expr | None = None
    offset: exp.Expr | None = None
    subqueries: tuple[Subquery, ...] = ()


@dataclass(frozen=True, slots=True)
class Count(Plan):
    """The number of rows that pass the predicate."""

    table: str
    name: str
    conjuncts: tuple[Conjunct, ...] = ()
    subqueries: tuple[Subquery, ...] = ()
