"""Batches put together: what concatenation would give, whatever was expected to come."""

import pyarrow as pa
import pytest

from vsql.storage.gather import one_batch

VALUES = {
    pa.float32(): [0.5, -1.0, 3.25],
    pa.float16(): [0.5, -1.0, 3.25],
    pa.uint16(): [0, 1, 65_535],
    pa.int8(): [-128, 0, 127],
}


def batch_of(type_: pa.DataType, rows: list[int | None]) -> pa.RecordBatch:
    """Return a batch whose rows repeat one number each; None is a NULL."""
    drawn = [None if row is None else [VALUES[type_][row % 3]] * 5 for row in rows]
    vectors = pa.array(drawn, pa.list_(type_, 5))
    return pa.record_batch({"v": vectors, "t": pa.array([str(row) for row in rows], pa.string())})


@pytest.mark.parametrize("type_", list(VALUES), ids=str)
@pytest.mark.parametrize("expected", [0, 3, 4, 7, 12, 100])
@pytest.mark.parametrize(
    "parts",
    [
        [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9, 10, 11]],
        [[0, None, 2], [None, None], [5, 6]],
        [[None], [None, None]],
        [[0, 1], [], [2]],
        [[], [0]],
    ],
)
def test_as_concatenated(type_: pa.DataType, expected: int, parts: list[list[int | None]]) -> None:
    batches = [batch_of(type_, rows) for rows in parts]
    found = one_batch(batches[0].schema, iter(batches), expected)
    found.validate(full=True)
    assert found.equals(pa.Table.from_batches(batches).combine_chunks().to_batches()[0])


@pytest.mark.parametrize("expected", [0, 6])
def test_slices(expected: int) -> None:
    """Rows of a slice begin in the middle of its memory, and so may the numbers of a vector."""
    shifted = pa.array([99.0, 98.0, *range(40)], pa.float32()).slice(2)
    vectors = pa.FixedSizeListArray.from_arrays(shifted, 4)
    whole = pa.record_batch({"v": vectors})
    found = one_batch(whole.schema, [whole.slice(1, 2), whole.slice(6, 4)], expected)
    wanted = [list(range(4 * row, 4 * row + 4)) for row in (1, 2, 6, 7, 8, 9)]
    assert found.column(0).to_pylist() == wanted


@pytest.mark.parametrize("expected", [0, 1, 2])
def test_nothing_and_one(expected: int) -> None:
    batch = batch_of(pa.float32(), [1])
    assert one_batch(batch.schema, [], expected).equals(batch.slice(0, 0))
    one = one_batch(batch.schema, [batch], expected)
    assert one.equals(batch)


def test_a_single_batch_is_not_copied() -> None:
    batch = batch_of(pa.float32(), [1, 2, 3])
    for expected in (0, 3):
        found = one_batch(batch.schema, [batch], expected)
        assert found.column(0).values.buffers()[1].address == (
            batch.column(0).values.buffers()[1].address
        )
