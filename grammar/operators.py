"""pgvector's six operators, and JSON's ?, in a spelling that sqlglot's PostgreSQL reader parses.

`a <=> b` becomes `a OPERATOR(vsql.cosine) b`, which has PostgreSQL's own precedence; so does
`json ? 'key'`, where a string or a named parameter follows: there `?` is no parameter. Strings,
comments, quoted names and dollar quotes pass untouched. One regular expression splits the text:
a Lark lexer does the same job, and costs a new process ten milliseconds before its first query.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from vsql.core import sqlstate
from vsql.core.distance import METRIC_BY_OPERATOR
from vsql.core.errors import ProgrammingError, Span

HAS_KEY = "has_key"
NOW = "vsql_now"
# sqlglot reads ?:: as one operator, knows no LIMIT ALL, and no array of oids.
_REPLACED = {
    "operator": "",
    "builtin_operator": "",
    "cast_mark": "? ",
    "limit_all": "",
    "oid_array": "::bigint",
    # To sqlglot the cast of DATE '2026-01-01'::text is the string's.
    "typed": "",
    "number": "",
    # To sqlglot now() is CURRENT_TIMESTAMP, which has another name as an output.
    "now": f"{NOW}()",
    "open_comma": "",
    # A $ may begin the quote of a string to sqlglot, $1,$ or $2 --$; @1 is the same parameter.
    "parameter_mark": " @",
}
_DIGITS = r"\d+(?:_\d+)*"
_INTEGER = r"0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+"
_DECIMAL = rf"(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?"

_PIECE = re.compile(
    r"""
    (?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*+')
  | (?P<typed>(?<![\w$."])(?i:date|time(?:stamp)?(?:tz|\s+with(?:out)?\s+time\s+zone)?)\s*
      '(?:[^']|'')*+'(?=\s*::))
  | (?P<string>'(?:[^']|'')*+')
  | (?P<name>"(?:[^"]|"")*+")
  | (?P<line_comment>--[^\n]*)
  | (?P<block_comment>/\*)
  | (?P<dollar>\$(?:[A-Za-z_]\w*)?\$)
  | (?P<operator><->|<\#>|<=>|<\+>|<~>|<%>|\?(?=\s*(?:'|\$\d|:[A-Za-z_])))
  | (?P<builtin_operator>\b(?i:operator)\s*\(\s*(?i:pg_catalog)\.[^\w\s()]+\s*\))
  | (?P<oid_array>::oid(?=\s*\[\s*\]))
  | (?P<cast_mark>\?(?=::))
  | (?P<limit_all>\b(?i:limit\s+all)\b)
  | (?P<number>(?<![\w$])(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?\d++)?+[A-Za-z_]\w*+
      (?:\.\d\w*+)?+(?:(?<=[eE])[+-]\w++)?+)
  | (?P<open_comma>,(?=(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*+
      (?:[)\],;]|\Z|(?i:from|where|group|having|order|limit|union|intersect|except)\b)))
  | (?P<parameter_mark>(?<![\w$])\$(?=\d++(?!\w)))
  | (?P<now>(?<![\w$."])(?i:now)\s*\(\s*\))
  | (?P<open>[(\[])
  | (?P<close>[)\]])
  | (?P<semicolon>;)
  | (?P<unterminated>['"])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that means one thing to a splitter; `kind` is a group of the pattern."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The rewritten text, and the way from its offsets back to the original's."""

    text: str
    starts: tuple[int, ...] = ()
    shifts: tuple[int, ...] = ()

    def original(self, offset: int) -> int:
        """Return the offset in the original text."""
        position = bisect_right(self.starts, offset) - 1
        return offset if position < 0 else offset - self.shifts[position]


def pieces(text: str) -> Iterator[Piece]:
    """Yield strings, names, comments, operators, brackets and semicolons, in order.

    Raises ProgrammingError (42601) for a string, name or comment that does not end.
    """
    position = 0
    while (match := _PIECE.search(text, position)) is not None:
        kind, start, end = match.lastgroup or "", match.start(), match.end()
        if kind == "block_comment":
            end = _comment_end(text, start)
        elif kind == "dollar":
            found = text.find(match.group(), end)
            if found < 0:
                raise _unterminated("dollar-quoted string", start)
            end = found + len(match.group())
        elif kind == "unterminated":
            raise _unterminated("string" if match.group() == "'" else "quoted name", start)
        yield Piece(kind, start, end)
        position = end


def _comment_end(text: str, start: int) -> int:
    depth, position = 1, start + 2
    while depth:
        opened, closed = text.find("/*", position), text.find("*/", position)
        if closed < 0:
            raise _unterminated("comment", start)
        if 0 <= opened < closed:
            depth, position = depth + 1, opened + 2
        else:
            depth, position = depth - 1, closed + 2
    return position


def _unterminated(what: str, start: int) -> ProgrammingError:
    return ProgrammingError(
        f"unterminated {what}", code=sqlstate.SYNTAX_ERROR, span=Span(start, start + 1)
    )


def rewrite(text: str) -> Rewritten:
    """Return the text as sqlglot's PostgreSQL reader takes it; raises ProgrammingError (42601).

    Every distance operator is spelled as PostgreSQL's OPERATOR(), every number in plain digits.
    """
    parts: list[str] = []
    starts: list[int] = []
    shifts: list[int] = []
    done, length = 0, 0
    for piece in pieces(text):
        replacement = _REPLACED.get(piece.kind)
        if replacement is None:
            continue
        if piece.kind == "operator":
            replacement = f" OPERATOR(vsql.{_word(text[piece.start : piece.end])}) "
        elif piece.kind == "typed":
            replacement = f"({text[piece.start : piece.end]})"
        elif piece.kind == "number":
            replacement = _number(text, piece)
        elif piece.kind == "open_comma":
            raise ProgrammingError(
                'syntax error at or near ","',
                code=sqlstate.SYNTAX_ERROR,
                span=Span(piece.start, piece.end),
                hint="nothing follows the comma",
            )
        elif piece.kind == "builtin_operator":
            replacement = text[piece.start : piece.end].partition(".")[2].rstrip(" )")
        parts += [text[done : piece.start], replacement]
        length += piece.start - done + len(replacement)
        done = piece.end
        starts.append(length)
        shifts.append(length - done)
    return Rewritten("".join((*parts, text[done:])), tuple(starts), tuple(shifts))


def _number(text: str, piece: Piece) -> str:
    """Return a number with letters or underscores in it in plain digits: 0x1F is 31."""
    written = text[piece.start : piece.end]
    if re.fullmatch(_INTEGER, written):
        return str(int(written, 0))
    if re.fullmatch(_DECIMAL, written):
        return written.replace("_", "")
    raise ProgrammingError(
        f'trailing junk after numeric literal at or near "{written}"',
        code=sqlstate.SYNTAX_ERROR,
        span=Span(piece.start, piece.end),
    )


def _word(operator: str) -> str:
    return HAS_KEY if operator == "?" else METRIC_BY_OPERATOR[operator].value


def check_nesting(text: str, depth_max: int) -> None:
    """Raise ProgrammingError (54001) where brackets are nested too deeply."""
    depth = 0
    for piece in pieces(text):
        if piece.kind == "open":
            depth += 1
            if depth > depth_max:
                raise ProgrammingError(
                    f"brackets are nested more than {depth_max} deep",
                    code=sqlstate.STATEMENT_TOO_COMPLEX,
                    span=Span(piece.start, piece.end),
                    hint="raise nesting_max, or simplify the statement",
                )
        elif piece.kind == "close":
            depth -= 1
