"""The six distances: their operators, functions and operator classes.

Smaller is nearer for every one. Names are pgvector's.
"""

from enum import Enum


class Metric(Enum):
    """A distance; the value is the word after `vsql.` in `OPERATOR(vsql.…)`."""

    L2 = "l2"
    INNER_PRODUCT = "inner_product"
    COSINE = "cosine"
    L1 = "l1"
    HAMMING = "hamming"
    JACCARD = "jaccard"

    @property
    def operator(self) -> str:
        """The SQL operator, such as `<=>`."""
        return _OPERATORS[self]

    @property
    def function(self) -> str:
        """The SQL function, such as `cosine_distance`."""
        return _FUNCTIONS[self]

    @property
    def operator_class(self) -> str:
        """What stands after the column in CREATE INDEX, without the type: `cosine_ops`."""
        return _OPERATOR_CLASSES[self]

    @property
    def over_bits(self) -> bool:
        """Whether the distance is defined on BIT(n) instead of numeric vectors."""
        return self in (Metric.HAMMING, Metric.JACCARD)


_OPERATORS = {
    Metric.L2: "<->",
    Metric.INNER_PRODUCT: "<#>",
    Metric.COSINE: "<=>",
    Metric.L1: "<+>",
    Metric.HAMMING: "<~>",
    Metric.JACCARD: "<%>",
}
_FUNCTIONS = {
    Metric.L2: "l2_distance",
    Metric.INNER_PRODUCT: "negative_inner_product",
    Metric.COSINE: "cosine_distance",
    Metric.L1: "l1_distance",
    Metric.HAMMING: "hamming_distance",
    Metric.JACCARD: "jaccard_distance",
}
_OPERATOR_CLASSES = {
    Metric.L2: "l2_ops",
    Metric.INNER_PRODUCT: "ip_ops",
    Metric.COSINE: "cosine_ops",
    Metric.L1: "l1_ops",
    Metric.HAMMING: "hamming_ops",
    Metric.JACCARD: "jaccard_ops",
}

METRIC_BY_OPERATOR = {operator: metric for metric, operator in _OPERATORS.items()}
METRIC_BY_FUNCTION = {function: metric for metric, function in _FUNCTIONS.items()}
_PREFIXES = ("vector", "halfvec", "bfloatvec", "int8vec", "sparsevec")
METRIC_BY_OPERATOR_CLASS = {
    f"{prefix}_{name}": metric
    for metric, name in _OPERATOR_CLASSES.items()
    for prefix in (("bit",) if metric.over_bits else _PREFIXES)
}
"""The prefix is the name of the type that the class is for."""
