"""The text form of a vector, '[1,2.5,3]', read and written as pgvector does."""

import math
from collections.abc import Iterable

from vsql.core import sqlstate
from vsql.core.errors import DataError
from vsql.core.types import VECTOR_DIMENSION_MAX, Family

LIMITS = {
    Family.VECTOR: (-3.4028235677973366e38, 3.4028235677973366e38),
    Family.HALFVEC: (-65520.0, 65520.0),
    Family.BFLOATVEC: (-3.3961775292304957e38, 3.3961775292304957e38),
    Family.INT8VEC: (-129.0, 128.0),
}
"""Numbers up to the first and from the second on are beyond the type: they round to infinity."""

# From these on PostgreSQL writes a REAL with an exponent.
_FIXED_MIN, _FIXED_MAX = 1e-4, 1e6


def parse_vector(text: str, family: Family, prefix: str = "") -> list[float]:
    """Return the elements, unrounded; `prefix` begins every message.

    Raises DataError: 22P02 for text that is no vector, or of a fraction for INT8VEC, 22003 for a
    number beyond the type's range, 22000 for NaN, infinity or no element, 54000 for too many.
    """
    stripped = text.strip(" \t\n\r\v\f")
    if not (stripped.startswith("[") and stripped.endswith("]")):
        raise _invalid(stripped, family, prefix)
    body = stripped[1:-1]
    if not body.strip(" \t\n\r\v\f"):
        raise empty_vector(prefix)
    # Python's numbers, but for the underscores and foreign digits that it allows.
    if "_" in body or not body.isascii():
        raise _invalid(stripped, family, prefix)
    parts = body.split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        raise _invalid(stripped, family, prefix) from None
    check_dimension(len(numbers), prefix)
    low, high = LIMITS[family]
    if not (max(numbers) < high and min(numbers) > low) or math.isnan(sum(numbers)):
        _refuse_special(parts, numbers, family, prefix)
    if family is Family.INT8VEC:
        _refuse_fractions(parts, numbers, prefix)
    return numbers


def _refuse_fractions(parts: list[str], numbers: list[float], prefix: str) -> None:
    for part, number in zip(parts, numbers, strict=True):
        if not number.is_integer():
            raise DataError(
                f'{prefix}"{part.strip()[:40]}" is no whole number, and int8vec holds these alone',
                code=sqlstate.INVALID_TEXT_REPRESENTATION,
                hint="a cast from vector rounds: '[1.5]'::vector::int8vec",
            )


def _refuse_special(parts: list[str], numbers: list[float], family: Family, prefix: str) -> None:
    name = family.value.lower()
    low, high = LIMITS[family]
    for part, number in zip(parts, numbers, strict=True):
        shown = part.strip()
        # "nan", "inf" and "infinity" have an n, no number does.
        if "n" in shown.lower():
            word = "NaN" if math.isnan(number) else "infinite value"
            raise DataError(f"{prefix}{word} not allowed in {name}", code=sqlstate.DATA_EXCEPTION)
        if not low < number < high:
            raise DataError(
                f'{prefix}"{shown[:40]}" is out of range for type {name}',
                code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE,
            )


def _invalid(text: str, family: Family, prefix: str) -> DataError:
    shown = text if len(text) <= 40 else text[:40] + "..."
    return DataError(
        f"{prefix}invalid input syntax for type {family.value.lower()}: '{shown}'",
        code=sqlstate.INVALID_TEXT_REPRESENTATION,
        hint="a vector looks like '[1, 2.5, 3]'",
    )


def empty_vector(prefix: str = "") -> DataError:
    """Return the error for a vector without elements."""
    return DataError(f"{prefix}vector must have at least 1 dimension", code=sqlstate.DATA_EXCEPTION)


def check_dimension(dimension: int, prefix: str = "") -> None:
    """Raise DataError (54000) where a vector would have more elements than any may."""
    if dimension > VECTOR_DIMENSION_MAX:
        raise DataError(
            f"{prefix}vector cannot have more than {VECTOR_DIMENSION_MAX} dimensions",
            code=sqlstate.PROGRAM_LIMIT_EXCEEDED,
        )


def vector_text(shortest: Iterable[str]) -> str:
    """Return '[1,2.5,1e+06]' from the elements' shortest decimal forms, such as '1000000.0'."""
    return f"[{','.join(map(real_text, shortest))}]"


def real_text(shortest: str) -> str:
    """Return a REAL's shortest decimal form, as numpy or Python writes it, as PostgreSQL does."""
    number = float(shortest)
    magnitude = abs(number)
    if number == 0 or _FIXED_MIN <= magnitude < _FIXED_MAX:
        if "e" in shortest:
            shortest = f"{number:.12f}".rstrip("0")
        return shortest.removesuffix(".0").removesuffix(".")
    digits, _, exponent = shortest.partition("e")
    sign = "-" if digits.startswith("-") else ""
    digits = digits.lstrip("-")
    whole, _, fraction = digits.partition(".")
    power = int(exponent or 0) + len(whole) - 1
    significant = (whole + fraction).lstrip("0")
    power -= len(whole + fraction) - len(significant)
    significant = significant.rstrip("0")
    mantissa = significant[0] + (f".{significant[1:]}" if len(significant) > 1 else "")
    return f"{sign}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
