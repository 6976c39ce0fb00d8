"""What psql, JDBC, SQLAlchemy, asyncpg and ADBC ask PostgreSQL's catalogs; names are compared by
`make conformance`.
"""

from pathlib import Path

import pytest

from tests.conformance import catalog_queries

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "conformance" / "catalog-queries"
BROKEN = ["SELECT relname FROM pg_class", "SELECT nothing FROM pg_class", "COPY t FROM STDIN"]


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the captured statements are not beside us")
def test_captured_statements() -> None:
    outcome = catalog_queries.run(catalog_queries.statements(FOLDER), {})
    # psql 17 reads a column that PostgreSQL 18 no longer has.
    assert [line for line in outcome.failures if "daticulocale" not in line] == []
    assert outcome.passed > 170


def test_the_runner_sees_what_fails() -> None:
    outcome = catalog_queries.run(BROKEN, {})
    assert (outcome.passed, len(outcome.failures), outcome.excluded) == (1, 1, 1)
    expected = {BROKEN[0]: ("other",), BROKEN[1]: ("nothing",)}
    assert len(catalog_queries.run(BROKEN, expected).failures) == 2
