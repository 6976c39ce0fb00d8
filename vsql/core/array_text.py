"""Arrays written as text: PostgreSQL's `{1,"a b",NULL,{…}}`, or a JSON list.

PostgreSQL's documentation, "Arrays", section "Array Input and Output Syntax".
"""

import json
import re
from typing import Any

_TOKEN = re.compile(r'\s*(?:([{},])|"((?:[^"\\]|\\.)*)"|((?:[^{},"\\]|\\.)+))', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def read_array(text: str) -> list[Any]:
    """Return the elements, lists of them where arrays are nested; raises ValueError.

    Those of `{…}` are text or None, whatever their type will be.
    """
    if not text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except RecursionError:
            raise ValueError(text) from None
        if not isinstance(value, list):
            raise ValueError(text)
        return value
    tokens = _tokens(text.strip())
    found: list[list[Any]] = [[]]
    wants_element = True
    for mark, element in tokens:
        if mark == "," or mark == "}":
            if mark == "," and wants_element:
                raise ValueError(text)
            if mark == "}":
                if wants_element and found[-1]:
                    raise ValueError(text)
                closed = found.pop()
                if not found:
                    raise ValueError(text)
                found[-1].append(closed)
            wants_element = mark == ","
            continue
        if not wants_element:
            raise ValueError(text)
        if mark == "{":
            found.append([])
            continue
        if len(found) == 1:
            raise ValueError(text)
        found[-1].append(element)
        wants_element = False
    if len(found) != 1 or len(found[0]) != 1:
        raise ValueError(text)
    (array,) = found[0]
    return list(array)


def _tokens(text: str) -> list[tuple[str | None, str | None]]:
    tokens: list[tuple[str | None, str | None]] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(text)
        mark, quoted, plain = match.groups()
        if mark is None:
            written = _trimmed(plain) if quoted is None else quoted
            is_null = quoted is None and written.upper() == "NULL"
            tokens.append((None, None if is_null else _ESCAPED.sub(r"\1", written)))
        else:
            tokens.append((mark, None))
        at = match.end()
    return tokens


def _trimmed(plain: str) -> str:
    """Drop the space behind an element, but one behind a backslash is its own."""
    trimmed = plain.rstrip()
    backslashes = len(trimmed) - len(trimmed.rstrip("\\"))
    return plain[: len(trimmed) + 1] if backslashes % 2 else trimmed
