"""Plans around searches: several fused into one, and one joined with other tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from vsql.core.types import SqlType
from vsql.planner.nodes import Conjunct, Output, Plan, Subquery, TopK

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
    """One column of a joined search: `relation` and `column` say where it is, as `KeyedJoin`."""

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
