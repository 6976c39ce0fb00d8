"""PREPARE, EXECUTE, DEALLOCATE; DECLARE, FETCH, MOVE, CLOSE."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

import vsql
from vsql.driver.connection import Connection

Rows = list[tuple[Any, ...]]


@pytest.fixture
def connection() -> Iterator[Connection]:
    with vsql.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT, e VECTOR(2))")
        rows = [(number, number % 3, [number, 1]) for number in range(10)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        connection.commit()
        yield connection


EXECUTED: tuple[tuple[str, str, tuple[Any, ...], Rows], ...] = (
    ("PREPARE p AS SELECT 1 AS a", "EXECUTE p", (), [(1,)]),
    ("PREPARE p AS SELECT 1 AS a", "EXECUTE p()", (), [(1,)]),
    ('PREPARE "P" (int) AS SELECT $1 + 1', 'EXECUTE "P"(41)', (), [(42,)]),
    ("prepare p(int, text) as select $1 + 1, $2", "execute p('2', 'a,b)')", (), [(3, "a,b)")]),
    ("PREPARE p AS SELECT id + ? FROM t WHERE id = ?", "EXECUTE p(100, 3)", (), [(103,)]),
    ("PREPARE p AS SELECT $2 || $1", "EXECUTE p('a', 'b')", (), [("ba",)]),
    ("PREPARE p AS SELECT count(*) FROM t WHERE n = $1", "EXECUTE p(?)", (0,), [(4,)]),
    ("PREPARE p AS SELECT count(*) FROM t WHERE n = $1", "EXECUTE p(1 + :x)", ({"x": 1},), [(3,)]),
    ("PREPARE p (numeric(5,2)) AS SELECT $1 * 2", "EXECUTE p(1.25)", (), [(2.5,)]),
    ("PREPARE p AS VALUES ($1), (2)", "EXECUTE p(1)", (), [(1,), (2,)]),
    (
        "PREPARE p (vector) AS SELECT id FROM t ORDER BY e <-> $1 LIMIT 1",
        "EXECUTE p('[3, 1]')",
        (),
        [(3,)],
    ),
    ("PREPARE p AS SELECT id FROM t ORDER BY e <-> $1 LIMIT 1", "EXECUTE p(?)", ([4, 1],), [(4,)]),
    ("PREPARE p AS DELETE FROM t WHERE id = $1 RETURNING id", "EXECUTE p(5)", (), [(5,)]),
    (
        "PREPARE p AS UPDATE t SET n = $1 WHERE id = $2 RETURNING n",
        "EXECUTE p(7 * 6, 5)",
        (),
        [(42,)],
    ),
)


@pytest.mark.parametrize(("prepare", "execute", "parameters", "rows"), EXECUTED)
def test_execute(
    connection: Connection, prepare: str, execute: str, parameters: tuple[Any, ...], rows: Rows
) -> None:
    bound = parameters[0] if parameters and isinstance(parameters[0], dict) else parameters
    connection.execute(prepare)
    for _ in range(1 if rows == [(5,)] else 2):
        found = connection.execute(execute, bound).fetchall()
        assert [
            tuple(float(v) if hasattr(v, "as_tuple") else v for v in row) for row in found
        ] == rows


REFUSED: tuple[tuple[str, str], ...] = (
    ("EXECUTE p(1, 2)", "42601"),
    ("EXECUTE p", "42601"),
    ("EXECUTE p 1", "42601"),
    ("EXECUTE nobody(1)", "26000"),
    ("EXECUTE p('x')", "22P02"),
    ("EXECUTE p(?)", "42P02"),
    ("PREPARE p AS SELECT 1", "42P05"),
    ("PREPARE q AS SELCT 1", "42601"),
    ("PREPARE q SELECT 1", "42601"),
    ("PREPARE q AS", "42601"),
    ("PREPARE q AS CREATE TABLE u (id INT)", "42601"),
    ("PREPARE q (nothing) AS SELECT $1", "42704"),
    ("PREPARE q AS SELECT :name", "42601"),
    ("DEALLOCATE nobody", "26000"),
    ("DECLARE c CURSOR FOR SELECT 1", "42P03"),
    ("DECLARE d CURSOR FOR DELETE FROM t", "42601"),
    ("DECLARE d CURSOR SELECT 1", "42601"),
    ("DECLARE d CURSOR FOR SELECT nothing FROM t", "42703"),
    ("FETCH nobody", "34000"),
    ("FETCH SIDEWAYS FROM c", "42601"),
    ("FETCH PRIOR FROM c", "55000"),
    ("MOVE ABSOLUTE 0 IN c", "55000"),
    ("CLOSE nobody", "34000"),
)


@pytest.mark.parametrize(("statement", "code"), REFUSED)
def test_refused(connection: Connection, statement: str, code: str) -> None:
    connection.execute("PREPARE p (int) AS SELECT $1")
    connection.execute("DECLARE c NO SCROLL CURSOR FOR SELECT id FROM t")
    connection.execute("FETCH 3 FROM c")
    with pytest.raises(vsql.Error) as caught:
        connection.execute(statement)
    assert caught.value.sqlstate == code
    assert not isinstance(caught.value, vsql.InternalError)
    assert connection.execute("FETCH c").fetchall() == [(3,)]


def test_places_of_errors_are_in_the_inner_statement(connection: Connection) -> None:
    connection.execute("PREPARE p AS SELECT nothing FROM t WHERE id = $1")
    with pytest.raises(vsql.ProgrammingError) as caught:
        connection.execute("EXECUTE p(1)")
    assert caught.value.statement == "SELECT nothing FROM t WHERE id = $1"
    assert caught.value.position == 8


def test_deallocate(connection: Connection) -> None:
    for name in ("a", "b", "c"):
        connection.execute(f"PREPARE {name} AS SELECT 1")
    connection.rollback()
    assert connection.execute("DEALLOCATE PREPARE a").statusmessage == "DEALLOCATE"
    assert connection.execute("DEALLOCATE ALL").statusmessage == "DEALLOCATE ALL"
    connection.execute("PREPARE b AS SELECT 2")
    assert connection.execute("EXECUTE b").fetchall() == [(2,)]


# Each line moves the same cursor over the rows 0, 3, 6, 9.
STEPS: tuple[tuple[str, list[int]], ...] = (
    ("FETCH c", [0]),
    ("FETCH NEXT FROM c", [3]),
    ("FETCH 5 FROM c", [6, 9]),
    ("FETCH c", []),
    ("FETCH PRIOR IN c", [9]),
    ("FETCH BACKWARD 2 FROM c", [6, 3]),
    ("FETCH RELATIVE 0 FROM c", [3]),
    ("FETCH FIRST c", [0]),
    ("FETCH PRIOR c", []),
    ("FETCH FORWARD 1 FROM c", [0]),
    ("FETCH LAST FROM c", [9]),
    ("FETCH ABSOLUTE 2 FROM c", [3]),
    ("FETCH RELATIVE 1 FROM c", [6]),
    ("FETCH RELATIVE -2 FROM c", [0]),
    ("FETCH 0 FROM c", [0]),
    ("FETCH ABSOLUTE 9 FROM c", []),
    ("FETCH BACKWARD ALL FROM c", [9, 6, 3, 0]),
    ("FETCH ALL FROM c", [0, 3, 6, 9]),
    ("FETCH -2 FROM c", [9, 6]),
    ("FETCH BACKWARD -1 FROM c", [9]),
    ("FETCH ABSOLUTE -4 FROM c", [0]),
    ("FETCH FORWARD ALL c", [3, 6, 9]),
)


@pytest.mark.parametrize(
    "query",
    ["SELECT id FROM t WHERE n = 0", "SELECT id + 0 FROM t WHERE n = ? ORDER BY id"],
    ids=["scan", "computed"],
)
def test_fetch(connection: Connection, query: str) -> None:
    connection.execute(f"DECLARE c SCROLL CURSOR FOR {query}", (0,) if "?" in query else ())
    for statement, wanted in STEPS:
        cursor = connection.execute(statement)
        assert (statement, [row[0] for row in cursor]) == (statement, wanted)
        assert cursor.statusmessage == f"FETCH {len(wanted)}"
    moved = connection.execute("MOVE BACKWARD 2 IN c")
    assert moved.description is None and moved.statusmessage == "MOVE 2" and moved.rowcount == 2
    assert connection.execute("FETCH c").fetchall() == [(9,)]


def test_a_cursor_sees_its_own_snapshot_and_ends_with_its_transaction(
    connection: Connection,
) -> None:
    connection.execute("DECLARE c CURSOR FOR SELECT id FROM t")
    connection.execute("DECLARE held CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY e <-> '[9, 1]'")
    connection.execute("DELETE FROM t WHERE id > 0")
    assert len(connection.execute("FETCH ALL FROM c").fetchall()) == 10
    assert connection.execute("FETCH 2 FROM held").fetchall() == [(9,), (8,)]
    connection.commit()
    with pytest.raises(vsql.ProgrammingError, match='"c" does not exist'):
        connection.execute("FETCH c")
    assert connection.execute("FETCH 2 FROM held").fetchall() == [(7,), (6,)]
    connection.rollback()
    assert connection.execute("FETCH held").fetchall() == [(5,)]
    connection.execute("DECLARE young CURSOR WITH HOLD FOR SELECT 1")
    connection.rollback()
    with pytest.raises(vsql.ProgrammingError, match='"young" does not exist'):
        connection.execute("FETCH young")
    assert connection.execute("CLOSE ALL").statusmessage == "CLOSE CURSOR ALL"
    with pytest.raises(vsql.ProgrammingError):
        connection.execute("FETCH held")


def test_without_a_transaction_only_what_holds() -> None:
    with vsql.connect(":memory:", autocommit=True) as connection:
        with pytest.raises(vsql.OperationalError) as caught:
            connection.execute("DECLARE c CURSOR FOR SELECT 1")
        assert caught.value.sqlstate == "25P01"
        connection.execute("DECLARE c CURSOR WITH HOLD FOR VALUES (1), (2)")
        assert connection.execute("FETCH ALL FROM c").fetchall() == [(1,), (2,)]
        connection.execute("BEGIN")
        connection.execute("DECLARE d CURSOR FOR SELECT 1")
        connection.execute("COMMIT")
        with pytest.raises(vsql.ProgrammingError):
            connection.execute("FETCH d")
        connection.execute("CLOSE c")


def test_a_plain_scan_is_read_as_it_is_fetched(tmp_path: Any) -> None:
    with vsql.connect(str(tmp_path / "db")) as connection:
        ids = pa.array(range(200_000), pa.int64())
        wide = pa.array(["x" * 100] * 200_000)
        table = pa.table({"id": ids, "wide": wide})
        connection.cursor().adbc_ingest("t", table)
        connection.commit()
        size = table.nbytes
        del table, wide, ids
        before = pa.total_allocated_bytes()
        connection.execute("DECLARE c CURSOR FOR SELECT id, wide FROM t WHERE id >= 1000")
        seen = 0
        for _ in range(20):
            part = connection.execute("FETCH 1000 FROM c").fetch_arrow_table()
            assert part.column("id")[0].as_py() == 1_000 + seen
            seen += part.num_rows
            assert pa.total_allocated_bytes() - before < size / 4
        assert seen == 20_000
