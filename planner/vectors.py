"""Expressions over vectors in DuckDB's words.

| vsql | DuckDB |
|---|---|
| VECTOR(n), HALFVEC(n), BFLOATVEC(n), INT8VEC(n) | `FLOAT[n]`; `FLOAT[]` where n is not known |
| BIT(n) | `BIT` |
| SPARSEVEC(n) | a struct of the dimension, indices and values |
| `a <=> b` and the other dense distances | `array_cosine_distance(a, b)`, or `list_…` |
| `a <~> b`, `a <%> b` | bit_count over the bits of both |
| `a + b`, `l2_normalize(a)`, casts to and from text, … | `vsql_vector_add(a, b)`, … |
| the distances of sparse vectors, and how they sort | `vsql_sparsevec_l2_distance(a, b)`, … |
| `avg(v)`, `sum(v)` | `vsql_vector_average(list(v))`, … |

The `vsql_` functions are vsql's own kernels (`vsql.core.vector_functions`). What makes a vector of
text, arrays and other vectors is in `vsql.planner.vector_casts`.
"""

from collections.abc import Callable

from sqlglot import exp, parse_one

from vsql.core import sqlstate
from vsql.core.distance import METRIC_BY_FUNCTION, Metric
from vsql.core.errors import DataError, NotSupportedError, ProgrammingError
from vsql.core.types import Family, SqlType
from vsql.core.vector_functions import (
    SPARSE_DUCKDB,
    VECTOR_FUNCTIONS,
    Operation,
    SparseOperation,
    VectorFunction,
)
from vsql.planner.bind import folded, span_of
from vsql.planner.plan import SUBQUERY_PREFIX
from vsql.planner.vector_casts import (
    as_vector,
    call,
    cast_to,
    computed,
    held,
    rounded,
    sparse_call,
    translate_bits,
    translate_cast,
)
from vsql.planner.vector_types import (
    common_type,
    dimension_of,
    sized,
    type_of,
    values_of,
    vector_type,
    with_type,
)

_DISTANCES = {
    Metric.L2: ("array_distance", "list_distance"),
    Metric.COSINE: ("array_cosine_distance", "list_cosine_distance"),
    Metric.INNER_PRODUCT: ("array_negative_inner_product", "list_negative_inner_product"),
}
_SPARSE_DISTANCES = {
    Metric.L2: SparseOperation.L2_DISTANCE,
    Metric.COSINE: SparseOperation.COSINE_DISTANCE,
    Metric.INNER_PRODUCT: SparseOperation.NEGATIVE_INNER_PRODUCT,
    Metric.L1: SparseOperation.L1_DISTANCE,
}
_ELEMENTWISE: dict[type[exp.Expr], Operation] = {
    exp.Add: Operation.ADD,
    exp.Sub: Operation.SUBTRACT,
    exp.Mul: Operation.MULTIPLY,
    exp.DPipe: Operation.CONCATENATE,
}
_ANY_VECTOR = SqlType(Family.VECTOR)
_ANY_BIT = SqlType(Family.BIT)
_REDUCED = "vsql_reduced"


def translate_vectors(tree: exp.Expr) -> exp.Expr:
    """Return an annotated tree with every vector expression in DuckDB's words; changes it.

    Raises ProgrammingError (42883, 42725) for operands that no operator takes, DataError for
    literals that are no vectors and for dimensions that differ.
    """
    for node in reversed(list(tree.walk(bfs=False))):
        rewrite = _REWRITES.get(type(node))
        if rewrite is None:
            continue
        replacement = rewrite(node)
        if replacement is node:
            continue
        if type_of(replacement) is None:
            with_type(replacement, type_of(node))
        if node is tree:
            tree = replacement
        else:
            node.replace(replacement)
    return tree


def _pair(
    left: exp.Expr, right: exp.Expr, beside: SqlType, operator: str
) -> tuple[exp.Expr, exp.Expr]:
    """Return both operands as vectors."""
    return as_vector(left, beside, operator), as_vector(right, beside, operator)


def _function(node: exp.Expr) -> exp.Expr:
    name = node.name.lower()
    metric = METRIC_BY_FUNCTION.get(name)
    if metric is not None and len(node.expressions) == 2:
        return _distance(metric, node)
    function = VECTOR_FUNCTIONS.get(name)
    if function is None:
        return node
    arguments = list(node.expressions)
    if len(arguments) != function.vectors + function.integers:
        raise ProgrammingError(
            f"function {name} takes {function.vectors + function.integers} arguments",
            code=sqlstate.UNDEFINED_FUNCTION,
            span=span_of(node),
        )
    vectors, others = arguments[: function.vectors], arguments[function.vectors :]
    beside = _beside(vectors)
    if function.family is not None:
        beside = SqlType(function.family, beside.arguments)
    vectors = [as_vector(vector, beside, name) for vector in vectors]
    if function.family is not None:
        vectors = [rounded(vector, function.family) for vector in vectors]
    if beside.is_sparse:
        return _sparse_function(function, vectors, beside)
    if function.operation is None:
        if name == "vector_dims":
            return cast_to(call("len", *vectors), "INTEGER")
        return exp.Paren(this=exp.Neg(this=_dense(Metric.INNER_PRODUCT, *vectors)))
    if function.operation is Operation.QUANTIZE:
        return held(call(function.operation.function(beside.family), *vectors), _bits(vectors[0]))
    call_of = function.operation.function
    if function.operation is Operation.NORM:
        return call(call_of(beside.family), *vectors)
    result = vector_type(node)
    assert result is not None
    whole = [cast_to(number, "INTEGER") for number in others]
    if function.vectors == 2 and function.operation is not Operation.CONCATENATE:
        _check_same(vectors[0], vectors[1])
    return computed(function.operation, result, *vectors, *whole)


def _sparse_function(function: VectorFunction, vectors: list[exp.Expr], type_: SqlType) -> exp.Expr:
    operation = function.sparse
    if operation is None:
        raise ProgrammingError(
            f"function {function.name}(sparsevec) does not exist", code=sqlstate.UNDEFINED_FUNCTION
        )
    if len(vectors) == 2:
        return exp.Paren(this=exp.Neg(this=_dense(Metric.INNER_PRODUCT, *vectors)))
    if operation is SparseOperation.NORM:
        return call(operation.function, *vectors)
    return sparse_call(operation, type_, *vectors)


def _beside(operands: list[exp.Expr]) -> SqlType:
    """Return the type that untyped operands take: that of the vectors among them.

    One array is as good as a vector; without either it is VECTOR of any dimension.
    """
    return common_type(map(vector_type, operands)) or _ANY_VECTOR


def _bits(node: exp.Expr) -> SqlType:
    found = vector_type(node)
    return SqlType(Family.BIT, found.arguments if found is not None else ())


def _check_same(left: exp.Expr, right: exp.Expr, what: str = "vector dimensions") -> None:
    one, other = dimension_of(type_of(left)), dimension_of(type_of(right))
    if one is not None and other is not None and one != other:
        raise DataError(f"different {what} {one} and {other}", code=sqlstate.DATA_EXCEPTION)


def _distance(metric: Metric, node: exp.Expr) -> exp.Expr:
    left, right = node.expressions
    known = [t for t in map(type_of, (left, right)) if t is not None]
    if not known and all(isinstance(s.unnest(), exp.Placeholder) for s in (left, right)):
        raise ProgrammingError(
            f"the types of both sides of {metric.operator} are not known here",
            code=sqlstate.AMBIGUOUS_FUNCTION,
            span=span_of(node),
            hint="cast one side, as in ?::vector(3)",
        )
    if metric.over_bits:
        beside = next((t for t in known if t.family is Family.BIT), _ANY_BIT)
        bits = _pair(left, right, beside, metric.operator)
        _check_same(bits[0], bits[1], "bit lengths")
        return _over_bits(metric, *bits)
    beside = common_type(known) or _ANY_VECTOR
    return _dense(metric, *_pair(left, right, beside, metric.operator))


def _dense(metric: Metric, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    sparse = common_type((vector_type(left), vector_type(right)))
    if sparse is not None and sparse.is_sparse:
        _check_same(left, right, "sparsevec dimensions")
        return call(_SPARSE_DISTANCES[metric].function, left, right)
    _check_same(left, right)
    if metric is Metric.L1:
        return call(Operation.L1_DISTANCE.function(Family.VECTOR), left, right)
    dense, listed = _DISTANCES[metric]
    if all(dimension_of(type_of(side)) is not None for side in (left, right)):
        return cast_to(call(dense, left, right), "DOUBLE")
    lists = (cast_to(left, "FLOAT[]"), cast_to(right, "FLOAT[]"))
    return cast_to(call(listed, *lists), "DOUBLE")


def _over_bits(metric: Metric, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    if metric is Metric.HAMMING:
        return _template("CAST(bit_count(xor(a, b)) AS DOUBLE)", left, right)
    # Two without a common bit, even two without any, are as far apart as can be.
    return _template(
        "CASE WHEN bit_count(a & b) = 0 THEN 1.0::DOUBLE"
        " ELSE 1 - bit_count(a & b) / CAST(bit_count(a | b) AS DOUBLE) END",
        left,
        right,
    )


def _template(sql: str, a: exp.Expr, b: exp.Expr) -> exp.Expr:
    def fill(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and node.name in ("a", "b"):
            return (a if node.name == "a" else b).copy()
        return node

    return exp.Paren(this=parse_one(sql, read="duckdb").transform(fill))


def _arithmetic(node: exp.Expr) -> exp.Expr:
    found = vector_type(node)
    if found is None:
        return node
    operation = _ELEMENTWISE[type(node)]
    operator = operation.word
    if found.is_sparse:
        raise _no_operator(operator, found)
    if found.family is Family.BIT:
        if operation is not Operation.CONCATENATE:
            raise _no_operator(operator, found)
        left, right = _pair(node.this, node.expression, found, operator)
        return with_type(exp.DPipe(this=left, expression=right), found)
    beside = sized(found, None) if operation is Operation.CONCATENATE else found
    left, right = _pair(node.this, node.expression, beside, operator)
    if operation is not Operation.CONCATENATE:
        _check_same(left, right)
    return computed(operation, found, left, right)


def _refused(node: exp.Expr) -> exp.Expr:
    """- v, v / w and v % w: pgvector has none of these."""
    for side in (node.this, node.args.get("expression")):
        found = vector_type(side)
        if found is not None:
            raise _no_operator(node.key, found)
    return node


def _no_operator(operator: str, type_: SqlType) -> ProgrammingError:
    return ProgrammingError(
        f"operator {operator} does not exist for {type_}", code=sqlstate.UNDEFINED_FUNCTION
    )


def _comparison(node: exp.Expr) -> exp.Expr:
    left, right = node.this, node.expression
    beside = common_type((vector_type(left), vector_type(right)))
    if beside is None or isinstance(right, exp.Any | exp.All | exp.Subquery):
        return node
    left, right = _pair(left, right, sized(beside, None), "=")
    node.set("this", left)
    node.set("expression", right)
    _compare(node, ("this", "expression"))
    return node


def _compare(node: exp.Expr, names: tuple[str, ...]) -> None:
    """Vectors of different dimensions compare as lists do: element by element, then by length."""
    sides = [node.args[name] for name in names]
    if any(type_ is not None and type_.is_sparse for type_ in map(type_of, sides)):
        # Two that are equal are so in DuckDB too; their order needs a key.
        if isinstance(node, exp.LT | exp.LTE | exp.GT | exp.GTE | exp.Between):
            for name, side in zip(names, sides, strict=True):
                node.set(name, _sort_key(side))
        return
    dimensions = {dimension_of(type_of(side)) for side in sides}
    bits = any(t is not None and t.family is Family.BIT for t in map(type_of, sides))
    if not bits and (len(dimensions) > 1 or None in dimensions):
        for name, side in zip(names, sides, strict=True):
            node.set(name, cast_to(side, "FLOAT[]"))


def _membership(node: exp.Expr) -> exp.Expr:
    found = vector_type(node.this)
    if found is None or not node.expressions:
        return node
    (first, *others) = node.expressions
    if isinstance(first, exp.Placeholder) and first.name.startswith(SUBQUERY_PREFIX):
        if found.is_sparse:
            return _among(node.this, first, SPARSE_DUCKDB)
        return _among(node.this, first, "FLOAT[]") if found.family is not Family.BIT else node
    values = [as_vector(value, sized(found, None), "IN") for value in (first, *others)]
    node.set("expressions", [exp.paren(value, copy=False) for value in values])
    if found.is_dense:
        node.set("this", cast_to(node.this, "FLOAT[]"))
        node.set("expressions", [cast_to(value, "FLOAT[]") for value in values])
    return node


def _among(vector: exp.Expr, found: exp.Expr, duckdb_type: str) -> exp.Expr:
    """`v IN (SELECT …)` where the subquery's rows are a parameter: a list of vectors and NULLs."""
    return _template(
        "CASE WHEN len(b) = 0 THEN false WHEN a IS NULL THEN NULL"
        " WHEN list_contains(b, a) THEN true WHEN list_count(b) = len(b) THEN false END",
        cast_to(vector, duckdb_type),
        cast_to(found, f"{duckdb_type}[]"),
    )


def _values(node: exp.Expr) -> exp.Expr:
    """VALUES: a column with a vector in it holds vectors, lists where their dimensions differ."""
    for number, (_, type_) in enumerate(values_of(node)):
        if type_ is None:
            continue
        for row in node.expressions:
            value = as_vector(row.expressions[number], type_, "VALUES")
            whole_type = dimension_of(type_) is not None or type_.is_sparse
            stored = value if whole_type else cast_to(value, "FLOAT[]")
            whole = list(row.expressions)
            row.set("expressions", [*whole[:number], stored, *whole[number + 1 :]])
    return node


def _between(node: exp.Expr) -> exp.Expr:
    found = vector_type(node.this)
    if found is None:
        return node
    for name in ("low", "high"):
        node.set(name, as_vector(node.args[name], sized(found, None), "BETWEEN"))
    _compare(node, ("this", "low", "high"))
    return node


def _branches(*names: str) -> Callable[[exp.Expr], exp.Expr]:
    """Return what gives the untyped branches of CASE, COALESCE and their like the vector's type."""

    def rewrite(node: exp.Expr) -> exp.Expr:
        found = vector_type(node)
        if found is None:
            return node
        for name in names:
            value = node.args.get(name)
            for part in list(value) if isinstance(value, list) else [value]:
                inner = part.args.get("true") if isinstance(part, exp.If) else part
                if isinstance(inner, exp.Expr) and vector_type(inner) is None:
                    inner.replace(as_vector(inner.copy(), found, node.key))
        return node

    return rewrite


def _aggregate(node: exp.Expr) -> exp.Expr:
    """avg(v) and sum(v): DuckDB gathers the vectors, the kernel adds them up."""
    found = vector_type(node)
    if found is None or found.family is Family.BIT:
        return node
    if found.is_sparse:
        raise ProgrammingError(
            f"function {node.key}(sparsevec) does not exist",
            code=sqlstate.UNDEFINED_FUNCTION,
            span=span_of(node),
            hint="cast it to a vector, as in avg(e::vector(100))",
        )
    operation = Operation.AVERAGE if isinstance(node, exp.Avg) else Operation.SUM
    gathered = call("list", node.this)
    top: exp.Expr = node
    while isinstance(top.parent, exp.Filter | exp.Window) and top.parent.this is top:
        top = top.parent
    if top is node:
        return computed(operation, found, gathered)
    # FILTER and OVER belong to the gathering: what is around them becomes the kernel's argument.
    top.meta[_REDUCED] = operation
    return with_type(gathered, found)


def _sort_key(node: exp.Expr) -> exp.Expr:
    """Return bytes that sort as sparse vectors do."""
    return call(SparseOperation.SORT_KEY.function, node)


def _within_group(node: exp.Expr) -> bool:
    """Whether it orders an aggregate that gives what it orders by, as mode() does."""
    return isinstance(node.find_ancestor(exp.WithinGroup, exp.Query, exp.Window), exp.WithinGroup)


def _ordered(node: exp.Expr) -> exp.Expr:
    """ORDER BY v, by an output's name, or by its number."""
    key, query = node.this, node.find_ancestor(exp.Select, exp.Window, exp.SetOperation)
    output = _output_named(key, query)
    found = type_of(key if output is None else output)
    if found is None or not found.is_sparse or _within_group(node):
        return node
    if isinstance(query, exp.SetOperation) and output is not None:
        key = exp.column(exp.to_identifier(output.alias_or_name, quoted=True))
    elif output is not None:
        # A name in an expression is a column's before it is an output's: the output is written out.
        key = translate_vectors(output.unalias().copy())
    node.set("this", _sort_key(key))
    return node


def _output_named(key: exp.Expr, query: exp.Expr | None) -> exp.Expr | None:
    """Return the output that ORDER BY means by a name or number, None where it means none."""
    select = query
    while isinstance(select, exp.SetOperation | exp.Subquery):
        select = select.this
    if not isinstance(select, exp.Select):
        return None
    outputs: list[exp.Expr] = select.expressions
    if isinstance(key, exp.Literal) and key.is_int:
        place = int(key.name) - 1
        return outputs[place] if 0 <= place < len(outputs) else None
    if not isinstance(key, exp.Column) or key.args.get("table") is not None:
        return None
    named = (e for e in outputs if isinstance(e, exp.Alias) and e.alias == folded(key.this))
    return next(named, None)


def _extreme(node: exp.Expr) -> exp.Expr:
    """max(v) and min(v) of sparse vectors: pgvector has neither, and DuckDB has another order."""
    found = vector_type(node.this)
    if found is not None and found.is_sparse:
        raise ProgrammingError(
            f"function {node.key}(sparsevec) does not exist",
            code=sqlstate.UNDEFINED_FUNCTION,
            span=span_of(node),
            hint="use ORDER BY ... LIMIT 1",
        )
    return node


def _greatest(node: exp.Expr) -> exp.Expr:
    found = vector_type(node)
    if found is not None and found.is_sparse:
        raise NotSupportedError(f"{node.key} does not take sparse vectors", span=span_of(node))
    return _branches("this", "expressions")(node)


def _around_aggregate(node: exp.Expr) -> exp.Expr:
    operation = node.meta.pop(_REDUCED, None)
    found = vector_type(node)
    if operation is None or found is None:
        return node
    return computed(operation, found, node.copy())


_REWRITES: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.Add: _arithmetic,
    exp.Anonymous: _function,
    exp.Avg: _aggregate,
    exp.Between: _between,
    exp.BitString: translate_bits,
    exp.Case: _branches("ifs", "default"),
    exp.Cast: translate_cast,
    exp.Coalesce: _branches("this", "expressions"),
    exp.Div: _refused,
    exp.DPipe: _arithmetic,
    exp.EQ: _comparison,
    exp.Filter: _around_aggregate,
    exp.Greatest: _greatest,
    exp.GT: _comparison,
    exp.GTE: _comparison,
    exp.In: _membership,
    exp.Least: _greatest,
    exp.LT: _comparison,
    exp.LTE: _comparison,
    exp.Max: _extreme,
    exp.Min: _extreme,
    exp.Mod: _refused,
    exp.Mul: _arithmetic,
    exp.Neg: _refused,
    exp.NEQ: _comparison,
    exp.Nullif: _comparison,
    exp.NullSafeEQ: _comparison,
    exp.NullSafeNEQ: _comparison,
    exp.Ordered: _ordered,
    exp.Sub: _arithmetic,
    exp.Sum: _aggregate,
    exp.Values: _values,
    exp.Window: _around_aggregate,
}
