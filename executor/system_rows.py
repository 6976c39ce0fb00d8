"""The rows of `pg_catalog`: what a snapshot holds, as PostgreSQL's clients expect to read it.

A function here gives the rows of one relation as dicts; a column that they leave out has its
type's empty value: 0, false, or NULL for text, arrays and times. Relations without a function
are empty: vsql has no triggers, policies or publications.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from vsql.core.distance import METRIC_BY_OPERATOR_CLASS, Metric
from vsql.core.schema import Column
from vsql.core.settings import SETTINGS
from vsql.core.types import Family
from vsql.core.version import VERSION
from vsql.executor.context import Context
from vsql.executor.information_schema import INFORMATION_ROWS
from vsql.executor.system_objects import (
    CATALOG,
    OWNER,
    OWNER_NAME,
    PUBLIC,
    TEMPORARY,
    Relation,
    SystemObjects,
    access_method,
    index_definition,
    key_definitions,
    key_parts,
    largest_of,
)
from vsql.index import registry
from vsql.planner.relational_nodes import SystemInput
from vsql.planner.system_catalog import modifier_of, relations, type_named, type_of, types

Row = dict[str, Any]
_CLASS, _EXTENSION = 1259, 16399
_HEAP, _BTREE, _DEFAULT_COLLATION, _DEFAULT_TABLESPACE, _ENCODING = 2, 403, 100, 1663, 6
_PAGE_BYTES = 8192
_EMPTY: Mapping[Family, Any] = {
    Family.BIGINT: 0,
    Family.INTEGER: 0,
    Family.REAL: 0.0,
    Family.DOUBLE: 0.0,
    Family.BOOLEAN: False,
}


def system_rows(source: SystemInput, context: Context) -> pa.Table:
    """Return the columns of a relation of the catalogs that a query reads."""
    relation = relations()[source.relation]
    make = None if context.describes else _ROWS.get(source.relation)
    rows = [] if make is None else list(make(context.once(SystemObjects)))
    by_name = {column.name: column for column in relation.columns}
    wanted = [by_name[name] for name in source.columns]
    # The standard's views say NULL for what does not apply, and nothing else.
    plain = source.relation.startswith("information_schema.")
    empty = {
        column.name: "-" if column.name in relation.regprocs else _EMPTY.get(column.type.family)
        for column in wanted
        if not plain and column.name not in _NULLABLE
    }
    return pa.table({c.name: _values(c, rows, empty.get(c.name)) for c in wanted})


def _values(column: Column, rows: list[Row], empty: Any) -> pa.Array:
    return pa.array([row.get(column.name, empty) for row in rows], column.type.arrow)


_NULLABLE = frozenset({"attstattarget", "stxstattarget", "min_val", "max_val", "sourceline"})


def _namespaces(objects: SystemObjects) -> Iterator[Row]:
    for namespace in objects.namespaces:
        yield {"oid": namespace.oid, "nspname": namespace.name, "nspowner": OWNER}


def _access_methods(objects: SystemObjects) -> Iterator[Row]:
    yield {"oid": _HEAP, "amname": "heap", "amhandler": "heap_tableam_handler", "amtype": "t"}
    for name, oid in _methods().items():
        yield {"oid": oid, "amname": name, "amhandler": f"{name}handler", "amtype": "i"}


def _methods() -> dict[str, int]:
    others = sorted({name.lower() for name in registry.names()} - {"btree", "stl_sort"})
    return {"btree": _BTREE, **{name: 16500 + number for number, name in enumerate(others)}}


def _classes(objects: SystemObjects) -> Iterator[Row]:
    methods = _methods()
    checks = Counter(one.relation.oid for one in objects.constraints if one.kind == "c")
    for relation in objects.relations:
        segments = relation.table.segments if relation.table is not None else ()
        method = 0
        if relation.index is not None:
            method = methods[access_method(relation.index)]
        elif relation.kind == "r":
            method = _HEAP
        is_temporary = relation.namespace.oid == TEMPORARY
        yield {
            "oid": relation.oid,
            "relname": relation.name,
            "relnamespace": relation.namespace.oid,
            "relowner": OWNER,
            "relam": method,
            "relfilenode": relation.oid if relation.kind in "riS" else 0,
            "relpages": sum(s.byte_size for s in segments) // _PAGE_BYTES,
            "reltuples": float(relation.table.live_count) if relation.table is not None else 0.0,
            "relhasindex": relation.oid in objects.indexed,
            "relpersistence": "t" if is_temporary else "p",
            "relkind": relation.kind,
            "relnatts": len(relation.columns),
            "relchecks": checks[relation.oid],
            "relhasrules": relation.kind == "v",
            "relispopulated": True,
            "relreplident": "n" if relation.system is not None else "d",
            "reloptions": _options(relation),
        }


def _options(relation: Relation) -> list[str] | None:
    given: Mapping[str, str] = {}
    if relation.table is not None:
        given = relation.table.table.properties
    elif relation.index is not None and not relation.index.unique:
        given = relation.index.options
    return [f"{name}={value}" for name, value in given.items()] or None


def _attributes(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.relations:
        if relation.kind == "S":
            continue
        keys = relation.table.table.primary_key if relation.table is not None else ()
        is_table = relation.table is not None
        for number, column in enumerate(relation.columns, 1):
            type_ = type_of(column.type)
            computed = is_table and (column.default or column.generated) is not None
            identity = {"always": "a", "default": "d", None: ""}[column.identity]
            yield {
                "attrelid": relation.oid,
                "attname": column.name,
                "atttypid": type_.oid,
                "attlen": type_.length,
                "attnum": number,
                "atttypmod": modifier_of(column.type),
                "attndims": str(column.type).count("[]"),
                "attbyval": type_.by_value,
                "attalign": type_.align,
                "attstorage": type_.storage,
                "attcompression": "",
                "attnotnull": is_table and (not column.nullable or column.name in keys),
                "atthasdef": computed,
                "attidentity": identity if is_table else "",
                "attgenerated": "s" if is_table and column.generated is not None else "",
                "attislocal": True,
                "attcollation": type_.collation,
            }


def _defaults(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.own:
        if relation.table is None:
            continue
        for number, column in enumerate(relation.columns, 1):
            value = column.default if column.generated is None else column.generated
            if value is not None:
                # A number of its own, stable like the relation's.
                oid = relation.oid ^ (number << 12)
                yield {"oid": oid, "adrelid": relation.oid, "adnum": number, "adbin": value}


def _types(objects: SystemObjects) -> Iterator[Row]:
    schemas = {"pg_catalog": CATALOG, "public": PUBLIC}
    for type_ in types():
        yield {
            "oid": type_.oid,
            "typname": type_.name,
            "typnamespace": schemas[type_.schema],
            "typowner": OWNER,
            "typlen": type_.length,
            "typbyval": type_.by_value,
            "typtype": "b",
            "typcategory": type_.category,
            "typispreferred": type_.preferred,
            "typisdefined": True,
            "typdelim": type_.delimiter,
            "typsubscript": type_.subscript,
            "typelem": type_.element,
            "typarray": type_.array,
            "typinput": type_.input,
            "typoutput": type_.output,
            "typreceive": type_.receive,
            "typsend": type_.send,
            "typalign": type_.align,
            "typstorage": type_.storage,
            "typtypmod": -1,
            "typcollation": type_.collation,
        }


def _indexes(objects: SystemObjects) -> Iterator[Row]:
    classes = {row["opcname"]: row["oid"] for row in _operator_classes(objects)}
    for relation in objects.own:
        index, owner = relation.index, relation.owner
        if index is None or owner is None or owner.table is None:
            continue
        table = owner.table.table
        parts = key_parts(index, table)
        places = [owner.number(part) for part in parts]
        operators = 0
        if index.metric is not None:
            name = f"{type_of(relation.columns[0].type).name}_{index.metric.operator_class}"
            operators = classes.get(name, 0)
        yield {
            "indexrelid": relation.oid,
            "indrelid": owner.oid,
            "indnatts": len(parts),
            "indnkeyatts": len(parts),
            "indisunique": index.unique,
            "indisprimary": index.unique and index.key_columns == table.primary_key,
            "indimmediate": True,
            "indisvalid": True,
            "indisready": True,
            "indislive": True,
            "indkey": places,
            "indcollation": [type_of(c.type).collation for c in relation.columns],
            "indclass": [operators] * len(parts),
            "indoption": [0] * len(parts),
            "indexprs": None if all(places) else index.key,
        }


def _constraints(objects: SystemObjects) -> Iterator[Row]:
    for one in objects.constraints:
        yield {
            "oid": one.oid,
            "conname": one.name,
            "connamespace": one.relation.namespace.oid,
            "contype": one.kind,
            "conenforced": True,
            "convalidated": True,
            "conrelid": one.relation.oid,
            "conindid": one.index.oid if one.index is not None else 0,
            "conislocal": True,
            "connoinherit": one.kind != "c",
            "conkey": [one.relation.number(name) for name in one.columns],
            "conbin": one.check.condition if one.check is not None else None,
        }


def _descriptions(objects: SystemObjects) -> Iterator[Row]:
    for namespace in objects.namespaces:
        if namespace.comment is not None:
            yield {"objoid": namespace.oid, "classoid": 2615, "description": namespace.comment}
    for relation in objects.own:
        if relation.comment is not None:
            yield {"objoid": relation.oid, "classoid": _CLASS, "description": relation.comment}
        for number, column in enumerate(relation.columns, 1):
            if column.comment is not None and relation.kind == "r":
                yield {
                    "objoid": relation.oid,
                    "classoid": _CLASS,
                    "objsubid": number,
                    "description": column.comment,
                }


def _sequences(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.own:
        if relation.kind == "S":
            (column,) = relation.columns
            yield {
                "seqrelid": relation.oid,
                "seqtypid": type_of(column.type).oid,
                "seqstart": 1,
                "seqincrement": 1,
                "seqmax": largest_of(column),
                "seqmin": 1,
                "seqcache": 1,
            }


def _owned_sequences(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.own:
        if relation.kind == "S" and relation.owner is not None:
            for shown in {relation.owner.shown, relation.owner.qualified}:
                yield {
                    "relation": shown,
                    "attribute": relation.columns[0].name,
                    "sequence": relation.qualified,
                }


def _type_names(objects: SystemObjects) -> Iterator[Row]:
    """The names of each type; `is_shown` is the one that format_type prints."""
    for type_ in types():
        yield {"oid": type_.oid, "name": type_.sql_name, "is_shown": True}
        if type_.name != type_.sql_name:
            yield {"oid": type_.oid, "name": type_.name}


def _definitions(objects: SystemObjects) -> Iterator[Row]:
    """What pg_get_constraintdef, pg_get_indexdef and pg_get_viewdef answer."""
    for one in objects.constraints:
        yield {"oid": one.oid, "part": 0, "definition": one.definition}
    for relation in objects.own:
        if relation.view is not None:
            body = relation.view.body.rstrip().rstrip(";")
            yield {"oid": relation.oid, "part": 0, "definition": f" {body};"}
        if relation.index is not None:
            yield {"oid": relation.oid, "part": 0, "definition": index_definition(relation)}
            for number, key in enumerate(key_definitions(relation), 1):
                yield {"oid": relation.oid, "part": number, "definition": key.split(" ")[0]}


def _sizes(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.own:
        if relation.table is not None:
            files = [f for s in relation.table.segments for f in s.index_files]
            yield {
                "oid": relation.oid,
                "table_bytes": sum(s.byte_size for s in relation.table.segments),
                "index_bytes": sum(file.byte_size for file in files),
            }
        elif relation.index is not None and relation.owner is not None:
            assert relation.owner.table is not None
            files = [f for s in relation.owner.table.segments for f in s.index_files]
            own = [file.byte_size for file in files if file.index_id == relation.index.id]
            yield {"oid": relation.oid, "table_bytes": sum(own), "index_bytes": 0}


def _databases(objects: SystemObjects) -> Iterator[Row]:
    yield {
        "oid": 5,
        "datname": objects.database,
        "datdba": OWNER,
        "encoding": _ENCODING,
        "datlocprovider": "c",
        "datallowconn": True,
        "datconnlimit": -1,
        "dattablespace": _DEFAULT_TABLESPACE,
        "datcollate": "C.UTF-8",
        "datctype": "C.UTF-8",
    }


def _roles(objects: SystemObjects) -> Iterator[Row]:
    yield {
        "oid": OWNER,
        "rolname": OWNER_NAME,
        "rolsuper": True,
        "rolinherit": True,
        "rolcreaterole": True,
        "rolcreatedb": True,
        "rolcanlogin": True,
        "rolreplication": True,
        "rolconnlimit": -1,
        "rolpassword": "********",
        "rolbypassrls": True,
    }


def _users(objects: SystemObjects) -> Iterator[Row]:
    yield {
        "usename": OWNER_NAME,
        "usesysid": OWNER,
        "usecreatedb": True,
        "usesuper": True,
        "userepl": True,
        "usebypassrls": True,
        "passwd": "********",
    }


def _tablespaces(objects: SystemObjects) -> Iterator[Row]:
    yield {"oid": _DEFAULT_TABLESPACE, "spcname": "pg_default", "spcowner": OWNER}


def _collations(objects: SystemObjects) -> Iterator[Row]:
    for oid, name, provider in ((_DEFAULT_COLLATION, "default", "d"), (950, "C", "c")):
        yield {
            "oid": oid,
            "collname": name,
            "collnamespace": CATALOG,
            "collowner": OWNER,
            "collprovider": provider,
            "collisdeterministic": True,
            "collencoding": -1,
        }


def _extensions(objects: SystemObjects) -> Iterator[Row]:
    yield {
        "oid": _EXTENSION,
        "extname": "vector",
        "extowner": OWNER,
        "extnamespace": PUBLIC,
        "extversion": VERSION,
    }


def _languages(objects: SystemObjects) -> Iterator[Row]:
    yield {"oid": 14, "lanname": "sql", "lanowner": OWNER, "lanpltrusted": True}


def _operator_classes(objects: SystemObjects) -> Iterator[Row]:
    method = _methods()["hnsw"]
    for number, (name, metric) in enumerate(METRIC_BY_OPERATOR_CLASS.items()):
        yield {
            "oid": 16700 + number,
            "opcmethod": method,
            "opcname": name,
            "opcnamespace": PUBLIC,
            "opcowner": OWNER,
            "opcfamily": 16700 + number,
            "opcintype": _type_oid(name.partition("_")[0]),
            "opcdefault": metric is Metric.L2,
        }


def _type_oid(name: str) -> int:
    found = type_named(name)
    assert found is not None, name
    return found.oid


def _distances() -> Iterator[tuple[int, Metric, int]]:
    """Yield a number for each distance, the distance, and the oid of what it compares."""
    for number, metric in enumerate(Metric):
        yield number, metric, _type_oid("bit" if metric.over_bits else "vector")


def _functions(objects: SystemObjects) -> Iterator[Row]:
    """The distances, which are vsql's own; what SQL has besides, no client asks one by one."""
    for number, metric, operand in _distances():
        yield {
            "oid": 16800 + number,
            "proname": metric.function,
            "pronamespace": PUBLIC,
            "proowner": OWNER,
            "prolang": 14,
            "procost": 1.0,
            "prokind": "f",
            "proisstrict": True,
            "provolatile": "i",
            "proparallel": "s",
            "pronargs": 2,
            "prorettype": _type_oid("float8"),
            "proargtypes": [operand, operand],
            "prosrc": metric.function,
        }


def _operators(objects: SystemObjects) -> Iterator[Row]:
    for number, metric, operand in _distances():
        yield {
            "oid": 16900 + number,
            "oprname": metric.operator,
            "oprnamespace": PUBLIC,
            "oprowner": OWNER,
            "oprkind": "b",
            "oprleft": operand,
            "oprright": operand,
            "oprresult": _type_oid("float8"),
            "oprcom": 16900 + number,
            "oprcode": metric.function,
        }


def _settings(objects: SystemObjects) -> Iterator[Row]:
    current = objects.settings
    for setting in SETTINGS.values():
        value = current.get(setting.name, setting.default)
        kind = {int: "integer", float: "real"}.get(type(setting.default), "string")
        yield {
            "name": setting.name,
            "setting": str(value),
            "category": "vsql",
            "short_desc": setting.meaning,
            "context": "user",
            "vartype": "enum" if setting.choices else kind,
            "source": "default" if value == setting.default else "session",
            "min_val": None if setting.minimum is None else f"{setting.minimum:g}",
            "max_val": None if setting.maximum is None else f"{setting.maximum:g}",
            "enumvals": list(setting.choices) or None,
            "boot_val": str(setting.default),
            "reset_val": str(setting.default),
        }


def _table_list(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.relations:
        if relation.kind == "r":
            yield {
                "schemaname": relation.namespace.name,
                "tablename": relation.name,
                "tableowner": OWNER_NAME,
                "hasindexes": relation.oid in objects.indexed,
            }


def _view_list(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.relations:
        if relation.kind == "v":
            yield {
                "schemaname": relation.namespace.name,
                "viewname": relation.name,
                "viewowner": OWNER_NAME,
                "definition": relation.view.body if relation.view is not None else None,
            }


def _index_list(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.own:
        if relation.index is not None and relation.owner is not None:
            yield {
                "schemaname": relation.namespace.name,
                "tablename": relation.owner.name,
                "indexname": relation.name,
                "indexdef": index_definition(relation),
            }


def _sequence_list(objects: SystemObjects) -> Iterator[Row]:
    for row, relation in zip(
        _sequences(objects), (r for r in objects.own if r.kind == "S"), strict=True
    ):
        yield {
            "schemaname": relation.namespace.name,
            "sequencename": relation.name,
            "sequenceowner": OWNER_NAME,
            "data_type": type_of(relation.columns[0].type).sql_name,
            "start_value": row["seqstart"],
            "min_value": row["seqmin"],
            "max_value": row["seqmax"],
            "increment_by": row["seqincrement"],
            "cache_size": row["seqcache"],
        }


def _table_activity(objects: SystemObjects) -> Iterator[Row]:
    for relation in objects.own:
        if relation.table is not None:
            segments = relation.table.segments
            yield {
                "relid": relation.oid,
                "schemaname": relation.namespace.name,
                "relname": relation.name,
                "n_live_tup": relation.table.live_count,
                "n_dead_tup": sum(s.deleted_count for s in segments),
            }


_ROWS: Mapping[str, Callable[[SystemObjects], Iterator[Row]]] = {
    **{
        f"pg_catalog.{name}": make
        for name, make in {
            "pg_am": _access_methods,
            "pg_attrdef": _defaults,
            "pg_attribute": _attributes,
            "pg_authid": _roles,
            "pg_class": _classes,
            "pg_collation": _collations,
            "pg_constraint": _constraints,
            "pg_database": _databases,
            "pg_description": _descriptions,
            "pg_extension": _extensions,
            "pg_index": _indexes,
            "pg_indexes": _index_list,
            "pg_language": _languages,
            "pg_namespace": _namespaces,
            "pg_opclass": _operator_classes,
            "pg_operator": _operators,
            "pg_proc": _functions,
            "pg_roles": _roles,
            "pg_sequence": _sequences,
            "pg_sequences": _sequence_list,
            "pg_settings": _settings,
            "pg_stat_all_tables": _table_activity,
            "pg_stat_user_tables": _table_activity,
            "pg_tables": _table_list,
            "pg_tablespace": _tablespaces,
            "pg_type": _types,
            "pg_user": _users,
            "pg_shadow": _users,
            "pg_views": _view_list,
            "vsql_definitions": _definitions,
            "vsql_owned_sequences": _owned_sequences,
            "vsql_sizes": _sizes,
            "vsql_type_names": _type_names,
        }.items()
    },
    **{f"information_schema.{name}": make for name, make in INFORMATION_ROWS.items()},
}
