"""`vsql demo`: real packages, one index, five questions with their answers and plans.

It is the first thing that a newcomer runs, so it shows each statement as they would type it.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import vsql
from vsql.core.errors import Error
from vsql.repl.cells import BOLD, DIM, paint
from vsql.repl.present import error_text, present
from vsql.repl.progress import progress_shown
from vsql.repl.result import Style
from vsql.repl.session import Connection, fetched, query, result_rows, wants_colour

DATABASE = "packages.vsql"
TABLE = "packages"
DATA_FILE = Path("examples") / "packages.parquet"
MARKER = "made-by-vsql-demo"
MARKER_TEXT = "vsql demo made this database and makes it anew when it runs again.\n"

CREATE_TABLE = """\
CREATE TABLE packages (
    id             BIGINT PRIMARY KEY,
    name           TEXT NOT NULL,
    version        TEXT,
    section        TEXT,
    priority       TEXT,
    architecture   TEXT,
    installed_kib  BIGINT,
    download_bytes BIGINT,
    homepage       TEXT,
    description    TEXT,
    tags           TEXT[],
    depends        TEXT[],
    meta           JSON,
    embedding      VECTOR(384)
)"""
CREATE_INDEX = "CREATE INDEX ON packages USING AUTOINDEX (embedding vector_cosine_ops)"


@dataclass(frozen=True, slots=True)
class Question:
    """A query and why a reader wants it."""

    why: str
    sql: str


QUESTIONS: tuple[Question, ...] = (
    Question(
        'More like this: packages like the text editor "kate", by what their descriptions mean.',
        """\
SELECT name, section, description,
       embedding <=> (SELECT embedding FROM packages WHERE name = 'kate') AS distance
FROM packages
ORDER BY distance
LIMIT 8""",
    ),
    Question(
        "With a filter: what is nginx to a JavaScript programmer? LIMIT 5 gives 5 rows, "
        "however few match.",
        """\
SELECT name, description,
       embedding <=> (SELECT embedding FROM packages WHERE name = 'nginx') AS distance
FROM packages
WHERE section = 'javascript'
ORDER BY distance
LIMIT 5""",
    ),
    Question(
        "Into JSON: small relatives of kate, their size read from the document in meta.",
        """\
SELECT name, meta->'maintainer'->>'name' AS maintainer,
       (meta->'sizes'->>'installed_kib')::bigint AS kib,
       embedding <=> (SELECT embedding FROM packages WHERE name = 'kate') AS distance
FROM packages
WHERE (meta->'sizes'->>'installed_kib')::bigint < 1000
ORDER BY distance
LIMIT 3""",
    ),
    Question(
        "Into arrays: drawing programs like inkscape, and no libraries or documentation.",
        """\
SELECT name, section, description,
       embedding <=> (SELECT embedding FROM packages WHERE name = 'inkscape') AS distance
FROM packages
WHERE 'role::program' = ANY(tags)
ORDER BY distance
LIMIT 6""",
    ),
    Question(
        "And all of SQL on top: which sections are the 200 nearest neighbours of nginx from?",
        """\
SELECT section, count(*) AS packages, min(distance) AS nearest, avg(distance) AS mean
FROM (SELECT section,
             embedding <=> (SELECT embedding FROM packages WHERE name = 'nginx') AS distance
      FROM packages
      ORDER BY distance
      LIMIT 200) AS neighbours
GROUP BY section
ORDER BY packages DESC, section
LIMIT 6""",
    ),
)


class DemoError(Exception):
    """The demo can't run here; the message says what to do."""


def run_demo(data: str | None = None, output: TextIO | None = None) -> int:
    """Make ./packages.vsql from the data, show the five questions, and return the exit status.

    `data` is the Parquet file, by default the one in the clone. Raises OSError where `output`
    can't be written.
    """
    screen = output or sys.stdout
    folder = Path(DATABASE)
    try:
        file = find_data(data)
        make_room(folder)
        connection = vsql.connect(DATABASE, autocommit=True)
        try:
            (folder / MARKER).write_text(MARKER_TEXT, encoding="utf-8")
            show_demo(connection, file, screen)
        finally:
            connection.close()
    except DemoError as error:
        sys.stderr.write(f"vsql demo: {error}\n")
        return 1
    except Error as error:
        sys.stderr.write(error_text(error, colour=wants_colour(sys.stderr)))
        return 1
    return 0


def find_data(given: str | None) -> Path:
    """Return the Parquet file: the one given, the clone's, or the one below this folder.

    Raises DemoError where there is none.
    """
    if given is not None:
        file = Path(given)
        if not file.is_file():
            raise DemoError(f"{given} is no file")
        return file
    clone = Path(vsql.__file__).resolve().parent.parent / DATA_FILE
    for file in (clone, DATA_FILE):
        if file.is_file():
            return file
    raise DemoError(
        f"{DATA_FILE} is not here: an installed vsql comes without it.\n"
        "Take it from the source and run: vsql demo --data packages.parquet"
    )


def make_room(folder: Path) -> None:
    """Remove an earlier demo's database; raises DemoError for anything else in its place."""
    if not folder.exists() and not folder.is_symlink():
        return
    advice = "run the demo in another folder, or move it away"
    if folder.is_symlink() or not (folder / MARKER).is_file():
        raise DemoError(f"{folder} is there already and no demo made it; {advice}")
    others = _other_tables(folder)
    if others:
        raise DemoError(f"{folder} also holds {', '.join(others)}; {advice}")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise DemoError(f"cannot remove {folder}: {error.strerror}; {advice}") from None


def show_demo(connection: Connection, file: Path, screen: TextIO) -> None:
    """Load the file, build the index and ask the questions; raises vsql's errors."""
    path = str(file).replace("'", "''")
    _say(screen, f"Loading {file.name} into {DATABASE}.")
    for statement in (CREATE_TABLE, f"COPY {TABLE} FROM '{path}'", CREATE_INDEX):
        _show_statement(screen, statement)
        with progress_shown(connection):
            cursor = connection.execute(statement)
        screen.write(f"{cursor.statusmessage}\n")
    for number, question in enumerate(QUESTIONS, start=1):
        _say(screen, f"{number}. {question.why}")
        _show_statement(screen, question.sql)
        cursor = connection.execute(question.sql)
        for text in present(result_rows(cursor), "table", _style(screen)):
            screen.write(text)
        _show_plan(connection, question.sql, screen)
    _say(screen, "That was SQL on vectors. The database is yours now:")
    screen.write(f"  vsql {DATABASE}\n")
    screen.flush()


def _show_plan(connection: Connection, sql: str, screen: TextIO) -> None:
    colour = wants_colour(screen)
    for row in fetched(connection.execute(f"EXPLAIN {sql}")):
        for line in str(row[0]).splitlines():
            screen.write(paint(f"  {line}", DIM, colour) + "\n")


def _show_statement(screen: TextIO, sql: str) -> None:
    shown = f"{sql};"
    if wants_colour(screen):
        from vsql.repl.highlight import highlighted

        shown = highlighted(shown)
    screen.write(f"\n{shown}\n\n")
    screen.flush()


def _say(screen: TextIO, text: str) -> None:
    screen.write("\n" + paint(text, BOLD, wants_colour(screen)) + "\n")


def _style(screen: TextIO) -> Style:
    """Return a style that fits a page even where the output is no terminal."""
    columns = shutil.get_terminal_size(fallback=(100, 24)).columns
    return Style(width=max(60, columns), colour=wants_colour(screen), float_digits=3)


def _other_tables(folder: Path) -> list[str]:
    """Return tables that a user added; a half-made demo that can't be opened has none."""
    try:
        connection: Any = vsql.connect(str(folder), autocommit=True, read_only=True)
    except Error:
        return []
    try:
        return [str(row[0]) for row in query(connection, "SHOW TABLES") if row[0] != TABLE]
    finally:
        connection.close()
