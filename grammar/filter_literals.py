"""Literals of the filter language, decoded, and constant arithmetic, folded.

Integers are signed and have 64 bits, as Go's, whose rules the reference server follows: they wrap
when folded, divide towards zero, and the remainder has the sign of the dividend.
"""

import datetime
import math
import re
from typing import Any

from vsql.core import sqlstate
from vsql.core.errors import Span
from vsql.grammar.filter_terms import Constant, Duration, around, refused

INT64_MAX = 2**63 - 1
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))"
)
_SIMPLE = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))
_SUBSCRIPT = re.compile(r"\[([rR]?)(?:(\d+)|\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)')\]")
_KEY_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([\"'\\]))")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?")
_DURATION = re.compile(
    r"P(?=.)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?"
)
_UNITS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")


def integer(text: str) -> int:
    """Return the value of a decimal, octal (017), hexadecimal or binary integer."""
    if text[:1] == "0" and len(text) > 1 and text[1].isdigit():
        return int(text, 8)
    return int(text, 0)


def floating(text: str, span: Span) -> float:
    """Return the value of a decimal or hexadecimal float; raises ProgrammingError (22003)."""
    try:
        value = float.fromhex(text) if text[:2] in ("0x", "0X") else float(text)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise refused(
            f"{text} is out of range for a double", span, code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE
        )
    return value


def string(token: str, span: Span) -> str:
    """Return what a "string", 'string' or r"raw string" says; raises ProgrammingError (42601).

    The escapes are Go's (strconv.Unquote); octal and hexadecimal ones are bytes of UTF-8.
    """
    if token[0] in "rR":
        return token[2:-1]
    body = token[1:-1]
    if "\\" not in body:
        return body
    parts = bytearray()
    done = 0
    for found in _ESCAPE.finditer(body):
        parts += body[done : found.start()].encode() + _unescaped(found, span)
        done = found.end()
    parts += body[done:].encode()
    try:
        return parts.decode()
    except UnicodeDecodeError:
        raise refused(
            "this string's escapes are not UTF-8", span, code=sqlstate.INVALID_TEXT_REPRESENTATION
        ) from None


def _unescaped(found: re.Match[str], span: Span) -> bytes:
    simple, octal, byte, short, long, _ = found.groups()
    if simple:
        return _SIMPLE[simple].encode()
    if octal and int(octal, 8) < 256:
        return bytes([int(octal, 8)])
    if byte:
        return bytes([int(byte, 16)])
    code = int(short or long or "-1", 16)
    if 0 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
        return chr(code).encode()
    raise refused(
        f'invalid escape "{found.group()}" in a string',
        Span(span.start + 1 + found.start(), span.start + 1 + found.end()),
        hint='write \\\\ for a backslash, or a raw string as in r"\\%"',
    )


def regular_expression(token: str) -> str:
    """Return the pattern that stands right of =~ and !~: only \\\\ and quotes are unescaped."""
    if token[0] in "rR":
        return token[2:-1]
    return re.sub(r"\\([\\\"'])", r"\1", token[1:-1])


def path(token: str, span: Span) -> tuple[str, tuple[int | str, ...]]:
    """Return the column and the steps of `a["b"][0]`; raises ProgrammingError for an empty key."""
    name, _, _ = token.partition("[")
    steps: list[int | str] = []
    for raw, number, double, single in _SUBSCRIPT.findall(token[len(name) :]):
        key = double or single
        if not number and not key:
            raise refused(f"invalid identifier: {token}", span, "a key has at least one character")
        steps.append(int(number) if number else key if raw else _key(key))
    return name, tuple(steps)


def _key(text: str) -> str:
    return _KEY_ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else m[2], text)


def moment(text: str, span: Span) -> datetime.datetime:
    """Return the instant of an RFC 3339 text, UTC where it names no zone.

    Raises ProgrammingError (22007).
    """
    try:
        if _MOMENT.fullmatch(text):
            value = datetime.datetime.fromisoformat(text)
            zone = value.tzinfo or datetime.UTC
            return value.replace(tzinfo=zone).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        pass
    raise refused(
        f'"{text}" is no timestamp',
        span,
        "write it as in ISO '2026-01-31T12:00:00Z'",
        sqlstate.INVALID_DATETIME_FORMAT,
    )


def duration(text: str, span: Span) -> Duration:
    """Return an ISO 8601 duration of whole numbers, without weeks; ProgrammingError (22007)."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise refused(
            f'"{text}" is no ISO 8601 duration',
            span,
            "write it as in INTERVAL 'P1DT2H'",
            sqlstate.INVALID_DATETIME_FORMAT,
        )
    numbers = zip(found.groups(), _UNITS, strict=True)
    return Duration(tuple((int(n), unit) for n, unit in numbers if n is not None))


def template_value(name: str, value: Any, span: Span) -> Any:
    """Return a value given for {name}: a bool, int, float, str or list of such."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [template_value(name, element, span) for element in value]
    if isinstance(value, bool | str | float):
        return value
    if isinstance(value, int) and -(2**63) <= value <= INT64_MAX:
        return value
    raise refused(
        f"the value of {{{name}}} is no 64-bit integer, float, string, boolean or list",
        span,
        code=sqlstate.DATATYPE_MISMATCH,
    )


def checked(constant: Constant) -> Any:
    """Return the value; raises ProgrammingError (22003) where an integer has over 64 bits."""
    if isinstance(constant.value, int) and constant.value > INT64_MAX:
        raise refused(
            f"{constant.value} is out of range for a 64-bit integer",
            constant.span,
            code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE,
        )
    return constant.value


def negated(constant: Constant, span: Span) -> Constant:
    """Return minus the number; raises ProgrammingError where it is none."""
    if not constant.is_number:
        raise refused(f"- does not take a {constant.kind}", span)
    if constant.value == INT64_MAX + 1 and isinstance(constant.value, int):
        return Constant(-constant.value, span)
    value = checked(constant)
    return Constant(_wrapped(-value) if isinstance(value, int) else -value, span)


def calculated(left: Constant, operator: str, right: Constant) -> Constant:
    """Return the value of arithmetic on two constants; raises ProgrammingError (42601, 22012)."""
    span = around(left.span, right.span)
    one, other = checked(left), checked(right)
    if not (left.is_number and right.is_number):
        raise refused(f"{operator} does not take a {left.kind} and a {right.kind}", span)
    if operator in ("/", "%") and other == 0:
        raise refused("division by zero", span, code=sqlstate.DIVISION_BY_ZERO)
    whole = isinstance(one, int) and isinstance(other, int)
    if operator in ("%", "&", "|", "^") and not whole:
        raise refused(f"{operator} takes integers only", span)
    if operator == "**":
        return Constant(_power(one, other), span)
    return Constant(
        _wrapped(_whole(one, operator, other)) if whole else _real(one, operator, other), span
    )


def _whole(one: int, operator: str, other: int) -> int:
    match operator:
        case "+":
            return one + other
        case "-":
            return one - other
        case "*":
            return one * other
        case "/":
            return truncated_quotient(one, other)
        case "%":
            return one - other * truncated_quotient(one, other)
        case "&":
            return one & other
        case "|":
            return one | other
        case _:
            return one ^ other


def truncated_quotient(one: int, other: int) -> int:
    """Return one / other without the fraction, exactly."""
    quotient = abs(one) // abs(other)
    return quotient if (one < 0) == (other < 0) else -quotient


def _real(one: float, operator: str, other: float) -> float:
    one, other = float(one), float(other)
    match operator:
        case "+":
            return one + other
        case "-":
            return one - other
        case "*":
            return one * other
        case _:
            return one / other


def _power(one: float, other: float) -> int | float:
    if isinstance(one, int) and isinstance(other, int) and other >= 0:
        return _wrapped(pow(one, other, 2**64))
    try:
        return math.pow(one, other)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.inf if one == 0 else math.nan


def _wrapped(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


def compared(left: Constant, operator: str, right: Constant) -> bool:
    """Return what a comparison of two constants gives; raises ProgrammingError (42601)."""
    one, other = checked(left), checked(right)
    span = around(left.span, right.span)
    if left.bound or right.bound:
        raise refused("a {name} can't be compared with a constant", span)
    alike = (left.is_number and right.is_number) or left.kind == right.kind in ("string", "boolean")
    if not alike or (isinstance(one, bool) and operator not in ("==", "!=")):
        raise refused(f"{operator} does not take a {left.kind} and a {right.kind}", span)
    match operator:
        case "==":
            return bool(one == other)
        case "!=":
            return bool(one != other)
        case "<":
            return bool(one < other)
        case "<=":
            return bool(one <= other)
        case ">":
            return bool(one > other)
        case _:
            return bool(one >= other)
