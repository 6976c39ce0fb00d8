"""Text that becomes an interval where one is stored, as PostgreSQL reads it."""

from typing import Any

import pyarrow as pa
import pytest

import vsql
from vsql.core.interval_text import interval_text, read_interval

SECOND = 1_000_000_000

TEXTS = [
    ("1 day", (0, 1, 0)),
    ("2 months 3 days", (2, 3, 0)),
    ("1 year 2 mons -3 days 04:05:06.5", (14, -3, 14_706 * SECOND + SECOND // 2)),
    ("3 days ago", (0, -3, 0)),
    ("1 day 2 hours ago", (0, -1, -7_200 * SECOND)),
    ("-04:05", (0, 0, -14_700 * SECOND)),
    ("1.5 months", (1, 15, 0)),
    ("-1.5 days", (0, -1, -43_200 * SECOND)),
    ("1 century 2 WEEKS 100 microseconds", (1_200, 14, 100_000)),
    ("1d 2h 3m", (0, 1, 7_380 * SECOND)),
    ("P1Y2M3DT4H5M6S", (14, 3, 14_706 * SECOND)),
    ("PT0.5S", (0, 0, SECOND // 2)),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_text_becomes_an_interval(text: str, expected: tuple[int, int, int]) -> None:
    assert read_interval(text) == pa.MonthDayNano(expected)
    assert read_interval(interval_text(*expected)) == pa.MonthDayNano(expected)


WRONG = ["", "P", "PT", "day", "1 fortnight", "5 days foo", "1:2:3:4", "1e3 days", "- 1 day"]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_none_is_refused(text: str) -> None:
    with vsql.connect() as connection:
        connection.execute("CREATE TABLE t (i INTERVAL)")
        with pytest.raises(vsql.DataError) as caught:
            connection.execute("INSERT INTO t VALUES (?)", (text,))
        assert caught.value.sqlstate == "22P02"


def test_every_way_in(tmp_path: Any) -> None:
    (tmp_path / "t.csv").write_text("i\n3 days\n")
    (tmp_path / "t.jsonl").write_text('{"i": "3 days"}\n')
    with vsql.connect() as connection:
        run = connection.execute
        run("CREATE TABLE t (i INTERVAL DEFAULT '3 days', n INT)")
        run("INSERT INTO t (i) VALUES ('3 days'), (INTERVAL '3 days'), ('3 days'::interval)")
        run("INSERT INTO t (n) VALUES (1)")
        connection.executemany("INSERT INTO t (i) VALUES (?)", [("3 days",), (None,)])
        run(f"COPY t (i) FROM '{tmp_path}/t.csv'")
        run(f"COPY t (i) FROM '{tmp_path}/t.jsonl'")
        run("UPDATE t SET i = '4 days' WHERE n = 1")
        found = run("SELECT i::text, count(*) FROM t GROUP BY 1 ORDER BY 1").fetchall()
        assert found == [("3 days", 6), ("4 days", 1), (None, 1)]
