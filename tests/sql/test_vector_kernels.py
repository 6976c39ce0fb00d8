"""The registry of vector functions: every operation has a kernel, and kernels mind NULLs."""

import pyarrow as pa
import pytest

import vsql
from vsql.core.types import DENSE, SPARSE_ARROW, Family
from vsql.core.vector_functions import (
    SPARSE_DUCKDB,
    VECTOR_FUNCTIONS,
    Operation,
    SparseOperation,
    VectorFunction,
)
from vsql.executor.vector_kernels import kernels


def test_every_operation_has_a_kernel() -> None:
    known = {name for name, *_ in kernels()}
    dense = {operation.function(f) for operation in Operation for f in DENSE}
    assert known == dense | {operation.function for operation in SparseOperation}


@pytest.mark.parametrize("function", VECTOR_FUNCTIONS.values(), ids=lambda f: f.name)
def test_every_function_runs(function: VectorFunction) -> None:
    arguments = ["'[1,2,3]'::vector"] * function.vectors + ["1"] * function.integers
    with vsql.connect(":memory:") as connection:
        call = f"{function.name}({', '.join(arguments)})"
        assert connection.execute(f"SELECT {call}").fetchone()[0] is not None
        nulls = ", ".join(["NULL::vector", *arguments[1:]])
        assert connection.execute(f"SELECT {function.name}({nulls})").fetchone() == (None,)


def test_null_rows_stay_in_their_places() -> None:
    by_name = {name: kernel for name, _, _, kernel in kernels()}
    add = by_name[Operation.ADD.function(Family.VECTOR)]
    floats = pa.list_(pa.float32())
    one = pa.chunked_array([pa.array([[1.0], None], floats), pa.array([[2.0, 3.0]], floats)])
    other = pa.chunked_array([pa.array([None, [5.0], [7.0, 8.0]], floats)])
    assert add(one, other).to_pylist() == [None, None, [9.0, 11.0]]


def test_an_empty_list_between_others_has_no_length() -> None:
    by_name = {name: kernel for name, _, _, kernel in kernels()}
    norm = by_name[Operation.NORM.function(Family.VECTOR)]
    floats = pa.list_(pa.float32())
    for lists, lengths in (
        ([[], [3.0, 4.0], [], [2.0], []], [0.0, 5.0, 0.0, 2.0, 0.0]),
        ([[]], [0.0]),
    ):
        assert norm(pa.chunked_array([pa.array(lists, floats)])).to_pylist() == lengths


def test_no_rows() -> None:
    empty = {
        "FLOAT[]": pa.chunked_array([], pa.list_(pa.float32())),
        "DOUBLE[]": pa.chunked_array([], pa.list_(pa.float64())),
        "FLOAT[][]": pa.chunked_array([], pa.list_(pa.list_(pa.float32()))),
        "INTEGER": pa.chunked_array([], pa.int32()),
        "VARCHAR": pa.chunked_array([], pa.string()),
        SPARSE_DUCKDB: pa.chunked_array([], SPARSE_ARROW),
    }
    for name, parameters, _, kernel in kernels():
        assert len(kernel(*(empty[parameter] for parameter in parameters))) == 0, name


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 'x' || s FROM t WHERE CAST(s || 'y' AS INT) = 1", "Could not convert string '1y'"),
        ("SELECT try(l2_norm(s::vector)), CAST(s || 'y' AS INT) FROM t", "Could not convert"),
        ("SELECT l2_norm(s::vector) FROM t", "invalid input syntax for type vector: '1'"),
    ],
)
def test_an_error_that_try_swallowed_does_not_come_back(sql: str, message: str) -> None:
    with vsql.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (s TEXT)")
        connection.execute("INSERT INTO t VALUES ('1')")
        assert connection.execute("SELECT try(l2_norm(s::vector)) FROM t").fetchone() == (None,)
        with pytest.raises(vsql.DataError) as caught:
            connection.execute(sql)
        assert caught.value.message.startswith(message)
