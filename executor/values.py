"""Single values at run time: limits, keys, query vectors."""

from typing import Any

import numpy as np
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import DataError, NotSupportedError, ProgrammingError
from vsql.core.types import VECTOR_FAMILIES, SqlType
from vsql.executor.context import Context
from vsql.executor.type_names import cast_to_vector
from vsql.executor.vectors import to_operand
from vsql.planner.bind import type_name


def value_of(node: exp.Expr, context: Context) -> Any:
    """Return the Python value of an expression without columns; DuckDB computes what is not plain.

    Raises ProgrammingError, DataError.
    """
    if type(node) is exp.Placeholder:
        return context.parameter(node.this)
    node = node.unnest()
    match node:
        case exp.Placeholder():
            return context.parameter(node.name)
        case exp.Literal():
            if node.is_string:
                return node.this
            return int(node.this) if node.is_int else float(node.this)
        case exp.Null():
            return None
        case exp.Boolean():
            return bool(node.this)
        case exp.Neg(this=exp.Literal(is_string=False)):
            return -value_of(node.this, context)
        case exp.Array():
            return [value_of(element, context) for element in node.expressions]
        case exp.Cast() if type_name(node.to) in VECTOR_FAMILIES:
            return cast_to_vector(value_of(node.this, context), node)
        case exp.BitString():
            return node.this
        case _:
            if node.find(exp.Column):
                column = node.find(exp.Column)
                assert column is not None
                raise ProgrammingError(
                    f'column "{column.name}" cannot be used here', code=sqlstate.UNDEFINED_COLUMN
                )
            return context.relational().scalar(node, context.parameters)


def constant_count(node: exp.Expr) -> int | None:
    """Return a LIMIT or OFFSET that is written out, None where it is known at run time alone."""
    return int(node.this) if isinstance(node, exp.Literal) and node.is_int else None


def count_of(node: exp.Expr | None, what: str, context: Context) -> int | None:
    """Return a LIMIT or OFFSET, None where there is none; raises DataError (2201W, 2201X)."""
    if node is None:
        return None
    value = value_of(node, context)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        else:
            raise DataError(f"{what} must be a whole number, not {value!r}", code="22023")
    if value < 0:
        code = "2201W" if what == "LIMIT" else "2201X"
        raise DataError(f"{what} must not be negative", code=code)
    return int(value)


def query_vector(node: exp.Expr, type_: SqlType, name: str, context: Context) -> Any:
    """Return the query vector for a column, None for NULL; raises DataError."""
    value = value_of(node, context)
    if value is None:
        return None
    if isinstance(value, dict) and not type_.is_sparse:
        raise NotSupportedError("a query vector must be a list of numbers, not a mapping")
    return to_operand(value, type_, f'query vector for column "{name}"')
