"""Physical plans: small frozen values without behaviour, which can be pickled.

A plan says what to do, `vsql.executor` does it. Expressions inside are bound sqlglot trees: column
nodes carry the bare column name, parameters are placeholders whose name is the parameter's key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from vsql.core.distance import Metric
from vsql.core.machine import Work
from vsql.core.protocols import Comparison
from vsql.core.types import SqlType

ORDINAL = "vsql_ordinal"
"""The column that numbers the rows of a search for DuckDB."""
DISTANCE = "vsql_distance"
"""The column that holds the distance of a search's rows for DuckDB."""
DEPTH = "vsql_depth"
"""The parameter that says how many rows a widening search gives."""
JOIN_KEYS = "vsql_join_keys"
"""The parameter that holds the keys whose partners are looked up."""


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a native plan's result; `column` None stands for the distance."""

    name: str
    type: SqlType
    column: str | None


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
    condition: IndexCondition | PatternCondition | PathCondition | None = None


@dataclass(frozen=True, slots=True)
class Subquery:
    """A subquery that runs before the plan and becomes the parameter `key`.

    With `many` the parameter is the list of the first column's values (IN), otherwise the single
    value of a single row, NULL for no row.
    """

    key: str
    plan: "Plan"
    many: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """Rows of one table that pass the predicate, in storage order."""

    table: str
    outputs: tuple[Output, ...]
    conjuncts: tuple[Conjunct, ...] = ()
    limit: exp.Expr | None = None
    offset: exp.Expr | None = None
    subqueries: tuple[Subquery, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderedScan:
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
class Lookup:
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
class Count:
    """The number of rows that pass the predicate."""

    table: str
    name: str
    conjuncts: tuple[Conjunct, ...] = ()
    subqueries: tuple[Subquery, ...] = ()


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit of a search's own distance: nearer than `value`, or with `far` farther."""

    value: exp.Expr
    far: bool
    inclusive: bool


@dataclass(frozen=True, slots=True)
class TopK:
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


@dataclass(frozen=True, slots=True)
class Fusion:
    """Several searches of one table, fused into one order: rrf or weighted_sum.

    Each of `searches` has the predicate, and neither outputs nor a limit: it gives its `depth`
    nearest rows. `options` are the method's other arguments.
    """

    table: str
    method: str
    searches: tuple[TopK, ...]
    options: Mapping[str, exp.Expr]
    outputs: tuple[Output, ...]
    conjuncts: tuple[Conjunct, ...] = ()
    limit: exp.Expr | None = None
    offset: exp.Expr | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    subqueries: tuple[Subquery, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyedJoin:
    """The rows of a table whose `key` equals a column before it.

    `left` is that column's relation, 0 for the search and then the joins in their order, and its
    name; `conjuncts` say that the key is among `JOIN_KEYS`. With `outer` rows without a partner
    stay.
    """

    table: str
    key: str
    left: tuple[int, str]
    conjuncts: tuple[Conjunct, ...]
    outer: bool


@dataclass(frozen=True, slots=True)
class JoinedOutput:
    """One column of a joined search: `relation` and `column` say where it is, as `KeyedJoin`."""

    name: str
    type: SqlType
    relation: int
    column: str


@dataclass(frozen=True, slots=True)
class JoinedSearch:
    """The rows of a search, nearest first, each with its partners in other tables.

    `otherwise` is the plan for when the search had `limit` rows, and these too few partners; None
    where the search's rows are all that are asked for.
    """

    source: TopK | Fusion
    joins: tuple[KeyedJoin, ...]
    outputs: tuple[JoinedOutput, ...]
    limit: exp.Expr | None = None
    offset: exp.Expr | None = None
    otherwise: "Plan | None" = None
    subqueries: tuple[Subquery, ...] = ()


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

    source: "Plan"
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
class Remainder:
    """A relational tree for DuckDB over Arrow inputs; `sql` reads the inputs by their names.

    `vectors` are the outputs that are vectors, by their place. `typed_parameters` must be vectors,
    where a type without a dimension takes any, or arrays. With `widening`, one input is a search
    that is made deeper until enough rows come out.
    """

    sql: str
    inputs: tuple[
        tuple[
            str,
            "Plan | TableInput | OutsideInput | Numbered | BatchTopK | FunctionInput | SystemInput",
        ],
        ...,
    ]
    parameters: tuple[str, ...] = ()
    vectors: tuple[tuple[int, SqlType], ...] = ()
    typed_parameters: tuple[tuple[str, SqlType], ...] = ()
    subqueries: tuple[Subquery, ...] = ()
    widening: Widening | None = None


Plan = Scan | OrderedScan | Lookup | Count | TopK | Fusion | JoinedSearch | Remainder
Input = Plan | TableInput | OutsideInput | Numbered | BatchTopK | FunctionInput | SystemInput
"""What DuckDB reads: rows that vsql makes."""


@dataclass(frozen=True, slots=True)
class Returning:
    """What a write gives back: a query over the rows that it made, or removed.

    `relation` is the name under which `plan` reads these rows; `carried` names columns of other
    relations that go along with each row, as the write's own query gives them.
    """

    plan: "Plan"
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


EXCLUDED = "vsql_excluded."
ROW = "vsql_row"
ACTION = "vsql_action"


@dataclass(frozen=True, slots=True)
class InsertRows:
    """INSERT: rows of value expressions, or those of a query; `columns` in the order given."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[exp.Expr, ...], ...] = ()
    source: "Plan | None" = None
    conflict: Conflict | None = None
    returning: Returning | None = None
    overriding: bool = False


@dataclass(frozen=True, slots=True)
class DeleteRows:
    """DELETE of the rows that pass the predicate, or that `joined` names by `ROW`."""

    table: str
    conjuncts: tuple[Conjunct, ...] = ()
    subqueries: tuple[Subquery, ...] = ()
    joined: "Plan | None" = None
    returning: Returning | None = None


@dataclass(frozen=True, slots=True)
class UpdateRows:
    """UPDATE: `assignments` pairs a column with the SQL of its new value over the old row.

    With `joined`, that query gives `ROW` and the new values, named after their columns.
    """

    table: str
    assignments: tuple[tuple[str, exp.Expr], ...]
    conjuncts: tuple[Conjunct, ...] = ()
    subqueries: tuple[Subquery, ...] = ()
    joined: "Plan | None" = None
    returning: Returning | None = None


@dataclass(frozen=True, slots=True)
class MergeAction:
    """One WHEN of a MERGE: `kind` is update, delete, insert or nothing.

    `values` pairs a column of the table with the column of the merge's query that holds its value.
    """

    kind: str
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MergeRows:
    """MERGE: `joined` gives `ROW`, `ACTION` (a place in `actions`) and the values."""

    table: str
    joined: "Plan"
    actions: tuple[MergeAction, ...]
    returning: Returning | None = None


Write = InsertRows | DeleteRows | UpdateRows | MergeRows
