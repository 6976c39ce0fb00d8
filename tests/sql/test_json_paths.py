"""JSON paths read from columns of a segment mean what the documents say."""

import json
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vsql

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**53 + 1, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**64, 10**30]),
    st.sampled_from([0.5, -0.0, 1.0, 2.0, 1e20, 1.5e-7, 9007199254740992.0]),
    st.sampled_from(["", "x", "1", "true", "a\nb", 'q"\\', "é😀", "null", "2024-01-01"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(st.integers(-3, 3), max_size=3),
        st.lists(st.sampled_from(["x", "y"]), max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "0"]), inner, max_size=3),
    ),
    max_leaves=6,
)
DOCUMENTS = st.lists(
    st.one_of(
        st.none(), st.dictionaries(st.sampled_from(["a", "b/c", "d~e"]), VALUES, max_size=3), VALUES
    ),
    min_size=1,
    max_size=12,
)
CONSTANTS = st.sampled_from(
    ["1", "0", "-3", "1.0", "0.5", '"x"', '"1"', "true", "9223372036854775807", "1e20", "[1, 2]"]
)
FILTERS = st.one_of(
    st.builds(
        'm["a"]{} {} {}'.format,
        st.sampled_from(["", '["a"]', '["0"]', "[0]"]),
        st.sampled_from(["==", "!="]),
        CONSTANTS,
    ),
    st.builds(
        'm["a"] {} {}'.format, st.sampled_from(["<", ">="]), CONSTANTS.filter(lambda c: c[0] != "[")
    ),
    st.builds('m["b/c"] in [{}, {}]'.format, CONSTANTS, CONSTANTS),
    st.builds('json_contains(m["a"], {})'.format, CONSTANTS),
    st.builds('json_contains_any(m["a"], [{}, {}])'.format, CONSTANTS, CONSTANTS),
    st.builds('json_contains_all(m["a"], [{}, {}])'.format, CONSTANTS, CONSTANTS),
    st.sampled_from(
        ['exists m["a"]', 'exists m["d~e"]["b"]', 'array_length(m["a"]) >= 1', 'm["a"] % 2 == 1']
    ),
    st.sampled_from(['m["a"] * 4 > 3', 'm["a"] + 0.5 < 2', 'm["a"] like "%"', 'm["a"] is null']),
)


def _loaded(documents: list[Any], *, copies: int, flush: bool) -> Any:
    """Return a table with the documents, repeated so that their paths are frequent enough."""
    connection = vsql.connect(autocommit=True)
    connection.execute("CREATE TABLE t (id INT PRIMARY KEY, m JSON)")
    rows = [
        (number * copies + copy, None if document is None else json.dumps(document))
        for number, document in enumerate(documents)
        for copy in range(copies)
    ]
    connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    if flush:
        connection.execute("FLUSH")
    return connection


@settings(max_examples=25)
@given(documents=DOCUMENTS, text=FILTERS)
def test_columns_say_what_documents_say(documents: list[Any], text: str) -> None:
    """The same filter over columns, over documents, and row by row."""
    query = "SELECT id FROM t WHERE matches(:f) ORDER BY id".replace(
        ":f", "'" + text.replace("'", "''") + "'"
    )
    answers = []
    for flush in (False, True):
        with _loaded(documents, copies=1, flush=flush) as connection:
            answers.append([row[0] for row in connection.execute(query)])
            if flush:
                connection.execute("CREATE INDEX ON t USING INVERTED (m)")
                assert [row[0] for row in connection.execute(query)] == answers[-1]
    single = []
    for number, document in enumerate(documents):
        with _loaded([document], copies=1, flush=True) as connection:
            single.extend([number] * len(connection.execute(query).fetchall()))
    assert answers == [single, single]


@settings(max_examples=30)
@given(documents=DOCUMENTS, key=st.sampled_from(["a", "b/c", "d~e"]))
def test_text_is_that_of_the_document(documents: list[Any], key: str) -> None:
    texts = [None if document is None else json.dumps(document) for document in documents]
    duck = duckdb.connect()
    expected = [
        duck.execute("SELECT json_extract_string(?, ?)", [t, f'$."{key}"']).fetchall()[0][0]
        for t in texts
    ]
    for flush in (False, True):
        with _loaded(documents, copies=1, flush=flush) as connection:
            # A condition over `->>` runs in the kernels, and the answer shows what they read.
            for number, text in enumerate(expected):
                found = connection.execute(
                    "SELECT count(*) FROM t WHERE id = ? AND m->>? IS NOT DISTINCT FROM ?",
                    (number, key, text),
                ).fetchone()
                assert found == (1,)
                same = connection.execute(
                    f"SELECT count(*) FROM t WHERE id = ? AND m->>'{key}' = ?", (number, text)
                ).fetchone()
                assert same == (int(text is not None),)


CASES = (
    ("(m->>'n')::bigint > 1", [2, 3]),
    ("(m->>'n')::double precision < 2", [1]),
    ("(m->>'d')::double precision >= 2", [2, 3]),
    ("(m->>'b')::boolean", [1, 3]),
    ("m->>'s' LIKE 'b%'", [2]),
    ("m->'o'->>'k' = 'v2'", [2]),
    ("m->>'gone' IS NULL", [1, 2, 3, 4]),
    ("m->>'n' = '3'", [3]),
    ("m->>'d' = '2.0'", [2]),
    ("m->'l'->>0 = 'x'", [1]),
    ("m->>'o' = '{\"k\":\"v3\"}'", [3]),
)


@pytest.mark.parametrize(("condition", "ids"), CASES)
@pytest.mark.parametrize("flush", [False, True])
def test_sql(condition: str, ids: list[int], flush: bool) -> None:
    documents = [
        None,
        {"n": 1, "d": 1.5, "b": True, "s": "a", "o": {"k": "v1"}, "l": ["x"]},
        {"n": 2, "d": 2.0, "b": False, "s": "b", "o": {"k": "v2"}, "l": [1]},
        {"n": 3, "d": 3, "b": True, "s": "c", "o": {"k": "v3"}, "l": []},
        {},
    ]
    with _loaded(documents, copies=1, flush=flush) as connection:
        rows = connection.execute(f"SELECT id FROM t WHERE id > 0 AND {condition} ORDER BY id")
        assert [row[0] for row in rows] == ids


NUMBERS = (
    ('m["n"] == -9223372036854775808', [0]),
    ('m["n"] in [-9223372036854775808]', [0]),
    ('m["n"] in [0]', [1]),
    ('m["n"] > 1.5', [2, 4]),
    ('m["n"] + 0.5 < 0', [0, 3]),
    ('m["n"] / -9223372036854775807 == -1', [4]),
    ('m["n"] in [9223372036854775808.0]', [4]),
    ('(m["n"] & -1) > 9223372036854775807', [2]),
)


@pytest.mark.parametrize(("text", "ids"), NUMBERS)
@pytest.mark.parametrize("flush", [False, True])
def test_numbers_at_the_ends_of_their_types(text: str, ids: list[int], flush: bool) -> None:
    numbers = (-(2**63), -0.0, 10**400, -(10**400), 2.0**63)
    with _loaded([{"n": number} for number in numbers], copies=1, flush=flush) as connection:
        rows = connection.execute(f"SELECT id FROM t WHERE matches('{text}') ORDER BY id")
        assert [row[0] for row in rows] == ids


def test_a_cast_that_fails_says_so() -> None:
    with _loaded([{"n": 1}, {"n": "one"}], copies=1, flush=True) as connection:
        with pytest.raises(vsql.DataError) as caught:
            connection.execute("SELECT id FROM t WHERE (m->>'n')::bigint = 1")
        assert caught.value.sqlstate == "22P02"


def test_paths_survive_what_happens_to_the_column() -> None:
    with _loaded([{"k": "a"}, {"k": "b"}], copies=5, flush=True) as connection:
        connection.execute("ALTER TABLE t RENAME COLUMN m TO n")
        query = "SELECT count(*) FROM t WHERE n->>'k' = 'a'"
        assert connection.execute(query).fetchone() == (5,)
        connection.execute('UPDATE t SET n = \'{"k": "c"}\' WHERE id < 3')
        connection.execute("OPTIMIZE TABLE t FULL")
        assert connection.execute(query).fetchone() == (2,)
        connection.execute("ALTER TABLE t DROP COLUMN n")
        connection.execute('ALTER TABLE t ADD COLUMN n JSON DEFAULT \'{"k": "a"}\'')
        assert connection.execute(query).fetchone() == (10,)


INDEXED = (
    'm["name"] == "Kate"',
    'm["name"] in ["Kate", "vim", 7]',
    'm["size"] == 7',
    'm["size"] == 2.0',
    'm["deep"]["k"] == "v11"',
    'json_contains(m["tags"], "t3")',
    'json_contains_any(m["tags"], ["t3", "t5"])',
    'json_contains_all(m["tags"], ["t3", "t4"])',
    'json_contains(m["mixed"], 3)',
    'm["big"] == 77',
)


@pytest.mark.parametrize("text", INDEXED)
def test_a_flat_index(text: str) -> None:
    """One index answers for every path, with what the columns answer without it."""
    documents = [
        {
            "name": "Kate" if number % 97 == 0 else f"n{number}",
            "size": number if number % 2 else float(number),
            "deep": {"k": f"v{number}"},
            "tags": [f"t{number % 50}", f"t{number % 51}"],
            "mixed": [number % 60, "x"],
            "big": 2**64 if number == 5 else number,
        }
        for number in range(400)
    ]
    query = f"SELECT id FROM t WHERE matches('{text}') ORDER BY id"
    with _loaded(documents, copies=1, flush=True) as connection:
        expected = connection.execute(query).fetchall()
        connection.execute("CREATE INDEX ON t USING INVERTED (m)")
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {query}"))
        assert "(index, keeps" in plan
        assert connection.execute(query).fetchall() == expected
        assert expected
        connection.execute("UPDATE t SET m = NULL WHERE id % 3 = 0")
        connection.execute("OPTIMIZE TABLE t FULL")
        again = connection.execute(query).fetchall()
        assert again == [row for row in expected if row[0] % 3]
        assert connection.execute("SELECT count(*) FROM t WHERE m IS NULL").fetchone() == (134,)
