"""Alembic's side of the dialect: autogenerate compares, and operations are vsql's statements.

Alembic has this module imported by its plug-in (`alembic_plugin.py`); that is all it takes.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alembic.ddl.base import ColumnComment, RenameTable, alter_table, format_table_name
from alembic.ddl.impl import ComparisonResult, DefaultImpl
from sqlalchemy import Column, Dialect, Index, exc, schema, types
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles

from vsql.core.distance import METRIC_BY_OPERATOR_CLASS, Metric
from vsql.core.errors import Error
from vsql.dialect.compilers import index_options, key_parts
from vsql.dialect.types import Bit, SparseVector, Vector
from vsql.grammar.parse import parse_expression
from vsql.grammar.render import render
from vsql.index import registry

if TYPE_CHECKING:
    # Alembic loads its plug-ins while it is being imported itself: these are not there yet.
    from alembic.autogenerate.api import AutogenContext


class VsqlImpl(DefaultImpl):
    """How operations run and definitions compare; Alembic finds it by the dialect's name."""

    __dialect__ = "vsql"
    transactional_ddl = True
    type_synonyms = (*DefaultImpl.type_synonyms, {"CHAR", "VARCHAR"})

    def add_constraint(self, const: Any, **options: Any) -> None:
        """Add it, unless it is a foreign key: vsql keeps none."""
        if not isinstance(const, schema.ForeignKeyConstraint):
            super().add_constraint(const, **options)

    def drop_constraint(self, const: schema.Constraint, **options: Any) -> None:
        if not isinstance(const, schema.ForeignKeyConstraint):
            super().drop_constraint(const, **options)

    def alter_column(self, table_name: str, column_name: str, **changes: Any) -> None:
        """Change a column; raises CompileError for a conversion by an expression."""
        if changes.pop("postgresql_using", None) is not None:
            raise exc.CompileError("vsql's ALTER COLUMN has no USING: add a column and UPDATE it")
        super().alter_column(table_name, column_name, **changes)

    def correct_for_autogen_foreignkeys(self, conn_fks: set[Any], metadata_fks: set[Any]) -> None:
        """Take those of the metadata for given: the database can't tell."""
        metadata_fks.clear()

    def correct_for_autogen_constraints(
        self,
        conn_uniques: set[Any],
        conn_indexes: set[Index],
        metadata_unique_constraints: set[Any],
        metadata_indexes: set[Index],
    ) -> None:
        """Leave out the indexes that are there for a constraint."""
        for index in [i for i in conn_indexes if i.info.get("duplicates_constraint")]:
            conn_indexes.remove(index)

    def compare_type(self, inspector_column: Column[Any], metadata_column: Column[Any]) -> bool:
        """Return whether they differ; the number of an array's dimensions is not kept."""
        arrays = [isinstance(c.type, types.ARRAY) for c in (inspector_column, metadata_column)]
        return arrays[0] != arrays[1] or super().compare_type(inspector_column, metadata_column)

    def compare_server_default(
        self,
        inspector_column: Column[Any],
        metadata_column: Column[Any],
        rendered_metadata_default: str | None,
        rendered_inspector_default: str | None,
    ) -> bool:
        """Return whether they differ, both written as the catalog writes them."""
        if metadata_column.server_default is None or rendered_inspector_default is None:
            return rendered_metadata_default != rendered_inspector_default
        no_statement: Any = None
        compiler = self.dialect.ddl_compiler(self.dialect, no_statement)
        wanted = compiler.get_column_default_string(metadata_column)
        both = [_canonical(wanted or ""), _canonical(rendered_inspector_default)]
        if not isinstance(inspector_column.type, types.String):
            # '5' and 5 are one default of a number.
            both = [text.strip("'") for text in both]
        return both[0] != both[1]

    def _compare_identity_default(
        self, metadata_identity: Any, inspector_identity: Any
    ) -> tuple[set[str], set[str], bool]:
        # A key that counts up by itself is an identity in the database.
        if metadata_identity is None and inspector_identity.column.primary_key:
            return set(), set(), False
        found: tuple[set[str], set[str], bool]
        found = super()._compare_identity_default(metadata_identity, inspector_identity)
        return found

    def compare_indexes(self, metadata_index: Index, reflected_index: Index) -> ComparisonResult:
        """Compare uniqueness, keys, kind, operator class and options."""
        differences = [
            f"{what} {found} to {wanted}"
            for what, wanted, found in (
                ("unique", bool(metadata_index.unique), bool(reflected_index.unique)),
                *_compared(metadata_index, reflected_index, self.dialect),
            )
            if found != wanted
        ]
        if differences:
            return ComparisonResult.Different(differences)
        return ComparisonResult.Equal()

    def render_type(self, type_obj: Any, autogen_context: "AutogenContext") -> Any:
        """Return a type as generated scripts write it, False to leave it to Alembic."""
        from alembic.autogenerate.render import _repr_type

        match type_obj:
            case Vector() | Bit() | SparseVector():
                autogen_context.imports.add("import vsql.dialect")
                return f"vsql.dialect.{type_obj!r}"
            case postgresql.JSON():
                return f"postgresql.{type(type_obj).__name__}()"
            case postgresql.ARRAY():
                item = _repr_type(type_obj.item_type, autogen_context)
                return f"postgresql.ARRAY({item}, dimensions={type_obj.dimensions})"
            case _:
                return False


def _canonical(text: str) -> str:
    """Return an expression as the catalog keeps it; unchanged where it can't be parsed."""
    try:
        return render(parse_expression(text).unnest())
    except Error:
        return text


def _compared(wanted: Index, found: Index, dialect: Dialect) -> list[tuple[str, Any, Any]]:
    """Return what to compare: name, value in the metadata, value in the database.

    What the metadata leaves open is what CREATE INDEX makes of it.
    """
    keys = [[_canonical(key_parts(k)[0]) for k in _keys(i, dialect)] for i in (wanted, found)]
    compared: list[tuple[str, Any, Any]] = [("keys", keys[0], keys[1])]
    if wanted.unique:
        return compared
    asked, kept = index_options(wanted), index_options(found)
    compared.append(("with", _texts(asked["with"]), _texts(kept["with"])))
    if asked["using"]:
        compared.append(("using", _kind(asked["using"]), _kind(kept["using"])))
    metric = _metric(found, dialect)
    if metric is not None:
        default = Metric.HAMMING if metric.over_bits else Metric.COSINE
        compared.append(("ops", _metric(wanted, dialect) or default, metric))
    return compared


def _metric(index: Index, dialect: Dialect) -> Metric | None:
    classes = [*index_options(index)["ops"].values()]
    classes += [key_parts(key)[1] for key in _keys(index, dialect)]
    return next(
        (METRIC_BY_OPERATOR_CLASS[c] for c in classes if c in METRIC_BY_OPERATOR_CLASS), None
    )


def _keys(index: Index, dialect: Dialect) -> list[str]:
    options = {"literal_binds": True, "include_table": False}
    return [
        key if isinstance(key, str) else str(key.compile(dialect=dialect, compile_kwargs=options))
        for key in index.expressions
    ]


def _kind(name: str) -> str:
    try:
        return registry.canonical(name)
    except Error:
        return name.upper()


def _texts(options: Mapping[str, Any]) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in options.items()}


@compiles(RenameTable, "vsql")
def _visit_rename_table(element: RenameTable, compiler: Any, **options: Any) -> str:
    table = alter_table(compiler, element.table_name, element.schema)
    return f"{table} RENAME TO {format_table_name(compiler, element.new_table_name, None)}"


@compiles(ColumnComment, "vsql")
def _visit_column_comment(element: ColumnComment, compiler: Any, **options: Any) -> str:
    table = format_table_name(compiler, element.table_name, element.schema)
    text = "NULL"
    if element.comment is not None:
        text = compiler.sql_compiler.render_literal_value(element.comment, types.String())
    return f"COMMENT ON COLUMN {table}.{compiler.preparer.quote(element.column_name)} IS {text}"
