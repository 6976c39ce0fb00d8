"""PostgreSQL's JSON operators and functions, over growing and sealed rows."""

from pathlib import Path
from typing import Any

import pytest

import vsql

DOCUMENTS = (
    (1, '{"a": {"b": [1, 2]}, "k": "v", "n": 1}'),
    (2, '{"a": 3, "n": 2.5, "t": true}'),
    (3, '{"a": null, "l": ["x", "y"]}'),
    (4, None),
)

CASES: tuple[tuple[str, list[Any]], ...] = (
    ("SELECT id, e.key FROM t, json_each(t.m) e WHERE id = 2 ORDER BY 2",
     [(2, "a"), (2, "n"), (2, "t")]),
    ("SELECT e.value FROM t, jsonb_each_text(t.m) AS e WHERE id = 1 AND e.key = 'k'", [("v",)]),
    ("SELECT id FROM t WHERE jsonb_path_exists(m, '$.a.b')", [(1,)]),
    ("SELECT id FROM t WHERE m ? 'k'", [(1,)]),
    ("SELECT id FROM t WHERE m ? 'n' AND m ? 't'", [(2,)]),
    ("SELECT id FROM t WHERE m ?| ARRAY['k', 'l'] ORDER BY id", [(1,), (3,)]),
    ("SELECT id FROM t WHERE m ?& ARRAY['n', 't']", [(2,)]),
    ("SELECT id FROM t WHERE m->'l' ? 'x'", [(3,)]),
    ("SELECT id FROM t WHERE m->'k' ? 'v'", [(1,)]),
    ("SELECT m->'l' ?| ARRAY['z', 'y'], m->'l' ?& ARRAY['x', 'z'] FROM t WHERE id > 2 ORDER BY id",
     [(True, False), (None, None)]),
    ("SELECT '[[\"a\"], 1, \"\\u0062\"]'::json ?| ARRAY['a', '1'], '[\"\\u0062\"]'::json ? 'b'",
     [(False, True)]),
    ("SELECT id FROM t WHERE m @> '{\"a\": 3}'", [(2,)]),
    ("SELECT id FROM t WHERE m->'l' @> '[\"x\"]'", [(3,)]),
    ("SELECT id, m #>> '{a,b,1}' FROM t WHERE id < 3 ORDER BY id", [(1, "2"), (2, None)]),
    ("SELECT m #> '{a,b}' FROM t WHERE id = 1", [("[1,2]",)]),
    ("SELECT m['a']['b'] FROM t WHERE id = 1", [("[1,2]",)]),
    ("SELECT id FROM t WHERE m['k'] = '\"v\"'", [(1,)]),
    ("SELECT jsonb_array_length(m->'l') FROM t WHERE id = 3", [(2,)]),
    ("SELECT jsonb_typeof(m->'a') FROM t ORDER BY id",
     [("object",), ("number",), ("null",), (None,)]),
    ("SELECT upper(m->>'k') FROM t WHERE id = 1", [("V",)]),
    ("SELECT count(m->'a') FROM t", [(3,)]),
    ("SELECT coalesce(m->'a'->>'b', 'none') FROM t ORDER BY id",
     [("[1,2]",), ("none",), ("none",), ("none",)]),
    ("SELECT lower(m->'k'->>0 || 'X') FROM t WHERE id = 1", [(None,)]),
    ("SELECT jsonb_object_keys(m) FROM t WHERE id = 3", [("a",), ("l",)]),
    ("SELECT jsonb_array_elements_text(m->'l') FROM t WHERE id = 3", [("x",), ("y",)]),
    ("SELECT e.value FROM t, jsonb_array_elements(t.m->'l') e", [('"x"',), ('"y"',)]),
    ("SELECT jsonb_build_object('id', id, 'k', m->>'k') FROM t WHERE id = 1",
     [('{"id":1,"k":"v"}',)]),
    ("SELECT json_agg(id ORDER BY id DESC) FROM t", [("[4,3,2,1]",)]),
    ("SELECT jsonb_object_agg(id, m->>'k') FROM t WHERE id < 3", [('{"1":"v","2":null}',)]),
    ("SELECT to_jsonb(ARRAY[1, 2])", [("[1,2]",)]),
    ("SELECT list_transform([1, 2], x -> x + 1)", [([2, 3],)]),
    ("SELECT json_extract_path_text(m, 'a', 'b') FROM t WHERE id = 1", [("[1,2]",)]),
    ("SELECT sum((m->>'n')::double precision) FROM t", [(3.5,)]),
    ("SELECT m->>'t', count(*) FROM t GROUP BY 1 ORDER BY 1 NULLS LAST",
     [("true", 1), (None, 3)]),
)  # fmt: skip


@pytest.fixture(scope="module", params=["growing", "sealed"])
def connection(request: pytest.FixtureRequest) -> Any:
    with vsql.connect(autocommit=True) as opened:
        opened.execute("CREATE TABLE t (id INT PRIMARY KEY, m JSON)")
        opened.executemany("INSERT INTO t VALUES (?, ?)", DOCUMENTS)
        if request.param == "sealed":
            opened.execute("FLUSH")
        yield opened


@pytest.mark.parametrize(("query", "rows"), CASES)
def test_query(connection: Any, query: str, rows: list[Any]) -> None:
    assert connection.execute(query).fetchall() == rows


def test_a_question_mark_is_a_parameter_elsewhere(connection: Any) -> None:
    run = connection.execute
    assert run("SELECT id FROM t WHERE m ->> ? = ?", ("k", "v")).fetchall() == [(1,)]
    assert run("SELECT ? || 'x', ?::int", ("a", "3")).fetchall() == [("ax", 3)]
    assert run("SELECT id FROM t WHERE m ? :key", {"key": "k"}).fetchall() == [(1,)]


BAD_DOCUMENTS = (
    r'{"a": "\ud800"}',
    r'["\uDC00\ud800"]',
    r'{"\ud83d": 1}',
    '{"a": NaN}',
    '{"a": 1,}',
)


@pytest.mark.parametrize("document", BAD_DOCUMENTS)
def test_what_no_path_could_read_is_not_stored(document: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    quoted = document.replace('"', '""')
    path.write_text(f'id,m\n1,"[]"\n2,"{quoted}"\n')
    with vsql.connect(autocommit=True) as opened:
        opened.execute("CREATE TABLE t (id INT PRIMARY KEY, m JSON)")
        opened.execute("INSERT INTO t VALUES (0, '{}')")
        for statement in (
            f"INSERT INTO t VALUES (1, '[]'), (2, '{document}')",
            f"INSERT INTO t SELECT * FROM (VALUES (1, '[]'), (2, '{document}')) AS v",
            f"COPY t FROM '{path}'",
        ):
            with pytest.raises(vsql.DataError, match='column "m", row 2: invalid JSON') as caught:
                opened.execute(statement)
            assert caught.value.sqlstate == "22P02"
        with pytest.raises(vsql.DataError) as caught:
            opened.execute(f"UPDATE t SET m = '{document}'")
        assert caught.value.sqlstate == "22P02"
        assert opened.execute("SELECT * FROM t").fetchall() == [(0, "{}")]


JSON_LINES = (
    ('{"a": [1.5, null, "x"], "é": {}}', '{"a": [1.5, null, "x"], "é": {}}'),
    ("123456789012345678901234567890", "123456789012345678901234567890"),
    ("-9999999999999999999", "-9999999999999999999"),
    ('"5"', '"5"'),
    (r'"\ud83d\ude00"', '"\U0001f600"'),
    ("true", "true"),
    ("null", None),
)


@pytest.mark.parametrize(("written", "stored"), JSON_LINES)
def test_documents_in_json_lines(written: str, stored: str | None, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(f'{{"m": {written}}}\n', encoding="utf-8")
    with vsql.connect(autocommit=True) as opened:
        opened.execute("CREATE TABLE t (m JSON)")
        opened.execute(f"COPY t FROM '{tmp_path}/t.jsonl'")
        assert opened.execute("SELECT m::text FROM t").fetchall() == [(stored,)]


@pytest.mark.parametrize("written", [r'{"a": "\ud800"}', r'"\udc00"', "[NaN]", "[-Infinity]"])
def test_json_lines_hold_no_other_documents(written: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(f'{{"m": []}}\n{{"m": {written}}}\n', encoding="utf-8")
    with vsql.connect(autocommit=True) as opened:
        opened.execute("CREATE TABLE t (m JSON)")
        with pytest.raises(vsql.DataError, match='column "m", row 2: invalid JSON') as caught:
            opened.execute(f"COPY t FROM '{tmp_path}/t.jsonl'")
        assert caught.value.sqlstate == "22P02"


def test_a_value_with_half_of_a_surrogate_pair_is_not_json() -> None:
    with vsql.connect(autocommit=True) as opened:
        opened.execute("CREATE TABLE t (id INT PRIMARY KEY, m JSON)")
        with pytest.raises(vsql.DataError, match='column "m", row 1') as caught:
            opened.execute("INSERT INTO t VALUES (1, ?)", ({"a": "\ud800"},))
        assert caught.value.sqlstate == "22P02"
        whole = r'{"a": "\ud83d\ude00 \\ud800"}'
        opened.execute("INSERT INTO t VALUES (1, ?)", (whole,))
        assert opened.execute("SELECT m->>'a' FROM t").fetchall() == [("\U0001f600 \\ud800",)]
