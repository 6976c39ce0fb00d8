"""CREATE INDEX over several columns, with directions: it answers for its first column."""

from typing import Any

import pytest

import vsql


@pytest.fixture
def connection() -> Any:
    with vsql.connect(autocommit=True) as opened:
        opened.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT, b TEXT, first TEXT, last INT)")
        rows = [(n, n % 50, f"b{n}", "x", n) for n in range(1_000)]
        opened.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
        yield opened


STATEMENTS = (
    "CREATE INDEX i ON t (a, b)",
    "CREATE INDEX i ON t (a DESC, b ASC NULLS LAST, last)",
    "CREATE INDEX i ON t USING STL_SORT (a NULLS FIRST, first)",
    "CREATE INDEX i ON t (a DESC)",
)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_it_answers_for_the_first_column(connection: Any, statement: str) -> None:
    run = connection.execute
    run(statement)
    query = "SELECT count(*) FROM t WHERE a = 7"
    assert "(index, keeps" in "\n".join(row[0] for row in run(f"EXPLAIN {query}"))
    assert run(query).fetchone() == (20,)
    assert run("SELECT a FROM t ORDER BY a DESC LIMIT 1").fetchone() == (49,)
    run("ALTER TABLE t RENAME COLUMN a TO c")
    assert run("SELECT count(*) FROM t WHERE c = 7").fetchone() == (20,)
    run("OPTIMIZE TABLE t FULL")
    assert run("SELECT count(*) FROM t WHERE c = 7").fetchone() == (20,)


def test_it_goes_with_any_of_its_columns(connection: Any, tmp_path: Any) -> None:
    run = connection.execute
    run('CREATE INDEX i ON t (a, "b")')
    run(f"EXPORT DATABASE '{tmp_path}/out'")
    with vsql.connect(autocommit=True) as other:
        other.execute(f"IMPORT DATABASE '{tmp_path}/out'")
        keys = other.execute("SELECT key FROM vsql_indexes('t') WHERE index_name = 'i'").fetchall()
        assert keys == run("SELECT key FROM vsql_indexes('t') WHERE index_name = 'i'").fetchall()
    run("ALTER TABLE t DROP COLUMN b")
    assert run("SELECT count(*) FROM vsql_indexes('t') WHERE index_name = 'i'").fetchone() == (0,)


def test_refused(connection: Any) -> None:
    with pytest.raises(vsql.ProgrammingError) as caught:
        connection.execute("CREATE INDEX i ON t (a, nothing)")
    assert caught.value.sqlstate == "42703"
