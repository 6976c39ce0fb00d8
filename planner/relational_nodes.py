"""Plans for DuckDB: the remainder of a query, and the rows that vsql makes for it to read."""

from dataclasses import dataclass

from sqlglot import exp

from vsql.core.distance import Metric
from vsql.core.types import SqlType
from vsql.planner.nodes import Conjunct, Plan, Subquery, TopK

ORDINAL = "vsql_ordinal"
"""The column that numbers the rows of a search for DuckDB."""
DISTANCE = "vsql_distance"
"""The column that holds the distance of a search's rows for DuckDB."""
DEPTH = "vsql_depth"
"""The parameter that says how many rows a widening search gives."""


@dataclass(frozen=True, slots=True)
class BatchTopK:
    """A top-k for every row of an outer relation: LATERAL, executed as one batch.

    `search.query` is ignored; the vectors are the column `query_column` of the input `outer`, which
    stands before it and is called `outer_name` in the statement. The result holds `ordinal` (the
    outer row's number) and the outputs of `search`.
    """

    outer: str
    outer_name: str
    query_column: str
    search: TopK
    ordinal: str


@dataclass(frozen=True, slots=True)
class ComputedDistance:
    """A column `name` that is the distance of a vector column to a constant."""

    name: str
    column: str
    metric: Metric
    query: exp.Expr


@dataclass(frozen=True, slots=True)
class TableInput:
    """Columns of a stored table, all live rows; `ordinal` names an added row-number column.

    `conjuncts` are parts of WHERE that are evaluated before DuckDB sees the rows; `distances` are
    columns computed for it.
    """

    table: str
    columns: tuple[str, ...]
    conjuncts: tuple[Conjunct, ...] = ()
    ordinal: str | None = None
    distances: tuple[ComputedDistance, ...] = ()


@dataclass(frozen=True, slots=True)
class OutsideInput:
    """Columns of a registered table, as it is."""

    table: str
    columns: tuple[str, ...]
    ordinal: str | None = None


@dataclass(frozen=True, slots=True)
class Numbered:
    """The rows of a plan with their number, from 0, as the column `ordinal`."""

    source: Plan
    ordinal: str


@dataclass(frozen=True, slots=True)
class FunctionInput:
    """The rows of a table function, such as vsql_segments()."""

    function: str
    arguments: tuple[exp.Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class SystemInput:
    """Columns of a relation of pg_catalog or information_schema, by its qualified name."""

    relation: str
    columns: tuple[str, ...]


TABLE_FUNCTIONS = (
    *("vsql_segments", "vsql_indexes", "vsql_versions", "vsql_jobs", "vsql_changes"),
    *("vsql_statistics", "vsql_recall", "vsql_memory", "vsql_machine"),
)

Input = Plan | TableInput | OutsideInput | Numbered | BatchTopK | FunctionInput | SystemInput
"""What DuckDB reads: rows that vsql makes."""


@dataclass(frozen=True, slots=True)
class Widening:
    """A remainder over the nearest rows of a search, which is the input `search`.

    The search's limit is the parameter `DEPTH`: it is raised until the remainder gives `limit` rows
    after `offset`, or the search has no more.
    """

    search: str
    limit: exp.Expr
    offset: exp.Expr | None


@dataclass(frozen=True, slots=True)
class Remainder(Plan):
    """A relational tree for DuckDB over Arrow inputs; `sql` reads the inputs by their names.

    `vectors` are the outputs that are vectors, by their place. `typed_parameters` must be vectors,
    where a type without a dimension takes any, or arrays. With `widening`, one input is a search
    that is made deeper until enough rows come out.
    """

    sql: str
    inputs: tuple[tuple[str, Input], ...]
    parameters: tuple[str, ...] = ()
    vectors: tuple[tuple[int, SqlType], ...] = ()
    typed_parameters: tuple[tuple[str, SqlType], ...] = ()
    subqueries: tuple[Subquery, ...] = ()
    widening: Widening | None = None
