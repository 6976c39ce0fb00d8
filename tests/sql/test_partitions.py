"""Partitions, clustering and expiry: what is read, and what is left out."""

import operator
import time
from typing import Any

import pytest

import vsql


@pytest.fixture
def connection() -> Any:
    with vsql.connect(autocommit=True) as opened:
        yield opened


def pruned(connection: Any, query: str, parameters: Any = ()) -> tuple[int, int]:
    lines = [row[0] for row in connection.execute(f"EXPLAIN {query}", parameters)]
    (line,) = [line for line in lines if line.endswith("segments pruned")]
    words = line.split()
    return int(words[1]), int(words[3])


def test_a_key_leads_to_one_partition(connection: Any) -> None:
    connection.execute(
        "CREATE TABLE t (tenant TEXT, id INT, e VECTOR(2)) PARTITION BY KEY (tenant) PARTITIONS 8"
    )
    rows = [(f"tenant {i % 20}", i, [i % 20, 1]) for i in range(1_000)]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    connection.execute("FLUSH t")
    segments = connection.execute("SELECT partition, rows FROM vsql_segments('t')").fetchall()
    assert 2 <= len(segments) <= 8
    assert sum(row[1] for row in segments) == 1_000
    total = len(segments)
    query = "SELECT count(*) FROM t WHERE tenant = 'tenant 3'"
    assert pruned(connection, query) == (total - 1, total)
    assert connection.execute(query).fetchone() == (50,)
    query = "SELECT count(*) FROM t WHERE tenant = ?"
    assert pruned(connection, query, ("tenant 4",)) == (total - 1, total)
    query = "SELECT id FROM t WHERE tenant IN ('tenant 3', 'nobody') ORDER BY e <-> '[3,1]' LIMIT 9"
    assert pruned(connection, query)[0] >= total - 2
    assert all(row[0] % 20 == 3 for row in connection.execute(query))
    assert connection.execute("SELECT count(*) FROM t WHERE tenant = 'nobody'").fetchone() == (0,)
    connection.execute("UPDATE t SET tenant = 'tenant 5' WHERE tenant = 'tenant 3'")
    connection.execute("OPTIMIZE TABLE t FULL")
    assert connection.execute("SELECT count(*) FROM t WHERE tenant = 'tenant 5'").fetchone() == (
        100,
    )


def test_partitions_of_a_list_come_and_go(connection: Any) -> None:
    connection.execute("CREATE TABLE t (country TEXT, id INT) PARTITION BY LIST (country)")
    connection.execute("CREATE PARTITION dach ON t VALUES IN ('de', 'at', 'ch')")
    connection.execute("CREATE PARTITION fr ON t VALUES ('fr')")
    rows = [(("de", "at", "fr", "it", None)[i % 5], i) for i in range(100)]
    connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    connection.execute("FLUSH t")
    found = connection.execute("SELECT partition, rows FROM vsql_segments('t') ORDER BY 1")
    assert found.fetchall() == [("dach", 40), ("default", 40), ("fr", 20)]
    assert pruned(connection, "SELECT id FROM t WHERE country = 'fr'") == (2, 3)
    connection.execute("INSERT INTO t VALUES ('at', 1000)")
    connection.execute("DROP PARTITION dach ON t")
    left = connection.execute("SELECT country, count(*) FROM t GROUP BY 1 ORDER BY 1 NULLS LAST")
    assert left.fetchall() == [("fr", 20), ("it", 20), (None, 20)]
    for statement, code in (
        ("CREATE PARTITION fr ON t VALUES ('x')", "42710"),
        ("CREATE PARTITION other ON t VALUES ('fr')", "42710"),
        ("DROP PARTITION nope ON t", "42704"),
        ("CREATE TABLE u (a INT) PARTITION BY KEY (b)", "42703"),
        ("CREATE TABLE u (a INT) PARTITION BY KEY (a) PARTITIONS 0", "22023"),
    ):
        with pytest.raises(vsql.ProgrammingError) as caught:
            connection.execute(statement)
        assert caught.value.sqlstate == code


def test_clustering_lets_zone_maps_prune(connection: Any) -> None:
    connection.execute("CREATE TABLE t (id INT, day DATE, n DOUBLE PRECISION) CLUSTER BY (day, id)")
    connection.execute("SET segment_rows = 100")
    rows = [(i, f"2026-01-{i * 5 % 28 + 1:02d}", float(i)) for i in range(1_000)]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    connection.execute("OPTIMIZE TABLE t FULL")
    total = connection.execute("SELECT count(*) FROM vsql_segments('t')").fetchone()[0]
    assert total == 10
    for where, count in (
        ("day = DATE '2026-01-03'", 36),
        ("day BETWEEN '2026-01-01' AND '2026-01-02'", 72),
        ("day > '2026-02-01'", 0),
    ):
        query = f"SELECT count(*) FROM t WHERE {where}"
        assert connection.execute(query).fetchone()[0] == pytest.approx(count, abs=1)
    days = [row[0] for row in connection.execute("SELECT day FROM t").fetchall()]
    assert days == sorted(days)
    connection.execute("ALTER TABLE t CLUSTER BY (n)")
    connection.execute("OPTIMIZE TABLE t FULL")
    assert pruned(connection, "SELECT count(*) FROM t WHERE n < 50") == (9, 10)
    assert pruned(connection, "SELECT count(*) FROM t WHERE n >= 950") == (9, 10)
    assert pruned(connection, "SELECT count(*) FROM t WHERE n IN (1, 999)") == (8, 10)
    assert pruned(connection, "SELECT count(*) FROM t WHERE 2000 < n") == (10, 10)
    assert connection.execute("SELECT count(*) FROM t WHERE n < 50").fetchone() == (50,)


def test_a_table_is_clustered_by_columns_of_any_name(connection: Any) -> None:
    run = connection.execute
    run('CREATE TABLE c ("a,b" INT, " ""d" INT, e INT) CLUSTER BY ("a,b", " ""d")')
    run("INSERT INTO c VALUES (2, 1, 1), (1, 2, 2), (1, 1, 3)")
    run("FLUSH c")
    assert run("SELECT e FROM c").fetchall() == [(3,), (2,), (1,)]
    run('ALTER TABLE c RENAME COLUMN e TO "e,f"')
    run('ALTER TABLE c RENAME COLUMN "a,b" TO "g,h"')
    run('ALTER TABLE c CLUSTER BY ("e,f")')
    run("INSERT INTO c VALUES (0, 0, 0)")
    run("FLUSH c")
    run("OPTIMIZE TABLE c FULL")
    assert run('SELECT "g,h" FROM c').fetchall() == [(0,), (2,), (1,), (1,)]
    run("""CREATE TABLE w ("a,b" INT, c INT) WITH (cluster_by = '"a,b", c')""")
    run("INSERT INTO w VALUES (2, 1), (1, 2), (1, 1)")
    run("FLUSH w")
    assert sorted(run("SELECT * FROM w").fetchall()) == [(1, 1), (1, 2), (2, 1)]
    run('ALTER TABLE w DROP COLUMN "a,b"')
    run("INSERT INTO w VALUES (0)")


def test_zone_maps_never_lose_a_row(connection: Any) -> None:
    connection.execute("SET segment_rows = 10")
    connection.execute("CREATE TABLE t (id INT, s TEXT, n INT)")
    rows = [(i, ("x" * (60 + i % 9)) + str(i), None if i % 4 else i) for i in range(60)]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    connection.execute("OPTIMIZE TABLE t FULL")
    for id_, text, number in rows:
        assert connection.execute("SELECT id FROM t WHERE s = ?", (text,)).fetchall() == [(id_,)]
        expected = [(i,) for i, s, _ in rows if s >= text]
        found = connection.execute("SELECT id FROM t WHERE s >= ? ORDER BY id", (text,)).fetchall()
        assert found == expected
        if number is not None:
            found = connection.execute("SELECT id FROM t WHERE n = ?", (number,)).fetchall()
            assert found == [(id_,)]


OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@pytest.mark.parametrize("symbol", OPERATORS)
def test_a_segment_passes_whole_only_where_every_row_does(connection: Any, symbol: str) -> None:
    connection.execute("SET segment_rows = 10")
    connection.execute("CREATE TABLE t (id INT, n INT)")
    rows = [(i, None if i % 10 == 5 else i) for i in range(30)]
    connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    connection.execute("OPTIMIZE TABLE t FULL")
    connection.execute("DELETE FROM t WHERE id = 3")
    for bound in (-1, 0, 9, 10, 19, 29, 30, 9.5):
        passing = [row for row in rows if row[0] != 3 and OPERATORS[symbol](row[0], bound)]
        for condition, count in (
            (f"id {symbol} {bound}", len(passing)),
            (f"n {symbol} {bound}", sum(n is not None for _, n in passing)),
        ):
            query = f"SELECT count(*) FROM t WHERE {condition}"
            assert connection.execute(query).fetchone() == (count,), query


def test_rows_expire(connection: Any) -> None:
    connection.execute("CREATE TABLE t (id INT PRIMARY KEY, e VECTOR(2)) WITH (ttl = '1 second')")
    connection.execute("INSERT INTO t VALUES (1, '[1,0]')")
    connection.execute("FLUSH t")
    connection.execute("INSERT INTO t VALUES (2, '[0,1]')")
    query = "SELECT id FROM t ORDER BY e <-> '[1,0]' LIMIT 5"
    assert connection.execute(query).fetchall() == [(1,), (2,)]
    assert connection.execute("SELECT * FROM t WHERE id = 1").description is not None
    time.sleep(1.1)
    connection.execute("INSERT INTO t VALUES (3, '[1,1]')")
    assert connection.execute(query).fetchall() == [(3,)]
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)
    assert connection.execute("SELECT * FROM t WHERE id = 1").fetchall() == []
    connection.execute("INSERT INTO t VALUES (1, '[5,5]')")
    connection.execute("OPTIMIZE TABLE t FULL")
    stored = connection.execute("SELECT sum(rows) FROM vsql_segments('t')").fetchone()
    assert stored == (2,)
    connection.execute("ALTER TABLE t RESET (ttl)")
    time.sleep(1.1)
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (2,)
