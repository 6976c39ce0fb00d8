"""ORDER BY one column, natively: with and without a sorted index, growing and sealed, filtered."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vsql

TYPES = {
    "INT": st.integers(-5, 5),
    "DOUBLE PRECISION": st.sampled_from([-1.5, 0.0, -0.0, 2.5, math.inf, -math.inf, math.nan]),
    "TEXT": st.sampled_from(["", "a", "B", "é", "aa", "😀"]),
    "DATE": st.sampled_from(["2024-01-01", "1999-12-31", "2030-06-05"]),
    "BOOLEAN": st.booleans(),
    "DECIMAL(8,2)": st.sampled_from(["1.50", "-3.00", "99.99"]),
}


def _key(value: Any) -> Any:
    is_nan = isinstance(value, float) and math.isnan(value)
    return (is_nan, 0 if is_nan else value)


def _in_order(values: list[Any], *, descending: bool, nulls_first: bool) -> list[Any]:
    """Return the values as PostgreSQL orders them: NaN is the greatest."""
    present = sorted((v for v in values if v is not None), key=_key, reverse=descending)
    missing = [None] * (len(values) - len(present))
    return missing + present if nulls_first else present + missing


@settings(max_examples=60)
@given(data=st.data())
def test_like_a_sort(data: st.DataObject) -> None:
    type_ = data.draw(st.sampled_from(sorted(TYPES)))
    values = data.draw(st.lists(st.one_of(st.none(), TYPES[type_]), min_size=1, max_size=60))
    descending, nulls_first = data.draw(st.booleans()), data.draw(st.booleans())
    limit, offset = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 3))
    flushes = data.draw(st.sets(st.integers(0, 60), max_size=3))
    with vsql.connect(autocommit=True) as connection:
        connection.execute(f"CREATE TABLE t (id INT PRIMARY KEY, v {type_}, odd BOOLEAN)")
        connection.execute("CREATE INDEX ON t USING STL_SORT (v)")
        for number, value in enumerate(values):
            connection.execute("INSERT INTO t VALUES (?, ?, ?)", (number, value, number % 2 == 1))
            if number in flushes:
                connection.execute("FLUSH")
        connection.execute("DELETE FROM t WHERE id = 1")
        order = f"v {'DESC' if descending else 'ASC'} NULLS {'FIRST' if nulls_first else 'LAST'}"
        # One query more gives the values in the form in which they come back.
        stored = dict(connection.execute("SELECT id, v FROM t").fetchall())
        for condition, ids in (("", list(stored)), ("WHERE odd", [n for n in stored if n % 2])):
            query = f"SELECT id, v FROM t {condition} ORDER BY {order} LIMIT ? OFFSET ?"
            found = connection.execute(query, (limit, offset)).fetchall()
            expected = _in_order(
                [stored[n] for n in ids], descending=descending, nulls_first=nulls_first
            )[offset : offset + limit]
            assert list(map(_same, [v for _, v in found])) == list(map(_same, expected))
            assert all(_same(stored[n]) == _same(v) for n, v in found)
            assert len({n for n, _ in found}) == len(found)


def _same(value: Any) -> Any:
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


@pytest.fixture(scope="module")
def connection() -> Any:
    with vsql.connect(autocommit=True) as opened:
        opened.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT, name TEXT)")
        rows = [(i, (i * 7919) % 10_007, f"n{i % 100}") for i in range(10_000)]
        opened.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        opened.execute("FLUSH")
        opened.execute("CREATE INDEX ON t (n)")
        yield opened


CASES: tuple[tuple[str, list[Any] | None], ...] = (
    ("SELECT n FROM t ORDER BY n LIMIT 3", [(0,), (1,), (2,)]),
    ("SELECT n AS m FROM t ORDER BY m DESC LIMIT 2", [(10_006,), (10_005,)]),
    ("SELECT id FROM t x ORDER BY x.id DESC LIMIT 2", [(9_999,), (9_998,)]),
    ("SELECT n FROM t WHERE name = 'n7' ORDER BY 1 LIMIT 1", None),
    (
        "SELECT name FROM t WHERE id < 5 ORDER BY name",
        [(f"n{n}",) for n in range(5)],
    ),
    ("SELECT n FROM t ORDER BY n OFFSET 9999", [(10_006,)]),
    ("SELECT n FROM t ORDER BY n FETCH FIRST ROW ONLY", [(0,)]),
    ("SELECT n FROM t ORDER BY n LIMIT 0", []),
)


@pytest.mark.parametrize(("query", "rows"), CASES)
def test_query(connection: Any, query: str, rows: list[Any] | None) -> None:
    found = connection.execute(query).fetchall()
    plan = connection.execute(f"EXPLAIN {query}").fetchall()
    assert plan[0][0].startswith("Scan t by ")
    if rows is None:
        least = connection.execute("SELECT min(n) FROM t WHERE name = 'n7'").fetchone()
        assert found == [least]
    else:
        assert found == rows
