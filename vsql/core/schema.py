"""What a database holds, as values: tables, columns and indexes.

Ids are random 63-bit integers, so that writers need no coordination to make one.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pyarrow as pa

from vsql.core.distance import Metric
from vsql.core.types import SqlType

EMPTY: Mapping[str, str] = MappingProxyType({})


def new_id() -> int:
    """Return a fresh random id, positive and below 2**63."""
    return int.from_bytes(os.urandom(8), "big") >> 1 | 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `default` is the SQL text of an expression without columns."""

    id: int
    name: str
    type: SqlType
    nullable: bool = True
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table; `primary_key` names its columns, empty where there is none."""

    id: int
    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()

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

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of a segment of this table; column ids are in the fields' metadata."""
        return pa.schema(
            [
                pa.field(
                    column.name,
                    column.type.arrow,
                    metadata={"vsql:column_id": str(column.id)},
                )
                for column in self.columns
            ]
        )


@dataclass(frozen=True, slots=True)
class Index:
    """One index.

    `key` is the indexed expression as canonical SQL text, a column's name in the simple case;
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
