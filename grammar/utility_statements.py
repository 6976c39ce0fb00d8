"""Statements other than queries and writes, as values. Imported when the first one comes."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sqlglot import exp

from vsql.core.errors import Span
from vsql.core.types import SqlType


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """`identity` is "always" or "default"; `generated` the SQL of a stored expression."""

    name: str
    type: SqlType
    nullable: bool
    default: str | None
    primary_key: bool
    span: Span
    unique: bool = False
    identity: str | None = None
    generated: str | None = None
    checks: tuple[tuple[str | None, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PartitionBy:
    """`kind` is "key" (hash) or "list"."""

    kind: str
    column: str
    count: int


@dataclass(frozen=True, slots=True)
class CreateTable:
    """`checks` and `uniques` pair a constraint's name, or None, with what it says."""

    name: str
    columns: tuple[ColumnDefinition, ...]
    primary_key: tuple[str, ...]
    if_not_exists: bool
    span: Span
    checks: tuple[tuple[str | None, str], ...] = ()
    uniques: tuple[tuple[str | None, tuple[str, ...]], ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    partition_by: PartitionBy | None = None
    temporary: bool = False
    primary_key_name: str | None = None


@dataclass(frozen=True, slots=True)
class CreateTableAs:
    """`columns` are the names given in parentheses, empty for the query's own."""

    name: str
    columns: tuple[str, ...]
    query: exp.Expr
    if_not_exists: bool
    span: Span
    properties: Mapping[str, str] = field(default_factory=dict)
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class AddColumn:
    definition: ColumnDefinition
    if_not_exists: bool


@dataclass(frozen=True, slots=True)
class DropColumn:
    name: str
    if_exists: bool


@dataclass(frozen=True, slots=True)
class RenameColumn:
    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class SetType:
    name: str
    type: SqlType


@dataclass(frozen=True, slots=True)
class SetDefault:
    """`default` None drops it."""

    name: str
    default: str | None


@dataclass(frozen=True, slots=True)
class SetNullable:
    name: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class RenameTable:
    new_name: str


@dataclass(frozen=True, slots=True)
class SetProperties:
    """A value of None resets the property."""

    properties: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class AddCheck:
    name: str | None
    condition: str


@dataclass(frozen=True, slots=True)
class AddUnique:
    name: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DropConstraint:
    name: str
    if_exists: bool


Alteration = (
    AddColumn
    | DropColumn
    | RenameColumn
    | SetType
    | SetDefault
    | SetNullable
    | RenameTable
    | SetProperties
    | AddCheck
    | AddUnique
    | DropConstraint
)


@dataclass(frozen=True, slots=True)
class AlterTable:
    table: str
    alterations: tuple[Alteration, ...]
    if_exists: bool
    span: Span


@dataclass(frozen=True, slots=True)
class AlterIndex:
    """RENAME TO alone."""

    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class CreateSchema:
    name: str
    if_not_exists: bool


@dataclass(frozen=True, slots=True)
class Extension:
    """CREATE or DROP EXTENSION, as PostgreSQL's clients begin; `present` after the statement."""

    names: tuple[str, ...]
    may_differ: bool
    present: bool
    span: Span


@dataclass(frozen=True, slots=True)
class DropSchema:
    names: tuple[str, ...]
    if_exists: bool
    cascade: bool


@dataclass(frozen=True, slots=True)
class CreateView:
    """`query` is the text as written; `columns` rename its outputs."""

    name: str
    columns: tuple[str, ...]
    query: str
    or_replace: bool
    if_not_exists: bool
    span: Span
    query_span: Span


@dataclass(frozen=True, slots=True)
class DropView:
    names: tuple[str, ...]
    if_exists: bool


@dataclass(frozen=True, slots=True)
class PutAlias:
    """CREATE ALIAS, or ALTER ALIAS where `exists`."""

    name: str
    table: str
    exists: bool


@dataclass(frozen=True, slots=True)
class DropAlias:
    names: tuple[str, ...]
    if_exists: bool


@dataclass(frozen=True, slots=True)
class CommentOn:
    """`kind` is table, column, view, schema; `text` None removes the comment."""

    kind: str
    name: str
    column: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class CreatePartition:
    """`values` are SQL texts of constants."""

    name: str
    table: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DropPartition:
    name: str
    table: str


@dataclass(frozen=True, slots=True)
class Truncate:
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShowVersions:
    table: str


@dataclass(frozen=True, slots=True)
class RestoreTable:
    """To a version, or to a time as text."""

    table: str
    version: int | None
    timestamp: str | None


@dataclass(frozen=True, slots=True)
class UndropTable:
    table: str


@dataclass(frozen=True, slots=True)
class Optimize:
    table: str | None
    full: bool


@dataclass(frozen=True, slots=True)
class Vacuum:
    pass


@dataclass(frozen=True, slots=True)
class Analyze:
    table: str | None


@dataclass(frozen=True, slots=True)
class AnalyzeMachine:
    pass


@dataclass(frozen=True, slots=True)
class CheckDatabase:
    pass


@dataclass(frozen=True, slots=True)
class BackupDatabase:
    """BACKUP DATABASE TO, or RESTORE DATABASE FROM where `restore`."""

    path: str
    restore: bool


@dataclass(frozen=True, slots=True)
class ExportDatabase:
    """EXPORT DATABASE, or IMPORT DATABASE where `load`."""

    path: str
    load: bool


@dataclass(frozen=True, slots=True)
class DropTable:
    names: tuple[str, ...]
    if_exists: bool


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """`key` is the canonical text of the indexed expression; `columns` are plain names."""

    name: str | None
    table: str
    kind: str | None
    key: str
    operator_class: str | None
    options: Mapping[str, str]
    unique: bool
    if_not_exists: bool
    span: Span
    columns: tuple[str, ...] = ()


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
class Begin:
    read_only: bool | None = None


@dataclass(frozen=True, slots=True)
class SetTransaction:
    """SET TRANSACTION; None leaves the mode as it is."""

    read_only: bool | None


@dataclass(frozen=True, slots=True)
class SetSavepoint:
    name: str


@dataclass(frozen=True, slots=True)
class RollbackTo:
    name: str


@dataclass(frozen=True, slots=True)
class ReleaseSavepoint:
    name: str


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
class LoadTable:
    """LOAD TABLE, or WARM."""

    table: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class ReleaseTable:
    table: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Prepare:
    """PREPARE: `text` is the statement, with `count` parameters; a type None means any vector."""

    name: str
    types: tuple[SqlType | None, ...]
    count: int
    text: str


@dataclass(frozen=True, slots=True)
class Execute:
    name: str
    arguments: tuple[exp.Expr, ...]


@dataclass(frozen=True, slots=True)
class Deallocate:
    """`name` None means all."""

    name: str | None


@dataclass(frozen=True, slots=True)
class DeclareCursor:
    """`text` is the query; `scrolls` is false for NO SCROLL alone."""

    name: str
    text: str
    scrolls: bool
    hold: bool


class Direction(enum.Enum):
    """Where FETCH and MOVE go: NEXT is FORWARD 1, FIRST is ABSOLUTE 1, and so on."""

    FORWARD = "forward"
    BACKWARD = "backward"
    ABSOLUTE = "absolute"
    RELATIVE = "relative"


@dataclass(frozen=True, slots=True)
class FetchCursor:
    """FETCH, and MOVE where it `only_moves`; `count` None means all."""

    name: str
    direction: Direction
    count: int | None
    only_moves: bool


@dataclass(frozen=True, slots=True)
class CloseCursor:
    """`name` None means all."""

    name: str | None


Utility = (
    CreateTable
    | CreateTableAs
    | AlterTable
    | AlterIndex
    | Extension
    | CreateSchema
    | DropSchema
    | CreateView
    | DropView
    | PutAlias
    | DropAlias
    | CommentOn
    | CreatePartition
    | DropPartition
    | Truncate
    | ShowVersions
    | RestoreTable
    | UndropTable
    | Optimize
    | Vacuum
    | Analyze
    | AnalyzeMachine
    | CheckDatabase
    | BackupDatabase
    | ExportDatabase
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
    | Begin
    | SetTransaction
    | SetSavepoint
    | RollbackTo
    | ReleaseSavepoint
    | Commit
    | Rollback
    | Flush
    | LoadTable
    | ReleaseTable
    | Prepare
    | Execute
    | Deallocate
    | DeclareCursor
    | FetchCursor
    | CloseCursor
)
