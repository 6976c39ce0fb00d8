"""PostgreSQL's JSON functions in DuckDB's words; json and jsonb mean the same here.

| PostgreSQL | DuckDB |
|---|---|
| `jsonb_path_exists(j, '$.a')` | `json_exists(j, '$.a')` |
| `j @> '{…}'` on JSON | `json_contains(j, '{…}')` |
| `jsonb_array_length(j)` | `json_array_length(j)` |
| `jsonb_typeof(j)` | `json_type(j)` with PostgreSQL's names |
| `jsonb_object_keys(j)` | `unnest(json_keys(j))` |
| `jsonb_array_elements(j)`, `…_text` | `unnest(j -> '$[*]')`, `unnest(j ->> '$[*]')` |
| `FROM jsonb_each(j)`, `jsonb_each_text(j)` | the columns key and value of `json_each(j)` |
| `jsonb_build_object`, `jsonb_build_array` | `json_object`, `json_array` |
| `json_agg(x)`, `json_object_agg` | `to_json(list(x))`, `json_group_object` |
| `to_jsonb`, `row_to_json` | `to_json` |
"""

from sqlglot import exp, parse_one

from vsql.core.snapshot import TableSnapshot
from vsql.core.types import Family
from vsql.grammar.json_paths import root_of

_RENAMED = {
    "path_exists": "json_exists",
    "array_length": "json_array_length",
    "build_object": "json_object",
    "build_array": "json_array",
    "exists": "json_exists",
    "valid": "json_valid",
    "contains": "json_contains",
}
_TEMPLATES = {
    "typeof": (
        "CASE json_type(a) WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN 'VARCHAR'"
        " THEN 'string' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null'"
        " WHEN 'BIGINT' THEN 'number' WHEN 'UBIGINT' THEN 'number' WHEN 'DOUBLE' THEN 'number' END"
    ),
    "object_keys": "unnest(json_keys(a))",
    "array_elements": "unnest(json_extract(a, '$[*]'))",
    "array_elements_text": "unnest(json_extract_string(a, '$[*]'))",
}
# What ?, ?| and ?& look at: an object's keys, an array's strings, a string itself.
_TOP_KEYS = (
    "CASE json_type(a) WHEN 'ARRAY' THEN list_transform(list_filter("
    "list_zip(json_type(a, '$[*]'), json_extract_string(a, '$[*]')), "
    "lambda vsql_x: vsql_x[1] = 'VARCHAR'), lambda vsql_x: vsql_x[2]) "
    "WHEN 'VARCHAR' THEN [json_extract_string(a, '$')] ELSE json_keys(a) END"
)
_SETS = {
    "each": "SELECT key, value FROM json_each(a)",
    "each_text": "SELECT key, json_extract_string(value, '$') AS value FROM json_each(a)",
    "array_elements": "SELECT unnest(json_extract(a, '$[*]')) AS value",
    "array_elements_text": "SELECT unnest(json_extract_string(a, '$[*]')) AS value",
    "object_keys": "SELECT unnest(json_keys(a)) AS key",
}


def translate_json(node: exp.Expr) -> exp.Expr:
    """Return a JSON function in DuckDB's words, any other node as it is."""
    match node:
        case exp.Table() if isinstance(node.this, exp.Anonymous):
            return _as_rows(node)
        case exp.Anonymous() if isinstance(node.parent, exp.Table):
            return node
        case exp.Anonymous():
            return _function(node)
        case exp.JSONBContainsAnyTopKeys() | exp.JSONBContainsAllTopKeys():
            keys = _filled(_TOP_KEYS, node.this)
            some = isinstance(node, exp.JSONBContainsAnyTopKeys)
            name = "list_has_any" if some else "list_has_all"
            return exp.Anonymous(this=name, expressions=[keys, node.expression])
        case exp.JSONArrayAgg():
            return _array_of([node.this])
        case exp.JSONBObjectAgg() | exp.JSONObjectAgg():
            arguments = node.expressions or [node.this, node.expression]
            return _object_of(arguments)
        case _:
            return node


def json_containment(tree: exp.Expr, table: TableSnapshot) -> exp.Expr:
    """Return a predicate, changed in place, in which `json @> json` is none between arrays."""

    def is_json(node: exp.Expr) -> bool:
        root = root_of(node)
        column = table.table.find(root.name) if isinstance(root, exp.Column) else None
        return column is not None and column.type.family is Family.JSON

    def contained(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.ArrayContainsAll) and is_json(node.this):
            return exp.Anonymous(this="jsonb_contains", expressions=[node.this, node.expression])
        return node

    return tree.transform(contained, copy=False)


def _short(name: str) -> str | None:
    lowered = name.lower()
    for prefix in ("jsonb_", "json_"):
        if lowered.startswith(prefix):
            return lowered.removeprefix(prefix)
    return None


def _function(node: exp.Anonymous) -> exp.Expr:
    if node.name.lower() in ("to_jsonb", "row_to_json"):
        return exp.Anonymous(this="to_json", expressions=node.expressions)
    short = _short(node.name)
    if short == "exists" and node.name.lower() == "jsonb_exists":
        return _has_key(node)
    if short == "agg":
        return _array_of(node.expressions)
    if short == "object_agg" and len(node.expressions) == 2:
        return _object_of(node.expressions)
    if short in _RENAMED:
        return exp.Anonymous(this=_RENAMED[short], expressions=node.expressions)
    if short in _TEMPLATES and len(node.expressions) == 1:
        return _filled(_TEMPLATES[short], node.expressions[0])
    return node


def _array_of(arguments: list[exp.Expr]) -> exp.Expr:
    return exp.Anonymous(
        this="to_json", expressions=[exp.Anonymous(this="list", expressions=arguments)]
    )


def _object_of(arguments: list[exp.Expr]) -> exp.Expr:
    key, value = arguments
    return exp.Anonymous(this="json_group_object", expressions=[exp.cast(key, "VARCHAR"), value])


def _has_key(node: exp.Anonymous) -> exp.Expr:
    """`jsonb_exists(j, key)`, the function behind `j ? key`: see `_TOP_KEYS`."""
    document, key = node.expressions
    return exp.Anonymous(this="list_contains", expressions=[_filled(_TOP_KEYS, document), key])


def _as_rows(node: exp.Table) -> exp.Expr:
    call = node.this
    short = _short(call.name)
    if short not in _SETS or len(call.expressions) != 1:
        return node
    query = _filled(_SETS[short], call.expressions[0])
    alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(call.name.lower()))
    return exp.Lateral(this=exp.Subquery(this=query), alias=alias)


def _filled(template: str, argument: exp.Expr) -> exp.Expr:
    def fill(node: exp.Expr) -> exp.Expr:
        is_hole = isinstance(node, exp.Column) and node.name == "a" and not node.table
        return argument.copy() if is_hole else node

    return parse_one(template, read="duckdb").transform(fill)
