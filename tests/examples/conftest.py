"""A real PostgreSQL, for the example that runs there too."""

from collections.abc import Iterator

import pytest

from tests import postgresql


@pytest.fixture(scope="session")
def postgres_uri() -> Iterator[str]:
    with postgresql.server() as uri:
        yield uri
