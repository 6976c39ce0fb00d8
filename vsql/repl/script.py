"""Scripts: statements and backslash commands from a file, a pipe or `-c`."""

import re
from collections.abc import Sequence

from vsql.core.errors import Error
from vsql.repl.commands import run_command
from vsql.repl.present import error_text
from vsql.repl.session import Piece, Session, Split, run_statement, wants_colour

_SPACE = re.compile(r"(?:\s+|--[^\n]*)*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_COMMAND_LINE = re.compile(r"^[ \t]*\\", re.MULTILINE)


def run_script(session: Session, text: str, *, name: str = "") -> bool:
    """Run all of `text`, stop at the first error, and return whether there was none.

    `name` is put before errors, with the line. `\\q` ends the script. Raises only OSError, where
    the output can't be written.
    """
    position = 0
    while not session.finished:
        position = skip_blank(text, position)
        if position >= len(text):
            break
        if text[position] == "\\":
            end = text.find("\n", position)
            end = len(text) if end < 0 else end
            if not run_command(session, text[position:end]):
                return False
            position = end
            continue
        following = _run_until_command(session, text, position, name)
        if following is None:
            return False
        position = following
    return True


def skip_blank(text: str, position: int = 0) -> int:
    """Return where the next statement or command starts, after white space and comments."""
    while True:
        found = _SPACE.match(text, position)
        position = found.end() if found else position
        end = _comment_end(text, position) if text.startswith("/*", position) else None
        if end is None:
            return position
        position = end


def _comment_end(text: str, start: int) -> int | None:
    """Return the end of a block comment, which may hold others; None where it never ends."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return None


def _run_until_command(session: Session, text: str, position: int, name: str) -> int | None:
    """Run statements from `position`; return where a command or the end is, None on an error."""
    try:
        pieces, end = _statements_before_command(session.split, text, position)
    except Error as error:
        session.complain(error_text(error, colour=wants_colour(session.messages), location=name))
        return None
    for piece in pieces:
        start = skip_blank(text, position + piece.start)
        sql = piece.text[skip_blank(piece.text) :].strip()
        if not sql.strip(";"):
            continue
        location = f"{name}:{text.count(chr(10), 0, start) + 1}" if name else ""
        if not run_statement(session, sql, location=location):
            return None
    return end


def _statements_before_command(
    split: Split, text: str, position: int
) -> tuple[Sequence[Piece], int]:
    """Return the statements up to the next command, and where that is.

    A backslash that starts a line inside a text or a statement is no command, so the statements
    before one must all be complete. Splitting stops there because a command's arguments, such as
    `\\i it's.sql`, are not SQL.
    """
    for line in _COMMAND_LINE.finditer(text, position):
        pieces = split(text[position : line.start()])
        if all(piece.complete or is_blank(piece.text) for piece in pieces):
            return pieces, line.start()
    return split(text[position:]), len(text)


def is_blank(text: str) -> bool:
    """Return whether `text` holds nothing but white space and comments."""
    return skip_blank(text) == len(text)
