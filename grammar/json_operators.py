"""JSON operators that sqlglot's PostgreSQL reader takes for something else, as chains of `->`.

| in the text | sqlglot reads | here |
|---|---|---|
| `f(meta -> 'a')` | a lambda with the parameter meta | `meta -> 'a'` |
| `meta #>> '{a,b}'`, `meta #> …` | a call that DuckDB lacks | `meta -> 'a' ->> 'b'` |
| `meta['a']['b']` | an element of an array | `meta -> 'a' -> 'b'` |
"""

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError


def lower_json(node: exp.Expr) -> exp.Expr:
    """Return a node in vsql's terms, itself where it is something else."""
    match node:
        case exp.Lambda() if len(node.expressions) == 1:
            return _path_of_lambda(node)
        case exp.JSONBExtract() | exp.JSONBExtractScalar():
            return _path_of_text(node)
        case exp.Bracket() if len(node.expressions) == 1:
            key = node.expressions[0]
            is_key = isinstance(key, exp.Literal) and key.is_string
            return _step(exp.JSONExtract, node.this, key) if is_key else node
        case _:
            return node


def _path_of_lambda(node: exp.Lambda) -> exp.Expr:
    """What was read as the lambda's body begins with the key: put the path in the key's place."""
    first = node.this
    while isinstance(first, exp.Binary | exp.Cast | exp.Between | exp.In | exp.Is | exp.Like):
        first = first.this
    if not isinstance(first, exp.Literal | exp.Parameter | exp.Placeholder):
        return node
    column = exp.Column(this=node.expressions[0].copy())
    column.this.meta.update(node.expressions[0].meta)
    path = _step(exp.JSONExtract, column, first.copy())
    if first is node.this:
        return path
    first.replace(path)
    body: exp.Expr = node.this
    return body


def _path_of_text(node: exp.JSONBExtract | exp.JSONBExtractScalar) -> exp.Expr:
    text = node.expression
    if not isinstance(text, exp.Literal):
        return _path_of_value(node, text)
    if (text.name[:1], text.name[-1:]) != ("{", "}"):
        raise ProgrammingError(
            "#> and #>> take a path in quotes",
            code=sqlstate.SYNTAX_ERROR,
            hint="as in meta #>> '{a,b}'",
        )
    steps = [step.strip().strip('"') for step in text.name[1:-1].split(",") if step.strip()]
    result: exp.Expr = node.this
    for number, step in enumerate(steps, 1):
        last = number == len(steps) and isinstance(node, exp.JSONBExtractScalar)
        key = exp.Literal.number(step) if step.isdecimal() else exp.Literal.string(step)
        result = _step(exp.JSONExtractScalar if last else exp.JSONExtract, result, key)
    return result


def _path_of_value(node: exp.Expr, text: exp.Expr) -> exp.Expr:
    """The path is known when the statement runs: '{a,0}' is the JSON pointer '/a/0'."""
    joined = text
    for pattern, replacement in (('^\\s*{|"|}\\s*$', ""), ("\\s*,\\s*", "/")):
        literals = [exp.Literal.string(part) for part in (pattern, replacement, "g")]
        joined = exp.Anonymous(this="regexp_replace", expressions=[joined, *literals])
    pointer = exp.DPipe(this=exp.Literal.string("/"), expression=joined, safe=True)
    whole = isinstance(node, exp.JSONBExtract)
    name = "json_extract" if whole else "json_extract_string"
    return exp.Anonymous(this=name, expressions=[node.this, pointer])


def _step(kind: type[exp.Expr], below: exp.Expr, key: exp.Expr) -> exp.Expr:
    if not isinstance(key, exp.Literal):
        return kind(this=below, expression=key, only_json_types=True)
    place = None if key.is_string else int(key.name)
    part = exp.JSONPathKey(this=key.name) if place is None else exp.JSONPathSubscript(this=place)
    path = exp.JSONPath(expressions=[exp.JSONPathRoot(), part])
    return kind(this=below, expression=path, only_json_types=True)
