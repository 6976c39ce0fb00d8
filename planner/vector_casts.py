"""Values as vectors of a type, in DuckDB's words: literals, parameters, arrays and casts."""

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import DataError, ProgrammingError
from vsql.core.sparse import SparseVector, expected_dimensions
from vsql.core.types import TEXT, VECTOR_DIMENSION_MAX, Family, SqlType
from vsql.core.vector_functions import SPARSE_DUCKDB, Operation, SparseOperation
from vsql.core.vector_text import parse_vector
from vsql.planner.bind import span_of
from vsql.planner.vector_types import (
    cast_type,
    dimension_of,
    sized,
    type_of,
    vector_type,
    with_type,
)


def call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    """Return a call of one of DuckDB's functions, or of a kernel."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def cast_to(node: exp.Expr, duckdb_type: str) -> exp.Cast:
    """Return a node as one of DuckDB's types."""
    return exp.Cast(this=node, to=exp.DataType.build(duckdb_type, dialect="duckdb"))


def held(node: exp.Expr, type_: SqlType) -> exp.Expr:
    """Return a node in the DuckDB type that a vector type is held in."""
    if type_.family is Family.BIT:
        return with_type(cast_to(node, "BIT"), type_)
    if type_.is_sparse:
        return with_type(cast_to(node, SPARSE_DUCKDB), type_)
    size = "" if dimension_of(type_) is None else str(dimension_of(type_))
    return with_type(cast_to(node, f"FLOAT[{size}]"), type_)


def computed(operation: Operation, type_: SqlType, *arguments: exp.Expr) -> exp.Expr:
    """Return a kernel's call that gives a vector of `type_`."""
    result = call(operation.function(type_.family), *arguments)
    return with_type(result, type_) if dimension_of(type_) is None else held(result, type_)


def sparse_call(operation: SparseOperation, type_: SqlType, *arguments: exp.Expr) -> exp.Expr:
    """Return a kernel's call that gives a sparse vector, or makes a vector of one."""
    return with_type(call(operation.function, *arguments), type_)


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
        return held(with_type(inner, beside), beside)
    elif found is None:
        return held(node, beside)
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
    return rounded(held(written, SqlType(Family.VECTOR, (len(numbers),))), type_.family)


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
    return held(written, SqlType(Family.SPARSEVEC, (vector.dimensions(),)))


def _of_bits(text: str, length: int | None) -> exp.Expr:
    wrong = next((character for character in text if character not in "01"), None)
    if wrong is not None:
        raise DataError(
            f'"{wrong}" is not a valid binary digit', code=sqlstate.INVALID_TEXT_REPRESENTATION
        )
    if length is not None:
        # An explicit cast cuts, or fills with zeros, on the right.
        text = text[:length].ljust(length, "0")
    return held(exp.Literal.string(text), SqlType(Family.BIT, (len(text),)))


def _of_array(node: exp.Expr, type_: SqlType) -> exp.Expr:
    inner = node.unnest()
    dimension = len(inner.expressions) or None if isinstance(inner, exp.Array) else None
    numbers = cast_to(node, "DOUBLE[]")
    if type_.is_sparse:
        return sparse_call(SparseOperation.OF_ARRAY, sized(type_, dimension), numbers)
    return computed(Operation.FROM_ARRAY, sized(type_, dimension), numbers)


def rounded(node: exp.Expr, family: Family) -> exp.Expr:
    """Return a VECTOR's expression as one of another family."""
    found = vector_type(node)
    assert found is not None
    if family is found.family:
        return node
    if family is Family.VECTOR:
        return with_type(exp.Paren(this=node), SqlType(family, found.arguments))
    return computed(Operation.ROUND, SqlType(family, found.arguments), node)


def translate_cast(node: exp.Expr) -> exp.Expr:
    """Return a cast to or from a vector in DuckDB's words, any other as it is.

    Raises ProgrammingError (42846) where there is none, DataError where the value does not fit.
    """
    assert isinstance(node, exp.Cast)
    wanted, found = cast_type(node.to), vector_type(node.this)
    if wanted is None or (not wanted.is_vector and found is None):
        return node
    if not wanted.is_vector:
        assert found is not None
        return _from_vector(node, wanted, found)
    inner = node.this.unnest()
    if isinstance(inner, exp.Null):
        return with_type(exp.Paren(this=held(inner, wanted)), wanted)
    if isinstance(inner, exp.Literal) and inner.is_string:
        return _of_text(inner.name, wanted)
    if isinstance(inner, exp.Placeholder):
        return held(with_type(inner, wanted), wanted)
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
            return _resized(sparse_call(SparseOperation.PARSE, any_size, node.this), wanted)
        return _resized(computed(Operation.PARSE, any_size, node.this), wanted)
    if known is None and wanted.is_sparse:
        shown = cast_to(node.this, "VARCHAR")
        return _resized(sparse_call(SparseOperation.PARSE, sized(wanted, None), shown), wanted)
    if known is None:
        if wanted.family is Family.VECTOR:
            return held(node.this, wanted)
        whole = SqlType(Family.VECTOR, wanted.arguments)
        return _resized(rounded(held(node.this, whole), wanted.family), wanted)
    raise ProgrammingError(
        f"cannot cast type {known} to {wanted.family.value.lower()}",
        code=sqlstate.CANNOT_COERCE,
        span=span_of(node),
    )


def _converted(inner: exp.Expr, wanted: SqlType, found: SqlType) -> exp.Expr:
    if wanted.is_sparse and not found.is_sparse:
        operation = SparseOperation.OF_VECTOR
        return _resized(sparse_call(operation, sized(wanted, dimension_of(found)), inner), wanted)
    if found.is_sparse and not wanted.is_sparse:
        vector = SqlType(Family.VECTOR)
        dense = sparse_call(SparseOperation.TO_VECTOR, vector, inner)
        size = dimension_of(found)
        if size is not None and size <= VECTOR_DIMENSION_MAX:
            dense = held(dense, sized(vector, size))
        return _resized(rounded(dense, wanted.family), wanted)
    return _resized(rounded(inner, wanted.family), wanted)


def _resized(vector: exp.Expr, wanted: SqlType) -> exp.Expr:
    """Return a vector in the dimension that a cast names; raises DataError where it has another."""
    found, size = dimension_of(vector_type(vector)), dimension_of(wanted)
    if size is None or size == found:
        return vector
    if found is not None:
        raise expected_dimensions(size, found)
    if wanted.is_sparse:
        number = exp.Literal.number(size)
        return sparse_call(SparseOperation.CHECK_DIMENSION, wanted, vector, number)
    return held(vector, wanted)


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
    text = cast_to(node.this, "VARCHAR")
    cut = call(
        "rpad",
        call("left", text, exp.Literal.number(size or 1)),
        exp.Literal.number(size or 1),
        exp.Literal.string("0"),
    )
    return held(cut, wanted)


def _from_vector(node: exp.Cast, wanted: SqlType, found: SqlType) -> exp.Expr:
    if found.family is Family.BIT:
        return node
    if wanted.is_string:
        show = SparseOperation.SHOW.function if found.is_sparse else None
        shown = call(show or Operation.SHOW.function(found.family), node.this)
        return (
            with_type(shown, TEXT)
            if not node.to.expressions
            else with_type(exp.Cast(this=shown, to=node.to), TEXT)
        )
    if wanted.family is Family.ARRAY and not found.is_sparse:
        return with_type(exp.Cast(this=cast_to(node.this, "FLOAT[]"), to=node.to), wanted)
    raise ProgrammingError(
        f"cannot cast type {found.family.value.lower()} to {wanted}",
        code=sqlstate.CANNOT_COERCE,
        span=span_of(node),
    )


def translate_bits(node: exp.Expr) -> exp.Expr:
    """Return B'…' as bits; raises DataError (22P02) for other digits."""
    return _of_bits(node.name, None)
