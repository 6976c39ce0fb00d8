"""Where a session's settings differ from the defaults, for good or until its transaction ends."""

from collections.abc import Callable, Mapping
from typing import Any

from vsql.core.settings import DEFAULTS, canonical, checked
from vsql.executor.external import check_external_access

EXTERNAL_ACCESS = "external_access"


class SessionSettings:
    """A session's settings: what holds now, in `current`, and what holds after the transaction.

    `current` is another mapping whenever a setting changes, so that what was made with it knows
    by its identity whether it still holds. `apply` is told each name and value that SET gives.
    """

    def __init__(self, apply: Callable[[str, Any], None]) -> None:
        self.current: Mapping[str, Any] = DEFAULTS
        self._lasting: Mapping[str, Any] = DEFAULTS
        self._apply = apply

    def begin_with(self, values: Mapping[str, Any]) -> None:
        """Take what was stored in the database, or given to `connect`; it is checked here."""
        given = {canonical(name): checked(name, value) for name, value in values.items()}
        for name, value in given.items():
            self._apply(name, value)
        self.current = self._lasting = {**self._lasting, **given}

    def put(self, name: str, value: Any, *, local: bool = False) -> None:
        """Change one setting, with SET LOCAL until the transaction ends.

        Raises ProgrammingError (42501) where external access would be turned on again.
        """
        if name == EXTERNAL_ACCESS:
            # Off for good: nothing may give a script what it was denied.
            local = False
            if value == "on":
                check_external_access(self.current)
        self._apply(name, value)
        own = self.current is self._lasting
        self.current = {**self.current, name: value}
        if not local:
            self._lasting = self.current if own else {**self._lasting, name: value}

    def end_transaction(self) -> None:
        """Forget what SET LOCAL gave."""
        if self.current is not self._lasting:
            for name, value in self._lasting.items():
                if self.current[name] != value:
                    self._apply(name, value)
            self.current = self._lasting
