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

The `vsql_` functions are vsql's own kernels (`vsql.core.vector_functions`).
"""

from collections.abc import Callable

from sqlglot import exp, parse_one

from vsql.core import sqlstate
from vsql.core.distance import METRIC_BY_FUNCTION, Metric
from vsql.core.errors import DataError, NotSupportedError, ProgrammingError
from vsql.core.sparse import SparseVector, expected_dimensions
from vsql.core.types import TEXT, VECTOR_DIMENSION_MAX, Family, SqlType
from vsql.core.vector_functions import (
    SPARSE_DUCKDB,
    VECTOR_FUNCTIONS,
    Operation,
    SparseOperation,
    VectorFunction,
)
from vsql.core.vector_text import parse_vector
from vsql.planner.bind import folded, span_of
from vsql.planner.plan import SUBQUERY_PREFIX
from vsql.planner.vector_types import (
    cast_type,
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


def _call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _cast_to(node: exp.Expr, duckdb_type: str) -> exp.Cast:
    return exp.Cast(this=node, to=exp.DataType.build(duckdb_type, dialect="duckdb"))


def _fixed(node: exp.Expr, type_: SqlType) -> exp.Expr:
    """Return a node in the DuckDB type that a vector type is held in."""
    if type_.family is Family.BIT:
        return with_type(_cast_to(node, "BIT"), type_)
    if type_.is_sparse:
        return with_type(_cast_to(node, SPARSE_DUCKDB), type_)
    size = "" if dimension_of(type_) is None else str(dimension_of(type_))
    return with_type(_cast_to(node, f"FLOAT[{size}]"), type_)


def _computed(operation: Operation, type_: SqlType, *arguments: exp.Expr) -> exp.Expr:
    """Return a kernel's call that gives a vector of `type_`."""
    call = _call(operation.function(type_.family), *arguments)
    return with_type(call, type_) if dimension_of(type_) is None else _fixed(call, type_)


def _sparse(operation: SparseOperation, type_: SqlType, *arguments: exp.Expr) -> exp.Expr:
    """Return a kernel's call that gives a sparse vector, or makes a vector of one."""
    return with_type(_call(operation.function, *arguments), type_)


def as_vector(node: exp.Expr, beside: SqlType, operator: str) -> exp.Expr:
    """Return an operand as a vector; text, parameters and arrays take the type of what is beside.

    Raises ProgrammingError (42883) where it cannot be one.
    """
    inner, found = node.unnest(), type_of(node)
    if found is not None and found.is_vector:
        if beside.is_sparse and found.is_dense:
            return _converted(node, SqlType(Family.SPARSEVEC), found)
        if _kind(found) is _kind(beside):
            return node
    elif isinstance(inner, exp.Null):
        return with_type(inner, beside)
    elif isinstance(inner, exp.Literal) and inner.is_string:
        return _of_text(inner.name, sized(beside, None))
    elif isinstance(inner, exp.Placeholder):
        return _fixed(with_type(inner, beside), beside)
    elif found is None:
        return _fixed(node, beside)
    elif found.family is Family.ARRAY and beside.family is not Family.BIT:
        return _of_array(node, sized(beside, None))
    shown = [str(beside).lower(), "unknown" if found is None else str(found).lower()]
    raise ProgrammingError(
        f"{operator} does not take the types {' and '.join(shown)}",
        code=sqlstate.UNDEFINED_FUNCTION,
        span=span_of(node),
        hint="add an explicit cast, as in '[1,2,3]'::vector",
    )


def _kind(type_: SqlType) -> Family:
    """Return what a vector's family is to an operator: dense ones go with each other."""
    return Family.VECTOR if type_.is_dense else type_.family


def _of_text(text: str, type_: SqlType) -> exp.Expr:
    if type_.family is Family.BIT:
        return _of_bits(text, dimension_of(type_))
    if type_.is_sparse:
        return _of_sparse_text(text, dimension_of(type_))
    numbers = parse_vector(text, type_.family)
    wanted = dimension_of(type_)
    if wanted is not None and len(numbers) != wanted:
        raise expected_dimensions(wanted, len(numbers))
    written = exp.Literal.string(f"[{','.join(map(repr, numbers))}]")
    return _rounded(_fixed(written, SqlType(Family.VECTOR, (len(numbers),))), type_.family)


def _of_sparse_text(text: str, wanted: int | None) -> exp.Expr:
    vector = SparseVector.from_text(text)
    if wanted is not None and vector.dimensions() != wanted:
        raise expected_dimensions(wanted, vector.dimensions())
    parts = {
        "dimension": vector.dimensions(),
        "indices": vector.indices(),
        "values": vector.values(),
    }
    written = exp.Literal.string(repr(parts))
    return _fixed(written, SqlType(Family.SPARSEVEC, (vector.dimensions(),)))


def _of_bits(text: str, length: int | None) -> exp.Expr:
    wrong = next((character for character in text if character not in "01"), None)
    if wrong is not None:
        raise DataError(
            f'"{wrong}" is not a valid binary digit', code=sqlstate.INVALID_TEXT_REPRESENTATION
        )
    if length is not None:
        # An explicit cast cuts, or fills with zeros, on the right.
        text = text[:length].ljust(length, "0")
    return _fixed(exp.Literal.string(text), SqlType(Family.BIT, (len(text),)))


def _of_array(node: exp.Expr, type_: SqlType) -> exp.Expr:
    inner = node.unnest()
    dimension = len(inner.expressions) or None if isinstance(inner, exp.Array) else None
    numbers = _cast_to(node, "DOUBLE[]")
    if type_.is_sparse:
        return _sparse(SparseOperation.OF_ARRAY, sized(type_, dimension), numbers)
    return _computed(Operation.FROM_ARRAY, sized(type_, dimension), numbers)


def _rounded(node: exp.Expr, family: Family) -> exp.Expr:
    """Return a VECTOR's expression as one of another family."""
    found = vector_type(node)
    assert found is not None
    if family is found.family:
        return node
    if family is Family.VECTOR:
        return with_type(exp.Paren(this=node), SqlType(family, found.arguments))
    return _computed(Operation.ROUND, SqlType(family, found.arguments), node)


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
        vectors = [_rounded(vector, function.family) for vector in vectors]
    if beside.is_sparse:
        return _sparse_function(function, vectors, beside)
    if function.operation is None:
        if name == "vector_dims":
            return _cast_to(_call("len", *vectors), "INTEGER")
        return exp.Paren(this=exp.Neg(this=_dense(Metric.INNER_PRODUCT, *vectors)))
    if function.operation is Operation.QUANTIZE:
        return _fixed(
            _call(function.operation.function(beside.family), *vectors), _bits(vectors[0])
        )
    call_of = function.operation.function
    if function.operation is Operation.NORM:
        return _call(call_of(beside.family), *vectors)
    result = vector_type(node)
    assert result is not None
    whole = [_cast_to(number, "INTEGER") for number in others]
    if function.vectors == 2 and function.operation is not Operation.CONCATENATE:
        _check_same(vectors[0], vectors[1])
    return _computed(function.operation, result, *vectors, *whole)


def _sparse_function(function: VectorFunction, vectors: list[exp.Expr], type_: SqlType) -> exp.Expr:
    operation = function.sparse
    if operation is None:
        raise ProgrammingError(
            f"function {function.name}(sparsevec) does not exist", code=sqlstate.UNDEFINED_FUNCTION
        )
    if len(vectors) == 2:
        return exp.Paren(this=exp.Neg(this=_dense(Metric.INNER_PRODUCT, *vectors)))
    if operation is SparseOperation.NORM:
        return _call(operation.function, *vectors)
    return _sparse(operation, type_, *vectors)


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
        return _call(_SPARSE_DISTANCES[metric].function, left, right)
    _check_same(left, right)
    if metric is Metric.L1:
        return _call(Operation.L1_DISTANCE.function(Family.VECTOR), left, right)
    fixed, listed = _DISTANCES[metric]
    if all(dimension_of(type_of(side)) is not None for side in (left, right)):
        return _cast_to(_call(fixed, left, right), "DOUBLE")
    lists = (_cast_to(left, "FLOAT[]"), _cast_to(right, "FLOAT[]"))
    return _cast_to(_call(listed, *lists), "DOUBLE")


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
    return _computed(operation, found, left, right)


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
            node.set(name, _cast_to(side, "FLOAT[]"))


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
        node.set("this", _cast_to(node.this, "FLOAT[]"))
        node.set("expressions", [_cast_to(value, "FLOAT[]") for value in values])
    return node


def _among(vector: exp.Expr, found: exp.Expr, duckdb_type: str) -> exp.Expr:
    """`v IN (SELECT …)` where the subquery's rows are a parameter: a list of vectors and NULLs."""
    return _template(
        "CASE WHEN len(b) = 0 THEN false WHEN a IS NULL THEN NULL"
        " WHEN list_contains(b, a) THEN true WHEN list_count(b) = len(b) THEN false END",
        _cast_to(vector, duckdb_type),
        _cast_to(found, f"{duckdb_type}[]"),
    )


def _values(node: exp.Expr) -> exp.Expr:
    """VALUES: a column with a vector in it holds vectors, lists where their dimensions differ."""
    for number, (_, type_) in enumerate(values_of(node)):
        if type_ is None:
            continue
        for row in node.expressions:
            value = as_vector(row.expressions[number], type_, "VALUES")
            whole_type = dimension_of(type_) is not None or type_.is_sparse
            fixed = value if whole_type else _cast_to(value, "FLOAT[]")
            whole = list(row.expressions)
            row.set("expressions", [*whole[:number], fixed, *whole[number + 1 :]])
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
    gathered = _call("list", node.this)
    top: exp.Expr = node
    while isinstance(top.parent, exp.Filter | exp.Window) and top.parent.this is top:
        top = top.parent
    if top is node:
        return _computed(operation, found, gathered)
    # FILTER and OVER belong to the gathering: what is around them becomes the kernel's argument.
    top.meta[_REDUCED] = operation
    return with_type(gathered, found)


def _sort_key(node: exp.Expr) -> exp.Expr:
    """Return bytes that sort as sparse vectors do."""
    return _call(SparseOperation.SORT_KEY.function, node)


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
    return _computed(operation, found, node.copy())


def _cast(node: exp.Expr) -> exp.Expr:
    assert isinstance(node, exp.Cast)
    wanted, found = cast_type(node.to), vector_type(node.this)
    if wanted is None or (not wanted.is_vector and found is None):
        return node
    if not wanted.is_vector:
        assert found is not None
        return _from_vector(node, wanted, found)
    inner = node.this.unnest()
    if isinstance(inner, exp.Null):
        return with_type(exp.Paren(this=_fixed(inner, wanted)), wanted)
    if isinstance(inner, exp.Literal) and inner.is_string:
        return _of_text(inner.name, wanted)
    if isinstance(inner, exp.Placeholder):
        return _fixed(with_type(inner, wanted), wanted)
    if wanted.family is Family.BIT:
        return _resized_bits(node, wanted, found)
    if found is not None and found.family is not Family.BIT:
        return _converted(node.this, wanted, found)
    known = type_of(inner)
    if known is not None and known.family is Family.ARRAY:
        return _resized(_of_array(node.this, sized(wanted, None)), wanted)
    if known is not None and known.is_string:
        any_size = sized(wanted, None)
        if wanted.is_sparse:
            return _resized(_sparse(SparseOperation.PARSE, any_size, node.this), wanted)
        return _resized(_computed(Operation.PARSE, any_size, node.this), wanted)
    if known is None and wanted.is_sparse:
        shown = _cast_to(node.this, "VARCHAR")
        return _resized(_sparse(SparseOperation.PARSE, sized(wanted, None), shown), wanted)
    if known is None:
        if wanted.family is Family.VECTOR:
            return _fixed(node.this, wanted)
        whole = SqlType(Family.VECTOR, wanted.arguments)
        return _resized(_rounded(_fixed(node.this, whole), wanted.family), wanted)
    raise ProgrammingError(
        f"cannot cast type {known} to {wanted.family.value.lower()}",
        code=sqlstate.CANNOT_COERCE,
        span=span_of(node),
    )


def _converted(inner: exp.Expr, wanted: SqlType, found: SqlType) -> exp.Expr:
    if wanted.is_sparse and not found.is_sparse:
        operation = SparseOperation.OF_VECTOR
        return _resized(_sparse(operation, sized(wanted, dimension_of(found)), inner), wanted)
    if found.is_sparse and not wanted.is_sparse:
        vector = SqlType(Family.VECTOR)
        dense = _sparse(SparseOperation.TO_VECTOR, vector, inner)
        size = dimension_of(found)
        if size is not None and size <= VECTOR_DIMENSION_MAX:
            dense = _fixed(dense, sized(vector, size))
        return _resized(_rounded(dense, wanted.family), wanted)
    return _resized(_rounded(inner, wanted.family), wanted)


def _resized(vector: exp.Expr, wanted: SqlType) -> exp.Expr:
    """Return a vector in the dimension that a cast names; raises DataError where it has another."""
    found, size = dimension_of(vector_type(vector)), dimension_of(wanted)
    if size is None or size == found:
        return vector
    if found is not None:
        raise expected_dimensions(size, found)
    if wanted.is_sparse:
        number = exp.Literal.number(size)
        return _sparse(SparseOperation.CHECK_DIMENSION, wanted, vector, number)
    return _fixed(vector, wanted)


def _resized_bits(node: exp.Cast, wanted: SqlType, found: SqlType | None) -> exp.Expr:
    size = dimension_of(wanted)
    if found is not None and found.family is not Family.BIT:
        raise ProgrammingError(
            f"cannot cast type {found.family.value.lower()} to bit",
            code=sqlstate.CANNOT_COERCE,
            hint="use binary_quantize()",
        )
    if found is not None and dimension_of(found) == size:
        same: exp.Expr = node.this
        return same
    text = _cast_to(node.this, "VARCHAR")
    cut = _call(
        "rpad",
        _call("left", text, exp.Literal.number(size or 1)),
        exp.Literal.number(size or 1),
        exp.Literal.string("0"),
    )
    return _fixed(cut, wanted)


def _from_vector(node: exp.Cast, wanted: SqlType, found: SqlType) -> exp.Expr:
    if found.family is Family.BIT:
        return node
    if wanted.is_string:
        show = SparseOperation.SHOW.function if found.is_sparse else None
        shown = _call(show or Operation.SHOW.function(found.family), node.this)
        return (
            with_type(shown, TEXT)
            if not node.to.expressions
            else with_type(exp.Cast(this=shown, to=node.to), TEXT)
        )
    if wanted.family is Family.ARRAY and not found.is_sparse:
        return with_type(exp.Cast(this=_cast_to(node.this, "FLOAT[]"), to=node.to), wanted)
    raise ProgrammingError(
        f"cannot cast type {found.family.value.lower()} to {wanted}",
        code=sqlstate.CANNOT_COERCE,
        span=span_of(node),
    )


def _bit_string(node: exp.Expr) -> exp.Expr:
    return _of_bits(node.name, None)


_REWRITES: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.Add: _arithmetic,
    exp.Anonymous: _function,
    exp.Avg: _aggregate,
    exp.Between: _between,
    exp.BitString: _bit_string,
    exp.Case: _branches("ifs", "default"),
    exp.Cast: _cast,
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
