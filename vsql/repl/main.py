"""The command `vsql`: the shell, scripts and the demo; libraries are loaded when they are due."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import vsql
from vsql.core.errors import Error

if TYPE_CHECKING:
    from vsql.repl.session import Session

MEMORY = ":memory:"
FORMAT_NAMES = ("table", "csv", "json", "markdown", "vertical")

# What a shell reports for a program that SIGPIPE or SIGINT ended.
_STATUS_BROKEN_PIPE = 141
_STATUS_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, 1 for an error, 2 for wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = _demo(given[1:]) if given[:1] == ["demo"] else _shell(_parser().parse_args(given))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Python flushes stdout once more at exit; let that go nowhere instead of failing again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _STATUS_BROKEN_PIPE
    except KeyboardInterrupt:
        return _STATUS_INTERRUPTED
    except OSError as error:
        sys.stderr.write(f"vsql: {error}\n")
        return 1
    except Exception as error:
        from vsql.repl.present import error_text

        sys.stderr.write(error_text(error))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vsql",
        description="A vector database that speaks SQL.",
        epilog="vsql demo: load 4,000 real packages and show what vsql does with them.",
    )
    parser.add_argument(
        "database",
        metavar="DATABASE",
        nargs="?",
        default=MEMORY,
        help="a directory, made where there is none; without it a database in memory",
    )
    parser.add_argument(
        "-c",
        dest="work",
        metavar="SQL",
        action="append",
        type=lambda text: ("sql", text),
        help="run these statements and leave; may be repeated",
    )
    parser.add_argument(
        "-f",
        dest="work",
        metavar="FILE",
        action="append",
        type=lambda text: ("file", text),
        help="run this file and leave; - is standard input; may be repeated",
    )
    parser.add_argument("--format", choices=FORMAT_NAMES, default="table", help="of results")
    parser.add_argument("--read-only", action="store_true", help="refuse to change anything")
    parser.add_argument("--version", action="version", version=f"vsql {vsql.__version__}")
    return parser


def _demo(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="vsql demo",
        description="Load 4,000 real packages into ./packages.vsql and search them.",
    )
    parser.add_argument(
        "--data", metavar="FILE", help="packages.parquet, where it is not beside the program"
    )
    options = parser.parse_args(given)
    from vsql.repl.demo import run_demo

    return run_demo(options.data)


def _shell(options: argparse.Namespace) -> int:
    work: list[tuple[str, str]] = options.work or []
    if not work and not sys.stdin.isatty():
        work = [("file", "-")]
    from vsql.grammar.parse import split_statements
    from vsql.repl.present import error_text
    from vsql.repl.session import Session, wants_colour

    try:
        connection = vsql.connect(options.database, autocommit=True, read_only=options.read_only)
    except Error as error:
        sys.stderr.write(error_text(error, colour=wants_colour(sys.stderr)))
        return 1
    try:
        session = Session(connection, split_statements, format=options.format)
        if work:
            return 0 if _run_work(session, work) else 1
        _interact(session, options.database)
        return 0
    finally:
        connection.close()


def _run_work(session: "Session", work: Sequence[tuple[str, str]]) -> bool:
    """Run `-c` and `-f` in their order; the first error ends it all."""
    from vsql.repl.script import run_script

    try:
        for kind, given in work:
            if kind == "sql":
                succeeded = run_script(session, given)
            else:
                name = "stdin" if given == "-" else given
                succeeded = run_script(session, _read(given), name=name)
            if not succeeded:
                return False
            if session.finished:
                break
        return True
    finally:
        session.redirect(None)


def _read(path: str) -> str:
    if path == "-":
        return sys.stdin.read()
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _interact(session: "Session", database: str) -> None:
    from vsql.repl.shell import run_shell

    where = (
        "a database in memory: it ends with this shell (vsql DIRECTORY keeps one)"
        if database == MEMORY
        else f"database {database}"
    )
    print(f"vsql {vsql.__version__}, {where}")
    print("Statements end with ;   \\? lists the commands, \\q quits.")
    name = "vsql" if database == MEMORY else os.path.basename(os.path.abspath(database))
    try:
        run_shell(session, name.removesuffix(".vsql"))
    finally:
        session.redirect(None)
