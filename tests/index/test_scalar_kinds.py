"""Every scalar kind on every type answers like plain Python."""

import datetime as dt
import math
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vsql.core.errors import OperationalError, ProgrammingError
from vsql.core.protocols import Comparison, Condition, ScalarIndexKind
from vsql.core.types import Family, SqlType, named
from vsql.index import bitmap, sorted_values

KINDS: tuple[ScalarIndexKind, ...] = (sorted_values.KIND, bitmap.KIND)
UTC = dt.UTC

_text = st.text(alphabet="ab\u00e9\uffff\U0001f600", max_size=3)
TYPES: dict[str, tuple[SqlType, st.SearchStrategy[Any]]] = {
    "boolean": (named("BOOLEAN"), st.booleans()),
    "tinyint": (named("TINYINT"), st.integers(-128, 127)),
    "smallint": (named("SMALLINT"), st.integers(-3, 3)),
    "integer": (named("INTEGER"), st.integers(-(2**31), 2**31 - 1)),
    "bigint": (named("BIGINT"), st.integers(-(2**63), 2**63 - 1)),
    "real": (named("REAL"), st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.5])),
    "double": (named("DOUBLE"), st.floats() | st.sampled_from([0.0, -0.0, math.nan, math.inf])),
    "decimal": (named("DECIMAL", (10, 2)), st.decimals(-1000, 1000, places=2)),
    "wide decimal": (named("DECIMAL", (38, 0)), st.integers(-(10**37), 10**37).map(Decimal)),
    "varchar": (named("VARCHAR", (3,)), _text),
    "text": (named("TEXT"), _text),
    "bytea": (named("BYTEA"), st.binary(max_size=3)),
    "uuid": (named("UUID"), st.integers(0, 9).map(lambda n: uuid.UUID(int=n << 64 | n))),
    "date": (named("DATE"), st.dates()),
    "time": (named("TIME"), st.times()),
    "timestamp": (named("TIMESTAMP"), st.datetimes()),
    "timestamptz": (named("TIMESTAMPTZ"), st.datetimes(timezones=st.just(UTC))),
}
CASES = [pytest.param(k, *TYPES[t], id=f"{k.name}-{t}") for k in KINDS for t in TYPES]


def stored(value: Any) -> Any:
    return value.bytes if isinstance(value, uuid.UUID) else value


def order(value: Any) -> Any:
    """A sort key: NaN last, strings by code point."""
    if isinstance(value, float):
        return (1, 0.0) if math.isnan(value) else (0, value)
    return stored(value)


def holds(value: Any, condition: Condition) -> bool:
    if condition.comparison is Comparison.IS_NULL:
        return value is None
    if value is None:
        return False
    if condition.comparison is Comparison.RANGE:
        low, high = condition.low, condition.high
        above = low is None or (
            order(value) >= order(low) if condition.low_inclusive else order(value) > order(low)
        )
        below = high is None or (
            order(value) <= order(high) if condition.high_inclusive else order(value) < order(high)
        )
        return above and below
    return any(order(value) == order(v) for v in condition.values if v is not None)


@pytest.mark.parametrize(("kind", "type_", "strategy"), CASES)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_answers_like_python(
    kind: ScalarIndexKind,
    type_: SqlType,
    strategy: st.SearchStrategy[Any],
    tmp_path: Path,
    data: st.DataObject,
) -> None:
    values = data.draw(st.lists(st.none() | strategy, max_size=20))
    drawn = st.sampled_from(values) | strategy if values else strategy
    constant = drawn.filter(lambda value: value is not None)
    end = st.none() | constant
    conditions = [
        Condition(Comparison.EQUAL, (data.draw(constant),)),
        Condition(Comparison.EQUAL, (None,)),
        Condition(Comparison.IN, tuple(data.draw(st.lists(drawn, max_size=4)))),
        Condition(Comparison.IS_NULL),
        Condition(
            Comparison.RANGE,
            low=data.draw(end),
            high=data.draw(end),
            low_inclusive=data.draw(st.booleans()),
            high_inclusive=data.draw(st.booleans()),
        ),
    ]
    array = pa.array([stored(value) for value in values], type=type_.arrow)
    assert kind.supports(type_)
    built = kind.build(array, {})
    path = tmp_path / "index"
    built.save(path)
    for searcher in (built, kind.load(path)):
        assert searcher.byte_size() >= 0
        for condition in conditions:
            expected = [row for row, value in enumerate(values) if holds(value, condition)]
            found = searcher.lookup(condition)
            assert found is not None
            assert found.dtype == np.uint32
            assert sorted(found.tolist()) == expected
            assert searcher.estimate(condition) == len(expected)


@pytest.mark.parametrize(("type_", "strategy"), TYPES.values(), ids=TYPES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_find_gives_the_first_row_of_each_key(
    type_: SqlType, strategy: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.none() | strategy, max_size=20))
    wanted = data.draw(st.lists(st.none() | strategy, max_size=5)) + values
    arrow = type_.arrow
    searcher = sorted_values.KIND.build(pa.array([stored(v) for v in values], arrow), {})
    found = searcher.find(pa.array([stored(v) for v in wanted], arrow))
    first: dict[Any, int] = {}
    for row, value in enumerate(values):
        first.setdefault(order(value), row)
    expected = [-1 if value is None else first.get(order(value), -1) for value in wanted]
    assert found.tolist() == expected
    assert found.dtype == np.int64


@pytest.mark.parametrize("offset", [0, 3])
def test_sliced_arrays(offset: int) -> None:
    numbers = [Decimal(n) if n % 3 else None for n in range(9)]
    for array in (
        pa.array(numbers, pa.decimal128(9, 0)),
        pa.array(numbers, pa.decimal128(9, 0)).cast(pa.decimal128(12, 2)),
    ):
        searcher = sorted_values.KIND.build(array.slice(offset), {})
        assert searcher.find(array.slice(offset)).tolist() == [
            -1 if v is None else row for row, v in enumerate(numbers[offset:])
        ]


def test_rows_lie_in_the_order_of_keys_and_nulls_last() -> None:
    searcher = sorted_values.KIND.build(pa.array([3.0, None, 1.0, math.nan, 1.0]), {})
    assert searcher.rows.tolist() == [2, 4, 0, 3, 1]
    assert searcher.present == 4


@pytest.mark.parametrize(
    ("arrow", "constant"),
    [
        (pa.int64(), 1.5),
        (pa.int64(), 1.0),
        (pa.int64(), True),
        (pa.int64(), "1"),
        (pa.int8(), 1000),
        (pa.float64(), 2**53 + 1),
        (pa.float64(), "x"),
        (pa.bool_(), 1),
        (pa.string(), 1),
        (pa.string(), b"a"),
        (pa.date32(), dt.datetime(2020, 1, 1)),
        (pa.date32(), "2020-01-01"),
        (pa.timestamp("us"), dt.date(2020, 1, 1)),
        (pa.timestamp("us"), dt.datetime(2020, 1, 1, tzinfo=UTC)),
        (pa.timestamp("us", tz="UTC"), dt.datetime(2020, 1, 1)),
        (pa.time64("us"), dt.time(1, tzinfo=UTC)),
        (pa.decimal128(10, 2), Decimal("1.005")),
        (pa.binary(16), b"short"),
    ],
)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_constants_without_an_exact_form_are_left_to_the_caller(
    kind: ScalarIndexKind, arrow: pa.DataType, constant: Any
) -> None:
    searcher = kind.build(pa.nulls(3, arrow), {})
    for condition in (
        Condition(Comparison.EQUAL, (constant,)),
        Condition(Comparison.RANGE, low=constant),
        Condition(Comparison.RANGE, high=constant),
    ):
        assert searcher.lookup(condition) is None
        assert searcher.estimate(condition) is None


def test_real_keys_compare_in_double_precision() -> None:
    searcher = sorted_values.KIND.build(pa.array([0.1, 0.5], pa.float32()), {})
    for constant, expected in ((0.1, 0), (float(np.float32(0.1)), 1), (0.5, 1)):
        assert searcher.estimate(Condition(Comparison.EQUAL, (constant,))) == expected


def test_dictionary_encoded_keys() -> None:
    array = pa.array(["b", "a", None, "b"]).dictionary_encode()
    found = bitmap.KIND.build(array, {}).lookup(Condition(Comparison.RANGE, low="b"))
    assert found is not None
    assert found.tolist() == [0, 3]


def test_bitmap_refuses_too_many_keys() -> None:
    keys = pa.array(range(bitmap.DISTINCT_MAX + 1))
    with pytest.raises(ProgrammingError, match=r"100,001(.|\n)*BTREE") as caught:
        bitmap.KIND.build(keys, {})
    assert caught.value.sqlstate == "54000"


@pytest.mark.parametrize("family", ["JSON", "INTERVAL"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_types_without_an_order(kind: ScalarIndexKind, family: str) -> None:
    assert not kind.supports(SqlType(Family(family)))
    assert not kind.supports(named("INTEGER", (), 1))
    assert not kind.supports(named("VECTOR", (3,)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0 and then nothing", b"x" * 500, None])
def test_unusable_files(kind: ScalarIndexKind, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "index"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((OSError, ValueError)):
        kind.load(path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_foreign_arrow_files_are_unusable(kind: ScalarIndexKind, tmp_path: Path) -> None:
    path = tmp_path / "index"
    batch = pa.record_batch({"other": pa.array([1])})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(ValueError):
        kind.load(path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_saving_where_nothing_can_be_written(kind: ScalarIndexKind, tmp_path: Path) -> None:
    with pytest.raises(OperationalError) as caught:
        kind.build(pa.array([1]), {}).save(tmp_path / "no" / "such" / "folder")
    assert caught.value.sqlstate == "58030"
