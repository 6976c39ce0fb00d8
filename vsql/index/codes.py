"""How vectors become codes: how long, what they learn from, and how much they blur."""

import numpy as np

from vsql.core import sqlstate
from vsql.core.distance import Metric
from vsql.core.errors import OperationalError
from vsql.core.protocols import AnyOption, FlagOption, Floats, Vectors, WordOption
from vsql.core.types import SqlType

REFINED: tuple[AnyOption, ...] = (
    FlagOption("refine", True, "accepted: candidates are ranked exactly whatever it says"),
    WordOption(
        "refine_type",
        "FP32",
        ("SQ6", "SQ8", "FP16", "BF16", "FP32"),
        "accepted: candidates are ranked by the column's own type",
    ),
)
"""Milvus keeps finer codes to rank candidates by; here the column has the vectors themselves."""

METRICS = frozenset({Metric.COSINE, Metric.INNER_PRODUCT, Metric.L2})
"""What faiss measures between a query and a code."""
FLOAT_DIMENSIONS = 32
"""Vectors shorter than this are kept as floats: codes would save little and blur much."""
PRODUCT_BITS_MAX = 16
_FLOAT_MAX = float(np.finfo(np.float32).max)
_SAMPLE_BYTES_MAX = 1 << 30
_TRAINING_ROWS_MIN = 64
"""At least a few vectors for each of 16 centres, the fewest that anything learns."""
_TRAINING_ROWS_PER_CENTRE = 32
_BLOCK_ROWS = 8_192
_SEED = 1234
_SUB_QUANTISERS_MAX = 1_024
"""More than so many, unless asked for: their tables of distances, 1 KB each, leave the cache."""
_FEW_DIMENSIONS = 32
_BLURRED = 1.5
WHOLE = 32.0
"""Bits per dimension of codes that blur nothing."""


def serve(type_: SqlType, metric: Metric) -> bool:
    """Whether codes serve a column: its vectors are dense, and the metric is one of theirs."""
    return type_.is_dense and metric in METRICS


def bits(code_bytes: int, dimension: int) -> float:
    """Return the bits of each dimension, for `candidates`.

    Where few dimensions tell rows apart, 8 bits of each blur as much as 2 of many do.
    """
    found = 8 * code_bytes / dimension
    return found if found > 8 or dimension >= _FEW_DIMENSIONS else min(found, _BLURRED)


def candidates(k: int, bits_per_dimension: float) -> int:
    """Return how many candidates hold the top `k`, found by codes of so many bits.

    8 bits misplace few, and not by far; 2 blur the order of near rows; 1 leaves their
    neighbourhood. Chosen on 62,666 sentence embeddings so that the candidates cost no recall.
    """
    if bits_per_dimension >= 7.5:
        return k + max(6, k // 8)
    if bits_per_dimension >= _BLURRED:
        return 3 * k + 20
    return 8 * k + 60


def sub_quantisers(dimension: int, wanted: int, at_most: int) -> int:
    """Return the number of sub-quantisers, which must divide the dimension.

    As wanted; else the most that divide it, but where these are far fewer (a prime dimension has
    one), the fewest that are enough.
    """
    if wanted:
        return wanted
    limit = max(1, min(at_most, dimension, _SUB_QUANTISERS_MAX))
    fitting = [count for count in range(1, dimension + 1) if dimension % count == 0]
    most = max(count for count in fitting if count <= limit)
    return most if 4 * most >= limit else min(count for count in fitting if count >= limit)


def product_bits(wanted: int, rows: int) -> int:
    """Return the bits of a product code: as wanted, but no more centres than vectors."""
    return min(wanted, max(rows, _TRAINING_ROWS_MIN).bit_length() - 1)


def product_training_rows(bits: int) -> int:
    """Return how many rows a product quantiser of so many bits learns from."""
    return _TRAINING_ROWS_PER_CENTRE << bits


def extremes(vectors: Vectors, metric: Metric) -> Floats:
    """Return two vectors, the least and greatest value of each dimension.

    Scalar codes learn nothing else from training, so this trains them on every row without a copy
    of all of them.
    """
    from vsql.index.faiss_calls import prepared

    found = np.zeros((2, vectors.shape[1]), dtype=np.float32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = prepared(vectors[start : start + _BLOCK_ROWS], metric)
        np.minimum(found[0], block.min(axis=0), out=found[0])
        np.maximum(found[1], block.max(axis=0), out=found[1])
    return found


def sample(vectors: Vectors, wanted: int, least: int, metric: Metric) -> Floats:
    """Return about `wanted` vectors to train on, float32: all, repeated where they are too few.

    At least `least`, and beyond that not more than a gigabyte. Raises OperationalError (54000) for
    numbers so large that distances between them are none: faiss ends the process over those.
    """
    chosen = _chosen(vectors, wanted, least, metric)
    largest = float(np.abs(chosen).max(initial=0.0))
    if 4 * largest * largest * chosen.shape[1] > _FLOAT_MAX:
        raise OperationalError(
            f"numbers up to {largest:.3g} are too large to be clustered: squares of distances"
            " between such vectors are no 32-bit floats",
            code=sqlstate.PROGRAM_LIMIT_EXCEEDED,
            hint="create an HNSW index, which is not clustered, or scale the vectors down",
        )
    return chosen


def _chosen(vectors: Vectors, wanted: int, least: int, metric: Metric) -> Floats:
    from vsql.index.faiss_calls import prepared

    rows, dimension = vectors.shape
    dimension *= 8 if metric.over_bits else 1
    least = max(least, _TRAINING_ROWS_MIN)
    wanted = max(least, min(wanted, _SAMPLE_BYTES_MAX // (4 * dimension)))
    if rows == 0:
        return np.zeros((least, dimension), dtype=np.float32)
    if rows < least:
        return np.resize(prepared(vectors, metric), (least, dimension))
    if rows <= wanted:
        return prepared(vectors, metric)
    chosen = np.random.default_rng(_SEED).choice(rows, wanted, replace=False)
    chosen.sort()
    return prepared(vectors[chosen], metric)
