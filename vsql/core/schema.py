"""What a database holds, as values: tables, columns and indexes.

Ids are random 63-bit integers, so that writers need no coordination to make one.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pyarrow as pa

from vsql.core.distance import Metric
from vsql.core.types import TIMESTAMPTZ, SqlType

EMPTY: Mapping[str, str] = MappingProxyType({})
_LISTED = r'\s*"(?:[^"]|"")*"\s*|[^,]+'
_NOT_PLAIN = r'[,"]|^\s|\s$'


def new_id() -> int:
    """Return a fresh random id, positive and below 2**63."""
    return int.from_bytes(os.urandom(8), "big") >> 1 | 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    `default` is the SQL text of an expression without columns, `generated` that of a stored
    expression over the row. `identity` is "always" or "default" where numbers are handed out.
    `initial` is the SQL text of the value of rows that were written before the column existed.
    """

    id: int
    name: str
    type: SqlType
    nullable: bool = True
    default: str | None = None
    identity: str | None = None
    generated: str | None = None
    comment: str | None = None
    initial: str | None = None


DYNAMIC = "$meta"
"""The JSON column of a dynamic table, which holds what has no column of its own."""
INSERTED_AT = Column(0, "vsql_inserted_at", TIMESTAMPTZ)
"""When a row of a table whose rows expire was inserted; no SQL shows it."""


@dataclass(frozen=True, slots=True)
class Check:
    """A CHECK constraint: SQL text over the table's columns that must not be false."""

    name: str
    condition: str


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How sealed rows are kept apart: by hash into `count` parts, or by value for a list.

    For a list, `parts` pairs a partition's name with the JSON texts of its values; rows of other
    values lie in the default partition.
    """

    kind: str
    column: str
    count: int = 0
    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()


def joined_names(names: Iterable[str]) -> str:
    """Return names as one text, with quotes around those that `split_names` needs them for."""
    return ",".join(
        '"' + name.replace('"', '""') + '"' if re.search(_NOT_PLAIN, name) else name
        for name in names
    )


def split_names(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas between; a name in quotes may hold one itself."""
    return tuple(
        name[1:-1].replace('""', '"') if name.startswith('"') else name
        for name in (found.strip() for found in re.findall(_LISTED, text))
        if name
    )


@dataclass(frozen=True, slots=True)
class Table:
    """One table; `primary_key` names its columns, empty where there is none.

    `name` is qualified (`schema.name`) outside of the schema public. `properties` are what
    WITH (…) said: ttl, dynamic, cluster_by. A temporary table is its connection's own.
    """

    id: int
    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    properties: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    comment: str | None = None
    partitioning: Partitioning | None = None
    temporary: bool = False
    _schema: pa.Schema | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def is_dynamic(self) -> bool:
        """Whether names that no column has are keys of the JSON column `DYNAMIC`."""
        return self.properties.get("dynamic") == "true"

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns that a segment holds: those that SQL shows, and those for vsql alone."""
        return (*self.columns, INSERTED_AT) if "ttl" in self.properties else self.columns

    @property
    def clustered_by(self) -> tuple[str, ...]:
        """The names of the columns that order the rows of a segment, empty where none do."""
        return split_names(self.properties.get("cluster_by", ""))

    def find(self, name: str) -> Column | None:
        """Return the column called `name`, or None."""
        for column in self.columns:
            if column.name == name:
                return column
        return None

    def column(self, name: str) -> Column:
        """Return the column called `name`, which must exist."""
        found = self.find(name)
        assert found is not None, name
        return found

    def key_column(self, index: "Index") -> Column | None:
        """Return the column that is the whole key of an index, or None."""
        names = index.key_columns
        return self.find(names[0]) if len(names) == 1 else None

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of a segment of this table; column ids are in the fields' metadata."""
        if self._schema is None:
            made = pa.schema(
                [
                    pa.field(
                        column.name,
                        column.type.arrow,
                        metadata={"vsql:column_id": str(column.id)},
                    )
                    for column in self.stored_columns
                ]
            )
            # Made once: every write asks for it.
            object.__setattr__(self, "_schema", made)
        return self._schema


NO_CONSTRAINT = "no_constraint"
"""The option of a unique index that CREATE UNIQUE INDEX made: it is no constraint of the table."""
_NAME = r'(?:[\w$]+|"(?:[^"]|"")+")'
_COMPOSITE = rf"\(({_NAME})(?:, {_NAME})+\)"
_NAMES = rf"\(?{_NAME}(?:, {_NAME})*\)?"


@dataclass(frozen=True, slots=True)
class Index:
    """One index.

    `key` is the indexed expression as canonical SQL text, a column's name in the simple case, a
    list in parentheses over several columns;
    `metric` is set for vector indexes alone; `options` are what WITH (…) said, as text.
    """

    id: int
    table_id: int
    name: str
    kind: str
    key: str
    metric: Metric | None = None
    unique: bool = False
    options: Mapping[str, str] = field(default_factory=lambda: EMPTY)

    @property
    def leading_key(self) -> str:
        """What the structures hold: the key, of `(a, b, …)` the first column."""
        found = None if self.unique else re.fullmatch(_COMPOSITE, self.key)
        return self.key if found is None else found.group(1)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of the key, in order; empty where it is an expression."""
        if re.fullmatch(_NAMES, self.key) is None:
            return ()
        found = re.findall(_NAME, self.key)
        return tuple(n[1:-1].replace('""', '"') if n.startswith('"') else n for n in found)


@dataclass(frozen=True, slots=True)
class NamedObject:
    """A schema, view or alias: what a name stands for beside tables.

    `body` is the view's query as the user wrote it, or the table that an alias means.
    """

    id: int
    kind: str
    name: str
    body: str = ""
    comment: str | None = None
