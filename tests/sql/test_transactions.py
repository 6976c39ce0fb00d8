"""Transactions: isolation, savepoints, conflicts; a failed statement undoes itself alone."""

from typing import Any

import pytest

import vsql


@pytest.fixture
def place(tmp_path: Any) -> str:
    place = str(tmp_path / "db")
    with vsql.connect(place, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
        connection.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    return place


def rows(connection: Any, table: str = "t") -> list[Any]:
    found: list[Any] = connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
    return found


def test_savepoints_nest(place: str) -> None:
    with vsql.connect(place) as connection:
        run = connection.execute
        run("INSERT INTO t VALUES (3, 'three')")
        run("SAVEPOINT a")
        run("DELETE FROM t WHERE id = 1")
        run("SAVEPOINT b")
        run("CREATE TABLE other (x INT)")
        run("INSERT INTO t VALUES (4, 'four')")
        assert [row[0] for row in rows(connection)] == [2, 3, 4]
        run("ROLLBACK TO SAVEPOINT b")
        assert [row[0] for row in rows(connection)] == [2, 3]
        with pytest.raises(vsql.ProgrammingError):
            rows(connection, "other")
        run("ROLLBACK TO a")
        assert [row[0] for row in rows(connection)] == [1, 2, 3]
        with pytest.raises(vsql.OperationalError) as caught:
            run("ROLLBACK TO b")
        assert caught.value.sqlstate == "3B001"
        run("RELEASE a")
        with pytest.raises(vsql.OperationalError):
            run("RELEASE SAVEPOINT a")
    with vsql.connect(place) as connection:
        assert [row[0] for row in rows(connection)] == [1, 2, 3]


def test_savepoints_of_one_name_hide_each_other(place: str) -> None:
    with vsql.connect(place) as connection:
        run = connection.execute
        run("SAVEPOINT s")
        run("DELETE FROM t WHERE id = 1")
        run("SAVEPOINT s")
        run("DELETE FROM t WHERE id = 2")
        run("ROLLBACK TO s")
        assert [row[0] for row in rows(connection)] == [2]
        run("RELEASE s")
        run("ROLLBACK TO s")
        assert [row[0] for row in rows(connection)] == [1, 2]


def test_a_failed_statement_undoes_itself_alone(place: str) -> None:
    with vsql.connect(place) as connection:
        connection.execute("INSERT INTO t VALUES (3, 'three')")
        with pytest.raises(vsql.IntegrityError):
            connection.execute("INSERT INTO t VALUES (4, 'four'), (1, 'again')")
        with pytest.raises(vsql.IntegrityError):
            connection.executemany("UPDATE t SET id = ? WHERE id = ?", [(9, 3), (1, 9)])
        with pytest.raises(vsql.ProgrammingError):
            connection.execute("SELECT nope FROM t")
        assert [row[0] for row in rows(connection)] == [1, 2, 3]
    with vsql.connect(place) as connection:
        assert [row[0] for row in rows(connection)] == [1, 2, 3]


def test_a_transaction_reads_one_snapshot(place: str) -> None:
    with vsql.connect(place) as reader, vsql.connect(place, autocommit=True) as writer:
        assert len(rows(reader)) == 2
        writer.execute("INSERT INTO t VALUES (3, 'three')")
        writer.execute("UPDATE t SET v = 'changed' WHERE id = 1")
        writer.execute("ALTER TABLE t ADD COLUMN more INT DEFAULT 5")
        writer.execute("FLUSH")
        writer.execute("OPTIMIZE TABLE t FULL")
        assert rows(reader) == [(1, "one"), (2, "two")]
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (2,)
        reader.commit()
        assert rows(reader) == [(1, "changed", 5), (2, "two", 5), (3, "three", 5)]


CONFLICTS = (
    ("UPDATE t SET v = 'a' WHERE id = 1", "UPDATE t SET v = 'b' WHERE id = 1", True),
    ("UPDATE t SET v = 'a' WHERE id = 1", "UPDATE t SET v = 'b' WHERE id = 2", False),
    ("DELETE FROM t WHERE id = 1", "UPDATE t SET v = 'b' WHERE id = 1", True),
    ("DELETE FROM t WHERE id = 1", "DELETE FROM t WHERE id = 2", False),
    ("INSERT INTO t VALUES (7, 'a')", "INSERT INTO t VALUES (7, 'b')", True),
    ("INSERT INTO t VALUES (7, 'a')", "INSERT INTO t VALUES (8, 'b')", False),
    ("UPSERT INTO t VALUES (1, 'a')", "UPSERT INTO t VALUES (1, 'b')", True),
    ("CREATE TABLE n (x INT)", "CREATE TABLE n (y INT)", True),
    ("ALTER TABLE t ADD COLUMN x INT", "INSERT INTO t VALUES (9, 'x')", True),
    ("DROP TABLE t", "INSERT INTO t VALUES (9, 'x')", True),
    ("CREATE VIEW v AS SELECT 1", "CREATE VIEW v AS SELECT 2", True),
    ("CREATE INDEX i ON t (v)", "INSERT INTO t VALUES (9, 'x')", False),
    ("CREATE INDEX i ON t (v)", "CREATE INDEX i ON t (id)", True),
)


@pytest.mark.parametrize(("first", "second", "clash"), CONFLICTS)
@pytest.mark.parametrize("sealed", [False, True])
def test_the_first_to_commit_wins(
    place: str, first: str, second: str, clash: bool, sealed: bool
) -> None:
    if sealed:
        with vsql.connect(place, autocommit=True) as connection:
            connection.execute("FLUSH")
    with vsql.connect(place) as one, vsql.connect(place) as two:
        one.execute(first)
        two.execute(second)
        one.commit()
        if not clash:
            two.commit()
            return
        with pytest.raises(vsql.OperationalError) as caught:
            two.commit()
        assert caught.value.sqlstate == "40001"
        # The loser starts again, and now sees what the winner did.
        try:
            two.execute(second)
            two.commit()
        except vsql.Error as error:
            assert error.sqlstate != "40001"
            two.rollback()


def test_autocommit_runs_a_statement_again(place: str) -> None:
    with vsql.connect(place, autocommit=True) as one, vsql.connect(place, autocommit=True) as two:
        for number in range(30):
            one.execute("UPDATE t SET v = v || 'x' WHERE id = 1")
            two.execute("UPDATE t SET v = v || 'y' WHERE id = 1")
            if number % 10 == 0:
                one.execute("FLUSH")
        (value,) = one.execute("SELECT v FROM t WHERE id = 1").fetchone()
        assert sorted(value) == sorted("one" + "xy" * 30)


def test_read_only_transactions(place: str) -> None:
    with vsql.connect(place, autocommit=True) as connection:
        for begin in ("BEGIN READ ONLY", "START TRANSACTION READ ONLY", "BEGIN"):
            connection.execute(begin)
            if begin == "BEGIN":
                connection.execute("SET TRANSACTION READ ONLY")
            for statement in ("DELETE FROM t", "CREATE TABLE x (a INT)", "SET GLOBAL threads = 1"):
                with pytest.raises(vsql.OperationalError) as caught:
                    connection.execute(statement)
                assert caught.value.sqlstate == "25006"
            assert len(rows(connection)) == 2
            connection.execute("COMMIT")
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE")
        connection.execute("DELETE FROM t")
        connection.execute("ROLLBACK")
        assert len(rows(connection)) == 2


def test_what_needs_a_transaction_or_none(place: str) -> None:
    with vsql.connect(place, autocommit=True) as connection:
        for statement in ("SAVEPOINT s", "RELEASE s", "ROLLBACK TO s"):
            with pytest.raises(vsql.OperationalError) as caught:
                connection.execute(statement)
            assert caught.value.sqlstate == "25P01"
        connection.execute("BEGIN")
        for statement in ("VACUUM", "BACKUP DATABASE TO '/nowhere'"):
            with pytest.raises(vsql.OperationalError) as caught:
                connection.execute(statement)
            assert caught.value.sqlstate == "25001"


def test_ddl_is_rolled_back(place: str) -> None:
    with vsql.connect(place) as connection:
        connection.execute("ALTER TABLE t RENAME TO u")
        connection.execute("ALTER TABLE u ADD COLUMN x INT DEFAULT 1")
        connection.execute("CREATE SCHEMA s")
        connection.execute("CREATE VIEW s.v AS SELECT id, x FROM u")
        assert rows(connection, "s.v") == [(1, 1), (2, 1)]
        connection.rollback()
        assert rows(connection) == [(1, "one"), (2, "two")]
        with pytest.raises(vsql.ProgrammingError):
            rows(connection, "s.v")


def test_files_of_a_rolled_back_transaction_are_gone(tmp_path: Any) -> None:
    place = tmp_path / "db"
    with vsql.connect(str(place), seal_rows=10) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, e VECTOR(4))")
        connection.commit()
        rows = [(i, [i, 1, 2, 3]) for i in range(100)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        assert list((place / "segments").rglob("*.arrow"))
        connection.rollback()
        assert not list((place / "segments").rglob("*.arrow"))
        connection.execute("SAVEPOINT s")
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.execute("ROLLBACK TO s")
        assert not list((place / "segments").rglob("*.arrow"))
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_transactions_side_by_side_delete_other_rows(place: str) -> None:
    """What one deleted of a sealed segment is no less there for the other, however many it were."""
    with vsql.connect(place, autocommit=True) as connection:
        connection.execute("OPTIMIZE TABLE t")
    with vsql.connect(place) as first, vsql.connect(place) as second:
        first.execute("DELETE FROM t WHERE id = 1")
        second.execute("DELETE FROM t WHERE id = 2")
        for connection, left in ((first, 2), (second, 1), (first, 2)):
            assert [row[0] for row in rows(connection)] == [left]


def test_sealing_inside_a_transaction_claims_no_rows_of_others(tmp_path: Any) -> None:
    place = str(tmp_path / "db")
    with vsql.connect(place, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
        connection.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    few = {"background": "off", "seal_rows": 4}
    with vsql.connect(place, **few) as first, vsql.connect(place, **few) as second:
        first.executemany("INSERT INTO t VALUES (?, 'new')", [(n,) for n in range(10, 20)])
        second.execute("UPDATE t SET v = 'zwei' WHERE id = 2")
        second.commit()
        first.execute("UPDATE t SET v = 'uno' WHERE id = 1")
        first.commit()
        assert rows(second)[:2] == [(1, "uno"), (2, "zwei")]
        states = second.execute("SELECT DISTINCT state FROM vsql_segments('t')").fetchall()
        assert ("sealed",) in states


@pytest.mark.parametrize("many", [1, 3_000])
def test_a_key_that_another_made_and_took_back_is_still_there(tmp_path: Any, many: int) -> None:
    place = str(tmp_path / "db")
    keys = [(n,) for n in range(many)]
    with vsql.connect(place, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    with vsql.connect(place) as first, vsql.connect(place) as second:
        first.executemany("INSERT INTO t VALUES (?)", keys)
        second.executemany("INSERT INTO t VALUES (?)", keys)
        first.commit()
        second.execute("DELETE FROM t")
        second.commit()
        with pytest.raises(vsql.IntegrityError):
            first.executemany("INSERT INTO t VALUES (?)", keys)
        assert len(rows(first)) == many


SETTINGS = [
    ("BEGIN; SET LOCAL target_recall = 0.5", "0.5"),
    ("BEGIN; SET LOCAL target_recall = 0.5; COMMIT", "0.9"),
    ("BEGIN; SET LOCAL target_recall = 0.5; ROLLBACK", "0.9"),
    ("BEGIN; SET LOCAL target_recall = 0.5; SET target_recall = 0.7; COMMIT", "0.7"),
    ("BEGIN; SET LOCAL target_recall = 0.5; RESET target_recall", "0.97"),
    # Outside of a transaction it ends with itself.
    ("SET LOCAL target_recall = 0.5", "0.9"),
]


@pytest.mark.parametrize(("script", "expected"), SETTINGS)
def test_set_local_ends_with_its_transaction(place: str, script: str, expected: str) -> None:
    with vsql.connect(place, autocommit=True, target_recall=0.9) as connection:
        for statement in script.split("; "):
            connection.execute(statement)
        assert connection.execute("SHOW target_recall").fetchall() == [(expected,)]


def test_set_local_statement_timeout(place: str) -> None:
    endless = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range * b.range = 7"
    with vsql.connect(place) as connection:
        connection.execute("SET LOCAL statement_timeout = '50ms'")
        with pytest.raises(vsql.OperationalError, match="statement timeout"):
            connection.execute(endless)


def test_set_global_of_a_reader_changes_nothing(place: str) -> None:
    with vsql.connect(place, autocommit=True, read_only=True) as connection:
        with pytest.raises(vsql.OperationalError) as caught:
            connection.execute("SET GLOBAL target_recall = 0.5")
        assert caught.value.sqlstate == "25006"
        assert connection.execute("SHOW target_recall").fetchall() == [("0.97",)]
