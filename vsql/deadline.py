"""SET statement_timeout: a statement that runs too long is interrupted, as a user would do it."""

import threading
from collections.abc import Callable
from types import TracebackType

from vsql.core import sqlstate
from vsql.core.errors import Error, OperationalError


class Deadline:
    """Calls `interrupt` after some seconds, unless the block has ended by then."""

    def __init__(self, seconds: float, interrupt: Callable[[], None]) -> None:
        self._passed = threading.Event()
        self._interrupt = interrupt
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def _pass(self) -> None:
        self._passed.set()
        self._interrupt()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._timer.join()
        cancelled = isinstance(error, Error) and error.sqlstate == sqlstate.QUERY_CANCELED
        if cancelled and self._passed.is_set():
            raise OperationalError(
                "canceling statement due to statement timeout",
                code=sqlstate.QUERY_CANCELED,
                hint="SET statement_timeout = 0 lets statements run",
            ) from None
