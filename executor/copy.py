"""COPY: files in and files out. The format is the file's ending, unless FORMAT says otherwise."""

import json
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.changes import Change
from vsql.core.errors import DataError, OperationalError, ProgrammingError
from vsql.core.snapshot import TableSnapshot
from vsql.core.sparse import text_of_struct
from vsql.core.types import Family, SqlType, is_sparse
from vsql.executor.context import Context
from vsql.executor.fields import incoming, outgoing, type_of_field
from vsql.executor.incoming import stored_batch
from vsql.executor.keys import check_new_keys, unique_keys
from vsql.executor.read_ahead import read_ahead
from vsql.executor.seal import add_rows, sealed_segments
from vsql.executor.written import Written
from vsql.grammar.utility_statements import CopyFrom, CopyTo
from vsql.planner.facts import Facts, unknown_column

FORMATS = ("parquet", "csv", "jsonl", "arrow")
_ENDINGS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
}
_BATCH_ROWS = 4_096
# Checking rows keeps up with so many threads that read.
_READERS_MAX = 4
_FILE_ERRORS = (OSError, pa.ArrowException, ValueError, KeyError)


def file_format(path: str, written: str | None) -> str:
    """Return the format of a file; raises ProgrammingError (22023) where none is known."""
    found = written.lower() if written else _ENDINGS.get(Path(path).suffix.lower())
    if found not in FORMATS:
        raise ProgrammingError(
            f'COPY does not know the format of "{path}"'
            if written is None
            else f'COPY does not know the format "{written}"',
            code=sqlstate.INVALID_PARAMETER_VALUE,
            hint="add (FORMAT parquet), csv, jsonl or arrow",
        )
    return str(found)


def copy_from(statement: CopyFrom, facts: Facts, context: Context) -> Written:
    """Return the changes that load a file; nothing is loaded where a row does not fit."""
    table = facts.require(statement.table)
    _check_target_columns(statement, table)
    kind = file_format(statement.path, statement.format)
    path = Path(statement.path).expanduser()
    if not path.is_file():
        raise OperationalError(
            f'file "{statement.path}" does not exist', code=sqlstate.UNDEFINED_FILE
        )
    batches = _read(path, kind, table, statement, context.threads)
    with closing(batches):
        return load_batches(table, batches, statement.columns, context, _row_total(path, kind))


def load_batches(
    table: TableSnapshot,
    source: Iterator[pa.Table],
    columns: tuple[str, ...],
    context: Context,
    total: int | None = None,
) -> Written:
    """Return the changes that add all rows of `source`, matched by column name, in whole or not.

    `columns` names those to fill, empty for all that are given; `total` rows are told to whoever
    watches the progress. Raises DataError, IntegrityError, ProgrammingError.
    """
    loaded = _Loaded(table, columns, context, total)
    batches = loaded.checked(source)
    first = list(_take(batches, context.settings["seal_rows"]))
    if sum(b.num_rows for b in first) < context.settings["seal_rows"]:
        return Written(add_rows(table, first, context), loaded.rows)
    staged: list[Change] = []
    rows_max, rows_left = context.settings["segment_rows"], total or 0
    for group in _segments(_chain(first, batches), rows_max):
        expected = min(rows_left, rows_max)
        staged.extend(sealed_segments(table, group, context, rows_expected=expected))
        rows_left -= expected
    return Written(tuple(staged), loaded.rows)


class _Loaded:
    """Counts and checks the batches of one source as they pass."""

    def __init__(
        self, table: TableSnapshot, columns: tuple[str, ...], context: Context, total: int | None
    ) -> None:
        self.rows = 0
        self._table = table
        self._columns = columns or tuple(c.name for c in table.table.columns)
        self._explicit = bool(columns)
        self._context = context
        self._total = total
        self._keys: list[pa.RecordBatch] = []
        self._key_columns = sorted({n for key in unique_keys(table) for n in key.columns})

    def checked(self, batches: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
        for raw in batches:
            self._context.check_interrupt()
            stored = stored_batch(self._table, self._matched(raw), self._context, self.rows + 1)
            self.rows += stored.num_rows
            self._keys.append(stored.select(self._key_columns))
            if self._context.progress is not None and self._total:
                self._context.progress(
                    f"copying into {self._table.table.name}", min(1.0, self.rows / self._total)
                )
            yield stored
        self._check_keys()

    def _matched(self, raw: pa.Table) -> dict[str, Any]:
        names = {name.lower(): name for name in raw.column_names}
        if self._explicit:
            missing = [c for c in self._columns if c not in names and c not in raw.column_names]
            if missing and len(raw.column_names) != len(self._columns):
                raise ProgrammingError(
                    f'the data has no column "{missing[0]}"',
                    code=sqlstate.UNDEFINED_COLUMN,
                    hint="its columns: " + ", ".join(raw.column_names),
                )
            if missing:
                return dict(zip(self._columns, raw.columns, strict=True))
            return {c: raw.column(names.get(c, c)) for c in self._columns}
        matched: dict[str, Any] = {}
        for name in raw.column_names:
            column = self._table.table.find(name) or self._table.table.find(name.lower())
            if column is None:
                raise unknown_column(
                    name, self._table.table.columns, None, f'table "{self._table.table.name}"'
                )
            matched[column.name] = raw.column(name)
        return matched

    def _check_keys(self) -> None:
        if not self._key_columns or not self._keys:
            return
        whole = pa.Table.from_batches(self._keys).combine_chunks()
        for batch in whole.to_batches():
            check_new_keys(self._table, batch, self._context)


def _take(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    taken = 0
    for batch in batches:
        yield batch
        taken += batch.num_rows
        if taken >= rows:
            return


def _chain(first: list[pa.RecordBatch], rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    # Each batch is let go once it is handed on: a file is never in memory twice.
    while first:
        yield first.pop(0)
    yield from rest


def _segments(
    batches: Iterator[pa.RecordBatch], rows_max: int
) -> Iterator[Iterator[pa.RecordBatch]]:
    pending = next(batches, None)

    def one() -> Iterator[pa.RecordBatch]:
        nonlocal pending
        rows = 0
        while pending is not None and rows < rows_max:
            current, pending = pending, None
            room = rows_max - rows
            if current.num_rows > room:
                current, pending = current.slice(0, room), current.slice(room)
            rows += current.num_rows
            yield current
            del current
            if pending is None:
                pending = next(batches, None)

    while pending is not None:
        yield one()


def _check_target_columns(statement: CopyFrom, table: TableSnapshot) -> None:
    for name in statement.columns:
        if table.table.find(name) is None:
            raise unknown_column(name, table.table.columns, None, f'table "{table.table.name}"')


def _row_total(path: Path, kind: str) -> int | None:
    if kind != "parquet":
        return None
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except _FILE_ERRORS as error:
        raise _unreadable(path, kind, error) from None


def _read(
    path: Path, kind: str, table: TableSnapshot, statement: CopyFrom, threads: int
) -> Generator[pa.Table]:
    if kind == "parquet":
        reader = _parquet(path, threads)
    else:
        readers = {"csv": _csv, "jsonl": _jsonl, "arrow": _arrow}
        reader = readers[kind](path, table, statement)
    with closing(reader):
        while True:
            try:
                batch = next(reader)
            except StopIteration:
                return
            except _FILE_ERRORS as error:
                raise _unreadable(path, kind, error) from None
            yield batch
            del batch


def _unreadable(path: Path, kind: str, error: Exception) -> OperationalError:
    return OperationalError(
        f'"{path}" is not a readable {kind} file: {str(error).splitlines()[0]}',
        code=sqlstate.BAD_COPY_FILE_FORMAT,
    )


def _parquet(path: Path, threads: int) -> Generator[pa.Table]:
    import pyarrow.parquet as pq

    def read(groups: list[int]) -> Iterator[pa.Table]:
        with pq.ParquetFile(path, metadata=metadata, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=groups):
                yield incoming(pa.Table.from_batches([batch]))
                # What decoding took goes back, or it would add up to the file's size again.
                del batch
                pa.default_memory_pool().release_unused()

    metadata = pq.read_metadata(path)
    parts = [partial(read, groups) for groups in _row_groups(metadata)]
    return read_ahead(parts, min(threads, _READERS_MAX))


def _row_groups(metadata: Any) -> Iterator[list[int]]:
    """Yield the row groups of a Parquet file, small ones together."""
    groups: list[int] = []
    rows = 0
    for number in range(metadata.num_row_groups):
        groups.append(number)
        rows += metadata.row_group(number).num_rows
        if rows >= _BATCH_ROWS:
            yield groups
            groups, rows = [], 0
    if groups:
        yield groups


def _arrow(path: Path, table: TableSnapshot, statement: CopyFrom) -> Generator[pa.Table]:
    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            for batch in pa.ipc.open_stream(source):
                yield incoming(pa.Table.from_batches([batch]))
            return
        for number in range(reader.num_record_batches):
            yield incoming(pa.Table.from_batches([reader.get_batch(number)]))


def _csv(path: Path, table: TableSnapshot, statement: CopyFrom) -> Generator[pa.Table]:
    from pyarrow import csv

    options = {name.lower(): value for name, value in statement.options.items()}
    header = options.get("header", "true").lower() not in ("false", "off", "0")
    names = list(statement.columns or [c.name for c in table.table.columns])
    types = {c.name: _csv_type(c.type) for c in table.table.columns}
    null = options.get("null", "")
    reader = csv.open_csv(
        path,
        read_options=csv.ReadOptions(column_names=None if header else names),
        parse_options=csv.ParseOptions(
            delimiter=options.get("delimiter", ","),
            quote_char=options.get("quote", '"'),
            newlines_in_values=True,
        ),
        convert_options=csv.ConvertOptions(
            column_types=types,
            null_values=[null],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    for batch in reader:
        yield pa.Table.from_batches([batch])


def _csv_type(type_: SqlType) -> pa.DataType:
    nested = type_.is_vector or type_.family in (Family.ARRAY, Family.UUID, Family.INTERVAL)
    other = type_.family in (Family.BYTEA, Family.BOOLEAN, Family.TIMESTAMPTZ)
    return pa.string() if nested or other else type_.arrow


def _jsonl(path: Path, table: TableSnapshot, statement: CopyFrom) -> Generator[pa.Table]:
    from vsql.executor.coerce import from_values

    def flush(rows: list[dict[str, Any]], first: int) -> pa.Table:
        names = dict.fromkeys(name for row in rows for name in row)
        arrays = {}
        for name in names:
            column = table.table.find(name)
            if column is None:
                raise unknown_column(name, table.table.columns, None, f'table "{table.table.name}"')
            values = [_json_value(row.get(name), column.type) for row in rows]
            arrays[name] = from_values(values, column, first)
        return pa.table(arrays)

    with path.open(encoding="utf-8") as lines:
        rows: list[dict[str, Any]] = []
        first = 1
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            rows.append(_json_row(line, number))
            if len(rows) == _BATCH_ROWS // 8:
                yield flush(rows, first)
                first, rows = first + len(rows), []
        if rows:
            yield flush(rows, first)


def _json_row(line: str, number: int) -> dict[str, Any]:
    try:
        # Not orjson, which makes floats of integers beyond 64 bits.
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"line {number} is not JSON: {error}", code=sqlstate.BAD_COPY_FILE_FORMAT
        ) from None
    if not isinstance(row, dict):
        raise DataError(f"line {number} is not an object", code=sqlstate.BAD_COPY_FILE_FORMAT)
    return row


def _json_value(value: Any, type_: SqlType) -> Any:
    if type_.family is Family.JSON and isinstance(value, str):
        # A text by itself would be taken for a document.
        return json.dumps(value, ensure_ascii=False)
    return value


def copy_to(statement: CopyTo, table: pa.Table, context: Context) -> int:
    """Write rows to a file, in whole or not at all; returns their number."""
    kind = file_format(statement.path, statement.format)
    path = Path(statement.path).expanduser()
    partial = path.with_name(path.name + ".partial")
    try:
        _WRITERS[kind](outgoing(table), partial)
        partial.replace(path)
    except _FILE_ERRORS as error:
        partial.unlink(missing_ok=True)
        raise OperationalError(
            f'cannot write "{path}": {str(error).splitlines()[0]}', code=sqlstate.IO_ERROR
        ) from None
    if context.progress is not None:
        context.progress(f"writing {path.name}", 1.0)
    return int(table.num_rows)


def _write_parquet(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path)


def _write_arrow(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _text_writer(field: pa.Field) -> Callable[[Any], str] | None:
    """Return what writes a value of a column that Arrow's CSV has no text for, otherwise None."""
    if is_sparse(field.type):
        return text_of_struct
    if pa.types.is_nested(field.type):
        return json.dumps
    if pa.types.is_binary(field.type) or pa.types.is_fixed_size_binary(field.type):
        family = type_of_field(field).family
        if family is Family.BIT:
            return lambda value: "".join(f"{octet:08b}" for octet in value)
        if family is Family.UUID:
            return lambda value: str(uuid.UUID(bytes=value))
        return lambda value: f"\\x{value.hex()}"
    return None


def _write_csv(table: pa.Table, path: Path) -> None:
    from pyarrow import csv

    arrays = []
    for field, column in zip(table.schema, table.columns, strict=True):
        written = _text_writer(field)
        if written is not None:
            texts = [None if value is None else written(value) for value in column.to_pylist()]
            column = pa.chunked_array([pa.array(texts, pa.string())])
        arrays.append(column)
    csv.write_csv(pa.Table.from_arrays(arrays, names=table.column_names), path)


def _shown(row: dict[str, Any], sparse: list[str]) -> dict[str, Any]:
    """Return a row's sparse vectors as text."""
    return {name: text_of_struct(row[name]) for name in sparse if row[name] is not None}


def _write_jsonl(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8") as lines:
        sparse = [field.name for field in table.schema if is_sparse(field.type)]
        for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
            for row in batch.to_pylist():
                row.update(_shown(row, sparse))
                lines.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


_WRITERS = {
    "parquet": _write_parquet,
    "arrow": _write_arrow,
    "csv": _write_csv,
    "jsonl": _write_jsonl,
}
