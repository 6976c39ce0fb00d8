"""DuckDB: the relational rest of a query, and expressions that no kernel of ours evaluates.

Inputs are Arrow tables that DuckDB reads in place. Its own errors become vsql's. The connection
divides integers as PostgreSQL does, loads no extension, and lives as long as its session.
"""

import re
import threading
from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import (
    DatabaseError,
    DataError,
    IntegrityError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from vsql.executor.external import external_access_is_off
from vsql.executor.result import TYPE_METADATA
from vsql.planner.translate import to_duckdb

_MISSING_COLUMN = re.compile(r'Referenced column "([^"]*)"|column "([^"]*)"|column named "([^"]*)"')
_MISSING_FUNCTION = re.compile(r"Function with name (\S+) does not exist")
_SUGGESTION = re.compile(r'Did you mean "([^"]*)"|Candidate bindings: (.*)')


class Relational:
    """One DuckDB connection, for one session."""

    def __init__(self, *, external_access: bool = True) -> None:
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "preserve_insertion_order": "true",
        }
        self._connection = duckdb.connect(":memory:", config=config)
        self._connection.execute("SET integer_division = true")
        self._connection.execute("SET TimeZone = 'UTC'")
        self._lock = threading.RLock()
        if not external_access:
            self.refuse_external_access()

    def refuse_external_access(self) -> None:
        """Open no file from now on; DuckDB allows no way back."""
        with self._lock:
            self._connection.execute("SET enable_external_access = false")

    def interrupt(self) -> None:
        """Cancel the running statement, from any thread."""
        self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()

    def query(
        self, sql: str, inputs: Mapping[str, pa.Table], parameters: Mapping[str, Any]
    ) -> pa.Table:
        """Run DuckDB SQL over Arrow inputs; `parameters` are those that the SQL names."""
        with self._lock:
            for name, table in inputs.items():
                self._connection.register(name, _readable(table))
            try:
                return self._run(sql, parameters)
            except duckdb.Error as error:
                raise translated(error) from None
            finally:
                for name in inputs:
                    self._connection.unregister(name)

    def _run(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        bound = {name: _bindable(value) for name, value in parameters.items()}
        relation = self._connection.sql(sql, params=bound or None)
        names = [column[1] for column in relation.description]
        table = relation.to_arrow_table()
        return _presentable(table, [str(name) for name in names])

    def expression(
        self,
        node: exp.Expr,
        columns: Mapping[str, pa.Array],
        parameters: Mapping[str, Any],
        length: int | None = None,
    ) -> pa.Array:
        """Return the value of an expression over columns, one per row, in row order."""
        used = {p.name for p in node.find_all(exp.Placeholder)}
        sql = to_duckdb(node.copy(), {}).sql(dialect="duckdb")
        bound = {name: value for name, value in parameters.items() if name in used}
        if columns:
            table = pa.table(dict(columns))
        else:
            table = pa.table({"vsql_row": pa.array(range(length or 1))})
        result = self.query(f"SELECT {sql} AS value FROM vsql_rows", {"vsql_rows": table}, bound)
        if result.num_rows != table.num_rows:
            raise ProgrammingError(
                "an aggregate or set-returning function cannot stand here",
                code=sqlstate.GROUPING_ERROR,
            )
        return result.column(0).combine_chunks()

    def scalar(self, node: exp.Expr, parameters: Mapping[str, Any]) -> Any:
        """Return the value of an expression without columns."""
        return self.expression(node, {}, parameters, 1)[0].as_py()


def _readable(table: pa.Table) -> pa.Table:
    """Return what DuckDB can read: 16-bit floats widened, 16 bytes as UUIDs, bits as bytes."""
    for number, field in enumerate(table.schema):
        column = table.column(number)
        if pa.types.is_fixed_size_list(field.type) and pa.types.is_float16(field.type.value_type):
            wide = pa.list_(pa.float32(), field.type.list_size)
            table = table.set_column(number, field.name, column.cast(wide))
        elif pa.types.is_fixed_size_binary(field.type) and field.type.byte_width == 16:
            chunks = [pa.ExtensionArray.from_storage(pa.uuid(), chunk) for chunk in column.chunks]
            table = table.set_column(number, field.name, pa.chunked_array(chunks, pa.uuid()))
        elif pa.types.is_fixed_size_binary(field.type):
            table = table.set_column(number, field.name, column.cast(pa.binary()))
        elif pa.types.is_null(field.type):
            table = table.set_column(number, field.name, column.cast(pa.int32()))
        elif (wide := _widened(field.type)) != field.type:
            table = table.set_column(number, field.name, column.cast(wide))
    return table


def _widened(type_: pa.DataType) -> pa.DataType:
    """Return a type with 32-bit floats for 16-bit ones, in arrays of HALFVEC too."""
    if pa.types.is_fixed_size_list(type_):
        return pa.list_(_widened(type_.value_type), type_.list_size)
    if pa.types.is_list(type_):
        return pa.list_(_widened(type_.value_type))
    return pa.float32() if pa.types.is_float16(type_) else type_


def _bindable(value: Any) -> Any:
    if hasattr(value, "to_numpy"):
        # A column of a data frame, or a vector of pgvector's Python package; a Timestamp is none.
        array = value.to_numpy()
        return array.tolist() if isinstance(array, np.ndarray) else value
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return list(value)
    return value


def _presentable(table: pa.Table, type_names: list[str]) -> pa.Table:
    """Return the result with whole numbers as whole numbers: DuckDB's HUGEINT is a decimal."""
    for number, name in enumerate(type_names):
        column = table.column(number)
        if name == "HUGEINT" or (name == "NUMBER" and column.type == pa.decimal128(38, 0)):
            try:
                narrow = column.cast(pa.int64())
            except pa.ArrowInvalid:
                continue
            table = table.set_column(number, table.schema.field(number).name, narrow)
        elif name == "UUID":
            field = pa.field(
                table.schema.field(number).name, pa.binary(16), metadata={TYPE_METADATA: b"UUID"}
            )
            table = table.set_column(number, field, _uuids(column))
        elif pa.types.is_timestamp(column.type) and column.type.tz not in (None, "UTC"):
            zoned = column.cast(pa.timestamp("us", "UTC"))
            table = table.set_column(number, table.schema.field(number).name, zoned)
    return table


_NIBBLES = np.zeros(256, dtype=np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = np.arange(16)


def _uuids(column: pa.ChunkedArray) -> pa.Array:
    """Return UUIDs that DuckDB gave as 36 characters each as the 16 bytes that they are."""
    texts = column.combine_chunks()
    filled = texts.drop_null()
    places = np.cumsum(texts.is_valid().to_numpy(zero_copy_only=False)) - 1
    if not len(filled):
        return pa.nulls(len(texts), pa.binary(16))
    first = int(np.frombuffer(filled.buffers()[1], dtype=np.int32)[filled.offset])
    characters = np.frombuffer(filled.buffers()[2], dtype=np.uint8)
    rows = characters[first : first + 36 * len(filled)].reshape(-1, 36)
    digits = _NIBBLES[np.delete(rows, [8, 13, 18, 23], axis=1)]
    packed = np.ascontiguousarray(digits[:, ::2] << 4 | digits[:, 1::2])
    data = pa.Array.from_buffers(pa.binary(16), len(filled), [None, pa.py_buffer(packed)])
    return data.take(pa.array(places, mask=~texts.is_valid().to_numpy(zero_copy_only=False)))


def translated(error: duckdb.Error) -> DatabaseError:
    """Return vsql's error for one of DuckDB's."""
    text = str(error)
    message = text.split("\n\nLINE", 1)[0].split(": ", 1)[-1].splitlines()[0] or text
    hint = _hint(text)
    if isinstance(error, duckdb.InterruptException):
        return OperationalError(
            "canceling statement due to user request", code=sqlstate.QUERY_CANCELED
        )
    if isinstance(error, duckdb.PermissionException):
        return external_access_is_off()
    if isinstance(error, duckdb.BinderException | duckdb.CatalogException):
        return _unknown_name(text, message, hint)
    if isinstance(error, duckdb.ConversionException):
        return DataError(message, code=_conversion_code(message))
    if isinstance(error, duckdb.OutOfRangeException):
        return DataError(message, code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE)
    if isinstance(error, duckdb.ParserException):
        return ProgrammingError(message, code=sqlstate.SYNTAX_ERROR, hint=hint)
    if isinstance(error, duckdb.IOException):
        return OperationalError(message, code=sqlstate.UNDEFINED_FILE)
    if isinstance(error, duckdb.OutOfMemoryException):
        return OperationalError(message, code="53200")
    if isinstance(error, duckdb.NotImplementedException | duckdb.NotSupportedError):
        return NotSupportedError(message)
    if isinstance(error, duckdb.IntegrityError):
        return IntegrityError(message)
    if isinstance(error, duckdb.InternalException):
        return InternalError(message)
    if "division by zero" in text.lower():
        return DataError("division by zero", code=sqlstate.DIVISION_BY_ZERO)
    if "parameter" in text.lower() and "not provided" in text.lower():
        return ProgrammingError(message, code=sqlstate.UNDEFINED_PARAMETER)
    if "More than one row returned by a subquery" in text:
        return ProgrammingError(message, code=sqlstate.CARDINALITY_VIOLATION)
    return DataError(message, code=sqlstate.DATA_EXCEPTION, hint=hint)


def _conversion_code(message: str) -> str:
    if "field value out of range" in message:
        return sqlstate.DATETIME_FIELD_OVERFLOW
    if "out of range" in message:
        return sqlstate.NUMERIC_VALUE_OUT_OF_RANGE
    return sqlstate.INVALID_TEXT_REPRESENTATION


def _unknown_name(text: str, message: str, hint: str | None) -> DatabaseError:
    function = _MISSING_FUNCTION.search(text)
    if function is not None:
        name = function.group(1)
        return ProgrammingError(
            f"function {name} does not exist", code=sqlstate.UNDEFINED_FUNCTION, hint=hint
        )
    if "GROUP BY" in message or "cannot contain aggregates" in message:
        return ProgrammingError(message, code=sqlstate.GROUPING_ERROR, hint=hint)
    if "Ambiguous reference" in text:
        return ProgrammingError(message, code=sqlstate.AMBIGUOUS_COLUMN)
    column = _MISSING_COLUMN.search(text)
    if column is not None and ("not found" in text or "not have" in text):
        name = next(group for group in column.groups() if group)
        return ProgrammingError(
            f'column "{name}" does not exist', code=sqlstate.UNDEFINED_COLUMN, hint=hint
        )
    if "No function matches" in text or "Cannot compare" in text:
        return ProgrammingError(message, code=sqlstate.UNDEFINED_FUNCTION)
    if "Table with name" in text:
        return ProgrammingError(message, code=sqlstate.UNDEFINED_TABLE, hint=hint)
    return ProgrammingError(message, code=sqlstate.DATATYPE_MISMATCH, hint=hint)


def _hint(text: str) -> str | None:
    found = _SUGGESTION.search(text)
    if found is None:
        return None
    one, many = found.groups()
    if one:
        return None if one.startswith("vsql_") else f'did you mean "{one}"?'
    shown = re.sub(r"vsql_input_\d+\.", "", many)
    return f"known: {shown}"
