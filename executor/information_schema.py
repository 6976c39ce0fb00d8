"""The rows of `information_schema`: what SQL's standard says of tables, columns and constraints.

Source: ISO/IEC 9075-11; PostgreSQL 18's documentation, "The Information Schema".
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vsql.core.schema import Column
from vsql.core.types import Family, SqlType
from vsql.executor.system_objects import (
    OWNER_NAME,
    TEMPORARY,
    Constraint,
    Relation,
    SystemObjects,
    largest_of,
)
from vsql.planner.system_catalog import type_of

Row = dict[str, Any]
_NUMERIC: Mapping[Family, tuple[int, int, int | None]] = {
    Family.TINYINT: (16, 2, 0),
    Family.SMALLINT: (16, 2, 0),
    Family.INTEGER: (32, 2, 0),
    Family.BIGINT: (64, 2, 0),
    Family.REAL: (24, 2, None),
    Family.DOUBLE: (53, 2, None),
}
_MOMENTS = (Family.TIME, Family.TIMESTAMP, Family.TIMESTAMPTZ)
_TEXT_BYTES_MAX = 1 << 30
_PRIVILEGES = ("INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
_CONSTRAINT_WORDS = {"p": "PRIMARY KEY", "u": "UNIQUE", "c": "CHECK"}


def _place(relation: Relation, objects: SystemObjects) -> Row:
    return {
        "table_catalog": objects.database,
        "table_schema": relation.namespace.name,
        "table_name": relation.name,
    }


def _shown(objects: SystemObjects) -> Iterator[Relation]:
    return (relation for relation in objects.relations if relation.kind in "rv")


def _catalog_name(objects: SystemObjects) -> Iterator[Row]:
    yield {"catalog_name": objects.database}


def _schemata(objects: SystemObjects) -> Iterator[Row]:
    for namespace in objects.namespaces:
        if namespace.oid != TEMPORARY:
            yield {
                "catalog_name": objects.database,
                "schema_name": namespace.name,
                "schema_owner": OWNER_NAME,
            }


def _tables(objects: SystemObjects) -> Iterator[Row]:
    for relation in _shown(objects):
        is_temporary = relation.namespace.oid == TEMPORARY
        kind = "LOCAL TEMPORARY" if is_temporary else "BASE TABLE"
        yield {
            **_place(relation, objects),
            "table_type": "VIEW" if relation.kind == "v" else kind,
            "is_insertable_into": "YES" if relation.table is not None else "NO",
            "is_typed": "NO",
            "commit_action": "PRESERVE" if is_temporary else None,
        }


def _columns(objects: SystemObjects) -> Iterator[Row]:
    for relation in _shown(objects):
        for number, column in enumerate(relation.columns, 1):
            yield {
                **_place(relation, objects),
                "column_name": column.name,
                "ordinal_position": number,
                "column_default": column.default,
                "is_nullable": "YES" if _is_nullable(column, relation) else "NO",
                **_type(column.type, objects),
                "dtd_identifier": str(number),
                "is_self_referencing": "NO",
                **_identity(column),
                "is_generated": "NEVER" if column.generated is None else "ALWAYS",
                "generation_expression": column.generated,
                "is_updatable": "YES" if relation.table is not None else "NO",
            }


def _is_nullable(column: Column, relation: Relation) -> bool:
    keys = relation.table.table.primary_key if relation.table is not None else ()
    return column.nullable and column.name not in keys


def _identity(column: Column) -> Row:
    if column.identity is None:
        return {"is_identity": "NO", "identity_cycle": "NO"}
    return {
        "is_identity": "YES",
        "identity_generation": "ALWAYS" if column.identity == "always" else "BY DEFAULT",
        "identity_start": "1",
        "identity_increment": "1",
        "identity_maximum": str(largest_of(column)),
        "identity_minimum": "1",
        "identity_cycle": "NO",
    }


def _type(type_: SqlType, objects: SystemObjects) -> Row:
    system = type_of(type_)
    name = "ARRAY" if type_.element is not None else system.sql_name
    found: Row = {
        "data_type": "USER-DEFINED" if system.schema == "public" and name != "ARRAY" else name,
        "udt_catalog": objects.database,
        "udt_schema": system.schema,
        "udt_name": system.name,
    }
    if type_.is_string:
        length = type_.arguments[0] if type_.arguments else None
        octets = _TEXT_BYTES_MAX if length is None else 4 * length
        found.update(character_maximum_length=length, character_octet_length=octets)
    elif type_.family is Family.BIT:
        found.update(character_maximum_length=type_.dimension)
    elif type_.family is Family.DECIMAL:
        precision, scale = type_.arguments
        found.update(numeric_precision=precision, numeric_precision_radix=10, numeric_scale=scale)
    elif type_.family in _NUMERIC:
        precision, radix, exact = _NUMERIC[type_.family]
        found.update(
            numeric_precision=precision, numeric_precision_radix=radix, numeric_scale=exact
        )
    elif type_.family in _MOMENTS or type_.family is Family.INTERVAL:
        found.update(datetime_precision=6)
    elif type_.family is Family.DATE:
        found.update(datetime_precision=0)
    return found


def _element_types(objects: SystemObjects) -> Iterator[Row]:
    for relation in _shown(objects):
        for number, column in enumerate(relation.columns, 1):
            if column.type.element is not None:
                place = _place(relation, objects)
                yield {
                    **{f"object_{name[6:]}": value for name, value in place.items()},
                    "object_type": "VIEW" if relation.kind == "v" else "TABLE",
                    "collection_type_identifier": str(number),
                    **_type(column.type.element, objects),
                    "dtd_identifier": f"a{number}",
                }


def _views(objects: SystemObjects) -> Iterator[Row]:
    for relation in _shown(objects):
        if relation.kind == "v":
            yield {
                **_place(relation, objects),
                "view_definition": relation.view.body if relation.view is not None else None,
                "check_option": "NONE",
                "is_updatable": "NO",
                "is_insertable_into": "NO",
                "is_trigger_updatable": "NO",
                "is_trigger_deletable": "NO",
                "is_trigger_insertable_into": "NO",
            }


def _constraint(one: Constraint, objects: SystemObjects) -> Row:
    return _named(one.name, one.relation, objects)


def _named(name: str, relation: Relation, objects: SystemObjects) -> Row:
    return {
        "constraint_catalog": objects.database,
        "constraint_schema": relation.namespace.name,
        "constraint_name": name,
    }


def _table_constraints(objects: SystemObjects) -> Iterator[Row]:
    every = [(one.name, one.relation, one.kind) for one in objects.constraints]
    # NOT NULL is a check to the standard.
    every += [(name, relation, "c") for relation, _, name in _not_null(objects)]
    for name, relation, kind in every:
        yield {
            **_named(name, relation, objects),
            **_place(relation, objects),
            "constraint_type": _CONSTRAINT_WORDS[kind],
            "is_deferrable": "NO",
            "initially_deferred": "NO",
            "enforced": "YES",
            "nulls_distinct": "YES" if kind == "u" else None,
        }


def _not_null(objects: SystemObjects) -> Iterator[tuple[Relation, Column, str]]:
    for relation in objects.own:
        if relation.kind == "r":
            for column in relation.columns:
                if not _is_nullable(column, relation):
                    yield relation, column, f"{relation.name}_{column.name}_not_null"


def _check_constraints(objects: SystemObjects) -> Iterator[Row]:
    for one in objects.constraints:
        if one.check is not None:
            yield {**_constraint(one, objects), "check_clause": f"({one.check.condition})"}
    for relation, column, name in _not_null(objects):
        clause = f"{column.name} IS NOT NULL"
        yield {**_named(name, relation, objects), "check_clause": clause}


def _key_column_usage(objects: SystemObjects) -> Iterator[Row]:
    for one in objects.constraints:
        if one.kind == "c":
            continue
        for number, name in enumerate(one.columns, 1):
            yield {
                **_constraint(one, objects),
                **_place(one.relation, objects),
                "column_name": name,
                "ordinal_position": number,
            }


def _constraint_column_usage(objects: SystemObjects) -> Iterator[Row]:
    for one in objects.constraints:
        for name in one.columns:
            yield {
                **_constraint(one, objects),
                **_place(one.relation, objects),
                "column_name": name,
            }


def _constraint_table_usage(objects: SystemObjects) -> Iterator[Row]:
    for one in objects.constraints:
        if one.kind != "c":
            yield {**_constraint(one, objects), **_place(one.relation, objects)}


def _sequences(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.own:
        if relation.kind == "S":
            (column,) = relation.columns
            identity = _identity(column)
            yield {
                "sequence_catalog": objects.database,
                "sequence_schema": relation.namespace.name,
                "sequence_name": relation.name,
                "data_type": type_of(column.type).sql_name,
                "numeric_precision": 8 * type_of(column.type).length,
                "numeric_precision_radix": 2,
                "numeric_scale": 0,
                "start_value": identity["identity_start"],
                "minimum_value": identity["identity_minimum"],
                "maximum_value": identity["identity_maximum"],
                "increment": identity["identity_increment"],
                "cycle_option": "NO",
            }


def _table_privileges(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.own:
        if relation.kind in "rv":
            for privilege in _PRIVILEGES:
                yield {
                    "grantor": OWNER_NAME,
                    "grantee": OWNER_NAME,
                    **_place(relation, objects),
                    "privilege_type": privilege,
                    "is_grantable": "YES",
                    "with_hierarchy": "YES" if privilege == "SELECT" else "NO",
                }


def _column_privileges(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.own:
        if relation.kind not in "rv":
            continue
        for column in relation.columns:
            for privilege in ("INSERT", "SELECT", "UPDATE", "REFERENCES"):
                yield {
                    "grantor": OWNER_NAME,
                    "grantee": OWNER_NAME,
                    **_place(relation, objects),
                    "column_name": column.name,
                    "privilege_type": privilege,
                    "is_grantable": "YES",
                }


def _character_sets(objects: SystemObjects) -> Iterator[Row]:
    yield {
        "character_set_name": "UTF8",
        "character_repertoire": "UCS",
        "form_of_use": "UTF8",
        "default_collate_catalog": objects.database,
        "default_collate_schema": "pg_catalog",
        "default_collate_name": "C",
    }


def _roles(objects: SystemObjects) -> Iterator[Row]:
    yield {"role_name": OWNER_NAME}


INFORMATION_ROWS: Mapping[str, Callable[[SystemObjects], Iterator[Row]]] = {
    "character_sets": _character_sets,
    "check_constraints": _check_constraints,
    "column_privileges": _column_privileges,
    "columns": _columns,
    "constraint_column_usage": _constraint_column_usage,
    "constraint_table_usage": _constraint_table_usage,
    "element_types": _element_types,
    "enabled_roles": _roles,
    "information_schema_catalog_name": _catalog_name,
    "key_column_usage": _key_column_usage,
    "role_column_grants": _column_privileges,
    "role_table_grants": _table_privileges,
    "schemata": _schemata,
    "sequences": _sequences,
    "table_constraints": _table_constraints,
    "table_privileges": _table_privileges,
    "tables": _tables,
    "views": _views,
}
