"""What a session keeps under names of its own: prepared statements and cursors."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from vsql.core.errors import ProgrammingError, did_you_mean

_T = TypeVar("_T")


class NamedObjects(Generic[_T]):
    """Objects of one kind by name; `duplicate` and `missing` are the SQLSTATEs of its errors."""

    def __init__(self, kind: str, *, duplicate: str, missing: str) -> None:
        self._kind = kind
        self._duplicate = duplicate
        self._missing = missing
        self._known: dict[str, _T] = {}

    def __iter__(self) -> Iterator[tuple[str, _T]]:
        return iter(list(self._known.items()))

    def check_new(self, name: str) -> None:
        """Raise ProgrammingError where a name is taken."""
        if name in self._known:
            raise ProgrammingError(f'{self._kind} "{name}" already exists', code=self._duplicate)

    def add(self, name: str, value: _T) -> None:
        """Keep an object; raises ProgrammingError where its name is taken."""
        self.check_new(name)
        self._known[name] = value

    def get(self, name: str) -> _T:
        """Return what has a name; raises ProgrammingError with the nearest one."""
        if name not in self._known:
            raise ProgrammingError(
                f'{self._kind} "{name}" does not exist',
                code=self._missing,
                hint=did_you_mean(name, self._known),
            )
        return self._known[name]

    def drop(self, name: str | None) -> None:
        """Forget one object, or all; raises ProgrammingError where there is none of the name."""
        if name is None:
            self._known.clear()
        else:
            self.get(name)
            del self._known[name]
