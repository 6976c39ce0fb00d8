"""The dialect itself: PostgreSQL's compilers with vsql's driver, types and reflection."""

from types import ModuleType
from typing import Any

from sqlalchemy import URL, exc, pool, schema, types, util
from sqlalchemy.dialects.postgresql import base as postgresql
from sqlalchemy.engine import default
from sqlalchemy.sql.compiler import InsertmanyvaluesSentinelOpts

from vsql.dialect import types as own_types
from vsql.dialect.compilers import DDLCompiler, IdentifierPreparer, SQLCompiler, TypeCompiler
from vsql.dialect.reflection import Reflection

# What PostgreSQL's compilers ask of an index, beside our own options.
_POSTGRESQL_INDEX: dict[str, Any] = {"where": None, "include": None, "concurrently": False}


class ExecutionContext(default.DefaultExecutionContext):
    """A statement's run; the driver buffers rows itself."""


class VsqlDialect(Reflection, postgresql.PGDialect):
    """`vsql:///folder`, `vsql:///:memory:`, `vsql://` (in memory)."""

    name = "vsql"
    driver = "vsql"
    default_paramstyle = "named"
    supports_statement_cache = True
    supports_sane_rowcount = True
    supports_sane_multi_rowcount = True
    supports_native_decimal = True
    supports_constraint_comments = False
    supports_native_enum = False
    supports_native_boolean = True
    supports_native_uuid = True
    supports_sequences = False
    supports_alter = True
    supports_comments = True
    inline_comments = False
    supports_default_values = True
    supports_multivalues_insert = True
    insert_returning = update_returning = delete_returning = True
    use_insertmanyvalues = True
    # RETURNING gives rows in the order of VALUES, and identities in that order ascend.
    insertmanyvalues_implicit_sentinel = InsertmanyvaluesSentinelOpts.ANY_AUTOINCREMENT
    supports_identity_columns = True
    preexecute_autoincrement_sequences = False
    postfetch_lastrowid = False
    default_schema_name = "public"
    max_identifier_length = 255

    statement_compiler = SQLCompiler
    ddl_compiler = DDLCompiler
    type_compiler_cls = TypeCompiler
    preparer = IdentifierPreparer
    execution_ctx_cls = ExecutionContext

    construct_arguments = [  # noqa: RUF012  # SQLAlchemy's own shape
        (schema.Index, {"using": None, "with": {}, "ops": {}, **_POSTGRESQL_INDEX}),
        (schema.Table, {"with": {}}),
    ]

    colspecs = {  # noqa: RUF012  # SQLAlchemy's own shape
        **postgresql.colspecs,
        types.Interval: own_types.Interval,
        postgresql.INTERVAL: own_types.Interval,
    }

    ischema_names = {  # noqa: RUF012  # SQLAlchemy's own shape
        **postgresql.ischema_names,
        "vector": own_types.Vector,
        "halfvec": own_types.HalfVector,
        "bfloatvec": own_types.BFloatVector,
        "int8vec": own_types.Int8Vector,
        "bit": own_types.Bit,
        "sparsevec": own_types.SparseVector,
    }

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        import vsql

        return vsql

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> type[default.DefaultDialect]:
        """Return what `create_async_engine("vsql://…")` uses, as though the URL said vsql+aio."""
        from vsql.dialect.aio import AsyncVsqlDialect

        return AsyncVsqlDialect

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.SingletonThreadPool if in_memory(url) else pool.QueuePool

    def create_connect_args(self, url: URL) -> tuple[list[Any], dict[str, Any]]:
        if url.host or url.port:
            raise exc.ArgumentError(
                "vsql:// with a host is reserved for a server; "
                "write vsql:///relative/path or vsql:////absolute/path"
            )
        settings: dict[str, Any] = dict(url.query)
        if "read_only" in settings:
            try:
                settings["read_only"] = util.asbool(settings["read_only"])
            except ValueError:
                shown = settings["read_only"]
                raise exc.ArgumentError(f"read_only is true or false, not {shown!r}") from None
        return [url.database or ":memory:"], settings

    def initialize(self, connection: Any) -> None:
        default.DefaultDialect.initialize(self, connection)

    def on_connect(self) -> None:
        return None

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        # What the compilers ask of PostgreSQL's version: the statements of a recent one.
        return (17, 0)

    def _get_default_schema_name(self, connection: Any) -> str:
        return "public"

    def get_isolation_level_values(self, dbapi_connection: Any) -> list[str]:
        return ["SNAPSHOT", "AUTOCOMMIT"]

    def get_default_isolation_level(self, dbapi_conn: Any) -> str:
        return "SNAPSHOT"

    def get_isolation_level(self, dbapi_connection: Any) -> str:
        return "AUTOCOMMIT" if dbapi_connection.autocommit else "SNAPSHOT"

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        dbapi_connection.autocommit = level == "AUTOCOMMIT"

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        return bool(dbapi_conn.autocommit)

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        return "is closed" in str(e)

    def do_ping(self, dbapi_connection: Any) -> bool:
        return not dbapi_connection.closed

    def do_rollback(self, dbapi_connection: Any) -> None:
        if not dbapi_connection.closed:
            dbapi_connection.rollback()


def in_memory(url: URL) -> bool:
    """Whether a URL names a private database in memory."""
    return not url.database or url.database == ":memory:"
