"""INVERTED beside brute force, by itself and in SQL."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vsql
from vsql.core.protocols import Comparison, Condition
from vsql.core.types import named
from vsql.index import registry
from vsql.index.inverted import KIND

LISTS = st.lists(
    st.one_of(st.none(), st.lists(st.one_of(st.none(), st.integers(0, 6)), max_size=4)), max_size=30
)


def expected(rows: list[Any], condition: Condition) -> list[int]:
    if condition.comparison is Comparison.IS_NULL:
        return [n for n, row in enumerate(rows) if row is None]
    wanted = set(condition.values)
    if condition.comparison is Comparison.CONTAINS_ANY:
        return [n for n, row in enumerate(rows) if row is not None and wanted & set(row)]
    return [n for n, row in enumerate(rows) if row is not None and wanted <= set(row)]


@settings(deadline=None)
@given(LISTS, st.lists(st.integers(0, 7), min_size=1, max_size=3), st.integers(0, 2))
def test_arrays(rows: list[Any], values: list[int], offset: int) -> None:
    array = pa.array([None, [9], *rows], pa.list_(pa.int64())).slice(2)
    array = array.slice(min(offset, len(array)))
    rows = rows[min(offset, len(rows)) :]
    postings = KIND.build(array, {})
    for comparison in (Comparison.CONTAINS_ANY, Comparison.CONTAINS_ALL, Comparison.IS_NULL):
        condition = Condition(comparison, tuple(values))
        found = postings.lookup(condition)
        assert found is not None
        assert sorted(found.tolist()) == expected(rows, condition)
        estimate = postings.estimate(condition)
        assert estimate is not None
        assert estimate >= len(found)
    assert postings.lookup(Condition(Comparison.EQUAL, (1,))) is None


def test_files_come_back(tmp_path: Path) -> None:
    for array in (
        pa.array([["a", "b", "a"], None, [], ["b", None]]),
        pa.array([3, 1, None, 3]),
        pa.array([], pa.list_(pa.string())),
    ):
        built = KIND.build(array, {})
        built.save(tmp_path / "x")
        loaded = KIND.load(tmp_path / "x")
        assert loaded.byte_size() == built.byte_size()
        for condition in (
            Condition(Comparison.CONTAINS_ANY, ("b",)),
            Condition(Comparison.EQUAL, (3,)),
            Condition(Comparison.IS_NULL),
        ):
            one, other = built.lookup(condition), loaded.lookup(condition)
            assert (one is None) == (other is None)
            assert one is None or one.tolist() == other.tolist()
    (tmp_path / "x").write_bytes(b"broken")
    with pytest.raises((OSError, ValueError)):
        KIND.load(tmp_path / "x")


def test_what_it_supports() -> None:
    assert KIND.supports(named("TEXT", (), 1))
    assert KIND.supports(named("BIGINT", ()))
    assert KIND.supports(named("JSON", ()))
    assert not KIND.supports(named("INTERVAL", ()))
    assert registry.scalar_kind("INVERTED") is KIND


QUERIES = (
    ("'red' = ANY(tags)", True),
    ("tags @> ARRAY['red', 'big']", True),
    ("tags && ARRAY['red', 'nobody']", True),
    ("ARRAY['small'] && tags", True),
    ("tags @> ARRAY[]::text[]", False),
    ("tags IS NULL", True),
    ("NOT 'red' = ANY(tags)", False),
    ("n = 3", True),
    ("n IN (1, 5)", True),
    ("n BETWEEN 2 AND 4", True),
    ("7 = ANY(numbers)", True),
    ("matches('array_contains(tags, \"big\")')", False),
    ("matches('array_contains_any(numbers, [3, 4])')", False),
)


@pytest.mark.parametrize(("where", "by_index"), QUERIES)
def test_in_sql(where: str, by_index: bool) -> None:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT, tags TEXT[], n INT, numbers BIGINT[])")
        rows = [
            (
                i,
                None if i % 11 == 0 else [("red", "blue")[i % 2], ("big", "small", "big")[i % 3]],
                i % 6,
                [i % 9, i % 4],
            )
            for i in range(300)
        ]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        connection.execute("FLUSH t")
        query = f"SELECT id FROM t WHERE {where}"
        before = connection.execute(query).fetchall()
        for column in ("tags", "n", "numbers"):
            connection.execute(f"CREATE INDEX ON t USING INVERTED ({column})")
        assert connection.execute(query).fetchall() == before
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {query}"))
        assert ("(index," in plan) or not by_index, plan
