"""CREATE EXTENSION: what pgvector's users say first, and what the built-in needs not."""

import pytest

import vsql


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE EXTENSION vector",
        "CREATE EXTENSION IF NOT EXISTS vector",
        'create extension if not exists "vector" with schema public;',
    ],
)
def test_vectors_are_built_in(statement: str) -> None:
    with vsql.connect() as connection:
        assert connection.execute(statement).statusmessage == "CREATE EXTENSION"
        # A second time, too: it changes nothing.
        connection.execute(statement)


def test_others_are_not_available() -> None:
    with vsql.connect() as connection, pytest.raises(vsql.NotSupportedError) as caught:
        connection.execute("CREATE EXTENSION postgis")
    assert caught.value.sqlstate == "0A000"
    assert "built in" in str(caught.value)


def test_extension_is_a_name_too() -> None:
    with vsql.connect() as connection:
        connection.execute("CREATE TABLE extension (extension TEXT)")
        connection.execute("INSERT INTO extension VALUES ('pdf')")
        assert connection.execute("SELECT extension FROM extension").fetchall() == [("pdf",)]
