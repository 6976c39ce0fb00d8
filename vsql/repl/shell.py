"""The interactive loop: line editing, history, statements over several lines, completion."""

import os
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import Output

from vsql.core.errors import Error
from vsql.repl.completion import Names, SqlCompleter, read_names
from vsql.repl.highlight import VsqlLexer
from vsql.repl.script import is_blank, run_script, skip_blank
from vsql.repl.session import Session, Split

_LEAVE = frozenset({"quit", "exit"})
_HELP = "help"
_CONTINUED = "... "


def history_path() -> Path:
    """Return the history file, in the user's state directory. Source: XDG Base Directory."""
    state = os.environ.get("XDG_STATE_HOME")
    base = Path(state) if state else Path.home() / ".local" / "state"
    return base / "vsql" / "history"


def is_complete(text: str, split: Split) -> bool:
    """Return whether Enter should run `text`: a command, or statements that all end with `;`."""
    start = skip_blank(text)
    rest = text[start:].strip()
    if not rest or rest.startswith("\\") or rest.lower() in {*_LEAVE, _HELP}:
        return True
    try:
        pieces = [piece for piece in split(text) if not is_blank(piece.text)]
    except Error:
        # The statement itself will say what is wrong, once it is run.
        return rest.endswith(";")
    return bool(pieces) and pieces[-1].complete


def run_shell(
    session: Session,
    name: str,
    *,
    input: Input | None = None,
    output: Output | None = None,
    history: History | None = None,
) -> None:
    """Read and run until `\\q` or Ctrl-D. `name` is shown in the prompt.

    Ctrl-C clears the line, or stops the statement that runs. `input`, `output` and `history`
    stand in for the terminal and the user's file.
    """
    session.interactive = True
    memory = _NameMemory(session)
    prompt: PromptSession[str] = PromptSession(
        history=history or _history(),
        lexer=PygmentsLexer(VsqlLexer),
        completer=SqlCompleter(memory.names),
        complete_while_typing=False,
        auto_suggest=AutoSuggestFromHistory(),
        multiline=Condition(lambda: not is_complete(get_app().current_buffer.text, session.split)),
        prompt_continuation=lambda width, number, soft: _CONTINUED.rjust(width),
        enable_open_in_editor=True,
        input=input,
        output=output,
    )
    while not session.finished:
        try:
            text = prompt.prompt(f"{name}> ", default=session.draft)
        except KeyboardInterrupt:
            session.draft = ""
            continue
        except EOFError:
            break
        session.draft = ""
        _run(session, text)
        memory.forget()


def _run(session: Session, text: str) -> None:
    word = text.strip().lower()
    if word in _LEAVE:
        session.finished = True
        return
    try:
        run_script(session, "\\?" if word == _HELP else text)
    except KeyboardInterrupt:
        session.complain("\n")
    except OSError as error:
        # The file of \o can't be written any more; the shell goes on with the screen.
        failed = session.output
        session.output = session.screen
        session.complain(f"cannot write the output: {error.strerror}\n")
        if failed is session.screen:
            session.finished = True


class _NameMemory:
    """The names for completion, asked once between two statements."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: Names | None = None

    def names(self) -> Names:
        if self._known is None:
            self._known = read_names(self._session.connection)
        return self._known

    def forget(self) -> None:
        self._known = None


def _history() -> History:
    path = history_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
