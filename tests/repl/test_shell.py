"""Sessions, scripts, commands, completion and the loop, over a connection that only pretends."""

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from vsql.core.errors import OperationalError, ProgrammingError
from vsql.grammar.parse import parse, split_statements
from vsql.repl import demo
from vsql.repl.commands import COMMANDS, run_command, table_name
from vsql.repl.completion import Candidate, Names, candidates, read_names
from vsql.repl.highlight import VsqlLexer, highlighted
from vsql.repl.interrupt import interruptible
from vsql.repl.progress import progress_shown
from vsql.repl.script import run_script
from vsql.repl.session import Session, Split, run_statement
from vsql.repl.shell import history_path, is_complete, run_shell


@dataclass
class Piece:
    text: str
    start: int
    complete: bool


def split(text: str) -> Sequence[Piece]:
    """Split at semicolons: enough for statements without any inside quotes."""
    pieces, start = [], 0
    while start < len(text):
        end = text.find(";", start)
        stop = len(text) if end < 0 else end + 1
        pieces.append(Piece(text[start:stop], start, end >= 0))
        start = stop
    return [piece for piece in pieces if piece.text.strip()]


@dataclass
class FakeCursor:
    description: Any = None
    statusmessage: str = ""
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        batch, self.rows = self.rows[:size], self.rows[size:]
        return batch


def rows(names: str, *values: tuple[Any, ...]) -> FakeCursor:
    described = [(name, "TEXT", None, None, None, None, True) for name in names.split()]
    return FakeCursor(described, f"SELECT {len(values)}", list(values))


@dataclass
class FakeConnection:
    ran: list[str] = field(default_factory=list)
    progress: Any = None
    interrupted: threading.Event = field(default_factory=threading.Event)

    def execute(self, sql: str) -> FakeCursor:
        statement = sql.rstrip(";").strip()
        self.ran.append(statement)
        if statement == "bad":
            raise ProgrammingError("this is bad", hint="don't")
        if statement == "bug":
            raise KeyError("oops")
        if statement == "slow":
            os.kill(os.getpid(), signal.SIGINT)
            assert self.interrupted.wait(10)
            raise OperationalError("canceling statement due to user request", code="57014")
        if statement == "SHOW TABLES":
            return rows("name", ("packages",), ("Odd Name",))
        if statement.startswith("DESCRIBE"):
            return rows("column", ("id",), ("name",))
        if statement.startswith(("SELECT", "SHOW")):
            return rows("a", ("x",))
        return FakeCursor(None, "DONE")

    def interrupt(self) -> None:
        self.interrupted.set()

    def close(self) -> None:
        pass


def make_session(**choices: Any) -> Session:
    screen = io.StringIO()
    return Session(
        FakeConnection(), split, output=screen, screen=screen, messages=io.StringIO(), **choices
    )


def out(session: Session) -> str:
    assert isinstance(session.screen, io.StringIO)
    return session.screen.getvalue()


def err(session: Session) -> str:
    assert isinstance(session.messages, io.StringIO)
    return session.messages.getvalue()


@pytest.mark.parametrize(
    ("text", "ran", "succeeded"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"], True),
        ("SELECT 1; bad; SELECT 2;", ["SELECT 1", "bad"], False),
        ("bug; SELECT 2", ["bug"], False),
        ("", [], True),
        ("-- only a comment\n/* and ; one */ ", [], True),
        ("\\d\nSELECT 1;\n\\di packages\nSELECT 2", None, True),
        ("-- first\n\\timing on\nSELECT 1;", ["SELECT 1"], True),
        ("/* a /* b */ c */ SELECT 1; -- end", ["SELECT 1"], True),
        ("SELECT 'a\n\\b';", ["SELECT 'a\n\\b'"], True),
        ("SELECT 1;\n\\timing\nSELECT 2", ["SELECT 1", "SELECT 2"], True),
        ("SELECT 1;\n\\i it's-not-there\nSELECT 2;", ["SELECT 1"], False),
        ("SELECT 1;\n\\q\nSELECT 2;", ["SELECT 1"], True),
        ("SELECT 1;\n\\nonsense\nSELECT 2;", ["SELECT 1"], False),
    ],
)
@pytest.mark.parametrize("splitter", [split, split_statements])
def test_scripts(text: str, ran: list[str] | None, succeeded: bool, splitter: Split) -> None:
    session = make_session()
    session.split = splitter
    assert run_script(session, text) is succeeded
    expected = ran
    if expected is None:
        expected = ["SHOW TABLES", "SELECT 1", "SHOW INDEXES FROM packages", "SELECT 2"]
    assert session.connection.ran == expected


def test_errors_say_where() -> None:
    session = make_session()
    run_script(session, "SELECT 1;\n\n-- why\nbad;", name="a.sql")
    assert err(session) == "a.sql:4: ERROR 42601: this is bad\nHINT: don't\n"


@pytest.mark.parametrize(("format_name", "tag"), [("table", "DONE\n"), ("csv", ""), ("json", "")])
def test_tags_stay_out_of_data(format_name: str, tag: str) -> None:
    session = make_session(format=format_name)
    run_statement(session, "CREATE")
    assert out(session) == tag


@pytest.mark.parametrize(
    ("line", "shown", "ran"),
    [
        ("\\d", "packages", ["SHOW TABLES"]),
        ("\\dt", "packages", ["SHOW TABLES"]),
        ("\\d packages", "id", ["DESCRIBE packages", "SHOW INDEXES FROM packages"]),
        ("\\d Odd Name;", "id", ['DESCRIBE "Odd Name"', 'SHOW INDEXES FROM "Odd Name"']),
        ("\\di", "x", ["SHOW INDEXES"]),
        ("\\x", "Vertical display is on.", []),
        ("\\x off", "Vertical display is off.", []),
        ("\\timing", "Timing is on.", []),
        ("\\format json", "Output format is json.", []),
        ("\\format", "Output format is table.", []),
    ],
)
def test_commands(line: str, shown: str, ran: list[str]) -> None:
    session = make_session()
    assert run_command(session, line)
    assert shown in out(session)
    assert session.connection.ran == ran


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("\\tming", 'did you mean "\\timing"'),
        ("\\x maybe", "neither on nor off"),
        ("\\format xml", "known: table, csv"),
        ("\\i", "which file"),
        ("\\i /nowhere/at/all.sql", "cannot read"),
        ("\\o /nowhere/at/all.txt", "cannot write"),
        ("\\e", "only the interactive shell"),
    ],
)
def test_command_complaints(line: str, complaint: str) -> None:
    session = make_session()
    assert not run_command(session, line)
    assert complaint in err(session)


def test_help_names_every_command() -> None:
    session = make_session()
    run_command(session, "\\?")
    assert all(f"  {c.name}" in out(session) and c.meaning in out(session) for c in COMMANDS)


def test_output_to_a_file_and_back(tmp_path: Path) -> None:
    session = make_session(format="csv")
    run_script(session, f"\\o {tmp_path}/r.csv\nSELECT 1;\n\\o\nSELECT 2;")
    assert (tmp_path / "r.csv").read_bytes() == b"a\r\nx\r\n"
    assert out(session) == "a\r\nx\r\n"


def test_include(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT 1;\nbad;\n")
    (tmp_path / "loop.sql").write_text(f"\\i {tmp_path}/loop.sql\n")
    session = make_session()
    assert not run_command(session, f"\\i {tmp_path}/a.sql")
    assert "a.sql:2: ERROR" in err(session)
    assert not run_command(session, f"\\i {tmp_path}/loop.sql")
    assert "include each other" in err(session)


def test_edit_brings_the_text_to_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys; p = sys.argv[1]; t = open(p).read(); open(p, 'w').write(t.replace('1', '2'))"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f'{sys.executable} -c "{code}"')
    session = make_session(interactive=True, last="SELECT 1;")
    assert run_command(session, "\\e")
    assert session.draft == "SELECT 2;"
    monkeypatch.setenv("EDITOR", "no-such-editor-anywhere")
    assert not run_command(session, "\\e")


def test_timing() -> None:
    session = make_session(timing=True)
    run_statement(session, "SELECT 1")
    assert "Time: " in out(session)
    assert out(session).endswith(" ms\n")


def test_interrupt_stops_the_statement_and_not_the_session() -> None:
    session = make_session()
    assert not run_statement(session, "slow")
    assert "ERROR 57014" in err(session)
    assert run_statement(session, "SELECT 1")


def test_interrupt_restores_the_handler() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(lambda: None):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_progress_is_taken_off() -> None:
    connection = FakeConnection()
    with progress_shown(connection, enabled=True):
        connection.progress("building", 0.5)
        connection.progress("building", 1.5)
    assert connection.progress is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", False),
        ("SELECT 1;", True),
        ("SELECT 1; SELECT", False),
        ("SELECT 1; -- done", True),
        ("SELECT 'a;", False),
        ("", True),
        ("-- comment", True),
        ("\\d", True),
        ("quit", True),
        ("help", True),
    ],
)
def test_is_complete(text: str, expected: bool) -> None:
    assert is_complete(text, split_statements) is expected


NAMES = Names({"packages": ("id", "name", "section"), "authors": ("id", "email")})


@pytest.mark.parametrize(
    ("before", "first"),
    [
        ("SEL", "SELECT"),
        ("sel", "select"),
        ("SELECT * FROM pa", "packages"),
        ("SELECT * FROM ", "packages"),
        ("SELECT packages.s", "section"),
        ("SELECT * FROM packages p WHERE p.na", "name"),
        ("SELECT sec", "section"),
        ("UPDATE authors SET tar", "target_recall"),
        ("SET target", "target_recall"),
        ("CREATE INDEX ON packages USING HN", "HNSW"),
        ("\\tim", "\\timing"),
        ("\\d au", "authors"),
        ("SELECT 'fro", None),
        ("SELECT 1 -- fro", None),
        ('SELECT "na', None),
        ("SELECT ", None),
    ],
)
def test_candidates(before: str, first: str | None) -> None:
    found = candidates(before, NAMES)
    assert (found[0].text if found else None) == first


def test_columns_of_the_named_table_only() -> None:
    assert Candidate("email", "column") not in candidates("SELECT 1 FROM packages WHERE e", NAMES)


def test_names_come_from_the_database() -> None:
    connection: Any = FakeConnection()
    assert read_names(connection).tables == {
        "packages": ("id", "name"),
        "Odd Name": ("id", "name"),
    }


@pytest.mark.parametrize("name", ["packages", "public.t", '"A b"'])
def test_plain_names_stay(name: str) -> None:
    assert table_name(name) == name


def test_highlighting_keeps_the_text() -> None:
    sql = "SELECT a <=> '[1]' FROM t -- x"
    assert "".join(text for _, text in VsqlLexer().get_tokens(sql)).rstrip("\n") == sql
    assert "\x1b[" in highlighted(sql)


def run_keys(keys: str, session: Session) -> None:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(keys)
        run_shell(session, "t", input=pipe, output=DummyOutput(), history=InMemoryHistory())


@pytest.mark.parametrize(
    ("keys", "ran"),
    [
        ("SELECT 1;\r\\q\r", ["SELECT 1"]),
        ("SELECT\r1;\rquit\r", ["SELECT\n1"]),
        ("SELECT 1;\r\x04", ["SELECT 1"]),
        ("SELECT 9\x03SELECT 1;\r\x04", ["SELECT 1"]),
        ("bad;\rbug;\rslow;\rSELECT 1;\r\x04", ["bad", "bug", "slow", "SELECT 1"]),
        ("\r\rSELECT 1; SELECT 2;\r\x04", ["SELECT 1", "SELECT 2"]),
    ],
)
def test_the_loop(keys: str, ran: list[str]) -> None:
    session = make_session()
    run_keys(keys, session)
    assert session.connection.ran == ran


def test_history_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert history_path() == Path("/state/vsql/history")


def test_demo_data_is_found_or_asked_for(tmp_path: Path) -> None:
    assert demo.find_data(None).name == "packages.parquet"
    with pytest.raises(demo.DemoError, match="no file"):
        demo.find_data(str(tmp_path / "none.parquet"))


def test_demo_asks_for_data_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vsql.__file__", str(tmp_path / "lib" / "vsql" / "__init__.py"))
    with pytest.raises(demo.DemoError, match="--data"):
        demo.find_data(None)


def test_demo_touches_no_other_folder(tmp_path: Path) -> None:
    demo.make_room(tmp_path / "absent")
    other = tmp_path / "packages.vsql"
    other.mkdir()
    (other / "precious").write_text("x")
    with pytest.raises(demo.DemoError, match="no demo made it"):
        demo.make_room(other)
    assert (other / "precious").exists()


@pytest.mark.parametrize("question", demo.QUESTIONS, ids=lambda question: question.why[:16])
def test_demo_questions_are_sql(question: demo.Question) -> None:
    parse(question.sql)
    parse(f"EXPLAIN {question.sql}")


@pytest.mark.parametrize("sql", [demo.CREATE_TABLE, demo.CREATE_INDEX])
def test_demo_statements_are_sql(sql: str) -> None:
    parse(sql)


def test_demo_shows_five_questions_and_their_plans() -> None:
    connection: Any = FakeConnection()
    screen = io.StringIO()
    demo.show_demo(connection, Path("it's.parquet"), screen)
    assert connection.ran[1] == "COPY packages FROM 'it''s.parquet'"
    asked = [sql for sql in connection.ran if sql.startswith("SELECT")]
    assert asked == [question.sql for question in demo.QUESTIONS]
    assert len(asked) == 5
    assert [f"EXPLAIN {sql}" for sql in asked] == [
        sql for sql in connection.ran if sql.startswith("EXPLAIN")
    ]
    assert screen.getvalue().endswith("  vsql packages.vsql\n")


def vsql_process(*arguments: str) -> "subprocess.CompletedProcess[str]":
    program = "import sys; from vsql.repl.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60
    )


def test_version_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from vsql.repl.main import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "heavy = 'numpy pyarrow faiss sqlglot duckdb lark prompt_toolkit rich pygments'.split()\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["vsql 0.1.0", "[]"]


def test_wrong_usage_is_status_2() -> None:
    done = vsql_process("--format", "xml")
    assert done.returncode == 2
    assert "invalid choice" in done.stderr
