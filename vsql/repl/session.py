"""One sitting with a database: the connection, the choices of the user, and running a statement."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

from vsql.core.errors import Error
from vsql.repl.interrupt import interruptible
from vsql.repl.present import DATA_FORMATS, duration_text, error_text, present
from vsql.repl.progress import progress_shown
from vsql.repl.result import Column, Rows, Style

_FETCH_ROWS = 1_000


class Cursor(Protocol):
    """What the shell needs of a PEP 249 cursor."""

    @property
    def description(self) -> Sequence[Sequence[Any]] | None: ...
    @property
    def statusmessage(self) -> str: ...
    def fetchmany(self, size: int) -> list[tuple[Any, ...]]: ...


class Connection(Protocol):
    """What the shell needs of a connection."""

    progress: Any

    def execute(self, sql: str, /) -> Cursor: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...


class Piece(Protocol):
    """One statement of a script: its text, where it starts, and whether a `;` ended it."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def complete(self) -> bool: ...


Split = Callable[[str], Sequence[Piece]]


@dataclass(slots=True)
class Session:
    """What lasts from statement to statement; the shell, scripts and commands share it.

    `output` takes results (`\\o` moves it to a file), `messages` errors. `draft` is the text that
    the next prompt starts with, `last` the statement that ran last, `depth` how many files include
    each other.
    """

    connection: Any
    split: Split
    format: str = "table"
    timing: bool = False
    interactive: bool = False
    output: TextIO = field(default_factory=lambda: sys.stdout)
    screen: TextIO = field(default_factory=lambda: sys.stdout)
    messages: TextIO = field(default_factory=lambda: sys.stderr)
    draft: str = ""
    last: str = ""
    finished: bool = False
    depth: int = 0

    def style(self) -> Style:
        """Return how to present results on the current output."""
        if not self.output.isatty():
            return Style(rows_max=sys.maxsize)
        return Style(width=shutil.get_terminal_size().columns, colour=wants_colour(self.output))

    def show(self, text: str) -> None:
        """Write to the current output at once."""
        self.output.write(text)
        self.output.flush()

    def complain(self, text: str) -> None:
        """Write to stderr, after what was already shown."""
        self.output.flush()
        self.messages.write(text)
        self.messages.flush()

    def redirect(self, output: TextIO | None) -> None:
        """Send results to `output`, or to the screen again; closes the file used before."""
        if self.output is not self.screen:
            self.output.close()
        self.output = output or self.screen


def wants_colour(stream: TextIO) -> bool:
    """Return whether escapes are welcome: a terminal, and no NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def run_statement(session: Session, sql: str, *, location: str = "") -> bool:
    """Run one statement and show its result, or its error; return whether it succeeded.

    Ctrl-C stops the statement. Raises only OSError, where the output can't be written.
    """
    connection: Connection = session.connection
    started = time.perf_counter()
    try:
        with interruptible(connection.interrupt):
            with progress_shown(connection):
                cursor = connection.execute(sql)
            _show_result(session, cursor)
    except OSError:
        raise
    except Exception as error:
        colour = wants_colour(session.messages)
        session.complain(error_text(error, colour=colour, location=location))
        return False
    finally:
        session.last = sql
    if session.timing:
        session.show(duration_text(time.perf_counter() - started))
    return True


def query(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that the shell itself asks; an error gives none."""
    try:
        return list(fetched(connection.execute(sql)))
    except Error:
        return []


def fetched(cursor: Cursor) -> Iterator[tuple[Any, ...]]:
    """Yield a cursor's rows, so many at a time that a large result need not be held."""
    while batch := cursor.fetchmany(_FETCH_ROWS):
        yield from batch


def result_rows(cursor: Cursor) -> Rows:
    """Return what a cursor holds, ready to present."""
    description = cursor.description or ()
    columns = tuple(Column(str(column[0]), str(column[1])) for column in description)
    return Rows(columns, fetched(cursor))


def _show_result(session: Session, cursor: Cursor) -> None:
    if cursor.description is not None:
        for piece in present(result_rows(cursor), session.format, session.style()):
            session.output.write(piece)
        session.output.flush()
    elif session.format not in DATA_FORMATS and cursor.statusmessage:
        session.show(f"{cursor.statusmessage}\n")
