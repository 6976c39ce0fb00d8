"""vsql's own functions and types in DuckDB's words.

| vsql | DuckDB |
|---|---|
| `a <=> b` and the other dense distances | `array_cosine_distance(a::FLOAT[n], b::FLOAT[n])`, … |
| `a <+> b` | a sum over the zipped lists |
| `a <~> b`, `a <%> b` | bit_count over the bits of both |
| `x::vector(n)` | `x::FLOAT[n]` |

n is the dimension of the vector column on either side, or of a literal.
"""

from collections.abc import Mapping

from sqlglot import exp, parse_one

from vsql.core import sqlstate
from vsql.core.distance import Metric
from vsql.core.errors import DataError, NotSupportedError, ProgrammingError, did_you_mean
from vsql.core.types import Family, SqlType
from vsql.grammar.filter_names import function_name
from vsql.planner.bind import distance_of, folded, qualifier, span_of, type_name
from vsql.planner.json_functions import translate_json
from vsql.planner.postgres_functions import KINDS, translate_function
from vsql.planner.select import has_ties

_ARRAY_FUNCTIONS = {
    Metric.L2: "array_distance",
    Metric.COSINE: "array_cosine_distance",
    Metric.INNER_PRODUCT: "array_negative_inner_product",
}
_VECTOR_NAMES = {"VECTOR", "HALFVEC"}

Types = Mapping[tuple[str, str], SqlType]


def to_duckdb(tree: exp.Expr, types: Types) -> exp.Expr:
    """Return `tree` with every vector expression in DuckDB's words; changes it in place.

    Raises ProgrammingError (42725-like, as 42804) where a dimension can't be told, and
    NotSupportedError for what only vsql's executor evaluates.
    """
    kinds = {type(node) for node in tree.walk()}
    if exp.Fetch in kinds:
        for select in tree.find_all(exp.Select):
            _with_ties(select)
    if exp.Exists in kinds:
        for exists in tree.find_all(exp.Exists):
            _with_output(exists.this)
    if exp.Anonymous in kinds:
        _refuse_filter_functions(tree)
        tree = tree.transform(lambda node: _distance(node, types), copy=False)
        tree = tree.transform(_vector_function, copy=False)
    if exp.Cast in kinds:
        tree = tree.transform(_vector_cast, copy=False)
    tree = tree.transform(translate_json, copy=False)
    if not kinds.isdisjoint(KINDS):
        tree = _with_functions(tree)
    return tree


def _with_ties(select: exp.Select) -> None:
    """FETCH FIRST n ROWS WITH TIES: the rows of the first n ranks."""
    if not has_ties(select):
        return
    order = select.args.get("order")
    others = [name for name in ("offset", "qualify", "distinct") if select.args.get(name)]
    if order is None:
        raise ProgrammingError(
            "WITH TIES cannot be specified without ORDER BY", code=sqlstate.SYNTAX_ERROR
        )
    if others:
        raise NotSupportedError(f"WITH TIES cannot stand with {others[0].upper()}")
    count = select.args["limit"].args.get("count") or exp.Literal.number(1)
    keys = order.copy()
    for key in keys.expressions:
        # ORDER BY 2 means the second output; in a window it would be the number.
        if isinstance(key.this, exp.Literal) and key.this.is_int:
            key.set("this", select.expressions[int(key.this.name) - 1].unalias().copy())
    rank = exp.Window(this=exp.func("rank"), order=keys)
    select.set("limit", None)
    select.set("qualify", exp.Qualify(this=exp.LTE(this=rank, expression=count.copy())))


def _with_output(query: exp.Expr) -> None:
    """EXISTS (SELECT FROM t): DuckDB wants an output, which EXISTS never reads."""
    if isinstance(query, exp.Select) and not query.expressions:
        query.set("expressions", [exp.Literal.number(1)])


def _with_functions(tree: exp.Expr) -> exp.Expr:
    # From the leaves up: what stands inside of a call is translated before it.
    for node in reversed(list(tree.walk(bfs=False))):
        if type(node) not in KINDS:
            continue
        translated = translate_function(node)
        if translated is node:
            continue
        if node is tree:
            tree = translated
        else:
            node.replace(translated)
    return tree


def _refuse_filter_functions(tree: exp.Expr) -> None:
    for call in tree.find_all(exp.Anonymous):
        if function_name(call) is not None:
            raise NotSupportedError(
                "a filter over JSON, arrays or floats can stand in a WHERE without joins only",
                hint="put it into a subquery: FROM (SELECT * FROM t WHERE matches(...)) AS t",
            )


def _distance(node: exp.Expr, types: Types) -> exp.Expr:
    found = distance_of(node) if isinstance(node, exp.Anonymous) else None
    if found is None:
        return node
    metric, left, right = found
    type_ = _type_of(left, types) or _type_of(right, types)
    if type_ is None:
        raise ProgrammingError(
            f"the dimension of {metric.operator} is not known here",
            code=sqlstate.DATATYPE_MISMATCH,
            span=span_of(node),
            hint="cast one side, as in '[1,2,3]'::vector(3)",
        )
    _check_dimensions(metric, left, right, types)
    if metric.over_bits:
        return _over_bits(metric, left, right)
    arrays = [_as_array(side, type_.dimension) for side in (left, right)]
    if metric is Metric.L1:
        lists = [
            exp.cast(array, exp.DataType.build("FLOAT[]", dialect="duckdb")) for array in arrays
        ]
        return _template(
            "list_sum(list_transform(list_zip(a, b), lambda x: abs(x[1] - x[2])))", *lists
        )
    distance = exp.Anonymous(this=_ARRAY_FUNCTIONS[metric], expressions=arrays)
    return exp.cast(distance, "DOUBLE")


def _over_bits(metric: Metric, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    bits = [
        exp.cast(side.copy(), exp.DataType.build("BIT", dialect="duckdb")) for side in (left, right)
    ]
    if metric is Metric.HAMMING:
        return _template("CAST(bit_count(xor(a, b)) AS DOUBLE)", *bits)
    return _template("1 - bit_count(a & b) / CAST(bit_count(a | b) AS DOUBLE)", *bits)


def _template(sql: str, a: exp.Expr, b: exp.Expr) -> exp.Expr:
    def fill(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and node.name in ("a", "b") and not node.table:
            return (a if node.name == "a" else b).copy()
        return node

    return parse_one(sql, read="duckdb").transform(fill)


def _check_dimensions(metric: Metric, left: exp.Expr, right: exp.Expr, types: Types) -> None:
    one, other = _type_of(left, types), _type_of(right, types)
    if one is None or other is None or one.dimension == other.dimension:
        return
    raise DataError(
        f"different vector dimensions {one.dimension} and {other.dimension} in {metric.operator}",
        code=sqlstate.DATA_EXCEPTION,
    )


def _type_of(node: exp.Expr, types: Types) -> SqlType | None:
    node = node.unnest()
    if isinstance(node, exp.Column):
        return types.get((qualifier(node) or "", folded(node.this)))
    if isinstance(node, exp.Array):
        return SqlType(Family.VECTOR, (len(node.expressions),))
    if isinstance(node, exp.Cast) and type_name(node.to) in _VECTOR_NAMES:
        if node.to.expressions:
            return SqlType(Family.VECTOR, (int(node.to.expressions[0].name),))
        return _type_of(node.this, types)
    if isinstance(node, exp.Literal) and node.is_string and node.this.lstrip().startswith("["):
        return SqlType(Family.VECTOR, (node.this.count(",") + 1,))
    if isinstance(node, exp.Subquery):
        select = node.this
        return _type_of(select.expressions[0], types) if isinstance(select, exp.Select) else None
    if isinstance(node, exp.Alias):
        return _type_of(node.this, types)
    return None


def _as_array(node: exp.Expr, dimension: int) -> exp.Expr:
    inner = node.unnest()
    if isinstance(inner, exp.Cast) and type_name(inner.to) in _VECTOR_NAMES:
        inner = inner.this
    return exp.cast(inner.copy(), exp.DataType.build(f"FLOAT[{dimension}]", dialect="duckdb"))


def _vector_cast(node: exp.Expr) -> exp.Expr:
    if not isinstance(node, exp.Cast) or type_name(node.to) not in _VECTOR_NAMES:
        return node
    if node.to.expressions:
        return _as_array(node, int(node.to.expressions[0].name))
    found = _type_of(node, {})
    if found is None:
        return exp.cast(node.this, exp.DataType.build("FLOAT[]", dialect="duckdb"))
    return _as_array(node, found.dimension)


def _vector_function(node: exp.Expr) -> exp.Expr:
    """pgvector's scalar functions on vectors, over DuckDB's lists."""
    if not isinstance(node, exp.Anonymous):
        return node
    arguments = node.expressions
    match node.name.lower(), len(arguments):
        case "inner_product", 2:
            product = "-array_negative_inner_product(a, b)"
            type_ = _type_of(arguments[0], {}) or _type_of(arguments[1], {})
            if type_ is not None:
                return _template(product, *(_as_array(a, type_.dimension) for a in arguments))
            return _template("list_inner_product(a, b)", *arguments)
        case "vector_dims", 1:
            return _template("len(a)", arguments[0], arguments[0])
        case (("vector_norm" | "l2_norm"), 1):
            norm = "sqrt(list_sum(list_transform(a, lambda x: CAST(x AS DOUBLE) * x)))"
            return _template(norm, arguments[0], arguments[0])
        case _:
            return node


def unknown_function(name: str, known: tuple[str, ...]) -> ProgrammingError:
    """Return the error for a function that neither vsql nor DuckDB has."""
    return ProgrammingError(
        f"function {name.lower()} does not exist",
        code=sqlstate.UNDEFINED_FUNCTION,
        hint=did_you_mean(name, known),
    )
