"""SET statement_timeout: a statement that runs too long is interrupted, as a user would do it."""

import threading
from collections.abc import Callable
from types import TracebackType

from vsql.core import sqlstate
from vsql.core.errors import Error, OperationalError

# How often a statement is interrupted: it may be between two steps when the first one comes.
_AGAIN_S = 0.05


class Deadline:
    """Calls `interrupt` after some seconds, and again until the block ends."""

    def __init__(self, seconds: float, interrupt: Callable[[], None]) -> None:
        self._seconds = seconds
        self._interrupt = interrupt
        self._ended = threading.Event()
        self._passed = False
        self._watch = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        wait = self._seconds
        while not self._ended.wait(wait):
            self._passed = True
            self._interrupt()
            wait = _AGAIN_S

    def __enter__(self) -> None:
        self._watch.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._watch.join()
        cancelled = isinstance(error, Error) and error.sqlstate == sqlstate.QUERY_CANCELED
        if cancelled and self._passed:
            raise OperationalError(
                "canceling statement due to statement timeout",
                code=sqlstate.QUERY_CANCELED,
                hint="SET statement_timeout = 0 lets statements run",
            ) from None
