"""LIKE and ILIKE through TRIE, NGRAM and sorted values: the rows that a scan finds."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vsql
from vsql.core.protocols import Comparison, Condition
from vsql.core.types import named
from vsql.index import ngram, registry, trie

# Letters of which several fold to one, characters of LIKE, beyond the basic plane, and plain ones.
ALPHABET = "abAB%_\\ßſsSkK\u212aςσΣ😀é "
TEXTS = st.lists(st.one_of(st.none(), st.text(ALPHABET, max_size=8)), min_size=1, max_size=30)
PATTERNS = st.text(ALPHABET + "%%%", max_size=6)
KINDS = ("TRIE", "NGRAM", "STL_SORT", "INVERTED", "NGRAM_WITH")


def _rows(connection: Any, condition: str, pattern: str) -> Any:
    query = f"SELECT id FROM t WHERE {condition} ORDER BY id"
    try:
        return [row[0] for row in connection.execute(query, (pattern,))]
    except vsql.DataError as error:
        return error.sqlstate


@settings(max_examples=60)
@given(texts=TEXTS, patterns=st.lists(PATTERNS, min_size=1, max_size=4))
def test_an_index_changes_no_answer(texts: list[str | None], patterns: list[str]) -> None:
    conditions = ("s LIKE ?", "s ILIKE ?", "s LIKE ? ESCAPE 'a'", "NOT (s LIKE ?)", "s = ?")
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, s TEXT)")
        # Rows that match nothing keep the index worth asking.
        filler = [(1000 + n, f"{n}xyz{n}") for n in range(4 * len(texts))]
        connection.executemany("INSERT INTO t VALUES (?, ?)", [*enumerate(texts), *filler])
        connection.execute("FLUSH")
        expected = {(c, p): _rows(connection, c, p) for c in conditions for p in patterns}
        for kind in KINDS:
            using = "NGRAM (s) WITH (max_gram = 2, min_gram = 1)" if "_W" in kind else f"{kind} (s)"
            connection.execute(f"CREATE INDEX i ON t USING {using}")
            for (condition, pattern), rows in expected.items():
                assert _rows(connection, condition, pattern) == rows, (kind, condition, pattern)
            connection.execute("DROP INDEX i")


@given(texts=TEXTS, piece=st.text(ALPHABET, min_size=1, max_size=5))
def test_grams_miss_nothing(texts: list[str | None], piece: str) -> None:
    built = ngram.KIND.build(pa.array(texts, pa.string()), {"min_gram": 1, "max_gram": 3})
    found = built.lookup(Condition(Comparison.SUBSTRINGS, (piece,)))
    assert found is not None
    holding = {n for n, text in enumerate(texts) if text is not None and piece in text}
    assert holding <= set(found.tolist())
    estimate = built.estimate(Condition(Comparison.SUBSTRINGS, (piece,)))
    assert estimate is not None
    assert len(found) <= estimate


def test_pieces_that_are_too_short_are_left_to_the_column() -> None:
    built = ngram.KIND.build(pa.array(["abc", "abd"]), {"min_gram": 2, "max_gram": 3})
    assert built.lookup(Condition(Comparison.SUBSTRINGS, ("a",))) is None
    assert built.lookup(Condition(Comparison.EQUAL, ("abc",))) is None
    found = built.lookup(Condition(Comparison.SUBSTRINGS, ("BC", "a")))
    assert found is not None
    assert found.tolist() == [0]


@pytest.mark.parametrize("kind", [ngram.KIND, trie.KIND])
def test_a_file_holds_what_was_built(kind: Any, tmp_path: Path) -> None:
    texts = pa.array(["Kate", None, "vim", "", "vim", "nano é"])
    options = registry.build_options(kind.name, {})
    built = kind.build(texts, options)
    built.save(tmp_path / "x")
    loaded = kind.load(tmp_path / "x")
    conditions = (
        Condition(Comparison.SUBSTRINGS, ("kat",)),
        Condition(Comparison.SUBSTRINGS, ("na", "é")),
        Condition(Comparison.PREFIX, ("v",)),
        Condition(Comparison.PREFIX, ("",)),
        Condition(Comparison.EQUAL, ("vim",)),
        Condition(Comparison.IN, ("vim", "x", "Kate")),
        Condition(Comparison.IS_NULL),
        Condition(Comparison.RANGE, low="b", high="o"),
    )
    answers = []
    for condition in conditions:
        one, other = built.lookup(condition), loaded.lookup(condition)
        assert (one is None) == (other is None)
        if one is not None:
            assert np.array_equal(one, other)
            assert built.estimate(condition) >= len(one)
        answers.append(None if one is None else sorted(one.tolist()))
    expected = {
        "NGRAM": [[0], [5], None, None, None, None, None, None],
        "TRIE": [None, None, [2, 4], [0, 2, 3, 4, 5], [2, 4], [0, 2, 4], [1], [5]],
    }
    assert answers == expected[kind.name]
    assert built.byte_size() > 0
    (tmp_path / "y").write_bytes(b"broken")
    with pytest.raises((OSError, ValueError)):
        kind.load(tmp_path / "y")


@pytest.mark.parametrize("kind", [ngram.KIND, trie.KIND])
@pytest.mark.parametrize("texts", [[], [None, None], [""]])
def test_next_to_nothing(kind: Any, texts: list[Any]) -> None:
    built = kind.build(pa.array(texts, pa.string()), registry.build_options(kind.name, {}))
    for comparison in (Comparison.SUBSTRINGS, Comparison.PREFIX):
        found = built.lookup(Condition(comparison, ("xyz",)))
        assert found is None or not len(found)


def test_strings_only() -> None:
    for kind in (ngram.KIND, trie.KIND):
        assert kind.supports(named("VARCHAR", (5,)))
        assert not kind.supports(named("BIGINT"))
        assert not kind.supports(named("TEXT", (), 1))


REFUSED = (
    ("CREATE INDEX ON t USING NGRAM (s) WITH (max_gram = 9)", "22023"),
    ("CREATE INDEX ON t USING NGRAM (s) WITH (grams = 2)", "22023"),
    ("CREATE INDEX ON t USING TRIE (id)", "42809"),
)


@pytest.mark.parametrize(("statement", "state"), REFUSED)
def test_refused(statement: str, state: str) -> None:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, s TEXT)")
        with pytest.raises(vsql.ProgrammingError) as caught:
            connection.execute(statement)
        assert caught.value.sqlstate == state


def test_the_plan_says_that_an_index_answers() -> None:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, s TEXT)")
        rows = [(n, f"name {n}") for n in range(500)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.execute("CREATE INDEX ON t USING NGRAM (s)")
        connection.execute("CREATE INDEX ON t USING TRIE (s)")
        for pattern, count in (("%e 49_", 10), ("name 3%", 111), ("name 77", 1)):
            query = f"SELECT count(*) FROM t WHERE s LIKE '{pattern}'"
            plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {query}"))
            assert "(index, keeps" in plan
            assert connection.execute(query).fetchone() == (count,)


AUTOMATIC = (
    ("few", "BITMAP"),
    ("many", "STL_SORT"),
    ("tags", "INVERTED"),
    ("meta", "INVERTED"),
    ("n", "BITMAP"),
    ("(meta->>'k')", "STL_SORT"),
)


@pytest.mark.parametrize(("key", "kind"), AUTOMATIC)
def test_autoindex_chooses_by_type_and_values(key: str, kind: str) -> None:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE t (few TEXT, many TEXT, tags TEXT[], meta JSON, n INT)")
        rows = [(f"k{i % 3}", f"v{i}", ["x"], '{"k": "v"}', i % 5) for i in range(1_000)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute(f"CREATE INDEX i ON t USING AUTOINDEX ({key})")
        assert connection.execute("SELECT kind FROM vsql_indexes('t')").fetchone() == (kind,)
        connection.execute("DROP INDEX i")
        if key in ("tags", "meta"):
            connection.execute(f"CREATE INDEX i ON t ({key})")
            assert connection.execute("SELECT kind FROM vsql_indexes('t')").fetchone() == (kind,)
