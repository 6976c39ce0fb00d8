"""DuckDB: the relational rest of a query, and expressions that no kernel of ours evaluates.

Inputs are Arrow tables that DuckDB reads in place. Its own errors become vsql's. The connection
divides integers as PostgreSQL does, loads no extension, and lives as long as its session.
"""

import contextlib
import datetime
import inspect
import re
import tempfile
import threading
import uuid
import weakref
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.dense import stored
from vsql.core.errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from vsql.core.sparse import SparseVector
from vsql.core.types import Family, SqlType, from_arrow, is_sparse
from vsql.executor.bound_values import plain
from vsql.executor.external import external_access_is_off
from vsql.executor.fields import (
    TYPE_METADATA,
    field_of,
    holds_bits,
    incoming,
    numbers_in,
    with_floats,
)
from vsql.executor.sparse_values import is_sparse_value
from vsql.planner.array_text import read_array_text
from vsql.planner.bind import folded
from vsql.planner.translate import to_duckdb
from vsql.planner.vector_types import column_types, typed_parameters

# When the server began, PostgreSQL would say: vsql serves from within this process.
_STARTED = datetime.datetime.now(datetime.UTC)
_NO_TYPES: Mapping[str, SqlType] = {}
# How the names of all kernels begin (`Operation.function`).
_KERNEL = re.compile("vsql_(vector|halfvec|bfloatvec|int8vec|sparsevec)_", re.IGNORECASE)
_MISSING_COLUMN = re.compile(r'Referenced column "([^"]*)"|column "([^"]*)"|column named "([^"]*)"')
_RAISED = re.compile(r"\AInvalid Input Error: (42704|42P01|3F000|0A000):(.+)")
_WRONG_SIZE = re.compile(r"Cannot cast list with length (\d+) to array with length (\d+)")
_MISSING_FUNCTION = re.compile(r"Function with name (\S+) does not exist")
_MISSING_RELATION = re.compile(r'Referenced table "([^"]+)" not found')
_MISSING_JOINED = re.compile(r'Column "([^"]+)" does not exist on (left|right) side of join')
_TWICE_NAMED = re.compile(r'duplicate alias "([^"]+)"')
_SUGGESTION = re.compile(r'Did you mean "([^"]*)"|Candidate (?:bindings|tables): (.*)')


class Relational:
    """One DuckDB connection, for one session."""

    def __init__(self, database: str, *, external_access: bool = True, bytes_max: int = 0) -> None:
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "preserve_insertion_order": "true",
            # Where what does not fit is spilled; DuckDB makes it when it must, and removes it.
            "temp_directory": str(Path(tempfile.gettempdir()) / f"vsql-{uuid.uuid4()}"),
        }
        self._connection = duckdb.connect(":memory:", config=config)
        self._connection.execute("SET integer_division = true")
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET VARIABLE vsql_database = ?", [database])
        self._connection.execute("SET VARIABLE vsql_started = ?", [_STARTED])
        self._lock = threading.RLock()
        self._raised: Error | None = None
        self._kept: dict[str, pa.Table] = {}
        self._knows_vectors = False
        if bytes_max:
            self.limit_memory(bytes_max)
        if not external_access:
            self.refuse_external_access()

    def refuse_external_access(self) -> None:
        """Open no file from now on; DuckDB allows no way back."""
        with self._lock:
            self._connection.execute("SET enable_external_access = false")

    def limit_memory(self, bytes_max: int) -> None:
        """Hold at most so many bytes, 0 for DuckDB's default; what does not fit is spilled."""
        with self._lock:
            wanted = f"'{bytes_max}B'" if bytes_max else "DEFAULT"
            self._connection.execute(f"SET memory_limit = {wanted}")

    def interrupt(self) -> None:
        """Cancel the running statement, from any thread; nothing runs once it is closed."""
        with contextlib.suppress(duckdb.ConnectionException):
            self._connection.interrupt()

    def memory_bytes(self) -> int:
        """Return what DuckDB says that it holds."""
        with self._lock:
            ((total,),) = self._connection.execute(
                "SELECT coalesce(sum(memory_usage_bytes), 0)::BIGINT FROM duckdb_memory()"
            ).fetchall()
        return int(total)

    def close(self) -> None:
        self._connection.close()

    def query(
        self,
        sql: str,
        inputs: Mapping[str, pa.Table],
        parameters: Mapping[str, Any],
        kept: Container[str] = (),
    ) -> pa.Table:
        """Run DuckDB SQL over Arrow inputs; `parameters` are those that the SQL names.

        Inputs in `kept` stay known until another table takes their name: the caller will give the
        same ones again.
        """
        with self._lock:
            if _KERNEL.search(sql):
                self._learn_vectors()
            registered: list[str] = []
            for name, table in inputs.items():
                if self._kept.get(name) is table:
                    continue
                if self._kept.pop(name, None) is not None:
                    self._connection.unregister(name)
                made = self._register(name, table)
                if name in kept and len(made) == 1:
                    self._kept[name] = table
                else:
                    registered += made
            # A kernel's error that TRY() swallowed is none of this query's.
            self._raised = None
            try:
                return self._run(sql, parameters)
            except duckdb.Error as error:
                raised, self._raised = self._raised, None
                if raised is not None and raised.message in str(error):
                    raise raised from None
                raise translated(error) from None
            finally:
                for name in registered:
                    self._connection.unregister(name)

    def _register(self, name: str, table: pa.Table) -> tuple[str, ...]:
        """Let SQL read a table by its name; return what must be forgotten afterwards."""
        bits = [field.name for field in table.schema if _is_bit(field)]
        if not bits:
            self._connection.register(name, _readable(table))
            return (name,)
        # Arrow has no bit strings: DuckDB makes them of bytes.
        packed = f"{name}_packed"
        self._connection.register(packed, _readable(table))
        casts = ", ".join(f"CAST({_quoted(bit)} AS BIT) AS {_quoted(bit)}" for bit in bits)
        view = self._connection.sql(f"SELECT * REPLACE ({casts}) FROM {packed}")
        view.create_view(name)
        return name, packed

    def _learn_vectors(self) -> None:
        """Make vsql's kernels known to DuckDB, at the first statement that calls one."""
        if self._knows_vectors:
            return
        from duckdb.func import FunctionNullHandling, PythonUDFType

        from vsql.executor.vector_kernels import kernels

        for name, parameters, result, kernel in kernels():
            run = self._keeping_error(kernel, len(parameters))
            types: list[Any] = [*parameters]
            self._connection.create_function(
                name,
                run,
                types,
                result,
                type=PythonUDFType.ARROW,
                null_handling=FunctionNullHandling.SPECIAL,
            )
        # DuckDB must let go of Python's functions before the interpreter goes.
        weakref.finalize(self, self._connection.close)
        self._knows_vectors = True

    def _keeping_error(
        self, kernel: Callable[..., pa.Array], arity: int
    ) -> Callable[..., pa.Array]:
        """Return a kernel whose error is kept: DuckDB would tell its text alone."""
        owner = weakref.ref(self)

        def run(*columns: pa.ChunkedArray) -> pa.Array:
            try:
                return kernel(*columns)
            except Error as error:
                found = owner()
                if found is not None:
                    found._raised = error
                raise

        # DuckDB counts the parameters.
        parameter = inspect.Parameter
        described: Any = run
        described.__signature__ = inspect.Signature(
            [parameter(f"_{n}", parameter.POSITIONAL_ONLY) for n in range(arity)]
        )
        return run

    def _run(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        bound = {name: _bindable(value) for name, value in parameters.items()}
        relation = self._connection.sql(sql, params=bound or None)
        names = [column[1] for column in relation.description]
        table = relation.to_arrow_table()
        return _presentable(incoming(table), [str(name) for name in names])

    def expression(
        self,
        node: exp.Expr,
        columns: Mapping[str, pa.Array],
        parameters: Mapping[str, Any],
        length: int | None = None,
        types: Mapping[str, SqlType] = _NO_TYPES,
    ) -> pa.Array:
        """Return the value of an expression over columns, one per row, in row order.

        `types` are those of columns of which Arrow does not tell: BIT(128) is 16 bytes, as a UUID.
        """
        from vsql.executor.coerce import typed_parameter

        known = {name: types.get(name) or from_arrow(a.type) for name, a in columns.items()}
        tree = node.copy()
        read_array_text(tree, lambda column: known.get(folded(column.this)))
        tree = to_duckdb(tree, column_types(known))
        used = {p.name for p in tree.find_all(exp.Placeholder)}
        bound = {name: value for name, value in parameters.items() if name in used}
        for name, type_ in typed_parameters(tree):
            if name in bound:
                bound[name] = typed_parameter(bound[name], type_)
        if columns:
            fields = [field_of(name, known[name], array.type) for name, array in columns.items()]
            table = pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields))
        else:
            table = pa.table({"vsql_row": pa.array(range(length or 1))})
        sql = f"SELECT {tree.sql(dialect='duckdb')} AS value FROM vsql_rows"
        result = self.query(sql, {"vsql_rows": table}, bound)
        if result.num_rows != table.num_rows:
            raise ProgrammingError(
                "an aggregate or set-returning function cannot stand here",
                code=sqlstate.GROUPING_ERROR,
            )
        return result.column(0).combine_chunks()

    def scalar(self, node: exp.Expr, parameters: Mapping[str, Any]) -> Any:
        """Return the value of an expression without columns."""
        return self.expression(node, {}, parameters, 1)[0].as_py()


_NARROW = (pa.float16(), pa.int8())
"""Elements of vectors that Arrow itself widens to 32-bit floats."""


def _readable(table: pa.Table) -> pa.Table:
    """Return what DuckDB can read: vectors as 32-bit floats, 16 bytes as UUIDs, bits as bytes."""
    for number, field in enumerate(table.schema):
        column = table.column(number)
        if pa.types.is_fixed_size_list(field.type) and field.type.value_type in _NARROW:
            wide = pa.list_(pa.float32(), field.type.list_size)
            table = table.set_column(number, field.name, column.cast(wide))
        elif holds_bits(field.type):
            table = table.set_column(number, field.name, with_floats(column))
        elif (
            pa.types.is_fixed_size_binary(field.type)
            and field.type.byte_width == 16
            and not _is_bit(field)
        ):
            chunks = [pa.ExtensionArray.from_storage(pa.uuid(), chunk) for chunk in column.chunks]
            table = table.set_column(number, field.name, pa.chunked_array(chunks, pa.uuid()))
        elif pa.types.is_fixed_size_binary(field.type):
            table = table.set_column(number, field.name, column.cast(pa.binary()))
        elif pa.types.is_null(field.type):
            table = table.set_column(number, field.name, column.cast(pa.int32()))
        elif (wide := _widened(field.type)) != field.type:
            table = table.set_column(number, field.name, column.cast(wide))
    return table


def _is_bit(field: pa.Field) -> bool:
    metadata = field.metadata or {}
    return bool(metadata.get(TYPE_METADATA, b"").startswith(b"BIT"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def as_vectors(table: pa.Table, vectors: tuple[tuple[int, SqlType], ...]) -> pa.Table:
    """Return a result with its vectors in their own type, where DuckDB has lists of floats.

    Vectors of one column that differ in dimension stay lists.
    """
    for number, type_ in vectors:
        column = table.column(number)
        if type_.is_sparse and is_sparse(column.type):
            table = _as_sparse(table, number, type_)
        if type_.family is Family.BIT or not _is_list(column.type):
            continue
        dimension = _common_dimension(column)
        if dimension is not None:
            fixed = SqlType(type_.family, (dimension,))
            field = field_of(table.schema.field(number).name, fixed, fixed.arrow)
            table = table.set_column(number, field, _narrowed(column, fixed))
    return table


def _narrowed(column: pa.ChunkedArray, type_: SqlType) -> pa.ChunkedArray:
    """Return lists of 32-bit floats, which kernels have rounded already, as the type holds them."""
    if type_.family is not Family.BFLOATVEC:
        return column.cast(type_.arrow)
    whole = column.cast(SqlType(Family.VECTOR, type_.arguments).arrow).combine_chunks()
    size = type_.dimension
    flat = numbers_in(whole.values.slice(whole.offset * size, len(whole) * size))
    missing = whole.is_null() if whole.null_count else None
    bits = pa.array(stored(flat, type_.family))
    return pa.chunked_array(
        [pa.FixedSizeListArray.from_arrays(bits, type=type_.arrow, mask=missing)]
    )


def _as_sparse(table: pa.Table, number: int, type_: SqlType) -> pa.Table:
    """Return a result whose column says its dimension, where all its vectors have the same."""
    import pyarrow.compute as pc

    column = table.column(number).cast(type_.arrow)
    found = pc.unique(pc.struct_field(column, 0)).drop_null()
    if len(found):
        type_ = SqlType(Family.SPARSEVEC, (found[0].as_py(),) if len(found) == 1 else ())
    name = table.schema.field(number).name
    return table.set_column(number, field_of(name, type_, type_.arrow), column)


def _is_list(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_fixed_size_list(type_))


def _common_dimension(column: pa.ChunkedArray) -> int | None:
    if pa.types.is_fixed_size_list(column.type):
        size: int = column.type.list_size
        return size
    import pyarrow.compute as pc

    sizes = pc.list_value_length(column).unique().drop_null()
    return sizes[0].as_py() if len(sizes) == 1 else None


def _widened(type_: pa.DataType) -> pa.DataType:
    """Return a type with 32-bit floats for 16-bit ones, in arrays of HALFVEC too."""
    if pa.types.is_fixed_size_list(type_):
        return pa.list_(_widened(type_.value_type), type_.list_size)
    if pa.types.is_list(type_):
        return pa.list_(_widened(type_.value_type))
    return pa.float32() if pa.types.is_float16(type_) else type_


def _bindable(value: Any) -> Any:
    if is_sparse_value(value):
        return SparseVector.of(value.indices(), value.values(), value.dimensions()).to_text()
    value = plain(value)
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
        elif name == "BIT":
            table = table.set_column(number, *_bits(table.schema.field(number).name, column))
        elif name == "UUID":
            field = pa.field(
                table.schema.field(number).name, pa.binary(16), metadata={TYPE_METADATA: b"UUID"}
            )
            table = table.set_column(number, field, _uuids(column))
        elif pa.types.is_timestamp(column.type) and column.type.tz not in (None, "UTC"):
            zoned = column.cast(pa.timestamp("us", "UTC"))
            table = table.set_column(number, table.schema.field(number).name, zoned)
    return table


def _bits(name: str, column: pa.ChunkedArray) -> tuple[pa.Field, pa.Array]:
    """Return bit strings as BIT(n): packed, where DuckDB puts the number of unused bits first.

    Text of zeros and ones where lengths differ or are no multiples of 8: no BIT column holds them.
    """
    packed = column.to_pylist()
    sizes = {(len(value) - 1) * 8 - value[0] for value in packed if value is not None}
    if len(sizes) == 1 and not (size := next(iter(sizes))) % 8:
        type_ = SqlType(Family.BIT, (size,))
        rows = [None if value is None else value[1:] for value in packed]
        return field_of(name, type_, type_.arrow), pa.array(rows, type_.arrow)
    texts = [
        None if value is None else "".join(f"{byte:08b}" for byte in value[1:])[value[0] :]
        for value in packed
    ]
    return pa.field(name, pa.string()), pa.array(texts, pa.string())


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
    raised = _RAISED.match(text)
    if raised is not None:
        return _error_of(*raised.groups())
    message = text.split("\n\nLINE", 1)[0].split(": ", 1)[-1].splitlines()[0] or text
    hint = _hint(text)
    if isinstance(error, duckdb.InterruptException):
        return OperationalError(
            "canceling statement due to user request", code=sqlstate.QUERY_CANCELED
        )
    if isinstance(error, duckdb.PermissionException):
        return external_access_is_off()
    if "expression depth limit" in message:
        return ProgrammingError(
            "the statement is nested too deeply", code=sqlstate.STATEMENT_TOO_COMPLEX
        )
    if isinstance(error, duckdb.BinderException | duckdb.CatalogException):
        return _unknown_name(text, message, hint)
    sizes = _WRONG_SIZE.search(message)
    if sizes is not None:
        found, wanted = sizes.groups()
        return DataError(f"expected {wanted} dimensions, not {found}", code=sqlstate.DATA_EXCEPTION)
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


def _error_of(code: str, message: str) -> DatabaseError:
    """Return what the planner made a query raise, which says its SQLSTATE before its words."""
    if code == sqlstate.FEATURE_NOT_SUPPORTED:
        return NotSupportedError(message)
    return ProgrammingError(message, code=code)


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
    relation = _MISSING_RELATION.search(text)
    if relation is not None:
        return ProgrammingError(
            f'missing FROM-clause entry for table "{relation.group(1)}"',
            code=sqlstate.UNDEFINED_TABLE,
            hint=hint,
        )
    joined = _MISSING_JOINED.search(text)
    if joined is not None:
        name, side = joined.groups()
        return ProgrammingError(
            f'column "{name}" specified in USING clause does not exist in {side} table',
            code=sqlstate.UNDEFINED_COLUMN,
        )
    twice = _TWICE_NAMED.search(text)
    if twice is not None:
        return ProgrammingError(
            f'table name "{twice.group(1)}" specified more than once',
            code=sqlstate.DUPLICATE_ALIAS,
            hint="give one of the tables another name with AS",
        )
    if "Ambiguous reference" in text:
        return ProgrammingError(message, code=sqlstate.AMBIGUOUS_COLUMN)
    if "columns available but" in message:
        return ProgrammingError(message, code=sqlstate.INVALID_COLUMN_REFERENCE)
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
