"""A real PostgreSQL with pgvector, started once for the tests of this folder."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import postgresql


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A connection of psycopg that has loaded pgvector."""
    with postgresql.server() as uri:
        import psycopg

        with psycopg.connect(uri) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.commit()
            yield connection
