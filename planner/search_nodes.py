"""Plans around searches: several fused into one, one joined with other tables, one for each row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from vsql.core.types import SqlType
from vsql.planner.nodes import Conjunct, Output, Plan, Subquery, TopK

if TYPE_CHECKING:
    from vsql.planner.relational_nodes import OutsideInput

JOIN_KEYS = "vsql_join_keys"
"""The parameter that holds the keys whose partners are looked up."""


@dataclass(frozen=True, slots=True)
class Fusion(Plan):
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
    """One column of joined rows: `relation` and `column` say where it is, as `KeyedJoin`."""

    name: str
    type: SqlType
    relation: int
    column: str


@dataclass(frozen=True, slots=True)
class JoinedSearch(Plan):
    """The rows of a search, nearest first, each with its partners in other tables.

    `otherwise` is the plan for when the search had `limit` rows, and these too few partners; None
    where the search's rows are all that are asked for.
    """

    source: TopK | Fusion
    joins: tuple[KeyedJoin, ...]
    outputs: tuple[JoinedOutput, ...]
    limit: exp.Expr | None = None
    offset: exp.Expr | None = None
    otherwise: Plan | None = None
    subqueries: tuple[Subquery, ...] = ()


@dataclass(frozen=True, slots=True)
class SortKey:
    """A column that orders rows; `relation` and `column` say where it is, as `KeyedJoin`."""

    relation: int
    column: str
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class JoinedBatch(Plan):
    """A top-k for every row of `source`, beside that row: LATERAL without DuckDB.

    `search.query` is ignored; the vectors are the column `query_column` of the source, which is
    called `outer_name` in the statement. Of `outputs` and `order`, relation 0 is the source and 1
    the search. With `outer` rows that find nothing stay.
    """

    source: "Plan | OutsideInput"
    outer_name: str
    query_column: str
    search: TopK
    outputs: tuple[JoinedOutput, ...]
    outer: bool
    order: tuple[SortKey, ...] = ()
    limit: exp.Expr | None = None
    offset: exp.Expr | None = None
    subqueries: tuple[Subquery, ...] = ()
