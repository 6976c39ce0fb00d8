"""A vector index over an expression: a definition, whose searches are exact."""

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
