"""A progress bar on stderr while COPY and CREATE INDEX run."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Report = Callable[[str, float], None]


class Reporting(Protocol):
    """What runs long: a connection with PEP 249's extension attribute `progress`."""

    progress: Report | None


class ProgressBar:
    """One bar per label; nothing is drawn, and rich not loaded, before the first report."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def report(self, label: str, fraction: float) -> None:
        """Show that `fraction` (0 to 1) of the work called `label` is done."""
        progress = self._started()
        if label not in self._tasks:
            self._tasks[label] = progress.add_task(label, total=1.0)
        progress.update(self._tasks[label], completed=min(max(fraction, 0.0), 1.0))

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._progress is not None:
            self._progress.stop()

    def _started(self) -> "Progress":
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                "{task.percentage:>3.0f} %",
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
        return self._progress


@contextmanager
def progress_shown(connection: Reporting, *, enabled: bool | None = None) -> Iterator[None]:
    """Draw the connection's progress while the block runs; by default on a terminal only."""
    if not (sys.stderr.isatty() if enabled is None else enabled):
        yield
        return
    bar = ProgressBar()
    connection.progress = bar.report
    try:
        yield
    finally:
        connection.progress = None
        bar.close()
