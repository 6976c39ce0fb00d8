"""What the planner knows of the database: the snapshot's tables and outside tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError, Span, did_you_mean
from vsql.core.schema import Column
from vsql.core.snapshot import TableSnapshot


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a plan may depend on.

    `tables` are the stored ones, `outside` the registered ones with their columns; an outside
    table hides a stored one of the same name.
    """

    tables: Mapping[str, TableSnapshot]
    outside: Mapping[str, tuple[Column, ...]] = field(default_factory=dict)

    def stored(self, name: str) -> TableSnapshot | None:
        """Return the stored table that `name` means, or None."""
        return None if name in self.outside else self.tables.get(name)

    def columns(self, name: str) -> tuple[Column, ...] | None:
        """Return the columns of the table `name`, stored or outside, or None."""
        if name in self.outside:
            return self.outside[name]
        table = self.tables.get(name)
        if table is not None:
            return table.table.columns
        if "." not in name:
            return None
        from vsql.planner.system_catalog import relations

        system = relations().get(name)
        return None if system is None else system.columns

    def require(self, name: str, span: Span | None = None) -> TableSnapshot:
        """Return the stored table `name`; raises ProgrammingError (42P01, 42809)."""
        if name in self.outside:
            raise ProgrammingError(
                f'"{name}" is a registered table and can only be read',
                code=sqlstate.WRONG_OBJECT_TYPE,
                span=span,
            )
        table = self.tables.get(name)
        if table is None:
            raise unknown_table(name, self, span)
        return table


def unknown_table(name: str, facts: Facts, span: Span | None) -> ProgrammingError:
    """Return the error for a table that does not exist, with the nearest name."""
    return ProgrammingError(
        f'table "{name}" does not exist',
        code=sqlstate.UNDEFINED_TABLE,
        span=span,
        hint=did_you_mean(name, (*facts.outside, *facts.tables)),
    )


def unknown_column(
    name: str, columns: tuple[Column, ...], span: Span | None, where: str = ""
) -> ProgrammingError:
    """Return the error for a column that does not exist, with the nearest name."""
    return ProgrammingError(
        f'column "{name}" does not exist' + (f" in {where}" if where else ""),
        code=sqlstate.UNDEFINED_COLUMN,
        span=span,
        hint=did_you_mean(name, [column.name for column in columns]),
    )
