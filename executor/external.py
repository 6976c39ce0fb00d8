"""What reaches outside of the database, and may be forbidden: `SET external_access = off`."""

from collections.abc import Mapping
from typing import Any

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError


def external_access_is_off() -> ProgrammingError:
    """Return the error for a statement that would open a file."""
    return ProgrammingError(
        "external access is off: no file outside of the database can be opened",
        code=sqlstate.INSUFFICIENT_PRIVILEGE,
        hint="it stays off for this connection; another one may have it on",
    )


def check_external_access(settings: Mapping[str, Any]) -> None:
    """Raise ProgrammingError (42501) where files outside of the database are forbidden."""
    if settings["external_access"] == "off":
        raise external_access_is_off()
