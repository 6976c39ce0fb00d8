"""JSON documents as text, as a column stores them: checked, or written from Python values."""

import json
import re
from typing import Any, NoReturn

import orjson

from vsql.core import sqlstate
from vsql.core.errors import DataError


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


# NaN and Infinity, which Python reads, are no JSON.
_JSON = json.JSONDecoder(parse_constant=_refuse)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def check_json(text: str, where: str) -> None:
    """Raise DataError (22P02) for what is no JSON, or holds half of a UTF-16 pair.

    Such a half is no character: no text could be made of it, so a query of any path would fail.
    `where` names the place for messages.
    """
    try:
        orjson.loads(text)
        return
    except orjson.JSONDecodeError:
        pass  # Numbers beyond a double's range are JSON too, and the reason is to be told.
    try:
        value = _JSON.decode(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise _invalid(where, error) from None


def json_text(value: Any, where: str) -> str:
    """Return the JSON that says a Python value; raises DataError (22P02)."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except TypeError:
        raise DataError(
            f"{where}: {type(value).__name__} is not JSON",
            code=sqlstate.INVALID_TEXT_REPRESENTATION,
        ) from None
    except (ValueError, RecursionError) as error:
        raise _invalid(where, error) from None
    return text


def _invalid(where: str, error: Exception) -> DataError:
    half = isinstance(error, UnicodeEncodeError)
    return DataError(
        f"{where}: invalid JSON" + (": one half of a Unicode surrogate pair" if half else ""),
        code=sqlstate.INVALID_TEXT_REPRESENTATION,
    )
