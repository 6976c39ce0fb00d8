"""What pgvector's users write of sparse vectors, here and on a real PostgreSQL."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vsql
from tests.differential.comparison import on_postgres, on_vsql
from vsql.driver.connection import Connection

S = "'{1:1,3:2}/3'::sparsevec"
TEXTS = (
    *("{1:0.5,3:2}/5", "{3:2,1:0.5}/5", "{1:1,1:2}/5", "{1:0,1:2}/5", "{0:1}/5", "{6:1}/5"),
    *("{1:nan}/5", "{1:-Infinity}/5", "{1:1e50}/5", "{1:1e-50}/5", "{1:0e-99}/5", "{1:0}/5"),
    *(
        "{}/5",
        "{}/0",
        "{}/-1",
        "{}/1000000000",
        "{}/1000000001",
        "{}/99999999999",
        "{1:1}",
        "{1:1}/",
    ),
    *(
        "1:1/5",
        " { 1 : 1 , 2 : 3 } / 5 ",
        "{1:1,}/5",
        "{,}/5",
        "{1:1}/5x",
        "{1:1}/5.0",
        "{1:1.5e1}/5",
    ),
    *("{1:.5,2:5.}/5", "{+1:+1}/+5", "{-1:1}/5", "{99999999999:1}/5", "{1:}/5", "{:1}/5", "{1}/5"),
    *(
        "{1:1e+06,2:1e-05,3:16777216,4:0.1}/4",
        "{1:1 2:2}/4",
        "{{1:1}}/4",
        "",
        "[1,2]",
        "{1:1.5e1}/5",
    ),
    "{1:1_0}/5",
)
EXPRESSIONS = (
    *(f"'{text}'::sparsevec" for text in TEXTS),
    *(
        f"{S} {operator} '{{1:2,2:-1}}/3'"
        for operator in ("<->", "<#>", "<=>", "<+>", "+", "-", "*")
    ),
    *(f"{S} {operator} '{{1:1}}/4'" for operator in ("<->", "<#>", "<=>", "<+>", "=", "<", ">")),
    *(f"{S} {operator} NULL" for operator in ("<->", "<#>", "<=>", "<+>", "=", "<")),
    *(f"{S} {operator} '{{}}/3'" for operator in ("<->", "<#>", "<=>", "<+>", "=", "<", ">=")),
    *(f"{S} {operator} '[1,2,3]'::vector" for operator in ("<->", "<#>", "<=>", "<+>", "=", "<")),
    *(f"'[1,2,3]'::halfvec {operator} {S}" for operator in ("<->", "<#>", "<=>", "<+>", "=", ">")),
    *(
        f"'{one}'::sparsevec {operator} '{other}'"
        for one, other in (
            ("{1:-1}/3", "{}/3"),
            ("{2:1}/3", "{1:1}/3"),
            ("{2:-1}/3", "{1:-1}/3"),
            ("{3:1}/3", "{}/2"),
            ("{3:-1}/3", "{}/2"),
            ("{1:1}/3", "{1:1,2:-1}/3"),
            ("{1:-2}/3", "{1:-1}/3"),
            ("{1:1}/3", "{1:1}/3"),
        )
        for operator in ("=", "<>", "<", "<=", ">", ">=")
    ),
    *(
        f"{name}({S}, '{{1:2,2:-1}}/3')"
        for name in ("l2_distance", "inner_product", "cosine_distance", "l1_distance")
    ),
    *(f"{name}({S})" for name in ("l2_norm", "l2_normalize", "vector_norm", "vector_dims")),
    *(f"{name}({S})" for name in ("binary_quantize", "avg", "sum", "max", "min", "count")),
    f"subvector({S}, 1, 1)",
    "l2_normalize('{}/2'::sparsevec)",
    "l2_normalize('{1:1e38,2:1e-38}/2'::sparsevec)",
    "'{1:3e38}/2'::sparsevec <-> '{2:3e38}/2'",
    "'{1:3e38}/2'::sparsevec <#> '{1:3e38}/2'",
    f"{S} || {S}",
    f"{S} <~> {S}",
    *(f"{S}::{name}" for name in ("text", "varchar(5)", "vector", "vector(3)", "vector(4)")),
    *(
        f"{S}::{name}"
        for name in ("halfvec", "halfvec(4)", "sparsevec(3)", "sparsevec(4)", "real[]")
    ),
    *(
        f"{S}::{name}"
        for name in ("real[]", "integer", "bit(3)", "sparsevec(0)", "sparsevec(1000000001)")
    ),
    *(
        f"{value}::sparsevec"
        for value in ("'[1,0,2]'::vector", "'[0.1,0]'::halfvec", "1", "'x'::text")
    ),
    *(f"{value}::sparsevec(2)" for value in ("'[1,0,2]'::vector", "ARRAY[1,0]", "ARRAY[1,0,2]")),
    *(
        f"ARRAY[{values}]::sparsevec"
        for values in ("1, 0, 2", "1.5, 0", "1, NULL", "'NaN'::real", "1e300::float8")
    ),
    "'{}'::real[]::sparsevec",
    "'{1:100000}/3'::sparsevec::halfvec",
    "'{1:1}/40000'::sparsevec::vector",
    "sparsevec '{1:1}/3'",
    f"coalesce(NULL, {S})",
    f"CASE WHEN true THEN {S} ELSE '{{}}/3' END",
    f"nullif({S}, '{{1:1,3:2}}/3')",
    f"{S} IN ('{{}}/3', '{{1:1,3:2}}/3')",
    f"{S} BETWEEN '{{}}/3' AND '{{1:2}}/3'",
    f"{S} IS DISTINCT FROM NULL",
    f"greatest({S}, '{{}}/3')",
    "'{1:0x10}/3'::sparsevec",
    "l2_norm('{1:3}/3')",
)
SETUP = (
    "CREATE TABLE sparse (id integer PRIMARY KEY, g text, e sparsevec(3), v vector(3))",
    "INSERT INTO sparse VALUES (1, 'a', '{1:1}/3', '[1,0,0]'), (2, 'b', '{1:1,3:5}/3', '[1,0,5]'),"
    " (3, 'a', '{2:4,3:3}/3', '[0,4,3]'), (4, NULL, NULL, NULL), (5, 'b', '{}/3', '[0,0,0]'),"
    " (6, 'c', '{2:-2}/3', '[0,-2,0]'), (7, 'a', '{1:1}/3', '[1,0,0]')",
)
SCRIPTS = tuple(
    (*SETUP, read)
    for read in (
        *(
            f"SELECT id, e {operator} '{{1:1,2:2}}/3' AS d FROM sparse ORDER BY d, id LIMIT 5"
            for operator in ("<->", "<#>", "<=>", "<+>")
        ),
        "SELECT * FROM sparse ORDER BY id",
        "SELECT id FROM sparse WHERE id > 1 ORDER BY e <-> '{1:1}/3', id LIMIT 3",
        "SELECT id FROM sparse ORDER BY e <-> '[1,2,3]'::vector, id LIMIT 3",
        "SELECT id FROM sparse ORDER BY e <-> (SELECT e FROM sparse WHERE id = 2), id LIMIT 3",
        "SELECT id FROM sparse WHERE e <-> '{1:1}/3' < 3 ORDER BY id",
        "SELECT id FROM sparse WHERE e = '{1:1}/3' ORDER BY id",
        "SELECT id FROM sparse WHERE e > '{2:-2}/3' ORDER BY id",
        "SELECT id FROM sparse WHERE e IN (SELECT e FROM sparse WHERE g = 'b') ORDER BY id",
        "SELECT id FROM sparse ORDER BY e, id",
        "SELECT id FROM sparse ORDER BY e DESC NULLS LAST, id",
        "SELECT e AS w, count(*) FROM sparse GROUP BY e ORDER BY w",
        "SELECT DISTINCT e FROM sparse ORDER BY 1",
        "SELECT e FROM sparse UNION SELECT '{3:9}/3'::sparsevec ORDER BY 1",
        "SELECT count(DISTINCT e), count(e) FROM sparse",
        "SELECT a.id, b.id, a.e <-> b.e FROM sparse a JOIN sparse b ON a.e = b.e ORDER BY 1, 2",
        "SELECT a.id, b.id, a.e <-> b.v FROM sparse a JOIN sparse b ON a.id < b.id ORDER BY 1, 2",
        "SELECT id, row_number() OVER (ORDER BY e, id) FROM sparse ORDER BY id",
        "SELECT g, avg(e::vector) FROM sparse GROUP BY g ORDER BY g",
        "SELECT q.id, n.id FROM sparse q CROSS JOIN LATERAL (SELECT id FROM sparse"
        " ORDER BY e <-> q.e, id LIMIT 2) n WHERE q.e IS NOT NULL ORDER BY q.id, n.id",
        "SELECT (SELECT e FROM sparse ORDER BY e <-> '{1:1}/3', id LIMIT 1)",
        "INSERT INTO sparse VALUES (8, '', '[1,0,2]'::vector, '{1:3}/3'::sparsevec) RETURNING e",
        "INSERT INTO sparse (id, e) VALUES (8, ARRAY[1,0,2]) RETURNING e",
        "INSERT INTO sparse (id, e) VALUES (8, '{1:1}/4')",
        "INSERT INTO sparse (id, e) VALUES (8, '[1,2,3]')",
        "INSERT INTO sparse (id, e) VALUES (8, ARRAY[1,0])",
        "INSERT INTO sparse (id, e) SELECT id + 10, v FROM sparse WHERE id < 3 RETURNING e",
        "UPDATE sparse SET e = l2_normalize(e) WHERE id < 4 RETURNING id, e",
        "UPDATE sparse SET e = v WHERE id = 2 RETURNING e",
        "INSERT INTO sparse (id, e) VALUES (1, '{2:2}/3') ON CONFLICT (id)"
        " DO UPDATE SET e = excluded.e RETURNING e",
        "CREATE TABLE s (e sparsevec(0))",
        "CREATE TABLE s (e sparsevec(1000000001))",
        "CREATE INDEX ON sparse USING hnsw (e vector_l2_ops)",
        "CREATE INDEX ON sparse USING hnsw (e sparsevec_l2_ops)",
        "CREATE TABLE s (e sparsevec)",
        "CREATE TABLE s (e sparsevec(3)[])",
        "SELECT data_type, udt_name FROM information_schema.columns"
        " WHERE table_name = 'sparse' AND column_name = 'e'",
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'sparse'::regclass AND attname = 'e'",
    )
)

# What differs, by its last statement; docs/pgvector.md has a line for each reason.
DIFFERENT: dict[str, str] = {
    "SELECT sparsevec '{1:1}/3'": "the parser knows no type of this name before a literal",
    f"SELECT greatest({S}, '{{}}/3')": "not built yet",
    "SELECT '{1:0x10}/3'::sparsevec": "decimal numbers alone",
    "SELECT l2_norm('{1:3}/3')": "text is read as a dense vector",
    "CREATE INDEX ON sparse USING hnsw (e sparsevec_l2_ops)": "no index kind for it yet",
    "CREATE TABLE s (e sparsevec)": "a column's type needs a dimension",
    "CREATE TABLE s (e sparsevec(3)[])": "not built yet",
}

CASES = (*((f"SELECT {expression}",) for expression in EXPRESSIONS), *SCRIPTS)
SAME = tuple(script for script in CASES if script[-1] not in DIFFERENT)
EXTENSIONS = tuple(script for script in CASES if script[-1] in DIFFERENT)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with vsql.connect(":memory:") as connection:
        yield connection


@pytest.mark.parametrize("script", SAME, ids=[script[-1] for script in SAME])
def test_same(script: tuple[str, ...], connection: Connection, postgres: Any) -> None:
    assert on_vsql(connection, script) == on_postgres(postgres, script)


@pytest.mark.parametrize("script", EXTENSIONS, ids=[script[-1] for script in EXTENSIONS])
def test_different(script: tuple[str, ...], connection: Connection, postgres: Any) -> None:
    """A difference that is gone must leave the list, and the documentation."""
    assert on_vsql(connection, script) != on_postgres(postgres, script)


def test_differences_are_tried() -> None:
    assert set(DIFFERENT) == {script[-1] for script in EXTENSIONS}


_SHARED = settings(
    max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
numbers = st.one_of(
    st.integers(-9, 9).map(float),
    st.floats(-1000, 1000, width=16).filter(lambda x: x == 0 or abs(x) > 1e-3),
)


def sparse(dimension: int) -> st.SearchStrategy[str]:
    elements = st.dictionaries(st.integers(1, dimension), numbers, max_size=4)
    return elements.map(
        lambda d: f"'{{{','.join(f'{i}:{x!r}' for i, x in d.items())}}}/{dimension}'::sparsevec"
    )


@_SHARED
@given(pair=st.integers(1, 6).flatmap(lambda n: st.tuples(sparse(n), sparse(n))))
def test_pair(pair: tuple[str, str], connection: Connection, postgres: Any) -> None:
    one, other = pair
    script = (
        f"SELECT a, a::text, a <-> b, a <#> b, a <+> b, a <=> b, a = b, a < b, a >= b, l2_norm(a),"
        f" a::vector::text, a::vector::sparsevec = a FROM (SELECT {one} AS a, {other} AS b) s",
    )
    assert on_vsql(connection, script) == on_postgres(postgres, script)


texts = st.text(alphabet="{}:/,.0123456789eE+- nNaAiIfF_x\t", max_size=14)
near = st.tuples(texts, texts).map(lambda parts: f"{{{parts[0]}}}/{parts[1]}")
elements = st.lists(
    st.tuples(st.integers(-1, 6), st.sampled_from(["1", "0", "-2.5", "1e2", ".5", "nan", "1e99"])),
    max_size=4,
).map(lambda found: ",".join(f"{index}:{value}" for index, value in found))
right = st.tuples(elements, st.integers(0, 6)).map(lambda parts: f"{{{parts[0]}}}/{parts[1]}")


@_SHARED
@given(text=st.one_of(texts, near, right))
def test_text(text: str, connection: Connection, postgres: Any) -> None:
    """Any text is a vector on both sides, the same one, or refused with one code."""
    script = (f"SELECT '{text}'::sparsevec::text",)
    assert on_vsql(connection, script) == on_postgres(postgres, script)
