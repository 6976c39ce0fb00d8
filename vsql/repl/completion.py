"""Completion: what may come next, from the text before the cursor and the names that exist."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from vsql.core.settings import SETTINGS
from vsql.repl.commands import COMMANDS
from vsql.repl.session import Connection, query

_KEYWORDS = (
    "ADD ALL ALTER ANALYZE AND ANY ARRAY AS ASC BEGIN BETWEEN BFLOATVEC BIGINT BOOLEAN BY CASE"
    " CAST COLUMN COMMIT CONFLICT COPY COUNT CREATE CROSS DATE DEFAULT DELETE DESC DESCRIBE"
    " DISTINCT DO DROP ELSE END EXCEPT EXISTS EXPLAIN FALSE FLUSH FROM FULL GROUP HALFVEC HAVING"
    " ILIKE IN INDEX INDEXES INNER INSERT INT8VEC INTEGER INTERSECT INTO IS JOIN JSON KEY LATERAL"
    " LEFT LIKE LIMIT MACHINE NOT NOTHING NULL OFFSET ON OPTIMIZE OR ORDER OUTER OVER PARTITION"
    " PRIMARY REAL RELEASE RIGHT ROLLBACK SAVEPOINT SELECT SET SHOW SPARSEVEC TABLE TABLES TEXT"
    " THEN TIMESTAMP TO TRUE UNION UPDATE UPSERT USING VALUES VARCHAR VECTOR VIEW WHEN WHERE WITH"
)
KEYWORDS = tuple(_KEYWORDS.split())
INDEX_KINDS = ("AUTOINDEX", "BITMAP", "BTREE", "FLAT", "HNSW", "INVERTED", "IVF_FLAT", "SCANN")

_TABLE_PLACES = frozenset({"from", "join", "into", "update", "table", "describe", "copy", "on"})
_WORD = re.compile(r"[\w.]*$")
_BEFORE = re.compile(r"(\w+)\s+$")
_INSIDE_TEXT = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*\n|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Names:
    """The columns of each table."""

    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A completion and what it is."""

    text: str
    kind: str


def candidates(before: str, names: Names) -> list[Candidate]:
    """Return what may complete the word that ends `before`, the likeliest first."""
    if before.lstrip().startswith("\\"):
        return _command_candidates(before.lstrip(), names)
    if _in_text_or_comment(before):
        return []
    word = current_word(before)
    lead = before[: len(before) - len(word)]
    if "." in word:
        return _qualified(word, before, names)
    previous = _BEFORE.search(lead)
    place = previous.group(1).lower() if previous else ""
    tables = [Candidate(name, "table") for name in names.tables]
    if place in ("set", "show"):
        found = [Candidate(name, "setting") for name in SETTINGS]
        found += [Candidate(name, "keyword") for name in ("TABLES", "INDEXES", "ALL")]
        return _matching(found, word)
    if place == "using" and re.search(r"\bindex\b", lead, re.IGNORECASE):
        return _matching([Candidate(name, "index kind") for name in INDEX_KINDS], word)
    if place in _TABLE_PLACES and (found := _matching(tables, word)):
        return found
    if not word:
        return []
    mentioned = [name for name in names.tables if re.search(rf"\b{re.escape(name)}\b", before)]
    columns = [
        Candidate(column, "column")
        for table in (mentioned or names.tables)
        for column in names.tables[table]
    ]
    keywords = [Candidate(name.lower() if word.islower() else name, "keyword") for name in KEYWORDS]
    return _matching([*columns, *tables, *keywords], word)


def current_word(before: str) -> str:
    """Return the word that the cursor is at the end of, with its qualifier."""
    found = _WORD.search(before)
    return found.group() if found else ""


def read_names(connection: Connection) -> Names:
    """Ask the database for its tables and their columns."""
    tables = [str(row[0]) for row in query(connection, "SHOW TABLES")]
    return Names(
        {
            table: tuple(
                str(row[0])
                for row in query(connection, 'DESCRIBE "' + table.replace('"', '""') + '"')
            )
            for table in tables
        }
    )


class SqlCompleter(Completer):
    """prompt_toolkit's completer; `names` is asked at each key, so it should remember."""

    def __init__(self, names: Callable[[], Names]) -> None:
        self._names = names

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Yield the candidates for the word at the cursor."""
        before = document.text_before_cursor
        word = before.split()[-1] if before.startswith("\\") and " " not in before else ""
        replaced = len(word or current_word(before).rpartition(".")[2])
        for candidate in candidates(before, self._names()):
            yield Completion(candidate.text, start_position=-replaced, display_meta=candidate.kind)


def _command_candidates(line: str, names: Names) -> list[Candidate]:
    name, space, argument = line.partition(" ")
    if not space:
        return [
            Candidate(command.name, command.meaning)
            for command in COMMANDS
            if command.name.startswith(name)
        ]
    if name in ("\\d", "\\di"):
        return _matching([Candidate(table, "table") for table in names.tables], argument)
    return []


def _qualified(word: str, before: str, names: Names) -> list[Candidate]:
    """Return the columns of the table, or of the alias, before the last dot."""
    qualifier, _, prefix = word.rpartition(".")
    table = next((name for name in names.tables if name.lower() == qualifier.lower()), None)
    if table is None:
        alias = re.search(rf"(\w+)\s+(?:as\s+)?{re.escape(qualifier)}\b", before, re.IGNORECASE)
        table = alias.group(1) if alias else None
    columns = names.tables.get(table or "", ())
    return _matching([Candidate(column, "column") for column in columns], prefix)


def _matching(found: Iterable[Candidate], prefix: str) -> list[Candidate]:
    folded = prefix.lower()
    unique = {candidate.text: candidate for candidate in reversed(list(found))}
    return [
        candidate
        for candidate in reversed(unique.values())
        if candidate.text.lower().startswith(folded)
    ]


def _in_text_or_comment(before: str) -> bool:
    rest = _INSIDE_TEXT.sub(" ", before)
    return "'" in rest or '"' in rest or "--" in rest or "/*" in rest
