"""What is in a database, for SQLAlchemy's inspector: read off the connection's snapshot."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import exc, types
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL, JSON
from sqlalchemy.engine import default
from sqlalchemy.engine.reflection import cache

from vsql.core.schema import NO_CONSTRAINT, Check, Column, Index
from vsql.core.snapshot import Snapshot, TableSnapshot
from vsql.core.types import Family, SqlType
from vsql.dialect.types import BFloatVector, Bit, HalfVector, Int8Vector, SparseVector, Vector
from vsql.executor.type_names import operator_class

_PLAIN: dict[Family, Callable[[], types.TypeEngine[Any]]] = {
    Family.BOOLEAN: types.BOOLEAN,
    Family.TINYINT: types.SMALLINT,
    Family.SMALLINT: types.SMALLINT,
    Family.INTEGER: types.INTEGER,
    Family.BIGINT: types.BIGINT,
    Family.REAL: types.REAL,
    Family.DOUBLE: types.DOUBLE_PRECISION,
    Family.TEXT: types.TEXT,
    Family.BYTEA: types.LargeBinary,
    Family.DATE: types.DATE,
    Family.TIME: types.TIME,
    Family.TIMESTAMP: types.TIMESTAMP,
    Family.TIMESTAMPTZ: functools.partial(types.TIMESTAMP, timezone=True),
    Family.INTERVAL: INTERVAL,
    Family.UUID: types.Uuid,
    Family.JSON: JSON,
}


def reflected_type(type_: SqlType) -> types.TypeEngine[Any]:
    """Return SQLAlchemy's type for one of vsql's."""
    if type_.element is not None:
        inner = reflected_type(type_.element)
        if isinstance(inner, ARRAY):
            return ARRAY(inner.item_type, dimensions=(inner.dimensions or 1) + 1)
        return ARRAY(inner)
    match type_.family, type_.arguments:
        case Family.VARCHAR, arguments:
            return types.VARCHAR(arguments[0] if arguments else None)
        case Family.DECIMAL, (precision, scale):
            return types.NUMERIC(precision, scale)
        case Family.VECTOR, (dimension,):
            return Vector(dimension)
        case Family.HALFVEC, (dimension,):
            return HalfVector(dimension)
        case Family.BFLOATVEC, (dimension,):
            return BFloatVector(dimension)
        case Family.INT8VEC, (dimension,):
            return Int8Vector(dimension)
        case Family.BIT, (length,):
            return Bit(length)
        case Family.SPARSEVEC, (dimension,):
            return SparseVector(dimension)
        case family, _:
            return _PLAIN[family]()


def _snapshot(connection: Any) -> Snapshot:
    found: Snapshot = connection.connection.dbapi_connection.snapshot()
    return found


def _qualified(name: str, schema: str | None) -> str:
    return name if schema in (None, "public") else f"{schema}.{name}"


class Reflection:
    """The inspector's questions, answered from the snapshot."""

    def _table(self, connection: Any, name: str, schema: str | None) -> TableSnapshot:
        table = _snapshot(connection).tables.get(_qualified(name, schema))
        if table is None:
            raise exc.NoSuchTableError(_qualified(name, schema))
        return table

    def _names(self, connection: Any, schema: str | None, *, temporary: bool) -> list[str]:
        prefix = _qualified("", schema)
        return [
            name.removeprefix(prefix)
            for name, table in _snapshot(connection).tables.items()
            if table.table.temporary == temporary
            and name.startswith(prefix)
            and "." not in name.removeprefix(prefix)
        ]

    def _views(self, connection: Any, schema: str | None) -> list[str]:
        prefix = _qualified("", schema)
        return [
            name.removeprefix(prefix)
            for kind, name in _snapshot(connection).objects
            if kind == "view" and name.startswith(prefix) and "." not in name.removeprefix(prefix)
        ]

    @cache
    def get_schema_names(self, connection: Any, **options: Any) -> list[str]:
        names = [name for kind, name in _snapshot(connection).objects if kind == "schema"]
        return ["public", *sorted(names)]

    def has_schema(self, connection: Any, schema_name: str, **options: Any) -> bool:
        return schema_name in self.get_schema_names(connection, **options)

    @cache
    def get_table_names(self, connection: Any, schema: str | None = None, **o: Any) -> list[str]:
        return self._names(connection, schema, temporary=False)

    @cache
    def get_temp_table_names(
        self, connection: Any, schema: str | None = None, **options: Any
    ) -> list[str]:
        return self._names(connection, schema, temporary=True)

    @cache
    def get_view_names(self, connection: Any, schema: str | None = None, **o: Any) -> list[str]:
        return self._views(connection, schema)

    def get_temp_view_names(
        self, connection: Any, schema: str | None = None, **options: Any
    ) -> list[str]:
        return []

    get_materialized_view_names = get_sequence_names = get_temp_view_names

    def has_sequence(self, connection: Any, sequence_name: str, **options: Any) -> bool:
        return False

    @cache
    def get_view_definition(
        self, connection: Any, view_name: str, schema: str | None = None, **options: Any
    ) -> str:
        found = _snapshot(connection).objects.get(("view", _qualified(view_name, schema)))
        if found is None:
            raise exc.NoSuchTableError(_qualified(view_name, schema))
        return found.body

    @cache
    def has_table(
        self, connection: Any, table_name: str, schema: str | None = None, **options: Any
    ) -> bool:
        snapshot, name = _snapshot(connection), _qualified(table_name, schema)
        return name in snapshot.tables or ("view", name) in snapshot.objects

    def has_index(
        self,
        connection: Any,
        table_name: str,
        index_name: str,
        schema: str | None = None,
        **options: Any,
    ) -> bool:
        if not self.has_table(connection, table_name, schema, **options):
            return False
        found = self.get_indexes(connection, table_name, schema, **options)
        return any(index["name"] == index_name for index in found)

    @cache
    def get_columns(
        self, connection: Any, table_name: str, schema: str | None = None, **options: Any
    ) -> list[dict[str, Any]]:
        if table_name in self._views(connection, schema):
            return self._columns_of_view(connection, table_name, schema)
        table = self._table(connection, table_name, schema)
        return [_column(column) for column in table.table.columns]

    def _columns_of_view(
        self, connection: Any, name: str, schema: str | None
    ) -> list[dict[str, Any]]:
        preparer = connection.dialect.identifier_preparer
        shown = preparer.quote(name) if schema is None else f"{schema}.{preparer.quote(name)}"
        dbapi = connection.connection.dbapi_connection
        with dbapi.execute(f"SELECT * FROM {shown} LIMIT 0") as cursor:
            pairs = cursor.column_types()
        return [
            {"name": n, "type": reflected_type(type_), "nullable": True, "default": None}
            for n, type_ in pairs
        ]

    @cache
    def get_pk_constraint(
        self, connection: Any, table_name: str, schema: str | None = None, **options: Any
    ) -> dict[str, Any]:
        if table_name in self._views(connection, schema):
            return {"constrained_columns": [], "name": None}
        table = self._table(connection, table_name, schema)
        columns = table.table.primary_key
        name = next((i.name for i in table.indexes if i.unique and i.key_columns == columns), None)
        return {
            "constrained_columns": list(columns),
            "name": name if columns else None,
        }

    @cache
    def get_foreign_keys(
        self, connection: Any, table_name: str, schema: str | None = None, **options: Any
    ) -> list[dict[str, Any]]:
        if table_name not in self._views(connection, schema):
            self._table(connection, table_name, schema)
        return []

    @cache
    def get_unique_constraints(
        self, connection: Any, table_name: str, schema: str | None = None, **options: Any
    ) -> list[dict[str, Any]]:
        if table_name in self._views(connection, schema):
            return []
        table = self._table(connection, table_name, schema)
        return [
            {"name": i.name, "column_names": list(i.key_columns)}
            for i in _by_name(table.indexes)
            if i.unique
            and i.key_columns != table.table.primary_key
            and NO_CONSTRAINT not in i.options
        ]

    @cache
    def get_check_constraints(
        self, connection: Any, table_name: str, schema: str | None = None, **options: Any
    ) -> list[dict[str, Any]]:
        if table_name in self._views(connection, schema):
            return []
        checks = self._table(connection, table_name, schema).table.checks
        return [{"name": c.name, "sqltext": c.condition} for c in _by_name(checks)]

    @cache
    def get_indexes(
        self, connection: Any, table_name: str, schema: str | None = None, **options: Any
    ) -> list[dict[str, Any]]:
        if table_name in self._views(connection, schema):
            return []
        table = self._table(connection, table_name, schema)
        primary = table.table.primary_key
        return [
            _index(index, table)
            for index in _by_name(table.indexes)
            if not (index.unique and index.key_columns == primary)
        ]

    @cache
    def get_table_comment(
        self, connection: Any, table_name: str, schema: str | None = None, **options: Any
    ) -> dict[str, Any]:
        if table_name in self._views(connection, schema):
            return {"text": None}
        return {"text": self._table(connection, table_name, schema).table.comment}

    @cache
    def get_table_options(
        self, connection: Any, table_name: str, schema: str | None = None, **options: Any
    ) -> dict[str, Any]:
        if table_name in self._views(connection, schema):
            return {}
        properties = dict(self._table(connection, table_name, schema).table.properties)
        return {"vsql_with": properties} if properties else {}

    # PostgreSQL's dialect asks pg_catalog for many tables at once; here one is as cheap.
    has_multi_table = default.DefaultDialect.has_multi_table
    get_multi_columns = default.DefaultDialect.get_multi_columns
    get_multi_pk_constraint = default.DefaultDialect.get_multi_pk_constraint
    get_multi_foreign_keys = default.DefaultDialect.get_multi_foreign_keys
    get_multi_indexes = default.DefaultDialect.get_multi_indexes
    get_multi_unique_constraints = default.DefaultDialect.get_multi_unique_constraints
    get_multi_check_constraints = default.DefaultDialect.get_multi_check_constraints
    get_multi_table_comment = default.DefaultDialect.get_multi_table_comment
    get_multi_table_options = default.DefaultDialect.get_multi_table_options


_Named = TypeVar("_Named", Index, Check)


def _by_name(found: tuple[_Named, ...]) -> list[_Named]:
    return sorted(found, key=lambda one: one.name)


def _column(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": column.name,
        "type": reflected_type(column.type),
        "nullable": column.nullable,
        "default": column.default,
        "autoincrement": column.identity is not None,
        "comment": column.comment,
    }
    if column.identity is not None:
        found["identity"] = {"always": column.identity == "always", "start": 1, "increment": 1}
    if column.generated is not None:
        found["computed"] = {"sqltext": column.generated, "persisted": True}
    return found


def _index(index: Index, table: TableSnapshot) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if not index.unique:
        options["vsql_using"] = index.kind.lower()
    if index.options and not index.unique:
        options["vsql_with"] = dict(index.options)
    names = _names_in(index, table)
    if index.metric is not None and names[0] is not None:
        options["vsql_ops"] = {names[0]: operator_class(index, table)}
    found: dict[str, Any] = {
        "name": index.name,
        "unique": index.unique,
        "column_names": names,
    }
    if options:
        found["dialect_options"] = options
    if names == [None]:
        # A class belongs to a column's name, which an expression has not got: it stands beside it.
        class_ = "" if index.metric is None else f" {operator_class(index, table)}"
        found["expressions"] = [f"({index.key}){class_}"]
    if index.unique and NO_CONSTRAINT not in index.options:
        found["duplicates_constraint"] = index.name
    return found


def _names_in(index: Index, table: TableSnapshot) -> list[str | None]:
    """Return the columns of an index, None for an expression."""
    known = [n if table.table.find(n) is not None else None for n in index.key_columns]
    return known if known and all(known) else [None]
