"""One statement on both sides: the same rows, or the same SQLSTATE."""

import decimal
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import vsql
from vsql.core.vector_text import vector_text
from vsql.driver.connection import Connection

# pgvector adds up 32-bit floats in an order of its own.
_RELATIVE = 2e-5
_ABSOLUTE = 2e-6


@dataclass(frozen=True)
class Outcome:
    """What a script gave: the rows of its last statement, or the SQLSTATE of the first error."""

    rows: tuple[tuple[Any, ...], ...] = ()
    sqlstate: str = ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outcome) or self.sqlstate != other.sqlstate:
            return False
        return len(self.rows) == len(other.rows) and all(
            len(mine) == len(theirs) and all(map(_same, mine, theirs))
            for mine, theirs in zip(self.rows, other.rows, strict=True)
        )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str) and one[:1] == other[:1] == "[":
        one, other = _elements(one), _elements(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    numbers = (int, float)
    if isinstance(one, numbers) and isinstance(other, numbers) and type(one) is not bool:
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return type(one) is type(other) and bool(one == other)


def _elements(text: str) -> Any:
    try:
        return [float(part) for part in text[1:-1].split(",")]
    except ValueError:
        return text


def on_postgres(connection: Any, script: Sequence[str]) -> Outcome:
    """Run a script in a transaction that is rolled back."""
    import psycopg

    return _outcome(connection, script, psycopg.Error)


def on_vsql(connection: Connection, script: Sequence[str]) -> Outcome:
    """Run a script in a transaction that is rolled back."""
    return _outcome(connection, script, vsql.Error)


def _outcome(connection: Any, script: Sequence[str], failure: type[Exception]) -> Outcome:
    rows: list[Any] = []
    try:
        for statement in script:
            cursor = connection.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
    except failure as error:
        return Outcome(sqlstate=getattr(error, "sqlstate", None) or "?")
    finally:
        connection.rollback()
    return Outcome(_ordered(rows, script[-1]))


def _ordered(rows: list[Any], statement: str) -> tuple[tuple[Any, ...], ...]:
    plain = [tuple(map(_plain, row)) for row in rows]
    return tuple(plain if "ORDER BY" in statement else sorted(plain, key=repr))


def _plain(value: Any) -> Any:
    match value:
        case np.ndarray():
            return vector_text(str(element) for element in value.astype(np.float32))
        case vsql.SparseVector():
            return value.to_text()
        case decimal.Decimal():
            return float(value)
        case bytes():
            return "".join(f"{octet:08b}" for octet in value)
        case np.generic():
            return value.item()
        case tuple() | list():
            return [_plain(element) for element in value]
        case _:
            return value
