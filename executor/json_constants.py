"""Constants of the filter language beside JSON values and elements of lists."""

from typing import Any

import pyarrow as pa

from vsql.grammar.filter_literals import INT64_MAX


def kind_of(value: Any) -> str | None:
    """Return what a value is compared with; objects and null with nothing."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else None


def depth_of(constant: Any) -> int:
    """Return how many lists stand one in the other in a constant: 0 for no list."""
    if not isinstance(constant, list):
        return 0
    return 1 + max(map(depth_of, constant), default=0)


def double_of(number: float) -> pa.Scalar:
    """Return a number as a double, infinite where it is larger than any."""
    try:
        return pa.scalar(float(number), pa.float64())
    except OverflowError:
        return pa.scalar(float("inf") if number > 0 else float("-inf"))


def is_64_bit(number: int) -> bool:
    """Whether a BIGINT holds a number."""
    return -INT64_MAX - 1 <= number <= INT64_MAX


def exactly(value: Any, element: pa.DataType) -> Any:
    """Return a constant as an Arrow column of a scalar type has it, None where none is equal."""
    kind = kind_of(value)
    if pa.types.is_integer(element) and kind == "number":
        whole = whole_of(value)
        bound = 2 ** (element.bit_width - 1)
        return whole if whole is not None and -bound <= whole < bound else None
    if pa.types.is_floating(element) and kind == "number":
        try:
            found = pa.scalar(float(value), element).as_py()
        except OverflowError:
            return None
        return found if found == value else None
    if pa.types.is_string(element) and kind == "string":
        return value
    return value if pa.types.is_boolean(element) and kind == "boolean" else None


def whole_of(number: float) -> int | None:
    """Return the whole number that a number equals, None where it equals none."""
    if isinstance(number, float) and not number.is_integer():
        return None
    return int(number)
