"""PostgreSQL's functions and types that look things up in its catalogs, said as subqueries.

| PostgreSQL | here |
|---|---|
| `pg_get_indexdef(oid)`, `format_type(oid, typmod)`, … | a subquery over the relation that knows |
| `'t'::regclass`, `to_regclass('t')` | the oid of t |
| `oid::regclass::text`, `SELECT oid::regclass` | the name |
| `has_table_privilege(…)` | true: who can open the database may do everything |

In a template `_1` is the first argument; relations have their resolved names, and aliases that no
user writes.
"""

import functools
from collections.abc import Mapping

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.settings import HARMLESS
from vsql.planner.bind import folded, type_name
from vsql.planner.facts import Facts
from vsql.planner.postgres_functions import filled
from vsql.planner.scope import stored_type, table_of
from vsql.planner.system_catalog import relations, type_named

# Columns have names of their own: an argument may be a bare `oid` of the query around.
_CLASS = (
    "(SELECT c.oid AS vsql_oid, c.relname AS vsql_name, n.nspname AS vsql_schema"
    ' FROM "pg_catalog.pg_class" AS c JOIN "pg_catalog.pg_namespace" AS n'
    " ON n.oid = c.relnamespace) AS vsql_c"
)
_NAMESPACE = (
    '(SELECT oid AS vsql_oid, nspname AS vsql_name FROM "pg_catalog.pg_namespace") AS vsql_n'
)
_ROLE = '(SELECT oid AS vsql_oid, rolname AS vsql_name FROM "pg_catalog.pg_roles") AS vsql_r'
_TYPE = (
    "(SELECT oid AS vsql_oid, name AS vsql_name, is_shown AS vsql_shown"
    ' FROM "pg_catalog.vsql_type_names") AS vsql_t'
)
_DESCRIPTION = (
    "(SELECT objoid AS vsql_oid, classoid AS vsql_class, objsubid AS vsql_part,"
    ' description AS vsql_text FROM "pg_catalog.pg_description") AS vsql_d'
)
_FUNCTION = (
    "(SELECT oid AS vsql_oid, prorettype AS vsql_type, proargtypes AS vsql_arguments"
    ' FROM "pg_catalog.pg_proc") AS vsql_p'
)
_VISIBLE = "('pg_catalog', 'public', 'pg_temp_1')"
_QUALIFIED = "vsql_c.vsql_schema || '.' || vsql_c.vsql_name"
# Parts in quotes as they are, others in lower case: `Shop."Orders"` is shop.Orders.
_FOLDED = (
    """array_to_string(list_transform(regexp_extract_all(_1, '"(?:[^"]|"")*"|[^".]+'),"""
    """ lambda vsql_x: CASE WHEN vsql_x LIKE '"%' THEN replace(vsql_x[2:-2], '""', '"')"""
    " ELSE lower(trim(vsql_x)) END), '.')"
)

_OID_OF_NAME: Mapping[str, str] = {
    "regclass": f"(SELECT min(vsql_c.vsql_oid) FROM {_CLASS} WHERE {_QUALIFIED} = {_FOLDED}"
    f" OR (vsql_c.vsql_name = {_FOLDED} AND vsql_c.vsql_schema IN {_VISIBLE}))",
    "regtype": f"(SELECT min(vsql_t.vsql_oid) FROM {_TYPE}"
    f" WHERE vsql_t.vsql_name = replace({_FOLDED}, 'pg_catalog.', ''))",
    "regnamespace": f"(SELECT min(vsql_n.vsql_oid) FROM {_NAMESPACE}"
    f" WHERE vsql_n.vsql_name = {_FOLDED})",
    "regrole": f"(SELECT min(vsql_r.vsql_oid) FROM {_ROLE} WHERE vsql_r.vsql_name = {_FOLDED})",
}
# What is missing, and its SQLSTATE, which the executor reads off the message.
_MISSING: Mapping[str, tuple[str, str]] = {
    "regclass": ("relation", sqlstate.UNDEFINED_TABLE),
    "regtype": ("type", sqlstate.UNDEFINED_OBJECT),
    "regnamespace": ("schema", sqlstate.UNDEFINED_SCHEMA),
    "regrole": ("role", sqlstate.UNDEFINED_OBJECT),
}
_SHOWN_TYPE = (
    f"(SELECT vsql_t.vsql_name FROM {_TYPE} WHERE vsql_t.vsql_oid = _1 AND vsql_t.vsql_shown)"
)
_NAME_OF_OID: Mapping[str, str] = {
    "regclass": f"coalesce((SELECT CASE WHEN vsql_c.vsql_schema IN {_VISIBLE}"
    f" THEN vsql_c.vsql_name ELSE {_QUALIFIED} END FROM {_CLASS} WHERE vsql_c.vsql_oid = _1),"
    " CASE WHEN _1 = 0 THEN '-' ELSE CAST(_1 AS VARCHAR) END)",
    "regtype": _SHOWN_TYPE,
    "regnamespace": f"(SELECT vsql_n.vsql_name FROM {_NAMESPACE} WHERE vsql_n.vsql_oid = _1)",
    "regrole": f"(SELECT vsql_r.vsql_name FROM {_ROLE} WHERE vsql_r.vsql_oid = _1)",
}

_DEFINITION = (
    "(SELECT vsql_d.vsql_text FROM (SELECT oid AS vsql_oid, part AS vsql_part,"
    ' definition AS vsql_text FROM "pg_catalog.vsql_definitions") AS vsql_d'
    " WHERE vsql_d.vsql_oid = _1 AND vsql_d.vsql_part = {part})"
)
_BYTES = (
    "(SELECT {wanted} FROM (SELECT oid AS vsql_oid, table_bytes AS vsql_rows,"
    ' index_bytes AS vsql_indexes FROM "pg_catalog.vsql_sizes") AS vsql_s'
    " WHERE vsql_s.vsql_oid = _1)"
)
_COMMENT = (
    f"(SELECT vsql_d.vsql_text FROM {_DESCRIPTION}"
    " WHERE vsql_d.vsql_oid = TRY_CAST(_1 AS BIGINT) AND vsql_d.vsql_part = {part}{more})"
)
_SETTING = (
    "(SELECT vsql_s.vsql_value FROM (SELECT name AS vsql_name, setting AS vsql_value"
    ' FROM "pg_catalog.pg_settings") AS vsql_s WHERE vsql_s.vsql_name = lower(_1))'
)
_UNKNOWN_SETTING = "error('42704:unrecognized configuration parameter \"' || _1 || '\"')"
_MODIFIER = (
    "CASE WHEN _1 IN (1043, 1015, 1042, 1014) THEN '(' || (_2 - 4) || ')'"
    " WHEN _1 IN (1700, 1231) THEN '(' || ((_2 - 4) >> 16) || ',' || ((_2 - 4) & 65535) || ')'"
    " ELSE '(' || _2 || ')' END"
)
_TYPE_WITH_MODIFIER = (
    "(SELECT CASE WHEN _2 IS NULL OR _2 < 0 THEN vsql_t.vsql_name WHEN vsql_t.vsql_name LIKE '%[]'"
    f" THEN left(vsql_t.vsql_name, -2) || {_MODIFIER} || '[]'"
    f" ELSE vsql_t.vsql_name || {_MODIFIER} END"
    f" FROM {_TYPE} WHERE vsql_t.vsql_oid = _1 AND vsql_t.vsql_shown)"
)
# PostgreSQL's limits: 10 kB are still bytes.
_SIZE = (
    "CASE WHEN abs(_1) < 10240 THEN CAST(CAST(_1 AS BIGINT) AS VARCHAR) || ' bytes'"
    " WHEN abs(_1) < 10485760 THEN CAST(CAST(round(_1 / 1024.0) AS BIGINT) AS VARCHAR) || ' kB'"
    " WHEN abs(_1) < 10737418240"
    " THEN CAST(CAST(round(_1 / 1048576.0) AS BIGINT) AS VARCHAR) || ' MB'"
    " ELSE CAST(CAST(round(_1 / 1073741824.0) AS BIGINT) AS VARCHAR) || ' GB' END"
)
_NO_TEXT = "CAST(NULL AS VARCHAR)"

_TEMPLATES: Mapping[tuple[str, int], str] = {
    ("_pg_expandarray", 1): "unnest(list_transform(_1,"
    " lambda vsql_x, vsql_i: {'x': vsql_x, 'n': vsql_i}))",
    ("col_description", 2): _COMMENT.format(part="_2", more=" AND vsql_d.vsql_class = 1259"),
    ("current_setting", 1): f"CASE WHEN _1 IS NOT NULL THEN coalesce({_SETTING},"
    f" {_UNKNOWN_SETTING}) END",
    ("current_setting", 2): _SETTING,
    ("format_type", 2): _TYPE_WITH_MODIFIER,
    ("obj_description", 1): _COMMENT.format(part="0", more=""),
    ("obj_description", 2): _COMMENT.format(
        part="0",
        more=f" AND vsql_d.vsql_class = {_OID_OF_NAME['regclass'].replace('_1', '_2')}",
    ),
    ("pg_database_size", 1): "(SELECT CAST(coalesce(sum(table_bytes), 0) AS BIGINT)"
    ' FROM "pg_catalog.vsql_sizes")',
    ("pg_encoding_to_char", 1): "CASE WHEN _1 = 6 THEN 'UTF8' ELSE '' END",
    ("pg_get_constraintdef", 1): _DEFINITION.format(part=0),
    ("pg_get_constraintdef", 2): _DEFINITION.format(part=0),
    ("pg_get_expr", 2): "CAST(_1 AS VARCHAR)",
    ("pg_get_expr", 3): "CAST(_1 AS VARCHAR)",
    ("pg_get_function_arguments", 1): "(SELECT array_to_string(list_transform("
    "vsql_p.vsql_arguments, lambda vsql_x: CASE WHEN vsql_x = 1560 THEN 'bit' ELSE 'vector' END),"
    f" ', ') FROM {_FUNCTION} WHERE vsql_p.vsql_oid = _1)",
    ("pg_get_function_result", 1): f"(SELECT vsql_t.vsql_name FROM {_FUNCTION} JOIN {_TYPE}"
    " ON vsql_t.vsql_oid = vsql_p.vsql_type AND vsql_t.vsql_shown WHERE vsql_p.vsql_oid = _1)",
    ("pg_get_functiondef", 1): _NO_TEXT,
    ("pg_get_indexdef", 1): _DEFINITION.format(part=0),
    ("pg_get_indexdef", 3): _DEFINITION.format(part="_2"),
    ("pg_get_partkeydef", 1): _NO_TEXT,
    ("pg_get_ruledef", 1): _NO_TEXT,
    ("pg_get_ruledef", 2): _NO_TEXT,
    ("pg_get_serial_sequence", 2): "(SELECT vsql_q.vsql_text FROM (SELECT relation AS vsql_table,"
    ' attribute AS vsql_column, sequence AS vsql_text FROM "pg_catalog.vsql_owned_sequences")'
    " AS vsql_q WHERE vsql_q.vsql_table = _1 AND vsql_q.vsql_column = _2)",
    ("pg_get_statisticsobjdef_columns", 1): _NO_TEXT,
    ("pg_get_triggerdef", 1): _NO_TEXT,
    ("pg_get_triggerdef", 2): _NO_TEXT,
    ("pg_get_userbyid", 1): f"coalesce({_NAME_OF_OID['regrole']}, 'unknown (OID=' || _1 || ')')",
    ("pg_get_viewdef", 1): _DEFINITION.format(part=0),
    ("pg_get_viewdef", 2): _DEFINITION.format(part=0),
    ("pg_my_temp_schema", 0): "CAST(13100 AS BIGINT)",
    ("pg_partition_ancestors", 1): "unnest(CAST([] AS BIGINT[]))",
    ("pg_relation_is_publishable", 1): "false",
    ("pg_size_pretty", 1): _SIZE,
    ("pg_table_is_visible", 1): f"EXISTS (SELECT 1 FROM {_CLASS} WHERE vsql_c.vsql_oid = _1"
    f" AND vsql_c.vsql_schema IN {_VISIBLE})",
    ("pg_tablespace_location", 1): "''",
    ("shobj_description", 2): _NO_TEXT,
}
# Settings that only PostgreSQL has, and whose value changes nothing here.
_HARMLESS = (*HARMLESS, "application_name", "search_path")
_SET_CONFIG = (
    f"CASE WHEN _1 IS NULL OR lower(_1) IN {_HARMLESS} THEN _2"
    " ELSE error('0A000:set_config cannot change \"' || _1 || '\": use SET') END"
)
# By regclass: a number, or a name.
_SIZES: Mapping[tuple[str, int], str] = {
    ("pg_indexes_size", 1): _BYTES.format(wanted="vsql_s.vsql_indexes"),
    ("pg_relation_size", 1): _BYTES.format(wanted="vsql_s.vsql_rows"),
    ("pg_relation_size", 2): _BYTES.format(wanted="vsql_s.vsql_rows"),
    ("pg_table_size", 1): _BYTES.format(wanted="vsql_s.vsql_rows"),
    ("pg_total_relation_size", 1): _BYTES.format(wanted="vsql_s.vsql_rows + vsql_s.vsql_indexes"),
}
# Who can open the database may do everything, and all but tables stand in one schema.
_ALWAYS_TRUE = frozenset(
    (
        *("has_any_column_privilege", "has_column_privilege", "has_database_privilege"),
        *("has_foreign_data_wrapper_privilege", "has_function_privilege"),
        *("has_language_privilege", "has_largeobject_privilege", "has_parameter_privilege"),
        *("has_schema_privilege", "has_sequence_privilege", "has_server_privilege"),
        *("has_table_privilege", "has_tablespace_privilege", "has_type_privilege", "pg_has_role"),
        *("pg_collation_is_visible", "pg_conversion_is_visible", "pg_function_is_visible"),
        *("pg_opclass_is_visible", "pg_operator_is_visible", "pg_opfamily_is_visible"),
        *("pg_statistics_obj_is_visible", "pg_ts_config_is_visible", "pg_ts_dict_is_visible"),
        *("pg_ts_parser_is_visible", "pg_ts_template_is_visible", "pg_type_is_visible"),
    )
)
_BY_SUBSCRIPT = ("indkey", "indclass", "indoption", "indcollation")
_REGULAR = ("regclass", "regtype", "regnamespace", "regrole")
_TO_OID = {f"to_{kind}": kind for kind in _REGULAR}
_TEXTS = ("text", "varchar", "name", "char")


def replace_system_functions(tree: exp.Expr, facts: Facts) -> exp.Expr:
    """Return `tree` with lookups in the catalogs spelled out; changes it in place."""
    # From the leaves up: what stands inside of a cast is said before it.
    for node in reversed(list(tree.find_all(exp.Cast, bfs=False))):
        tree = _replaced(tree, node, _cast(node, facts))
    for call in reversed(list(tree.find_all(*_KINDS, bfs=False))):
        tree = _replaced(tree, call, _called(call, facts))
    return tree


_KINDS = (exp.Anonymous, exp.EQ, exp.NEQ, exp.Bracket)


def mentions_system(tree: exp.Expr) -> bool:
    """Whether a tree may hold anything for `replace_system_functions`."""
    return any(_is_system(node) for node in tree.walk())


def _is_system(node: exp.Expr) -> bool:
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _names()
    if isinstance(node, exp.Cast):
        return _target(node) in (*_REGULAR, "regproc", "oid")
    return isinstance(node, exp.Table) and node.name.startswith("pg_catalog.")


@functools.cache
def _names() -> frozenset[str]:
    named = (name for name, _ in (*_TEMPLATES, *_SIZES))
    return _ALWAYS_TRUE.union(named, _TO_OID, ("set_config", "generate_subscripts"))


def _replaced(tree: exp.Expr, node: exp.Expr, by: exp.Expr) -> exp.Expr:
    if by is node:
        return tree
    if node is tree:
        return by
    node.replace(by)
    return tree


def _called(node: exp.Expr, facts: Facts) -> exp.Expr:
    if isinstance(node, exp.EQ | exp.NEQ):
        return _compared(node, facts)
    if isinstance(node, exp.Bracket):
        return _element(node)
    name, arguments = node.name.lower(), node.expressions
    if name in _ALWAYS_TRUE:
        return exp.true()
    size = _SIZES.get((name, len(arguments)))
    if size is not None:
        return filled(size, _oid(arguments[0], "regclass", facts))
    if name == "set_config" and len(arguments) == 3:
        return filled(_SET_CONFIG, *arguments)
    if name == "generate_subscripts" and len(arguments) == 2:
        # PostgreSQL counts its int2vector from 0, other arrays from 1.
        first = "0" if _is_vector_of_catalog(arguments[0]) else "1"
        return filled(f"unnest(range({first}, {first} + len(_1)))", arguments[0])
    if name in _TO_OID and len(arguments) == 1:
        oid = filled(_OID_OF_NAME[_TO_OID[name]], arguments[0])
        return filled(_NAME_OF_OID[_TO_OID[name]], oid) if _is_output(node) else oid
    template = _TEMPLATES.get((name, len(arguments)))
    return node if template is None else filled(template, *arguments)


def _is_vector_of_catalog(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and node.name.lower() in _BY_SUBSCRIPT


def _element(node: exp.Bracket) -> exp.Expr:
    """`indkey[0]`: the first element of an int2vector, which PostgreSQL counts from 0."""
    if _is_vector_of_catalog(node.this):
        node.set("expressions", [filled("_1 + 1", place) for place in node.expressions])
    return node


def _compared(node: exp.Expr, facts: Facts) -> exp.Expr:
    """`typreceive <> 0`: a function's name here, whose nothing is `-`."""
    for side, other in (("this", "expression"), ("expression", "this")):
        column, constant = node.args[side], node.args[other]
        if not isinstance(column, exp.Column) or not isinstance(constant, exp.Literal):
            continue
        if constant.name == "0" and not constant.is_string:
            table = table_of(column, facts)
            relation = None if table is None else relations().get(folded(table.this))
            if relation is not None and folded(column.this) in relation.regprocs:
                node.set(other, exp.Literal.string("-"))
    return node


def _target(node: exp.Cast) -> str:
    """Return the name of the type that a cast makes, in lower case."""
    return type_name(node.to).lower()


def _cast(node: exp.Expr, facts: Facts) -> exp.Expr:
    assert isinstance(node, exp.Cast)
    kind = _target(node)
    if kind == "oid":
        inner = node.this.unnest()
        if isinstance(inner, exp.Cast) and _target(inner) in _REGULAR:
            return _oid(inner.this, _target(inner), facts)
        return exp.cast(node.this, "BIGINT")
    if kind == "regproc":
        text = _literal(node.this)
        if text is not None:
            return exp.Literal.string(text.removeprefix("pg_catalog."))
        return exp.cast(node.this, "TEXT", dialect="postgres")
    if kind in _REGULAR:
        around = node.parent
        if isinstance(around, exp.Cast) and _target(around) in (*_REGULAR, "oid", *_TEXTS):
            return node  # Said by the cast around it.
        oid = _oid(node.this, kind, facts)
        return filled(_NAME_OF_OID[kind], oid) if _is_output(node) else oid
    inner = node.this.unnest()
    if kind in _TEXTS and isinstance(inner, exp.Anonymous) and inner.name.lower() in _TO_OID:
        own = _TO_OID[inner.name.lower()]
        return filled(_NAME_OF_OID[own], filled(_OID_OF_NAME[own], *inner.expressions))
    if kind in _TEXTS and isinstance(inner, exp.Cast) and _target(inner) in _REGULAR:
        return filled(_NAME_OF_OID[_target(inner)], _oid(inner.this, _target(inner), facts))
    return node


def _is_output(node: exp.Expr) -> bool:
    """Whether a result shows it: as text; elsewhere it is compared, as a number."""
    parent = node.parent
    if isinstance(parent, exp.Alias):
        parent = parent.parent
    if not isinstance(parent, exp.Select):
        return False
    around = parent.parent
    while isinstance(around, exp.SetOperation | exp.Subquery):
        around = around.parent
    return not isinstance(around, exp.In | exp.Any)


def _oid(value: exp.Expr, kind: str, facts: Facts) -> exp.Expr:
    """Return the number of what a value names, or is the number of."""
    inner = value.unnest()
    if isinstance(inner, exp.Cast) and _target(inner) in _REGULAR:
        return _oid(inner.this, _target(inner), facts)
    text = _literal(inner)
    if text is not None and text.isdigit():
        return exp.Literal.number(text)
    if text is not None and kind == "regtype" and (found := type_named(text)) is not None:
        return exp.Literal.number(found.oid)
    is_plain = isinstance(inner, exp.Column | exp.Literal | exp.Cast)
    if is_plain and text is None and not _is_text(inner, facts):
        return exp.cast(value.copy(), "BIGINT")
    named = _OID_OF_NAME[kind]
    if text is not None:
        word, code = _MISSING[kind]
        missing = f"error('{code}:{word} \"' || {_FOLDED} || '\" does not exist')"
        return filled(f"coalesce({named}, {missing})", exp.Literal.string(text))
    number = "CASE WHEN regexp_full_match(CAST(_1 AS VARCHAR), '[0-9]+') THEN CAST(_1 AS BIGINT)"
    return filled(f"{number} ELSE {named} END", exp.cast(value.copy(), "TEXT", dialect="postgres"))


def _literal(node: exp.Expr) -> str | None:
    return node.name if isinstance(node, exp.Literal) and node.is_string else None


def _is_text(node: exp.Expr, facts: Facts) -> bool:
    if isinstance(node, exp.Cast):
        return _target(node) in _TEXTS
    type_ = stored_type(node, facts) if isinstance(node, exp.Column) else None
    return type_ is not None and type_.is_string
