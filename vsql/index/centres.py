"""Centres of clusters: which of them are near a query."""

import numpy as np

from vsql.core.distance import Metric
from vsql.core.protocols import Floats


class Centres:
    """Vectors, (centres, dimension), under one metric; what needs no query is computed once.

    Where these are of bits, a query is zeros and ones, and a centre the share of ones of its rows.
    """

    __slots__ = ("_metric", "_own", "_vectors")

    def __init__(self, vectors: Floats, metric: Metric) -> None:
        self._vectors = vectors
        self._metric = metric
        self._own = _own_part(vectors, metric)

    def scores(self, queries: Floats) -> Floats:
        """Return (queries, centres), the smaller the nearer: distances but for the query's part.

        For L2 half of the squared distance.
        """
        products: Floats = queries @ self._vectors.T
        if self._metric is Metric.JACCARD:
            either = queries.sum(axis=1)[:, None] + self._own - products
            return np.asarray(-products / np.maximum(either, np.float32(1e-9)))
        if self._metric is Metric.HAMMING:
            products *= 2
        return np.subtract(self._own, products, out=products)


def _own_part(vectors: Floats, metric: Metric) -> Floats:
    """Return what each centre adds to its distances, one number for all where it is the same."""
    if metric.over_bits:
        return np.asarray(vectors.sum(axis=1))
    if metric is Metric.L2:
        return np.asarray(0.5 * np.einsum("ij,ij->i", vectors, vectors))
    return np.zeros(1, dtype=np.float32)
