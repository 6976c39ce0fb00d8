"""COPY: what one side writes, the other reads."""

from pathlib import Path
from typing import Any

import vsql
from tests.differential.comparison import on_postgres, on_vsql

TABLE = "CREATE TABLE moved (id integer PRIMARY KEY, s text, e vector(3), h halfvec(2), b bit(8))"
ROWS = (
    "INSERT INTO moved VALUES (1, 'a', '[1,2.5,-3e-7]', '[0.1,65504]', '10101010'),"
    " (2, 'with \"quotes\", and a comma', '[1e30,0,123456.7]', '[1,2]', '00000000'),"
    " (3, NULL, NULL, NULL, NULL), (4, 'x', '[0.1,0.2,0.3]', NULL, '11111111')"
)
READ = ("SELECT * FROM moved ORDER BY id",)


def test_from_postgresql(postgres: Any, tmp_path: Path) -> None:
    path = tmp_path / "moved.csv"
    postgres.execute(TABLE)
    postgres.execute(ROWS)
    with postgres.cursor().copy("COPY moved TO STDOUT WITH (FORMAT csv, HEADER)") as copy:
        path.write_bytes(b"".join(bytes(block) for block in copy))
    with vsql.connect(":memory:") as connection:
        connection.execute(TABLE)
        connection.execute(f"COPY moved FROM '{path}' WITH (FORMAT csv, HEADER true)")
        mine = connection.execute(READ[0]).fetchall()
        assert len(mine) == 4
        connection.commit()
        assert on_vsql(connection, READ) == on_postgres(postgres, READ)


def test_to_postgresql(postgres: Any, tmp_path: Path) -> None:
    path = tmp_path / "moved.csv"
    with vsql.connect(":memory:") as connection:
        connection.execute(TABLE)
        connection.execute(ROWS)
        connection.execute(f"COPY moved TO '{path}' WITH (FORMAT csv, HEADER true)")
        connection.commit()
        postgres.execute(TABLE)
        statement = "COPY moved FROM STDIN WITH (FORMAT csv, HEADER)"
        with postgres.cursor().copy(statement) as copy:
            copy.write(path.read_bytes())
        assert on_vsql(connection, READ) == on_postgres(postgres, READ)
