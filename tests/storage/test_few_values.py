"""Few values of an array are those that Arrow gives."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsql.storage.few_values import few_reader

_VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): st.text(),
    pa.bool_(): st.booleans(),
    pa.list_(pa.string()): st.lists(st.text(max_size=3), max_size=3),
}


@pytest.mark.parametrize("type_", _VALUES, ids=str)
@given(data=st.data())
def test_values_are_read(type_: pa.DataType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | _VALUES[type_], min_size=1, max_size=30))
    start = data.draw(st.integers(0, len(values) - 1))
    array = pa.array(values, type_).slice(start)
    rows = data.draw(st.lists(st.integers(0, len(array) - 1), max_size=9))
    found = few_reader(array)(np.array(rows, np.int64))
    assert found == [array[row].as_py() for row in rows]
    assert [type(value) for value in found] == [type(array[row].as_py()) for row in rows]
