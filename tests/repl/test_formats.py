"""Every output format on the values that break formats."""

import csv
import datetime
import io
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError, Span
from vsql.core.sparse import SparseVector
from vsql.repl.cells import cell_width, cut, pad
from vsql.repl.main import FORMAT_NAMES
from vsql.repl.present import FORMATS, error_text, present
from vsql.repl.result import Column, Rows, Style
from vsql.repl.table import COLUMN_WIDTH_MIN, fit_widths
from vsql.repl.values import escape_controls, full_text, json_value, short_text

F32 = np.array([0.013, -0.052, 1, 2, 3], dtype=np.float32)


@pytest.mark.parametrize(
    ("value", "type_name", "expected"),
    [
        (True, "BOOLEAN", "true"),
        (7, "BIGINT", "7"),
        (0.1, "DOUBLE PRECISION", "0.1"),
        (float(np.float32(0.1)), "REAL", "0.1"),
        (float(np.float32(16777216)), "REAL", "16777216"),
        (float("inf"), "REAL", "Infinity"),
        (Decimal("1E+3"), "DECIMAL", "1000"),
        (F32, "VECTOR", "[0.013, -0.052, … 5]"),
        (F32[:3], "VECTOR", "[0.013, -0.052, 1]"),
        (np.array([0.5, 1], dtype=np.float16), "HALFVEC", "[0.5, 1]"),
        (np.array([-128, 127], dtype=np.int8), "INT8VEC", "[-128, 127]"),
        (SparseVector({0: 0.5, 9: 2}, 10), "SPARSEVEC", "{1:0.5,10:2}/10"),
        (SparseVector([1, 2, 3, 4, 5]), "SPARSEVEC", "{1:1,2:2, … 5}/5"),
        (b"\xa5", "BIT", "10100101"),
        (np.array([0xA5], dtype=np.uint8), "BIT", "10100101"),
        (b"\x00\xff", "BYTEA", "\\x00ff"),
        (b"\x00" * 40, "BYTEA", "\\x" + "00" * 32 + "… 40 bytes"),
        (["a", "b c", None, "", 'q"'], "ARRAY", '{a,"b c",NULL,"","q\\""}'),
        ([[1, 2], [3]], "ARRAY", "{{1,2},{3}}"),
        ("a\nb\x1b[31m", "TEXT", "a\\nb\\x1b[31m"),
        (datetime.date(2024, 2, 29), "DATE", "2024-02-29"),
        (
            pa.MonthDayNano([14, 3, 3_723_500_000_000]),
            "INTERVAL",
            "1 year 2 months 3 days 01:02:03.5",
        ),
        (pa.MonthDayNano([-1, -1, -60_000_000_000]), "INTERVAL", "-1 month -1 day -00:01:00"),
        (pa.MonthDayNano([0, 0, 0]), "INTERVAL", "00:00:00"),
        ([pa.MonthDayNano([0, 2, 0])], "INTERVAL[]", '{"2 days"}'),
    ],
)
def test_short(value: Any, type_name: str, expected: str) -> None:
    assert short_text(value, type_name) == expected


def test_float_digits_round_floats_only() -> None:
    assert short_text(0.41666, "DOUBLE PRECISION", float_digits=3) == "0.417"
    assert short_text(4, "BIGINT", float_digits=3) == "4"


@pytest.mark.parametrize(
    ("value", "type_name", "expected"),
    [
        (F32, "VECTOR", [0.013, -0.052, 1.0, 2.0, 3.0]),
        ('{"a": [1]}', "JSON", {"a": [1]}),
        ('{"a"', "JSON", '{"a"'),
        ('{"a": 1}', "TEXT", '{"a": 1}'),
        (float("nan"), "DOUBLE PRECISION", "NaN"),
        (Decimal("1.5"), "DECIMAL", 1.5),
        (Decimal("1.00000000000000000001"), "DECIMAL", "1.00000000000000000001"),
        ([1, None, "x"], "ARRAY", [1, None, "x"]),
        (datetime.datetime(2024, 1, 2, 3), "TIMESTAMP", "2024-01-02T03:00:00"),
        (b"\x01", "BYTEA", "\\x01"),
        (b"\x01", "BIT", "00000001"),
    ],
)
def test_json_value(value: Any, type_name: str, expected: Any) -> None:
    assert json_value(value, type_name) == expected


def test_full_vector_is_a_literal() -> None:
    assert full_text(F32, "VECTOR") == "[0.013,-0.052,1,2,3]"


COLUMNS = (Column("id", "BIGINT"), Column("name"), Column("note"))
VALUES = [(1, "kate", "a|b"), (22, "日本", None), (3, "", 'say "x",\ny')]


def shown(name: str, style: Style | None = None, values: Any = None) -> str:
    rows = Rows(COLUMNS, iter(VALUES if values is None else values))
    return "".join(present(rows, name, style or Style()))


def test_table() -> None:
    assert shown("table") == (
        " id │ name │ note\n"
        "────┼──────┼──────────────\n"
        "  1 │ kate │ a|b\n"
        " 22 │ 日本 │ NULL\n"
        '  3 │      │ say "x",\\ny\n'
        "(3 rows)\n"
    ).replace("┼──────────────", "┼─────────────")


def test_csv_round_trips_and_tells_null_from_empty() -> None:
    text = shown("csv")
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read == [
        ["id", "name", "note"],
        ["1", "kate", "a|b"],
        ["22", "日本", ""],
        ["3", "", 'say "x",\ny'],
    ]
    assert "22,日本,\r\n" in text
    assert '3,"",' in text


def test_json() -> None:
    assert json.loads(shown("json")) == [
        dict(zip(("id", "name", "note"), row, strict=True)) for row in VALUES
    ]
    assert json.loads(shown("json", values=[])) == []


def test_json_keeps_repeated_names() -> None:
    rows = Rows((Column("a"), Column("a"), Column("a_2")), [("x", "y", "z")])
    document = json.loads("".join(present(rows, "json", Style())))
    assert sorted(document[0].values()) == ["x", "y", "z"]


def test_markdown() -> None:
    assert shown("markdown").splitlines() == [
        "| id | name | note |",
        "| ---: | --- | --- |",
        "| 1 | kate | a\\|b |",
        "| 22 | 日本 | NULL |",
        '| 3 |  | say "x",<br>y |',
    ]


def test_vertical() -> None:
    lines = shown("vertical").splitlines()
    assert lines[0].startswith("─[ RECORD 1 ]")
    assert lines[1:4] == ["id   │ 1", "name │ kate", "note │ a|b"]
    assert lines[-1] == "(3 rows)"


def test_table_shows_some_and_counts_all() -> None:
    text = shown("table", Style(rows_max=2), [(n, "x", "y") for n in range(1234)])
    assert text.endswith("(1,234 rows, the first 2 shown)\n")
    assert len(text.splitlines()) == 5


def test_colour_paints_null_and_keeps_alignment() -> None:
    text = shown("table", Style(colour=True))
    assert "\x1b[2mNULL" in text
    plain = text
    for escape in ("\x1b[1m", "\x1b[2m", "\x1b[0m"):
        plain = plain.replace(escape, "")
    lines = {line.rstrip() for line in plain.splitlines()}
    assert lines == set(shown("table").splitlines())


def test_too_narrow_for_a_table_is_vertical() -> None:
    values = [(10**12, "name" * 10, "note" * 10)]
    assert "RECORD 1" in shown("table", Style(width=20), values)
    narrow = shown("table", Style(width=50), values)
    assert "…" in narrow
    assert all(cell_width(line) <= 50 for line in narrow.splitlines())


@given(st.lists(st.tuples(st.integers(1, 200), st.booleans()), min_size=2, max_size=12))
def test_fitted_widths_fit(columns: list[tuple[int, bool]]) -> None:
    natural = [width for width, _ in columns]
    shrinkable = [may for _, may in columns]
    width = 100
    fitted = fit_widths(natural, shrinkable, width)
    smallest = sum(min(w, COLUMN_WIDTH_MIN) if may else w for w, may in columns)
    frame = 3 * (len(columns) - 1) + 2
    assert (fitted is None) == (smallest + frame > width)
    if fitted is not None:
        assert sum(fitted) + frame <= max(width, sum(natural) + frame)
        assert sum(fitted) + frame <= width
        for before, after, may in zip(natural, fitted, shrinkable, strict=True):
            assert after == before or (may and COLUMN_WIDTH_MIN <= after < before)


@given(st.text(max_size=40), st.integers(1, 30))
def test_cut_and_pad_keep_the_width(text: str, width: int) -> None:
    safe = escape_controls(text)
    assert safe.isprintable()
    if all(cell_width(character) for character in safe):
        assert cell_width(pad(cut(safe, width), width)) == width


def test_error_text() -> None:
    error = ProgrammingError(
        'column "nam" does not exist',
        code=sqlstate.UNDEFINED_COLUMN,
        span=Span(7, 10),
        statement="SELECT nam FROM t",
        hint='did you mean "name"?',
    )
    assert error_text(error, location="a.sql:3") == (
        'a.sql:3: ERROR 42703: column "nam" does not exist\n'
        "LINE 1: SELECT nam FROM t\n"
        "               ^^^\n"
        'HINT: did you mean "name"?\n'
    )
    assert "\x1b[31mERROR 42703:" in error_text(error, colour=True)
    assert error_text(KeyError("x")) == "internal error: KeyError: 'x', please report\n"


def test_the_command_line_knows_every_format() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES
