"""Filters that follow the vectors: rows near one place or far from it, by every kind of lists."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

import vsql
from vsql.driver.connection import Connection

_ROWS, _DIMENSION, _QUERIES = 12_000, 128, 20
_KINDS = ("SCANN", "IVF_SQ8", "IVF_RABITQ")


def _made() -> npt.NDArray[np.float32]:
    """Return unit vectors in clusters of 24 intrinsic dimensions."""
    random = np.random.default_rng(3)
    rows = _ROWS + _QUERIES
    centres = 1.5 * random.standard_normal((40, 24))[random.integers(0, 40, rows)]
    points = centres + 0.6 * random.standard_normal((rows, 24))
    vectors = points @ random.standard_normal((24, _DIMENSION)) / np.sqrt(24)
    vectors += 0.05 * random.standard_normal(vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


_MADE = _made()
VECTORS, QUERIES = _MADE[:_ROWS], _MADE[_ROWS:]
# The place that rows are near to, or far from.
ANCHOR = VECTORS[0]
NEARNESS = np.argsort(np.argsort(-(VECTORS @ ANCHOR)))


@pytest.fixture(scope="module", params=_KINDS)
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    with vsql.connect(autocommit=True, background="off") as connection:
        connection.execute(f"CREATE TABLE t (id INT, nearness INT, e VECTOR({_DIMENSION}))")
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), _DIMENSION)
        columns = {"id": range(_ROWS), "nearness": NEARNESS, "e": vectors}
        connection.cursor().adbc_ingest("t", pa.table(columns), "append")
        connection.execute("FLUSH")
        connection.execute(f"CREATE INDEX ON t USING {request.param} (e vector_cosine_ops)")
        yield connection


def _recall(
    connection: Connection, query: npt.NDArray[np.float32], first: int, last: int, k: int
) -> float:
    sql = "SELECT id FROM t WHERE nearness >= ? AND nearness < ? ORDER BY e <=> ? LIMIT ?"
    found = {id_ for (id_,) in connection.execute(sql, (first, last, query, k))}
    rows = np.flatnonzero((first <= NEARNESS) & (last > NEARNESS))
    nearest = rows[np.argsort(-(VECTORS[rows] @ query), kind="stable")[:k]]
    return len(found & set(nearest.tolist())) / k


@pytest.mark.parametrize("path", ["auto", "scan"])
@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 6_000), (6_000, 12_000), (0, 1_200), (10_800, 12_000), (5_400, 6_600)],
)
@pytest.mark.parametrize("k", [10, 100])
def test_the_promise_holds(
    connection: Connection, path: str, first: int, last: int, k: int
) -> None:
    connection.execute(f"SET access_path = {path}")
    recalls = [_recall(connection, query, first, last, k) for query in QUERIES]
    assert np.mean(recalls) >= 0.94
    # Rows that are all about as far from a query are the hardest to tell apart by their codes.
    assert _recall(connection, ANCHOR, first, last, k) >= 0.8
