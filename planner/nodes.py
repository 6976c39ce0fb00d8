"""Physical plans: small frozen values without behaviour, which can be pickled.

A plan says what to do, `vsql.executor` does it. Expressions inside are bound sqlglot trees: column
nodes carry the bare column name, parameters are placeholders whose name is the parameter's key.
Here are the search and what every plan is made of; the other plans have modules of their own, so
that a process makes the classes that its statements need.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from vsql.core.distance import Metric
from vsql.core.machine import Work
from vsql.core.types import SqlType

if TYPE_CHECKING:
    from vsql.planner.scan_nodes import KeyCondition
    from vsql.planner.write_nodes import Returning


class Plan:
    """What a query does; each kind is a dataclass of its own."""

    __slots__ = ()
    subqueries: "tuple[Subquery, ...]"


class Write:
    """What a statement does that writes to a table; each kind is a dataclass of its own."""

    __slots__ = ()
    table: str
    returning: "Returning | None"


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a native plan's result; `column` None stands for the distance."""

    name: str
    type: SqlType
    column: str | None


@dataclass(frozen=True, slots=True)
class Conjunct:
    """One part of an AND.

    `text` is its canonical SQL, the key of the mask cache; `parameters` are the keys it reads;
    `native` tells whether columnar kernels evaluate it or DuckDB does; `selectivity` is the
    estimated share of rows that pass; `row_work` what a row costs.
    """

    expression: exp.Expr
    text: str
    columns: tuple[str, ...]
    parameters: tuple[str, ...]
    native: bool
    selectivity: float
    row_work: Work
    condition: "KeyCondition | None" = None


@dataclass(frozen=True, slots=True)
class Subquery:
    """A subquery that runs before the plan and becomes the parameter `key`.

    With `many` the parameter is the list of the first column's values (IN), otherwise the single
    value of a single row, NULL for no row.
    """

    key: str
    plan: Plan
    many: bool


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit of a search's own distance: nearer than `value`, or with `far` farther."""

    value: exp.Expr
    far: bool
    inclusive: bool


@dataclass(frozen=True, slots=True)
class TopK(Plan):
    """The nearest rows of one table that pass the predicate, nearest first.

    `query` gives the query vector; `limit` None means all rows. `index_ids` are the vector indexes
    that serve this column and metric, best first. `settings` are the statement's own. `bounds` are
    those conditions that say how near, or far, a row may be: a range search.
    """

    table: str
    column: str
    metric: Metric
    query: exp.Expr
    outputs: tuple[Output, ...]
    conjuncts: tuple[Conjunct, ...] = ()
    limit: exp.Expr | None = None
    offset: exp.Expr | None = None
    index_ids: tuple[int, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    subqueries: tuple[Subquery, ...] = ()
    bounds: tuple[Bound, ...] = ()
