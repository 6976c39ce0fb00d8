"""A transaction as a value: what it started from, what it sees, and the changes between."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vsql.core import sqlstate
from vsql.core.errors import OperationalError, did_you_mean
from vsql.core.snapshot import Snapshot

if TYPE_CHECKING:
    from vsql.core.changes import Change


@dataclass(frozen=True, slots=True)
class Savepoint:
    """A place in a transaction to come back to."""

    name: str
    seen: Snapshot
    changes: tuple["Change", ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a transaction started from, what it sees now, and what it did."""

    base: Snapshot
    seen: Snapshot
    changes: tuple["Change", ...] = ()
    savepoints: tuple[Savepoint, ...] = ()
    tags: tuple[str, ...] = ()
    read_only: bool = False

    def stage(self, staged: Iterable["Change"], tag: str | None = None) -> "Transaction":
        """Return the transaction with further changes, and the tag of what made them."""
        added = tuple(staged)
        if not added and tag is None:
            return self
        # Imported for the first write: who only reads does not wait for it.
        from vsql.core.changes import apply

        seen = self.seen
        for one in added:
            seen = apply(seen, one)
        tags = self.tags if tag is None else (*self.tags, tag)
        return replace(self, seen=seen, changes=(*self.changes, *added), tags=tags)

    def save(self, name: str) -> "Transaction":
        """Return the transaction with a savepoint here."""
        return replace(
            self, savepoints=(*self.savepoints, Savepoint(name, self.seen, self.changes))
        )

    def rolled_back_to(self, name: str) -> "Transaction":
        """Return the transaction as it was at a savepoint, which stays; raises 3B001."""
        place = self._place(name)
        saved = self.savepoints[place]
        return replace(
            self,
            seen=saved.seen,
            changes=saved.changes,
            savepoints=self.savepoints[: place + 1],
        )

    def released(self, name: str) -> "Transaction":
        """Return the transaction without a savepoint and those after it; raises 3B001."""
        return replace(self, savepoints=self.savepoints[: self._place(name)])

    def _place(self, name: str) -> int:
        for place in reversed(range(len(self.savepoints))):
            if self.savepoints[place].name == name:
                return place
        raise OperationalError(
            f'savepoint "{name}" does not exist',
            code=sqlstate.INVALID_SAVEPOINT,
            hint=did_you_mean(name, [saved.name for saved in self.savepoints]),
        )
