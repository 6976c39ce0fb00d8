"""Metadata filters written as mappings, in vsql's filter language.

    {"lang": "en", "year": {"$gte": 2000}, "$or": [{"a": 1}, {"b": {"$exists": True}}]}

Values never enter the text: each is a parameter. Keys are quoted.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError, did_you_mean

_COMPARISONS = {
    "$eq": "==",
    "$ne": "!=",
    "$lt": "<",
    "$lte": "<=",
    "$gt": ">",
    "$gte": ">=",
    "$in": "in",
    "$nin": "not in",
    "$like": "like",
}
_JOINED = {"$and": " and ", "$or": " or "}
_OPERATORS = (*_COMPARISONS, "$exists")


def filter_text(written: Mapping[str, Any], column: str) -> tuple[str, dict[str, Any]]:
    """Return the filter over a JSON column, with a name for each value, and the values.

    Raises ProgrammingError (42601, 22023) for what is no filter.
    """
    values: dict[str, Any] = {}

    def named(value: Any) -> str:
        name = f"f{len(values)}"
        values[name] = value
        return f"{{{name}}}"

    return _conditions(written, column, named), values


def _conditions(written: Any, column: str, named: Callable[[Any], str]) -> str:
    if not isinstance(written, Mapping) or not written:
        raise _misused(f"a filter is a mapping of keys to values, not {written!r}")
    parts = [_condition(key, value, column, named) for key, value in written.items()]
    return parts[0] if len(parts) == 1 else f"({' and '.join(parts)})"


def _condition(key: Any, value: Any, column: str, named: Callable[[Any], str]) -> str:
    if key in _JOINED:
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise _misused(f"{key} takes a list of filters")
        return f"({_JOINED[key].join(_conditions(part, column, named) for part in value)})"
    if key == "$not":
        return f"not ({_conditions(value, column, named)})"
    if not isinstance(key, str) or key.startswith("$"):
        raise _unknown(key, (*_JOINED, "$not"))
    if not key or not key.isprintable():
        raise _misused(f"the filter language cannot name the key {key!r}")
    path = f"{column}[{json.dumps(key, ensure_ascii=False)}]"
    if not isinstance(value, Mapping):
        return _compared(path, "$eq", value, named)
    if not value:
        raise _misused(f"the condition on {key!r} is empty")
    parts = [_compared(path, operator, operand, named) for operator, operand in value.items()]
    return parts[0] if len(parts) == 1 else f"({' and '.join(parts)})"


def _compared(path: str, operator: Any, operand: Any, named: Callable[[Any], str]) -> str:
    if operator == "$exists":
        return f"exists {path}" if operand else f"not (exists {path})"
    symbol = _COMPARISONS.get(operator)
    if symbol is None:
        raise _unknown(operator, _OPERATORS)
    if operand is None and operator in ("$eq", "$ne"):
        return f"{path} is null" if operator == "$eq" else f"{path} is not null"
    if operator in ("$in", "$nin"):
        if not isinstance(operand, Sequence | set | frozenset) or isinstance(operand, str):
            raise _misused(f"{operator} takes a list of values")
        operand = list(operand)
    return f"{path} {symbol} {named(operand)}"


def _unknown(operator: Any, known: tuple[str, ...]) -> ProgrammingError:
    return ProgrammingError(
        f"unknown filter operator {operator!r}",
        code=sqlstate.SYNTAX_ERROR,
        hint=did_you_mean(str(operator), known),
    )


def _misused(message: str) -> ProgrammingError:
    return ProgrammingError(message, code=sqlstate.INVALID_PARAMETER_VALUE)
