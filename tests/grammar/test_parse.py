"""Text to statements, and back to text."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

import vsql
from vsql.grammar import statements as st
from vsql.grammar import utility_statements as ut
from vsql.grammar.operators import rewrite
from vsql.grammar.parse import parse, parse_expression, split_statements
from vsql.grammar.render import render


@pytest.mark.parametrize(
    "text",
    [
        "'<=>'",
        '"<->"',
        "-- a <=> b\n",
        "/* a <=> /* b <-> c */ d */",
        "$$a <=> b$$",
        "$tag$ <#> $$ $tag$",
        r"E'it\'s <=> x'",
        "'it''s <=> x'",
    ],
)
def test_operators_inside_texts_are_left_alone(text: str) -> None:
    assert rewrite(f"SELECT {text}").text == f"SELECT {text}"


@given(some.text(alphabet="ab<=>-#~%+ '\"\n", max_size=40))
def test_places_lead_back(text: str) -> None:
    try:
        rewritten = rewrite(text)
    except vsql.ProgrammingError:
        return
    for offset, character in enumerate(rewritten.text):
        if character in "ab\n" and rewritten.original(offset) < len(text):
            inside = any(word in rewritten.text for word in ("OPERATOR",))
            assert inside or text[rewritten.original(offset)] == character


EXPRESSIONS = (
    "name", '"Name"', "meta -> 'a' ->> 'b'", "CAST(meta ->> 'k' AS BIGINT)", "a + 1 * b",
    "cosine_distance(e, '[1,2]')", "LOWER(name)", "tags[1]", "a LIKE 'x%'", "(a OR b) AND c",
)  # fmt: skip


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_render_and_parse_are_inverse(text: str) -> None:
    tree = parse_expression(text)
    assert parse_expression(render(tree)) == tree
    assert render(parse_expression(render(tree))) == render(tree)


def test_quoted_and_plain_names_render_alike() -> None:
    assert render(parse_expression('"name"')) == render(parse_expression("NAME")) == "name"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("SELECT ?, a FROM t WHERE b = ? ORDER BY e <=> ? LIMIT ?", ("1", "2", "3", "4")),
        ("SELECT $2, $1", ("1", "2")),
        ("SELECT :b, :a, :b", ("a", "b")),
        ("INSERT INTO t VALUES (?, ?), (?, ?)", ("1", "2", "3", "4")),
        ("EXPLAIN SELECT ?", ("1",)),
        ("SELECT '?'", ()),
    ],
)
def test_parameters(text: str, keys: tuple[str, ...]) -> None:
    assert parse(text).parameters == keys


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", st.Empty),
        ("  -- nothing\n", st.Empty),
        ("TABLE t", st.Query),
        ("VALUES (1)", st.Query),
        ("SHOW TABLES;", ut.ShowTables),
        ("SHOW INDEXES FROM t", ut.ShowIndexes),
        ("DESC t", ut.ShowColumns),
        ("SET LOCAL target_recall TO 0.9", ut.SetSetting),
        ("RESET ALL", ut.ResetSetting),
        ("EXPLAIN (ANALYZE, FORMAT JSON) DELETE FROM t", st.Explain),
        ("START TRANSACTION", ut.Begin),
        ("END", ut.Commit),
        ("ABORT", ut.Rollback),
        ("FLUSH TABLE t", ut.Flush),
        ("analyze Machine;", ut.AnalyzeMachine),
        ("ANALYZE TABLE machine", ut.Analyze),
        ('ANALYZE "machine"', ut.Analyze),
        ("CREATE TABLE machine (machine INT)", ut.CreateTable),
        ("DROP TABLE IF EXISTS a, b", ut.DropTable),
        ("COPY t (a, b) FROM 'x.csv' (HEADER false)", ut.CopyFrom),
        ("COPY (SELECT ')' FROM t) TO 'x.csv'", ut.CopyTo),
        (
            "CREATE TABLE t (key INT, index TEXT, format TEXT, time TIME, name VARCHAR(3))",
            ut.CreateTable,
        ),
        ("CREATE INDEX ON t ((meta->>'a'))", ut.CreateIndex),
        ("CREATE INDEX ON t (lower(name))", ut.CreateIndex),
        ("CREATE INDEX ON t (lower(name) DESC NULLS LAST)", ut.CreateIndex),
        ("CREATE INDEX ON t ((a + 1) DESC)", ut.CreateIndex),
        ("CREATE INDEX ON t USING hnsw (cast(e AS halfvec(3)) halfvec_l2_ops)", ut.CreateIndex),
    ],
)
def test_kinds(text: str, kind: type[object]) -> None:
    assert isinstance(parse(text).statement, kind)


def test_create_table() -> None:
    statement = parse(
        "CREATE TABLE t (id BIGINT, a DECIMAL(10, 2) NOT NULL DEFAULT 1 + 2, b TEXT[],"
        " c TIMESTAMP WITH TIME ZONE, d DOUBLE PRECISION, PRIMARY KEY (id))"
    ).statement
    assert isinstance(statement, ut.CreateTable)
    shown = [(c.name, str(c.type), c.nullable, c.default) for c in statement.columns]
    assert shown == [
        ("id", "BIGINT", True, None),
        ("a", "DECIMAL(10, 2)", False, "1 + 2"),
        ("b", "TEXT[]", True, None),
        ("c", "TIMESTAMPTZ", True, None),
        ("d", "DOUBLE PRECISION", True, None),
    ]
    assert statement.primary_key == ("id",)


def test_deep_and_long_texts_are_refused() -> None:
    with pytest.raises(vsql.ProgrammingError) as caught:
        parse("SELECT " + "(" * 10_000 + "1" + ")" * 10_000)
    assert caught.value.sqlstate == "54001"
    with pytest.raises(vsql.ProgrammingError) as caught:
        parse("SELECT 1", statement_bytes_max=4)
    assert caught.value.sqlstate == "54000"


def test_split() -> None:
    pieces = split_statements("SELECT ';'; SELECT 2 -- ;\n; SELECT 'x")
    assert [piece.complete for piece in pieces] == [False]
    pieces = split_statements("SELECT ';'; SELECT 2 -- ;\n; SELECT 3")
    assert [piece.text.strip() for piece in pieces] == ["SELECT ';'", "SELECT 2 -- ;", "SELECT 3"]
    assert [piece.complete for piece in pieces] == [True, True, False]
