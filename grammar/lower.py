"""sqlglot's tree in vsql's terms: distances are functions, parameters have keys, places are true.

| in the text | in the tree |
|---|---|
| `a <=> b`, `cosine_distance(a, b)` | `Anonymous("cosine_distance", a, b)` |
| `?` | `Placeholder("1")`, `Placeholder("2")`, … in order of the text |
| `$2` | `Placeholder("2")` |
| `:name` | `Placeholder("name")` |
| `matches('<filter>')` | the filter's condition |
| `f(j -> 'a')`, `j #>> '{a}'`, `j['a']` | chains of `->` |
| `pg_catalog.f(x)`, `x::pg_catalog.text` | `f(x)`, `x::text` |
| `a NOT LIKE b`, `a IS NOT NULL` | `Not(Like(a, b))`, `Not(Is(a, Null))` |
"""

import math

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.distance import METRIC_BY_FUNCTION, Metric
from vsql.core.errors import DataError, ProgrammingError, Span
from vsql.grammar.builtin_names import lower_builtin
from vsql.grammar.filter_names import FILTER, function_name
from vsql.grammar.json_operators import lower_json
from vsql.grammar.matches import FUNCTION, lower_matches
from vsql.grammar.operators import HAS_KEY, NOW, Rewritten, pieces

_IN_WHAT = ("expressions", "query", "unnest", "field")
_WORDS = {f"vsql.{metric.value}": metric for metric in Metric}
# What sqlglot's own readers make of these names.
_NATIVE: dict[type[exp.Expr], Metric] = {
    exp.CosineDistance: Metric.COSINE,
    exp.EuclideanDistance: Metric.L2,
    exp.ManhattanDistance: Metric.L1,
}


def lower(tree: exp.Expr, rewritten: Rewritten) -> tuple[exp.Expr, tuple[str, ...]]:
    """Return the tree in vsql's terms and the keys of its parameters."""
    keys: dict[str, None] = {}
    marks = 0
    others = False
    # Depth first follows the text in every clause but these, so marks are numbered by place.
    nodes = [n for n in tree.walk() if isinstance(n, exp.Placeholder) and n.args.get("jdbc")]
    marks = len(nodes)
    _number(nodes, rewritten)

    def lowered_form(node: exp.Expr) -> exp.Expr:
        nonlocal others
        _move(node, rewritten)
        if isinstance(node, exp.Operator):
            return _operator(node)
        if isinstance(node, exp.Parameter):
            others = True
            return exp.Placeholder(this=node.this.name)
        if isinstance(node, exp.Placeholder) and "vsql_key" in node.meta:
            return exp.Placeholder(this=node.meta["vsql_key"])
        if isinstance(node, exp.Placeholder):
            others = True
            return node
        if node.args.get("negate"):
            positive = node.copy()
            positive.set("negate", None)
            return exp.Not(this=positive)
        if isinstance(node, exp.Escape) and isinstance(node.this, exp.Not):
            escaped = exp.Escape(this=node.this.this, expression=node.expression)
            return exp.Not(this=escaped)
        if isinstance(node, exp.In) and _is_empty(node):
            return exp.false()
        builtin = lower_builtin(node)
        if builtin is not node:
            return builtin
        metric = _NATIVE.get(type(node))
        if metric is not None:
            return _distance(metric, node.this, node.expression, node)
        if isinstance(node, exp.Anonymous) and node.name.lower() in METRIC_BY_FUNCTION:
            node.set("this", node.name.lower())
        if isinstance(node, exp.Literal) and not node.is_string and "e" in node.name.lower():
            _check_range(node)
        if isinstance(node, exp.Anonymous) and node.name.lower() == NOW:
            node.set("this", "now")
        if isinstance(node, exp.Anonymous) and node.name.lower() == FUNCTION:
            return lower_matches(node)
        return lower_json(node)

    # From the leaves up, so that what stands inside a distance is lowered before it.
    lowered = tree
    for node in reversed(list(tree.walk(bfs=False))):
        replacement = lowered_form(node)
        if replacement is node:
            continue
        if node is tree:
            lowered = replacement
        else:
            node.replace(replacement)
    for node in lowered.find_all(exp.Placeholder):
        keys[node.name] = None
    if marks and others:
        raise ProgrammingError(
            "? cannot be mixed with $1 or :name in one statement", code=sqlstate.SYNTAX_ERROR
        )
    if marks:
        return lowered, tuple(str(number + 1) for number in range(marks))
    return lowered, tuple(sorted(keys, key=lambda key: (key.isdigit(), key.zfill(9))))


def _check_range(number: exp.Literal) -> None:
    if math.isinf(float(number.name)):
        raise DataError(
            f'"{number.name}" is out of range for DOUBLE PRECISION',
            code=sqlstate.NUMERIC_VALUE_OUT_OF_RANGE,
        )


def _is_empty(node: exp.In) -> bool:
    """Whether it is `x IN ()`: false even for NULL, but not in the filter language."""
    parent = node.parent
    in_filter = isinstance(parent, exp.Anonymous) and function_name(parent) == FILTER
    return not in_filter and not any(node.args.get(name) for name in _IN_WHAT)


def _number(nodes: list[exp.Placeholder], rewritten: Rewritten) -> None:
    """Number the ? marks by their place in the text.

    sqlglot keeps no place for a mark, but its printer visits them in the order of the text.
    """
    if len(nodes) <= 1:
        for node in nodes:
            node.meta["vsql_key"] = "1"
        return
    root = nodes[0].root()
    for number, node in enumerate(nodes):
        node.set("this", f"vsql_mark_{number}")
        node.set("jdbc", None)
    printed = root.sql(dialect="postgres")
    places = {node: _place(printed, node) for node in nodes}
    for rank, node in enumerate(sorted(nodes, key=lambda n: places[n]), 1):
        node.meta["vsql_key"] = str(rank)


def _place(printed: str, node: exp.Placeholder) -> int:
    import re

    found = re.search(rf"\b{node.name}\b", printed)
    assert found is not None
    return found.start()


def _move(node: exp.Expr, rewritten: Rewritten) -> None:
    meta = node.meta
    if rewritten.starts and "start" in meta and "vsql_moved" not in meta:
        meta["start"] = rewritten.original(meta["start"])
        meta["end"] = rewritten.original(meta["end"])
        meta["vsql_moved"] = True


def _operator(node: exp.Operator) -> exp.Expr:
    word = str(node.args["operator"]).lower()
    if word == f"vsql.{HAS_KEY}":
        return exp.Anonymous(this="jsonb_exists", expressions=[node.this, node.expression])
    metric = _WORDS.get(word)
    if metric is None:
        raise ProgrammingError(
            f"operator {node.args['operator']} does not exist", code=sqlstate.UNDEFINED_FUNCTION
        )
    return _distance(metric, node.this, node.expression, node)


def _distance(metric: Metric, left: exp.Expr, right: exp.Expr, origin: exp.Expr) -> exp.Expr:
    lowered = exp.Anonymous(this=metric.function, expressions=[left, right])
    start = next((n.meta["start"] for n in left.walk() if "start" in n.meta), None)
    if start is not None:
        lowered.meta["start"] = start
        lowered.meta["end"] = max(n.meta.get("end", start) for n in origin.walk())
        lowered.meta["vsql_moved"] = True
    return lowered


def statement_spans(text: str) -> list[Span]:
    """Return the place of each statement of a script, its semicolon left out."""
    spans: list[Span] = []
    start = 0
    for piece in pieces(text):
        if piece.kind == "semicolon":
            spans.append(Span(start, piece.start))
            start = piece.end
    spans.append(Span(start, len(text)))
    return spans
