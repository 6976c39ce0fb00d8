"""PEP 249's Cursor, over Arrow results."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import InterfaceError, NotSupportedError, ProgrammingError
from vsql.core.types import SqlType
from vsql.driver.rows import Row, arrow_reader, numpy_columns, rows_of
from vsql.engine import Session
from vsql.executor.context import shown_parameter
from vsql.executor.fields import outgoing
from vsql.executor.result import Result
from vsql.grammar.parse import Parsed
from vsql.guard import own_errors

if TYPE_CHECKING:
    from vsql.driver.connection import Connection

Description = tuple[str, str, None, int | None, int | None, int | None, None]

# The keys of a statement that uses `?`, which is what most do.
_NUMBERS = tuple(str(number) for number in range(1, 65))


class Cursor:
    """One result at a time; rows become tuples when they are fetched, not before."""

    def __init__(self, connection: "Connection", session: Callable[[], Session]) -> None:
        self.connection = connection
        self.arraysize = 1
        self._session = session
        self._result: Result | None = None
        self._rows: list[Row] | None = None
        self._position = 0
        self._closed = False
        self._row_count = -1

    def execute(self, operation: str, parameters: Any = ()) -> "Cursor":
        """Run one statement; raises vsql's errors. Returns the cursor itself."""
        self._run(operation, lambda parsed: [bound(parsed, parameters)])
        return self

    def executemany(self, operation: str, seq_of_parameters: Sequence[Any]) -> "Cursor":
        """Run a write for each set of parameters; an INSERT is one batch."""
        if not isinstance(seq_of_parameters, Iterable):
            raise _wrong("executemany takes a sequence of sets of parameters", seq_of_parameters)
        sets = list(seq_of_parameters)
        if not sets:
            self._check_open()
            self._result = Result("", None, (), 0)
            return self
        self._run(operation, lambda parsed: [bound(parsed, one) for one in sets])
        return self

    def _run(self, operation: str, bind: Callable[[Parsed], Sequence[dict[str, Any]]]) -> None:
        session = self._check_open()
        if not isinstance(operation, str):
            raise InterfaceError(f"a statement is text, not {type(operation).__name__}")
        self._result, self._rows, self._position = None, None, 0
        self._result = session.execute(operation, bind)

    @property
    def description(self) -> tuple[Description, ...] | None:
        """Name, type code, and size of each column; None where there are no rows."""
        if self._result is None or self._result.source is None:
            return None
        return tuple(
            (
                name,
                str(type_) if type_.element is not None else type_.family.value,
                None,
                type_.arguments[0] if type_.is_vector and type_.arguments else None,
                type_.arguments[0] if len(type_.arguments) == 2 else None,
                type_.arguments[1] if len(type_.arguments) == 2 else None,
                None,
            )
            for name, type_ in zip(self._result.names, self._result.types, strict=True)
        )

    def column_types(self) -> list[tuple[str, SqlType]]:
        """Return name and type of each column of the result."""
        result = self._with_rows()
        return list(zip(result.names, result.types, strict=True))

    @property
    def rowcount(self) -> int:
        """The number of rows returned or changed, -1 where there is none."""
        return self._row_count if self._result is None else self._result.row_count

    @property
    def statusmessage(self) -> str:
        """PostgreSQL's command tag, such as "INSERT 0 3"."""
        return "" if self._result is None else self._result.tag

    def fetchone(self) -> Row | None:
        """Return the next row, or None."""
        rows = self._fetched()
        if self._position >= len(rows):
            return None
        self._position += 1
        return rows[self._position - 1]

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """Return the next `size` rows, `arraysize` by default."""
        count = _whole(self.arraysize if size is None else size, "a number of rows", 0)
        rows = self._fetched()
        start = self._position
        self._position = min(len(rows), start + count)
        return rows[start : self._position]

    def fetchall(self) -> list[Row]:
        """Return all rows that are left."""
        rows = self._fetched()
        start, self._position = self._position, len(rows)
        return rows if start == 0 else rows[start:]

    def nextset(self) -> None:
        """Return None: a statement has one result."""
        self._with_rows()

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Move to another row: `value` rows on, or with "absolute" to row number `value`.

        Raises IndexError beyond the rows, as PEP 249 wants, and the position stays.
        """
        rows = self._fetched()
        if mode not in ("relative", "absolute"):
            raise ProgrammingError(
                f'scroll knows "relative" and "absolute", not "{mode}"',
                code=sqlstate.INVALID_PARAMETER_VALUE,
            )
        steps = _whole(value, "a row's number")
        position = steps if mode == "absolute" else self._position + steps
        if not 0 <= position <= len(rows):
            raise IndexError(f"there is no row {position} of {len(rows)}")
        self._position = position

    @property
    def rownumber(self) -> int | None:
        """The place of the next row, counted from 0; None where there are no rows."""
        return None if self._result is None or self._result.source is None else self._position

    @property
    def lastrowid(self) -> None:
        """None: rows have no number of their own. INSERT … RETURNING gives the keys."""

    @property
    def messages(self) -> list[Any]:
        """An empty list: warnings go through Python's `warnings`."""
        return []

    def callproc(self, procname: str, parameters: Sequence[Any] = ()) -> Sequence[Any]:
        """Call a function; its value is the result set. Returns the parameters as they are.

        Raises ProgrammingError (42883) for an unknown function.
        """
        self._check_open()
        if not isinstance(procname, str) or not procname.replace("_", "").isalnum():
            raise ProgrammingError(f"{procname!r} is no function", code=sqlstate.UNDEFINED_FUNCTION)
        if not isinstance(parameters, Sequence):
            raise _wrong("callproc takes a sequence of parameters", parameters)
        self.execute(f"SELECT {procname}({', '.join('?' * len(parameters))})", tuple(parameters))
        return parameters

    def adbc_ingest(
        self,
        table_name: str,
        data: Any,
        mode: Literal["append", "create", "replace", "create_append"] = "create",
        *,
        db_schema_name: str | None = None,
        temporary: bool = False,
    ) -> int:
        """Load Arrow data, or anything that exports it, into a table; returns the number of rows.

        Batches are read one by one, checked as COPY checks them, and loaded all or none.
        "append" needs the table, "create" makes it, "replace" makes it anew, "create_append" makes
        it where it is missing. Raises ProgrammingError (42P07, 42P01), DataError, IntegrityError.
        Source: https://arrow.apache.org/adbc/current/python/api/adbc_driver_manager.html
        """
        session = self._check_open()
        self._result, self._rows, self._position = None, None, 0
        name = (
            table_name if db_schema_name in (None, "public") else f"{db_schema_name}.{table_name}"
        )
        self._result = session.ingest(name, arrow_reader(data), mode, temporary=temporary)
        return self._result.row_count

    def fetch_record_batch(self, rows_per_batch: int = 65_536) -> pa.RecordBatchReader:
        """Return the rows that are left as a reader of Arrow record batches."""
        count = _whole(rows_per_batch, "rows_per_batch", 1)
        table = self.fetch_arrow_table()
        return pa.RecordBatchReader.from_batches(
            table.schema, table.to_batches(max_chunksize=count)
        )

    def fetch_arrow(self) -> pa.RecordBatchReader:
        """Return the rows that are left as what exports an Arrow stream, as ADBC names it."""
        return self.fetch_record_batch()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Export the rows that are left: `polars.DataFrame(cursor)`, `pyarrow.table(cursor)`.

        They stay there: DuckDB, for one, asks once for the schema and once more for the rows.
        """
        rows = self._table().slice(self._position)
        return rows.to_reader().__arrow_c_stream__(requested_schema)

    def fetch_polars(self) -> Any:
        """Return the rows that are left as a polars data frame."""
        import polars

        table = self._table()
        try:
            frame = polars.from_arrow(table.slice(self._position))
        except polars.exceptions.PolarsError as error:
            raise NotSupportedError(
                f"polars cannot hold this result: {error}", hint="fetch_arrow_table holds any"
            ) from None
        self._position = table.num_rows
        return frame

    def fetch_arrow_table(self) -> pa.Table:
        """Return the rows that are left as an Arrow table, without making Python objects."""
        table = self._table()
        start, self._position = self._position, table.num_rows
        return table.slice(start) if start else table

    fetchallarrow = fetch_arrow_table

    def fetch_df(self) -> Any:
        """Return the rows that are left as a pandas data frame."""
        return self.fetch_arrow_table().to_pandas()

    def fetch_numpy(self) -> dict[str, Any]:
        """Return the rows that are left as numpy arrays by column name."""
        table = self.fetch_arrow_table()
        assert self._result is not None
        return numpy_columns(table, self._result.types)

    def setinputsizes(self, sizes: Any) -> None:
        """Do nothing, as PEP 249 allows."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Do nothing, as PEP 249 allows."""

    def close(self) -> None:
        """Close it; raises InterfaceError when closed already."""
        self._check_open()
        self._closed = True
        self._row_count = self.rowcount
        self._result = self._rows = None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.fetchone, None)

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._closed:
            self.close()

    def _check_open(self) -> Session:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        return self._session()

    def _with_rows(self) -> Result:
        self._check_open()
        if self._result is None or self._result.source is None:
            raise InterfaceError("there are no rows: the last statement returned none")
        return self._result

    def _table(self) -> pa.Table:
        result = self._with_rows()
        with own_errors():
            table = result.table
        assert table is not None
        return outgoing(table)

    def _fetched(self) -> list[Row]:
        if self._rows is None:
            result = self._with_rows()
            with own_errors():
                self._rows = rows_of(result)
        return self._rows


def _whole(value: Any, what: str, minimum: int | None = None) -> int:
    """Return an argument as a whole number; raises InterfaceError (22023)."""
    try:
        number = operator.index(value)
    except TypeError:
        raise _wrong(f"{what} is a whole number", value) from None
    if minimum is not None and number < minimum:
        raise _wrong(f"{what} is {minimum} or more", value)
    return number


def _wrong(rule: str, value: Any) -> InterfaceError:
    return InterfaceError(f"{rule}, not {value!r}", code=sqlstate.INVALID_PARAMETER_VALUE)


def bound(parsed: Parsed, parameters: Any) -> dict[str, Any]:
    """Return parameters by key; raises ProgrammingError (42P02) where they don't fit."""
    keys = parsed.parameters
    if type(parameters) is tuple and keys == _NUMBERS[: len(parameters)]:
        return dict(zip(keys, parameters, strict=True))
    if parameters is None:
        parameters = ()
    if isinstance(parameters, Mapping):
        missing = [key for key in keys if key not in parameters]
        if missing:
            raise ProgrammingError(
                f"there is no parameter {shown_parameter(missing[0])}",
                code=sqlstate.UNDEFINED_PARAMETER,
            )
        return {key: parameters[key] for key in keys}
    if isinstance(parameters, str | bytes) or not hasattr(parameters, "__len__"):
        raise InterfaceError(
            "parameters must be a sequence or a mapping",
            code=sqlstate.INVALID_PARAMETER_VALUE,
            hint="for one value write (value,)",
        )
    named = [key for key in keys if not key.isdigit()]
    if named:
        raise ProgrammingError(
            f"parameter :{named[0]} needs a mapping of names to values",
            code=sqlstate.UNDEFINED_PARAMETER,
        )
    wanted = max((int(key) for key in keys), default=0)
    if len(parameters) != wanted:
        raise ProgrammingError(
            f"the statement has {wanted} parameters, but {len(parameters)} were given",
            code=sqlstate.UNDEFINED_PARAMETER,
        )
    return {str(number): value for number, value in enumerate(parameters, 1)}
