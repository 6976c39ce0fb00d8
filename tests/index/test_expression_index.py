"""A vector index over an expression: a definition, whose searches are exact."""

from pathlib import Path

import numpy as np
import pytest

import vsql


def test_it_survives_every_rewrite() -> None:
    vectors = np.random.default_rng(3).normal(size=(400, 3)).astype(np.float32)
    half = "CAST(e AS HALFVEC(3))"
    nearest = f"SELECT id FROM t ORDER BY {half} <-> '[0,0,0]'::halfvec(3) LIMIT 3"
    expected = np.argsort(np.linalg.norm(vectors.astype(np.float16).astype(float), axis=1))[:3]
    with vsql.connect(autocommit=True) as connection:
        run = connection.execute
        run("CREATE TABLE t (id INT PRIMARY KEY, e VECTOR(3))")
        rows = list(enumerate(vectors))
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows[:200])
        with pytest.warns(UserWarning, match='"ix" speeds nothing up'):
            run(f"CREATE INDEX ix ON t USING hnsw (({half}) halfvec_l2_ops)")
        for statement in ("FLUSH", "OPTIMIZE", "DELETE FROM t WHERE id = 399", "OPTIMIZE t FULL"):
            run(statement)
            if statement == "FLUSH":
                connection.executemany("INSERT INTO t VALUES (?, ?)", rows[200:])
            if statement != "FLUSH":
                found = [row[0] for row in run(nearest).fetchall()]
                assert found == [n for n in expected.tolist() if n != 399][:3]
        assert not run("CHECK DATABASE").fetchall()


@pytest.mark.parametrize("family", ["halfvec", "int8vec", "bfloatvec", "vector"])
def test_an_export_keeps_its_class(family: str, tmp_path: Path) -> None:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, e VECTOR(3))")
        with pytest.warns(UserWarning, match="speeds nothing up"):
            connection.execute(
                f"CREATE INDEX ix ON t USING hnsw ((e::{family}(3)) {family}_l2_ops)"
            )
        connection.execute(f"EXPORT DATABASE '{tmp_path}'")
    with vsql.connect(autocommit=True) as other:
        with pytest.warns(UserWarning, match="speeds nothing up"):
            other.execute(f"IMPORT DATABASE '{tmp_path}'")
        assert [row[0] for row in other.execute("SHOW INDEXES").fetchall() if row[0] == "ix"]
