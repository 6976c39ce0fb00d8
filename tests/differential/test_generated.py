"""Generated vectors and expressions, here and on a real PostgreSQL with pgvector."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vsql
from tests.differential.comparison import on_postgres, on_vsql
from vsql.driver.connection import Connection

_SHARED = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)

# Numbers whose sums and products stay inside of a 32-bit float, so that rounding is all there is.
numbers = st.one_of(
    st.integers(-9, 9).map(float),
    st.floats(-1000, 1000, width=16).filter(lambda x: x == 0 or abs(x) > 1e-3),
)


def vectors(dimension: int, family: str) -> st.SearchStrategy[str]:
    lists = st.lists(numbers, min_size=dimension, max_size=dimension)
    return lists.map(lambda v: f"'[{','.join(map(repr, v))}]'::{family}")


@st.composite
def expressions(draw: Any, dimension: int, family: str, depth: int = 2) -> str:
    """Vector expressions: sums, differences, parts put together again, casts, CASE."""
    inner = expressions(dimension, family, depth - 1)
    if depth == 0:
        return draw(vectors(dimension, family))
    match draw(st.integers(0, 6)):
        case 0:
            return f"({draw(inner)} {draw(st.sampled_from('+-'))} {draw(inner)})"
        case 1:
            cut = draw(st.integers(1, dimension - 1))
            whole = draw(inner)
            rest = f"subvector({whole}, {cut + 1}, {dimension - cut})"
            return f"(subvector({whole}, 1, {cut}) || {rest})"
        case 2:
            return f"{draw(inner)}::text::{family}({dimension})"
        case 3:
            return f"{draw(inner)}::vector::real[]::{family}"
        case 4:
            return f"coalesce(NULL::{family}, {draw(inner)})"
        case 5:
            return f"CASE WHEN {draw(inner)} < {draw(inner)} THEN {draw(inner)} END"
        case _:
            return draw(inner)


families = st.sampled_from(["vector", "halfvec"])
shapes = st.tuples(st.integers(2, 17), families)


@pytest.fixture(scope="module")
def connection() -> Any:
    with vsql.connect(":memory:") as connection:
        yield connection


@_SHARED
@given(pair=shapes.flatmap(lambda s: st.tuples(expressions(*s), expressions(*s))))
def test_expression(pair: tuple[str, str], connection: Connection, postgres: Any) -> None:
    one, other = pair
    script = (
        f"SELECT a, a::text, a <-> b, a <#> b, a <+> b, a = b, a < b, vector_dims(a),"
        f" l2_distance(a, b), inner_product(a, b), binary_quantize(a)::text"
        f" FROM (SELECT {one} AS a, {other} AS b) s",
    )
    assert on_vsql(connection, script) == on_postgres(postgres, script)


rows = st.tuples(st.integers(1, 6), families).flatmap(
    lambda s: st.tuples(
        st.just(s),
        st.lists(st.one_of(st.none(), vectors(*s)), min_size=1, max_size=12),
        vectors(*s),
    )
)


@_SHARED
@given(
    table=rows,
    operator=st.sampled_from(["<->", "<#>", "<+>"]),
    limit=st.integers(0, 15),
    offset=st.integers(0, 5),
)
def test_table(
    table: tuple[tuple[int, str], list[str | None], str],
    operator: str,
    limit: int,
    offset: int,
    connection: Connection,
    postgres: Any,
) -> None:
    """Ordering with NULLs and ties, aggregates, grouping and comparison over a table's rows."""
    (dimension, family), values, query = table
    written = ", ".join(f"({n}, {n % 3}, {v or 'NULL'})" for n, v in enumerate(values))
    made = (
        f"CREATE TABLE t (id integer PRIMARY KEY, g integer, e {family}({dimension}))",
        f"INSERT INTO t VALUES {written}",
    )
    reads = (
        f"SELECT id, e {operator} {query} AS d FROM t ORDER BY d, id LIMIT {limit} OFFSET {offset}",
        "SELECT g, avg(e), sum(e), count(e), count(DISTINCT e) FROM t GROUP BY g ORDER BY g",
        "SELECT e, count(*) FROM t GROUP BY e ORDER BY e",
        f"SELECT id FROM t WHERE e >= {query} ORDER BY e, id",
        f"SELECT id FROM t WHERE e IN ({query}, {values[0] or 'NULL'}) ORDER BY id",
        "SELECT a.id, b.id FROM t a JOIN t b ON a.e = b.e ORDER BY a.id, b.id",
    )
    for read in reads:
        script = (*made, read)
        assert on_vsql(connection, script) == on_postgres(postgres, script), read


texts = st.text(alphabet="[]{}(),.0123456789eE+-nNaAiIfF _x\t", max_size=14)


@_SHARED
@given(text=st.one_of(texts, texts.map(lambda t: f"[{t}]")), family=families)
def test_text(text: str, family: str, connection: Connection, postgres: Any) -> None:
    """Any text is a vector on both sides, with the same elements, or refused with one code."""
    script = (f"SELECT '{text}'::{family}::text",)
    assert on_vsql(connection, script) == on_postgres(postgres, script)


@_SHARED
@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_number_text(value: float, connection: Connection, postgres: Any) -> None:
    """Every 32-bit float is written with the same digits, and read back as itself."""
    script = (f"SELECT '[{value!r}]'::vector::text",)
    mine, theirs = on_vsql(connection, script), on_postgres(postgres, script)
    if theirs.rows:
        assert mine.rows[0][0] == theirs.rows[0][0]
        assert math.isclose(np.float32(mine.rows[0][0][1:-1]), value, rel_tol=1e-7)
    assert mine.sqlstate == theirs.sqlstate
