"""Every statement as a value. Queries and writes keep sqlglot's tree; the rest is spelled out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from vsql.core.errors import Span
from vsql.core.types import SqlType


@dataclass(frozen=True, slots=True)
class Query:
    """SELECT, WITH, VALUES and set operations; `settings` is SEARCH PARAMS (…)."""

    tree: exp.Expr
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Insert:
    tree: exp.Insert


@dataclass(frozen=True, slots=True)
class Update:
    tree: exp.Update


@dataclass(frozen=True, slots=True)
class Delete:
    tree: exp.Delete


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    name: str
    type: SqlType
    nullable: bool
    default: str | None
    primary_key: bool
    span: Span


@dataclass(frozen=True, slots=True)
class CreateTable:
    name: str
    columns: tuple[ColumnDefinition, ...]
    primary_key: tuple[str, ...]
    if_not_exists: bool
    span: Span


@dataclass(frozen=True, slots=True)
class DropTable:
    names: tuple[str, ...]
    if_exists: bool


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """`key` is the canonical text of the indexed expression."""

    name: str | None
    table: str
    kind: str | None
    key: str
    operator_class: str | None
    options: Mapping[str, str]
    unique: bool
    if_not_exists: bool
    span: Span


@dataclass(frozen=True, slots=True)
class DropIndex:
    names: tuple[str, ...]
    if_exists: bool


@dataclass(frozen=True, slots=True)
class CopyFrom:
    table: str
    columns: tuple[str, ...]
    path: str
    format: str | None
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CopyTo:
    query: exp.Expr
    path: str
    format: str | None
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ShowTables:
    pass


@dataclass(frozen=True, slots=True)
class ShowIndexes:
    table: str | None


@dataclass(frozen=True, slots=True)
class ShowColumns:
    table: str


@dataclass(frozen=True, slots=True)
class SetSetting:
    name: str
    value: str
    scope: Literal["session", "local", "global"]


@dataclass(frozen=True, slots=True)
class ShowSetting:
    """`name` None means all."""

    name: str | None


@dataclass(frozen=True, slots=True)
class ResetSetting:
    """`name` None means all."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Explain:
    statement: "Query | Insert | Update | Delete"
    analyze: bool
    format: Literal["text", "json"]


@dataclass(frozen=True, slots=True)
class Begin:
    pass


@dataclass(frozen=True, slots=True)
class Commit:
    pass


@dataclass(frozen=True, slots=True)
class Rollback:
    pass


@dataclass(frozen=True, slots=True)
class Flush:
    table: str | None


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing but blanks and comments."""


Statement = (
    Query
    | Insert
    | Update
    | Delete
    | CreateTable
    | DropTable
    | CreateIndex
    | DropIndex
    | CopyFrom
    | CopyTo
    | ShowTables
    | ShowIndexes
    | ShowColumns
    | SetSetting
    | ShowSetting
    | ResetSetting
    | Explain
    | Begin
    | Commit
    | Rollback
    | Flush
    | Empty
)
