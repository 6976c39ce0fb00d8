"""The backslash commands: one function each, and the table that `\\?` is printed from."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vsql.core.errors import did_you_mean
from vsql.repl.present import FORMATS
from vsql.repl.session import Session, run_statement

SCRIPT_DEPTH_MAX = 32


class CommandError(Exception):
    """A backslash command can't do what it was told; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command's name, its arguments, what it does in a few words, and the function.

    `run` gets the session and the rest of the line; it returns whether it succeeded.
    """

    name: str
    arguments: str
    meaning: str
    run: Callable[[Session, str], bool]


def run_command(session: Session, line: str) -> bool:
    """Run a line that starts with a backslash; return whether it succeeded.

    Raises OSError only where the output can't be written.
    """
    name, _, rest = line.strip().rstrip(";").partition(" ")
    command = next((known for known in COMMANDS if known.name == name), None)
    if command is None:
        hint = did_you_mean(name, (known.name for known in COMMANDS))
        session.complain(f"unknown command {name}\nHINT: {hint}; \\? lists all commands\n")
        return False
    try:
        return command.run(session, rest.strip())
    except CommandError as error:
        session.complain(f"{name}: {error}\n")
        return False


def describe(session: Session, table: str) -> bool:
    """List the tables, or one table's columns and indexes."""
    if not table:
        return run_statement(session, "SHOW TABLES")
    name = table_name(table)
    return run_statement(session, f"DESCRIBE {name}") and run_statement(session, _indexes_of(name))


def list_tables(session: Session, _: str) -> bool:
    """List the tables."""
    return run_statement(session, "SHOW TABLES")


def list_indexes(session: Session, table: str) -> bool:
    """List all indexes, or one table's."""
    return run_statement(session, _indexes_of(table))


def toggle_vertical(session: Session, wanted: str) -> bool:
    """Switch one-column-per-line output on or off."""
    vertical = _switch(wanted, session.format == "vertical")
    session.format = "vertical" if vertical else "table"
    return _tell(session, f"Vertical display is {'on' if vertical else 'off'}.")


def toggle_timing(session: Session, wanted: str) -> bool:
    """Switch the time of each statement on or off."""
    session.timing = _switch(wanted, session.timing)
    return _tell(session, f"Timing is {'on' if session.timing else 'off'}.")


def choose_format(session: Session, name: str) -> bool:
    """Set or show the output format."""
    if name:
        if name.lower() not in FORMATS:
            raise CommandError(f'unknown format "{name}"; known: {", ".join(FORMATS)}')
        session.format = name.lower()
    return _tell(session, f"Output format is {session.format}.")


def redirect_output(session: Session, path: str) -> bool:
    """Send results to a file, or back to the screen."""
    if not path:
        session.redirect(None)
        return True
    try:
        opened = _path(path).open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None
    session.redirect(opened)
    return True


def include(session: Session, path: str) -> bool:
    """Run a file of statements."""
    from vsql.repl.script import run_script

    if not path:
        raise CommandError("which file? \\i FILE")
    file = _path(path)
    if session.depth >= SCRIPT_DEPTH_MAX:
        raise CommandError(f"{path}: files include each other more than {SCRIPT_DEPTH_MAX} deep")
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"cannot read {path}: it is not UTF-8 text") from None
    session.depth += 1
    try:
        return run_script(session, text, name=path)
    finally:
        session.depth -= 1


def edit(session: Session, path: str) -> bool:
    """Open $EDITOR with the last statement, or a file; what is saved comes to the prompt."""
    if not session.interactive:
        raise CommandError("only the interactive shell can open an editor")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        if path:
            file = _path(path)
            subprocess.run([*shlex.split(editor), str(file)], check=True)
            session.draft = file.read_text(encoding="utf-8").strip()
            return True
        with tempfile.TemporaryDirectory(prefix="vsql-") as folder:
            file = Path(folder) / "statement.sql"
            file.write_text(session.last.strip() + "\n", encoding="utf-8")
            subprocess.run([*shlex.split(editor), str(file)], check=True)
            session.draft = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError, subprocess.CalledProcessError):
        raise CommandError(f'the editor "{editor}" failed; set $EDITOR to another') from None
    return True


def show_help(session: Session, _: str) -> bool:
    """List the commands."""
    usages = [f"{command.name} {command.arguments}".rstrip() for command in COMMANDS]
    width = max(map(len, usages))
    lines = [
        f"  {usage.ljust(width)}  {command.meaning}"
        for usage, command in zip(usages, COMMANDS, strict=True)
    ]
    return _tell(session, "\n".join(lines))


def leave(session: Session, _: str) -> bool:
    """Leave the shell, or the script."""
    session.finished = True
    return True


def table_name(text: str) -> str:
    """Return the table that a user typed as SQL writes it: quoted where it must be."""
    stripped = text.strip().rstrip(";").strip()
    if stripped.startswith('"') or all(part.isidentifier() for part in stripped.split(".")):
        return stripped
    return '"' + stripped.replace('"', '""') + '"'


def _indexes_of(table: str) -> str:
    return f"SHOW INDEXES FROM {table_name(table)}" if table else "SHOW INDEXES"


def _switch(wanted: str, current: bool) -> bool:
    if not wanted:
        return not current
    if wanted.lower() not in ("on", "off"):
        raise CommandError(f'"{wanted}" is neither on nor off')
    return wanted.lower() == "on"


def _tell(session: Session, text: str) -> bool:
    session.screen.write(f"{text}\n")
    session.screen.flush()
    return True


def _path(text: str) -> Path:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return Path(text).expanduser()


COMMANDS: tuple[Command, ...] = (
    Command("\\?", "", "list these commands", show_help),
    Command("\\d", "[TABLE]", "list the tables, or a table's columns and indexes", describe),
    Command("\\dt", "", "list the tables", list_tables),
    Command("\\di", "[TABLE]", "list the indexes", list_indexes),
    Command("\\x", "[on|off]", "one line per column", toggle_vertical),
    Command("\\format", f"[{'|'.join(FORMATS)}]", "set or show the output format", choose_format),
    Command("\\timing", "[on|off]", "show how long each statement takes", toggle_timing),
    Command("\\o", "[FILE]", "send results to a file, or back to the screen", redirect_output),
    Command("\\i", "FILE", "run the statements in a file", include),
    Command("\\e", "[FILE]", "edit the last statement, or a file, in $EDITOR", edit),
    Command("\\q", "", "quit (so does Ctrl-D)", leave),
)
