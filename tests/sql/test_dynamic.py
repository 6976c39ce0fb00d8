"""Dynamic tables: names that no column has are keys of the JSON column "$meta"."""

from typing import Any

import pytest

import vsql


@pytest.fixture(params=["growing", "sealed"])
def connection(request: pytest.FixtureRequest) -> Any:
    with vsql.connect(autocommit=True) as opened:
        opened.execute("CREATE TABLE t (id INT PRIMARY KEY, e VECTOR(2)) WITH (dynamic = true)")
        opened.execute(
            "INSERT INTO t (id, e, color, size) VALUES (1, '[1,0]', 'red', 5),"
            " (2, '[0,1]', 'blue', 7), (3, '[1,1]', NULL, 1.5)"
        )
        opened.executemany("INSERT INTO t (id, color) VALUES (?, ?)", [(4, "red"), (5, "green")])
        opened.execute("INSERT INTO t (id, tags) SELECT 6, ARRAY['x', 'y']")
        opened.execute("INSERT INTO t VALUES (7, NULL)")
        if request.param == "sealed":
            opened.execute("FLUSH")
        yield opened


CASES = (
    ("SELECT id FROM t WHERE color = 'red'", [(1,), (4,)]),
    ("SELECT id, color FROM t WHERE size IS NOT NULL", [(1, "red"), (2, "blue"), (3, None)]),
    ("SELECT id FROM t WHERE size::double precision > 4", [(1,), (2,)]),
    ("SELECT x.color, count(*) FROM t x GROUP BY x.color HAVING count(*) > 1",
     [("red", 2), (None, 3)]),
    ("SELECT id FROM t WHERE color = 'red' ORDER BY e <-> '[1,0]' LIMIT 1", [(1,)]),
    ("SELECT id FROM t WHERE matches('size > 4 and color != \"red\"')", [(2,)]),
    ("SELECT id FROM t WHERE matches('json_contains(tags, \"y\")')", [(6,)]),
    ("SELECT s.color FROM (SELECT color, id FROM t) s WHERE s.id = 5", [("green",)]),
    ("SELECT count(*) FROM t WHERE nobody IS NULL", [(7,)]),
    ("UPDATE t SET e = '[9,9]' WHERE color = 'green' RETURNING id", [(5,)]),
    ("DELETE FROM t WHERE color = 'blue' RETURNING id", [(2,)]),
)  # fmt: skip


@pytest.mark.parametrize(("statement", "rows"), CASES, ids=[case[0][:50] for case in CASES])
def test_dynamic(connection: Any, statement: str, rows: list[Any]) -> None:
    found = connection.execute(statement).fetchall()
    assert sorted(found, key=str) == sorted(rows, key=str)


def test_what_is_refused(connection: Any) -> None:
    for statement in (
        "INSERT INTO t (id, \"$meta\", color) VALUES (9, '{}', 'red')",
        "ALTER TABLE t RESET (dynamic)",
        "CREATE TABLE u (a INT) WITH (dynamic = maybe)",
        "SELECT color FROM t JOIN t u ON t.id = u.id",
    ):
        with pytest.raises(vsql.Error) as caught:
            connection.execute(statement)
        assert caught.value.sqlstate != "XX000"


def test_the_path_may_be_a_parameter(connection: Any) -> None:
    """What was read for one path is not the answer for another."""
    for path, expected in (("color", [(1,), (4,)]), ("size", []), ("color", [(1,), (4,)])):
        query = "SELECT id FROM t WHERE \"$meta\" ->> ? = 'red' ORDER BY id"
        assert connection.execute(query, (path,)).fetchall() == expected
