"""Plans as text: plans/*.sql hold a statement and, after `----`, the EXPLAIN that it must give.

Run with VSQL_RECORD=1 in the environment to write the files anew, and read the difference.
"""

import os
from pathlib import Path
from typing import Any

import pytest

import vsql

PLANS = Path(__file__).parent / "plans"
CASES = sorted(PLANS.glob("*.sql"))


@pytest.fixture(scope="module")
def connection() -> Any:
    connection = vsql.connect(":memory:", autocommit=True)
    connection.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, section TEXT, n INT, meta JSON, e VECTOR(4))"
    )
    rows = [(i, f"s{i % 4}", i % 10, '{"k": 1}', [i % 7, i % 5, i % 3, 1.0]) for i in range(200)]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("FLUSH t")
    connection.execute("CREATE INDEX ON t USING BTREE (n)")
    connection.execute("CREATE TABLE s (id INT PRIMARY KEY, w SPARSEVEC(1000))")
    connection.executemany("INSERT INTO s VALUES (?, ?)", [(i, {i: 1.0}) for i in range(20)])
    connection.execute("FLUSH s")
    yield connection
    connection.close()


@pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])
def test_plan(connection: Any, case: Path) -> None:
    statement, _, expected = case.read_text().partition("\n----\n")
    lines = [row[0] for row in connection.execute("EXPLAIN " + statement)]
    found = "\n".join(line for line in lines if "cost" not in line and "possible" not in line)
    if os.environ.get("VSQL_RECORD"):
        case.write_text(f"{statement}\n----\n{found}\n")
        return
    assert found + "\n" == expected
