"""Scripts: statements and backslash commands from a file, a pipe or `-c`."""

import re

from vsql.core.errors import Error
from vsql.repl.commands import run_command
from vsql.repl.present import error_text
from vsql.repl.session import Session, run_statement, wants_colour

# What may stand before a backslash command or a statement: white space and comments.
_BLANK = re.compile(r"(?:\s+|--[^\n]*|/\*.*?\*/)*", re.DOTALL)


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
    found = _BLANK.match(text, position)
    return found.end() if found else position


def _run_until_command(session: Session, text: str, position: int, name: str) -> int | None:
    """Run statements from `position`; return where a command or the end is, None on an error."""
    try:
        pieces = session.split(text[position:])
    except Error as error:
        session.complain(error_text(error, colour=wants_colour(session.messages), location=name))
        return None
    for piece in pieces:
        start = skip_blank(text, position + piece.start)
        if text.startswith("\\", start):
            return start
        sql = piece.text[skip_blank(piece.text) :].strip()
        if not sql.strip(";"):
            continue
        location = f"{name}:{text.count(chr(10), 0, start) + 1}" if name else ""
        if not run_statement(session, sql, location=location):
            return None
    return len(text)
