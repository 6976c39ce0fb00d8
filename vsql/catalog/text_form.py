"""Types, columns and statistics as JSON text, exactly back and forth."""

import base64
import datetime
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from vsql.core import types
from vsql.core.machine import CONSTANTS, Machine
from vsql.core.schema import EMPTY, Check, Column, Partitioning, Table
from vsql.core.statistics import ColumnStatistics, PathStatistics
from vsql.core.types import SqlType

_TYPE = re.compile(r"([A-Z][A-Z0-9_ ]*?)(?:\(([0-9, ]+)\))?((?:\[\])*)$")

# Values that JSON lacks are one-entry objects whose key is the type.
_READERS: Mapping[str, Any] = {
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "decimal": Decimal,
    "bytes": base64.b64decode,
    "float": float,
}


def type_of(text: str) -> SqlType:
    """Return the type that `str(type)` wrote."""
    found = _TYPE.match(text)
    assert found is not None, text
    name, arguments, brackets = found.groups()
    if name == "NULL":
        return types.NULL_TYPE
    numbers = tuple(int(part) for part in arguments.split(",")) if arguments else ()
    return types.named(name, numbers, len(brackets) // 2)


def write_columns(columns: tuple[Column, ...]) -> str:
    """Return columns as JSON."""
    return json.dumps(
        [
            [c.id, c.name, str(c.type), c.nullable, c.default, _present(c, _COLUMN_DETAILS)]
            for c in columns
        ]
    )


_COLUMN_DETAILS = ("identity", "generated", "comment", "initial")


def _present(owner: Any, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(owner, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def read_columns(text: str) -> tuple[Column, ...]:
    """Return the columns that `write_columns` wrote."""
    return tuple(
        Column(id_, name, type_of(type_), nullable, default, **(details[0] if details else {}))
        for id_, name, type_, nullable, default, *details in json.loads(text)
    )


def write_details(table: Table) -> str:
    """Return what a table has beside its columns and its key as JSON."""
    parts = table.partitioning
    details = {
        "checks": [[check.name, check.condition] for check in table.checks],
        "properties": dict(table.properties),
        "comment": table.comment,
        "partitioning": None
        if parts is None
        else [parts.kind, parts.column, parts.count, [[n, list(v)] for n, v in parts.parts]],
    }
    return json.dumps({name: value for name, value in details.items() if value})


def read_table(id_: int, name: str, primary_key: str, columns: str, details: str) -> Table:
    """Return the table that `write_columns` and `write_details` wrote."""
    known = json.loads(details)
    partitioning = None
    if "partitioning" in known:
        kind, column, count, parts = known["partitioning"]
        lists = tuple((part, tuple(values)) for part, values in parts)
        partitioning = Partitioning(kind, column, count, lists)
    return Table(
        id_,
        name,
        read_columns(columns),
        tuple(json.loads(primary_key)),
        tuple(Check(*check) for check in known.get("checks", ())),
        MappingProxyType(known["properties"]) if "properties" in known else EMPTY,
        known.get("comment"),
        partitioning,
    )


_Statistics = dict[int, ColumnStatistics]
_Paths = dict[tuple[int, str], PathStatistics]
_PATHS = "paths"


def write_machine(machine: Machine) -> str:
    """Return a machine's constants as JSON."""
    return json.dumps({"measured_us": machine.measured_us, **machine.nanoseconds})


def read_machine(text: str) -> Machine:
    """Return the constants that `write_machine` wrote, less those that this version has not."""
    values = json.loads(text)
    known = {name: float(values[name]) for name in CONSTANTS if name in values}
    return Machine(known, values["measured_us"])


def write_statistics(
    statistics: Mapping[int, ColumnStatistics], paths: Mapping[tuple[int, str], PathStatistics]
) -> str:
    """Return statistics by column id, and those of JSON paths, as JSON."""
    written: dict[str, Any] = {str(id_): _packed_column(s) for id_, s in statistics.items()}
    if paths:
        written[_PATHS] = [
            [
                *(column_id, pointer, path.rows, path.absent),
                *map(_packed_column, (path.numbers, path.strings, path.booleans, path.elements)),
            ]
            for (column_id, pointer), path in paths.items()
        ]
    return json.dumps(written)


def read_statistics(text: str) -> tuple[_Statistics, _Paths]:
    """Return the statistics that `write_statistics` wrote."""
    written = json.loads(text)
    paths: _Paths = {}
    for column_id, pointer, rows, absent, *parts in written.pop(_PATHS, ()):
        paths[(column_id, pointer)] = PathStatistics(rows, absent, *map(_unpacked_column, parts))
    columns = {int(id_): _unpacked_column(parts) for id_, parts in written.items()}
    return {id_: column for id_, column in columns.items() if column is not None}, paths


def _packed_column(s: ColumnStatistics | None) -> list[Any] | None:
    if s is None:
        return None
    return [
        s.rows,
        s.nulls,
        s.distinct,
        _packed(s.minimum),
        _packed(s.maximum),
        [[_packed(value), count] for value, count in s.common],
        [_packed(value) for value in s.histogram],
    ]


def _unpacked_column(parts: list[Any] | None) -> ColumnStatistics | None:
    if parts is None:
        return None
    rows, nulls, distinct, minimum, maximum, common, histogram = parts
    return ColumnStatistics(
        rows,
        nulls,
        distinct,
        _unpacked(minimum),
        _unpacked(maximum),
        tuple((_unpacked(value), count) for value, count in common),
        tuple(_unpacked(value) for value in histogram),
    )


def _packed(value: Any) -> Any:
    match value:
        case datetime.datetime():
            return {"datetime": value.isoformat()}
        case datetime.date():
            return {"date": value.isoformat()}
        case datetime.time():
            return {"time": value.isoformat()}
        case Decimal():
            return {"decimal": str(value)}
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
        case float() if value != value or value in (float("inf"), float("-inf")):
            return {"float": repr(value)}
        case _:
            return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        ((kind, text),) = value.items()
        return _READERS[kind](text)
    return value
