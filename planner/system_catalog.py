"""The relations of `pg_catalog` and `information_schema`, and PostgreSQL's types: what clients ask.

Names, columns and numbers are PostgreSQL 18's, as data beside this file; which rows a relation has
here, the executor says (`executor/system_rows.py`).
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from vsql.core.schema import Column
from vsql.core.types import BIGINT, TEXT, Family, SqlType, named

CATALOG = "pg_catalog"
INFORMATION = "information_schema"

# What `vsql_…` relations add to PostgreSQL's: the answers of functions, to be joined with.
_OWN = (
    "pg_catalog.vsql_definitions 1 v oid:oid part:integer definition:text",
    "pg_catalog.vsql_sizes 2 v oid:oid table_bytes:bigint index_bytes:bigint",
    "pg_catalog.vsql_type_names 4 v oid:oid name:text is_shown:boolean",
    "pg_catalog.vsql_owned_sequences 3 v relation:text attribute:text sequence:text",
)


@dataclass(frozen=True, slots=True)
class SystemRelation:
    """A relation of the catalogs; `kind` is r for a table, v for a view, `name` is qualified.

    `regprocs` are the columns that hold a function's name, where PostgreSQL has its number.
    """

    name: str
    oid: int
    kind: str
    columns: tuple[Column, ...]
    regprocs: frozenset[str]


@dataclass(frozen=True, slots=True)
class SystemType:
    """A row of pg_type: PostgreSQL's columns without their prefix, and the name that SQL has."""

    oid: int
    name: str
    schema: str
    length: int
    by_value: bool
    category: str
    preferred: bool
    delimiter: str
    element: int
    array: int
    collation: int
    align: str
    storage: str
    input: str
    output: str
    receive: str
    send: str
    subscript: str
    sql_name: str


@functools.cache
def relations() -> Mapping[str, SystemRelation]:
    """Return every relation by its qualified name."""
    lines = (*_lines("system_relations.txt"), *_OWN)
    return {relation.name: relation for relation in map(_relation, lines)}


def find(schema: str | None, name: str) -> str | None:
    """Return the qualified name of the relation that `schema.name` or `name` means, or None.

    Without a schema only those of pg_catalog are meant, as in PostgreSQL.
    """
    if schema is None and not name.startswith("pg_"):
        return None
    if schema not in (None, CATALOG, INFORMATION):
        return None
    qualified = f"{schema or CATALOG}.{name}"
    return qualified if qualified in relations() else None


@functools.cache
def types() -> tuple[SystemType, ...]:
    """Return every type."""
    return tuple(map(_type, _lines("system_types.txt")))


_TYPE_OF_FAMILY: Mapping[Family, str] = {
    Family.BOOLEAN: "bool",
    Family.TINYINT: "int2",
    Family.SMALLINT: "int2",
    Family.INTEGER: "int4",
    Family.BIGINT: "int8",
    Family.REAL: "float4",
    Family.DOUBLE: "float8",
    Family.DECIMAL: "numeric",
    Family.VARCHAR: "varchar",
    Family.TEXT: "text",
    Family.BYTEA: "bytea",
    Family.DATE: "date",
    Family.TIME: "time",
    Family.TIMESTAMP: "timestamp",
    Family.TIMESTAMPTZ: "timestamptz",
    Family.INTERVAL: "interval",
    Family.UUID: "uuid",
    Family.JSON: "json",
    Family.VECTOR: "vector",
    Family.HALFVEC: "halfvec",
    Family.BFLOATVEC: "bfloatvec",
    Family.INT8VEC: "int8vec",
    Family.BIT: "bit",
    Family.SPARSEVEC: "sparsevec",
    Family.NULL: "text",
}


def type_of(type_: SqlType) -> SystemType:
    """Return PostgreSQL's type for one of vsql's; arrays of arrays are arrays there."""
    element = type_
    while element.element is not None:
        element = element.element
    found = _by_name()[_TYPE_OF_FAMILY[element.family]]
    return found if element is type_ else _by_oid()[found.array]


def type_named(name: str) -> SystemType | None:
    """Return the type of a name, PostgreSQL's own or SQL's, or None."""
    wanted = name.lower().removeprefix("pg_catalog.").removeprefix("public.")
    return _by_name().get(_ALIASES.get(wanted, wanted))


_ALIASES: Mapping[str, str] = {
    "int": "int4",
    "float": "float8",
    "decimal": "numeric",
    "string": "text",
}


def modifier_of(type_: SqlType) -> int:
    """Return PostgreSQL's typmod: the type's arguments as one number, -1 where it has none."""
    while type_.element is not None:
        type_ = type_.element
    match type_.family, type_.arguments:
        case Family.VARCHAR, (length,):
            return length + 4
        case Family.DECIMAL, (precision, scale):
            return (precision << 16 | scale) + 4
        case _, (size,):
            return size
        case _:
            return -1


@functools.cache
def _by_name() -> Mapping[str, SystemType]:
    by_sql_name = {type_.sql_name: type_ for type_ in reversed(types())}
    return by_sql_name | {type_.name: type_ for type_ in types()}


@functools.cache
def _by_oid() -> Mapping[int, SystemType]:
    return {type_.oid: type_ for type_ in types()}


def _lines(name: str) -> list[str]:
    text = resources.files("vsql.planner").joinpath(name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


def _relation(line: str) -> SystemRelation:
    name, oid, kind, *columns = line.split()
    pairs = [column.rpartition(":") for column in columns]
    return SystemRelation(
        name,
        int(oid),
        kind,
        tuple(Column(n, c, _column_type(word)) for n, (c, _, word) in enumerate(pairs, 1)),
        frozenset(column for column, _, word in pairs if word == "regproc"),
    )


def _column_type(word: str) -> SqlType:
    if word.endswith("[]"):
        return SqlType(Family.ARRAY, element=_column_type(word.removesuffix("[]")))
    if word == "oid":
        return BIGINT
    return TEXT if word == "regproc" else named(word)


def _type(line: str) -> SystemType:
    words = line.split(maxsplit=19)
    oid, name, schema, length, by_value, _, category, preferred, delimiter = words[:9]
    element, array, collation, align, storage, reads, output, receive, send = words[9:18]
    return SystemType(
        int(oid),
        name,
        schema,
        int(length),
        by_value == "t",
        category,
        preferred == "t",
        delimiter,
        int(element),
        int(array),
        int(collation),
        align,
        storage,
        reads,
        output,
        receive,
        send,
        subscript=words[18],
        sql_name=words[19],
    )
