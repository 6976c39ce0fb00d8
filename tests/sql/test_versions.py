"""Older versions: reading them, going back, and the changes between two, enough to replicate."""

import datetime
import random
import time
from typing import Any

import pytest

import vsql


@pytest.fixture
def connection(tmp_path: Any) -> Any:
    place = str(tmp_path / "db")
    with vsql.connect(place, autocommit=True, background="off", seal_rows=40) as opened:
        opened.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT, e VECTOR(2))")
        yield opened


def version(connection: Any) -> int:
    number: int = connection.execute("SELECT max(version) FROM vsql_versions()").fetchone()[0]
    return number


def test_every_version_reads_as_it_was(connection: Any) -> None:
    random_ = random.Random(1)
    states: dict[int, dict[int, str]] = {}
    model: dict[int, str] = {}
    for step in range(60):
        kind = random_.choice(("upsert", "delete", "flush", "optimize", "index", "alter"))
        if kind == "upsert":
            rows = {random_.randrange(80): f"s{step}" for _ in range(random_.choice((1, 30, 60)))}
            sets = [(key, value, [key, 1]) for key, value in rows.items()]
            connection.executemany("UPSERT INTO t (id, v, e) VALUES (?, ?, ?)", sets)
            model |= rows
        elif kind == "delete":
            connection.execute("DELETE FROM t WHERE id % 5 = ?", (step % 5,))
            model = {key: value for key, value in model.items() if key % 5 != step % 5}
        elif kind == "flush":
            connection.execute("FLUSH t")
        elif kind == "optimize":
            connection.execute("OPTIMIZE TABLE t FULL")
        elif kind == "index":
            connection.execute("DROP INDEX IF EXISTS i")
            connection.execute("CREATE INDEX i ON t USING HNSW (e vector_l2_ops)")
        else:
            connection.execute(f"ALTER TABLE t ADD COLUMN c{step} INT")
        states[version(connection)] = dict(model)
    for number, expected in states.items():
        rows = connection.execute(f"SELECT id, v FROM t FOR VERSION AS OF {number}").fetchall()
        assert dict(rows) == expected
        counted = connection.execute(f"SELECT count(*) FROM t AT (VERSION => {number})")
        assert counted.fetchone() == (len(expected),)
        if expected:
            nearest = connection.execute(
                f"SELECT id FROM t VERSION AS OF {number} ORDER BY e <-> '[40,1]', id LIMIT 1"
            ).fetchone()[0]
            assert abs(nearest - 40) == min(abs(key - 40) for key in expected)
    for number in random_.sample(sorted(states), 5):
        connection.execute(f"RESTORE TABLE t TO VERSION {number}")
        assert dict(connection.execute("SELECT id, v FROM t").fetchall()) == states[number]
    assert not connection.execute("CHECK DATABASE").fetchall()


def test_a_time_names_the_version_of_then(connection: Any) -> None:
    connection.execute("INSERT INTO t (id, v) VALUES (1, 'old')")
    time.sleep(0.01)
    moment = datetime.datetime.now(datetime.UTC).isoformat()
    time.sleep(0.01)
    connection.execute("UPDATE t SET v = 'new'")
    for clause in (f"FOR TIMESTAMP AS OF '{moment}'", f"AT (TIMESTAMP => '{moment}')"):
        assert connection.execute(f"SELECT v FROM t {clause} AS x").fetchall() == [("old",)]
    both = "SELECT a.v, b.v FROM t a JOIN t FOR TIMESTAMP AS OF '{}' b USING (id)"
    assert connection.execute(both.format(moment)).fetchall() == [("new", "old")]
    connection.execute(f"RESTORE TABLE t TO TIMESTAMP '{moment}'")
    assert connection.execute("SELECT v FROM t").fetchall() == [("old",)]


BAD = (
    ("SELECT * FROM t FOR VERSION AS OF 999", "22023"),
    ("SELECT * FROM t FOR VERSION AS OF 'x'", "22023"),
    ("SELECT * FROM t FOR TIMESTAMP AS OF 'yesterday'", "22007"),
    ("SELECT * FROM t FOR TIMESTAMP AS OF '1999-01-01'", "22023"),
    ("RESTORE TABLE t TO VERSION 999", "22023"),
    ("RESTORE TABLE nope TO VERSION 1", "42P01"),
    ("UNDROP TABLE t", "42P07"),
    ("UNDROP TABLE nope", "42P01"),
    ("SELECT * FROM vsql_changes('nope', 1)", "42P01"),
    ("SELECT * FROM vsql_changes('t')", "42883"),
    ("SHOW VERSIONS nope", "42P01"),
)


@pytest.mark.parametrize(("statement", "code"), BAD)
def test_what_is_refused(connection: Any, statement: str, code: str) -> None:
    with pytest.raises(vsql.Error) as caught:
        connection.execute(statement)
    assert caught.value.sqlstate == code


def test_undrop_brings_rows_and_indexes_back(connection: Any) -> None:
    connection.executemany("INSERT INTO t VALUES (?, 'x', ?)", [(i, [i, 0]) for i in range(100)])
    connection.execute("CREATE INDEX i ON t USING HNSW (e vector_l2_ops)")
    connection.execute("DELETE FROM t WHERE id = 3")
    connection.execute("DROP TABLE t")
    with pytest.raises(vsql.ProgrammingError):
        connection.execute("SELECT * FROM t")
    connection.execute("UNDROP TABLE t")
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (99,)
    assert connection.execute("SELECT id FROM t ORDER BY e <-> '[3,0]' LIMIT 2").fetchall() == [
        (2,),
        (4,),
    ]
    assert [row[0] for row in connection.execute("SHOW INDEXES FROM t")] == ["t_pkey", "i"]


def test_the_changes_of_a_table_replicate_it(connection: Any) -> None:
    """A follower that applies vsql_changes in order is the same after each batch of them."""
    random_ = random.Random(3)
    replica: dict[int, str] = {}
    seen = version(connection)
    for step in range(40):
        keys = [random_.randrange(60) for _ in range(random_.choice((1, 5, 50)))]
        connection.executemany(
            "UPSERT INTO t (id, v) VALUES (?, ?)", [(k, f"s{step}") for k in set(keys)]
        )
        if step % 3 == 0:
            connection.execute("DELETE FROM t WHERE id % 7 = ?", (step % 7,))
        if step % 5 == 0:
            connection.execute(random_.choice(("FLUSH", "OPTIMIZE TABLE t FULL")))
        if step % 11 == 10:
            connection.execute(f"RESTORE TABLE t TO VERSION {version(connection) - 3}")
        if step % 13 == 12:
            connection.execute("TRUNCATE t")
        if step % 2:
            continue
        now = version(connection)
        changes = connection.execute(
            "SELECT vsql_version, vsql_change, id, v FROM vsql_changes('t', ?, ?)", (seen, now)
        ).fetchall()
        assert [row[0] for row in changes] == sorted(row[0] for row in changes)
        for _, kind, key, value in changes:
            if kind in ("delete", "update_before"):
                assert replica.pop(key) == value
            else:
                assert key not in replica
                replica[key] = value
        assert replica == dict(connection.execute("SELECT id, v FROM t").fetchall())
        seen = now


def test_both_images_of_an_update_stand_together(connection: Any) -> None:
    connection.execute("INSERT INTO t (id, v) VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    before = version(connection)
    connection.execute("BEGIN")
    connection.execute("UPDATE t SET v = v || '!' WHERE id < 3")
    connection.execute("DELETE FROM t WHERE id = 3")
    connection.execute("INSERT INTO t (id, v) VALUES (4, 'd'), (5, 'e')")
    connection.execute("DELETE FROM t WHERE id = 5")
    connection.execute("COMMIT")
    rows = connection.execute(
        "SELECT vsql_change, id, v FROM vsql_changes('t', ?)", (before,)
    ).fetchall()
    assert rows == [
        ("delete", 3, "c"),
        ("update_before", 1, "a"),
        ("update_after", 1, "a!"),
        ("update_before", 2, "b"),
        ("update_after", 2, "b!"),
        ("insert", 4, "d"),
    ]


def test_retention_forgets_and_gives_space_back(connection: Any, tmp_path: Any) -> None:
    rows = [(i, "x" * 100, [i, 1]) for i in range(2_000)]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    connection.execute("CREATE INDEX i ON t USING HNSW (e vector_l2_ops)")
    for _ in range(3):
        connection.executemany("UPSERT INTO t VALUES (?, ?, ?)", rows)
        connection.execute("OPTIMIZE TABLE t FULL")
    first = version(connection) - 3
    used = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    connection.execute("VACUUM")
    assert connection.execute(f"SELECT count(*) FROM t FOR VERSION AS OF {first}").fetchone()
    with vsql.connect(str(tmp_path / "db")) as reader:
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (2_000,)
        connection.executemany("UPSERT INTO t VALUES (?, 'y', ?)", [(i, [i, 2]) for i in range(9)])
        connection.execute("SET retention = '0 seconds'")
        connection.execute("VACUUM")
        # A transaction that began before keeps what it reads.
        assert reader.execute("SELECT count(*) FROM t WHERE v = 'y'").fetchone() == (0,)
    connection.execute("OPTIMIZE TABLE t FULL")
    connection.execute("VACUUM")
    left = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert left < used / 2
    with pytest.raises(vsql.ProgrammingError):
        connection.execute(f"SELECT count(*) FROM t FOR VERSION AS OF {first}")
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (2_000,)
    assert not connection.execute("CHECK DATABASE").fetchall()


def test_restoring_an_older_definition_restores_its_keys(connection: Any) -> None:
    connection.execute("ALTER TABLE t ADD CONSTRAINT k UNIQUE (v)")
    connection.execute("INSERT INTO t (id, v) VALUES (1, 'a')")
    before = version(connection)
    connection.execute("ALTER TABLE t RENAME COLUMN v TO w")
    connection.execute("ALTER TABLE t ADD COLUMN x INT")
    connection.execute("CREATE INDEX ON t (x)")
    connection.execute(f"RESTORE TABLE t TO VERSION {before}")
    with pytest.raises(vsql.IntegrityError):
        connection.execute("INSERT INTO t (id, v) VALUES (2, 'a')")
    connection.execute("INSERT INTO t (id, v) VALUES (2, 'b')")
    assert connection.execute("SELECT v FROM t ORDER BY id").fetchall() == [("a",), ("b",)]
    assert [row[0] for row in connection.execute("SHOW INDEXES FROM t")] == ["t_pkey", "k"]


def test_changes_that_do_not_fit_todays_type_are_refused_clearly() -> None:
    with vsql.connect(autocommit=True) as connection:
        run = connection.execute
        run("CREATE TABLE t (id INT PRIMARY KEY, a TEXT)")
        run("INSERT INTO t VALUES (1, 'c'), (2, '3')")
        run("DELETE FROM t WHERE id = 1")
        run("ALTER TABLE t ALTER COLUMN a TYPE INT")
        with pytest.raises(vsql.DataError) as caught:
            run("SELECT * FROM vsql_changes('t', 1, 2)")
        assert caught.value.sqlstate == "22P02"
