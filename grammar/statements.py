"""Queries and writes as values, which keep sqlglot's tree; the rest is `utility_statements`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from sqlglot import exp

if TYPE_CHECKING:
    from vsql.grammar.utility_statements import Utility


@dataclass(frozen=True, slots=True)
class Query:
    """SELECT, WITH, VALUES and set operations; `settings` is SEARCH PARAMS (…)."""

    tree: exp.Expr
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Insert:
    """`upsert` is UPSERT INTO: rows whose key is there already replace the old ones."""

    tree: exp.Insert
    upsert: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """MERGE INTO a table."""

    tree: exp.Merge


@dataclass(frozen=True, slots=True)
class Update:
    """UPDATE of a table."""

    tree: exp.Update


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE from a table."""

    tree: exp.Delete


@dataclass(frozen=True, slots=True)
class Explain:
    """EXPLAIN of a statement; `analyze` runs it."""

    statement: "Query | Insert | Update | Delete | Merge"
    analyze: bool
    format: Literal["text", "json"]


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing but blanks and comments."""


Statement: TypeAlias = "Query | Insert | Merge | Update | Delete | Explain | Empty | Utility"
