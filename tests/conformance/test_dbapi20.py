"""The public DB-API 2.0 compliance suite, unchanged (package dbapi-compliance, 36 tests)."""

import tempfile
from pathlib import Path
from typing import Any

import dbapi20
import pytest

import vsql


class TestDatabaseAPI20(dbapi20.DatabaseAPI20Test):  # type: ignore[misc]  # it has no types
    """Only what the suite asks its users to write is overridden: the two templates."""

    driver = vsql
    connect_args = ()

    def setUp(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.connect_kw_args = {"database": str(Path(self._folder.name) / "db")}
        super().setUp()

    def tearDown(self) -> None:
        super().tearDown()
        self._folder.cleanup()

    def test_nextset(self) -> None:
        connection: Any = self._connect()
        try:
            cursor = connection.cursor()
            if not hasattr(cursor, "nextset"):
                pytest.skip("optional")
            self.executeDDL1(cursor)
            for statement in self._populate():
                cursor.execute(statement)
            cursor.execute(f"SELECT name FROM {self.table_prefix}booze")
            assert cursor.fetchone() is not None
            assert cursor.nextset() is None
        finally:
            connection.close()

    def test_setoutputsize(self) -> None:
        connection: Any = self._connect()
        try:
            cursor = connection.cursor()
            cursor.setoutputsize(1_000)
            cursor.setoutputsize(2_000, 0)
            self._paraminsert(cursor)
        finally:
            connection.close()
