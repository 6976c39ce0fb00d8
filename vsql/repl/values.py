"""Values as text: short for a reader, whole for a program.

Vectors arrive as numpy arrays, arrays as lists, BIT as bytes or packed uint8, JSON as text. numpy
is never imported here: an array is known by its methods, so that the shell starts without it;
so is an interval, a tuple of months, days and nanoseconds.
"""

import datetime
import json
import math
import struct
import uuid
from decimal import Decimal
from typing import Any

from vsql.core.interval_text import interval_text

NUMERIC_TYPES = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "REAL", "DOUBLE PRECISION", "DECIMAL"}
)
VECTOR_ELEMENTS_SHOWN = 2
VECTOR_ELEMENTS_WHOLE = 4
BYTES_SHOWN = 32

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def short_text(value: Any, type_name: str, *, float_digits: int | None = None) -> str:
    """Return `value` for one cell of a table: vectors and bytes cut, control characters escaped.

    `float_digits` rounds floating-point numbers to so many decimals; None shows all digits.
    """
    if _is_array(value) and type_name != "BIT":
        return _short_vector(value)
    if type_name == "SPARSEVEC" and value is not None:
        return _short_sparse(str(value))
    if isinstance(value, bytes | bytearray | memoryview) and type_name != "BIT":
        octets = bytes(value)
        cut = "\\x" + octets[:BYTES_SHOWN].hex()
        return cut if len(octets) <= BYTES_SHOWN else f"{cut}… {len(octets)} bytes"
    if isinstance(value, float) and float_digits is not None and math.isfinite(value):
        return f"{value:.{float_digits}f}"
    return escape_controls(full_text(value, type_name))


def full_text(value: Any, type_name: str) -> str:
    """Return the whole of `value` as text that SQL reads back; NULL is the empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if type_name == "BIT":
        return "".join(f"{octet:08b}" for octet in bytes(value))
    if isinstance(value, float):
        return _float_text(value, type_name)
    if _is_array(value):
        return "[" + ",".join(_element_text(element) for element in value) + "]"
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    if hasattr(value, "nanoseconds"):
        return interval_text(*value)
    if isinstance(value, list | tuple):
        return "{" + ",".join(_array_element(element) for element in value) + "}"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def json_value(value: Any, type_name: str) -> Any:
    """Return `value` as what `json.dumps` writes: vectors as arrays, JSON documents as themselves.

    JSON has no NaN, no infinity and no exact decimals: those become text.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        text = _float_text(value, type_name)
        return float(text) if math.isfinite(value) else text
    if isinstance(value, str):
        return _json_document(value) if type_name == "JSON" else value
    if _is_array(value) and type_name != "BIT":
        return [json_value(_python_element(element), "") for element in value]
    if isinstance(value, list | tuple) and not hasattr(value, "nanoseconds"):
        return [json_value(element, "") for element in value]
    if isinstance(value, Decimal):
        number = float(value)
        return number if math.isfinite(number) and Decimal(repr(number)) == value else str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {str(key): json_value(element, "") for key, element in value.items()}
    return full_text(value, type_name)


def escape_controls(text: str) -> str:
    """Return `text` with control characters written as escapes, so that it stays on its line."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escape(character) for character in text
    )


def _escape(character: str) -> str:
    known = _ESCAPES.get(character)
    if known is not None:
        return known
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "tolist") and bool(getattr(value, "ndim", 0))


def _short_vector(vector: Any) -> str:
    count = len(vector)
    if count <= VECTOR_ELEMENTS_WHOLE:
        return "[" + ", ".join(f"{float(element):.3g}" for element in vector) + "]"
    first = ", ".join(f"{float(element):.3g}" for element in vector[:VECTOR_ELEMENTS_SHOWN])
    return f"[{first}, … {count}]"


def _short_sparse(text: str) -> str:
    elements, _, dimension = text.rpartition("/")
    parts = elements.split(",")
    if len(parts) <= VECTOR_ELEMENTS_WHOLE:
        return text
    return f"{','.join(parts[:VECTOR_ELEMENTS_SHOWN])}, … {len(parts)}}}/{dimension}"


def _element_text(element: Any) -> str:
    # str of a numpy scalar is the shortest text that reads back to the same float32 or float16.
    text = str(element)
    return text.removesuffix(".0")


def _python_element(element: Any) -> Any:
    plain = element.item()
    return float(str(element)) if isinstance(plain, float) else plain


def _float_text(value: float, type_name: str) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if type_name != "REAL":
        return repr(float(value))
    return _shortest_single(value)


def _shortest_single(value: float) -> str:
    """Return the shortest decimal that is the same float32 as `value`."""
    single = struct.pack("f", value)
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        if struct.pack("f", float(text)) == single:
            return text
    return f"{value:.9g}"


def _array_element(element: Any) -> str:
    """Return one element of an array literal, quoted where PostgreSQL quotes it."""
    if element is None:
        return "NULL"
    text = full_text(element, "")
    if text.startswith("{") and isinstance(element, list | tuple):
        return text
    special = not text or text.upper() == "NULL" or any(c in '{},"\\' or c.isspace() for c in text)
    if not special:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _json_document(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
