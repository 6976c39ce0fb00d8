"""The smaller files of SQLite's sqllogictest; `make conformance` runs all of them."""

from pathlib import Path

import pytest

from tests.conformance import sqllogictest

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "conformance" / "slt"
FILES = sorted(FOLDER.glob("evidence_*.test"))

RECORDS = """statement ok
CREATE TABLE t(a INTEGER, b TEXT)

statement ok
INSERT INTO t VALUES(1,'x'),(2,''),(3,NULL)

skipif postgresql
statement error
SELECT

statement error
SELECT nothing FROM t

query IT rowsort
SELECT a, b FROM t
----
1
x
2
(empty)
3
NULL

query R nosort
SELECT avg(a) FROM t
----
2.000

query I nosort
SELECT count(*) FROM t
----
4

halt

query I nosort
SELECT 1
----
2
"""


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_file(path: Path) -> None:
    assert not sqllogictest.run(path).failures


def test_the_runner_sees_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "x.test"
    path.write_text(RECORDS)
    outcome = sqllogictest.run(path)
    assert outcome.passed == 5
    assert [failure.split(":")[1] for failure in outcome.failures] == ["29"]
