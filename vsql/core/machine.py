"""What work costs on a machine, in nanoseconds: ANALYZE MACHINE measures it, the planner counts it.

Work is counted by the names of constants, so that a plan says how much there is to do and the
machine it runs on what that takes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from vsql.core.distance import Metric
from vsql.core.types import SqlType

Work = tuple[tuple[str, float], ...]
"""Names of constants, each with how many times it counts."""


@dataclass(frozen=True, slots=True)
class Constant:
    """One cost; `default`, in nanoseconds, stands where ANALYZE MACHINE never ran."""

    name: str
    default: float
    meaning: str


CALL = "call"
CHOICE = "choice"
COMPARISON = "comparison"
PATTERN = "pattern"
DOCUMENT = "document"
RELATIONAL = "relational"
RELATIONAL_CALL = "relational_call"
_DISTANCES = {
    "vector": ("VECTOR", 5.0, 0.11),
    "l1": ("VECTOR under L1", 18.0, 0.2),
    "halfvec": ("HALFVEC", 20.0, 5.0),
    "bfloatvec": ("BFLOATVEC", 20.0, 0.6),
    "int8vec": ("INT8VEC", 20.0, 0.6),
    "bit": ("BIT", 10.0, 0.009),
    "jaccard": ("BIT under JACCARD", 16.0, 0.012),
    "sparsevec": ("SPARSEVEC", 50.0, 10.0),
}

CONSTANTS: Mapping[str, Constant] = MappingProxyType(
    {
        constant.name: constant
        for constant in (
            Constant(CALL, 10_000.0, "ranking a handful of rows"),
            Constant(CHOICE, 2.0, "choosing the nearest, a row"),
            *(
                Constant(f"{name}_{part}", cost, f"distance to {title}, {per}")
                for name, (title, row, component) in _DISTANCES.items()
                for part, cost, per in (
                    ("row", row, "a row"),
                    ("component", component, "a component"),
                )
            ),
            Constant(COMPARISON, 0.5, "comparing a column with a constant, a row"),
            Constant(PATTERN, 15.0, "matching text with a pattern, a row"),
            Constant(DOCUMENT, 800.0, "reading a path of a JSON document, a row"),
            Constant(RELATIONAL, 30.0, "an expression in DuckDB, a row"),
            Constant(RELATIONAL_CALL, 150_000.0, "an expression in DuckDB over a few rows"),
        )
    }
)
"""The defaults are one core of an AMD EPYC of 2020, where nothing else ran or almost nothing."""


LINES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "vector": (64, 1024),
        "l1": (64, 256),
        "halfvec": (64, 256),
        "bfloatvec": (64, 256),
        "int8vec": (64, 256),
        "bit": (128, 2048),
        "jaccard": (128, 2048),
        "sparsevec": (16, 64),
    }
)
"""The two sizes of vectors, in components, between which the cost of a distance is a line."""

_BAND = 10.0
"""No machine is thought more than this many times faster or slower than the defaults say."""


def settled(samples: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return constants from samples of nanoseconds a row, those of calls a call.

    Of each name in `samples` the least counts: whatever else ran can only have added to it. The
    names are those of constants; ("vector_64", "vector_1024"), two sizes of each line; and
    ("choice_with", "choice_without") where one cannot be had without the other. A constant that
    comes out negative, a difference of runs that others disturbed, is left out; one that is more
    than 10 times its default, or less than a tenth of it, is taken for such a difference too, and
    becomes that bound.
    """
    least = {name: min(values) for name, values in samples.items()}
    found = {name: least[name] for name in CONSTANTS if name in least}
    for name in CONSTANTS:
        if f"{name}_with" in least:
            found[name] = least[f"{name}_with"] - least[f"{name}_without"]
    for name, sizes in LINES.items():
        if all(f"{name}_{size}" in least for size in sizes):
            few, many = (least[f"{name}_{size}"] for size in sizes)
            # Large vectors may cost more than their size where their copies leave the cache.
            component = min((many - few) / (sizes[1] - sizes[0]), many / sizes[1])
            found[f"{name}_component"] = component
            found[f"{name}_row"] = few - component * sizes[0]
    return {name: _within(name, cost) for name, cost in found.items() if cost > 0}


def _within(name: str, nanoseconds: float) -> float:
    default = CONSTANTS[name].default
    return round(min(max(nanoseconds, default / _BAND), default * _BAND), 4)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's constants; those that were not measured are the defaults.

    `measured_us` is when, in microseconds since 1970, None where ANALYZE MACHINE never ran.
    """

    nanoseconds: Mapping[str, float] = field(default_factory=dict)
    measured_us: int | None = None

    def cost(self, work: Work) -> float:
        """Return the nanoseconds that work takes."""
        return sum(times * self.constant(name) for name, times in work)

    def constant(self, name: str) -> float:
        """Return one constant, in nanoseconds."""
        return self.nanoseconds.get(name, CONSTANTS[name].default)


BUILT_IN = Machine()


def distance_work(type_: SqlType, metric: Metric) -> Work:
    """Return the work of one exact distance by row number to a vector column."""
    named = {Metric.L1: "l1", Metric.JACCARD: "jaccard"}
    name = "sparsevec" if type_.is_sparse else named.get(metric, type_.family.value.lower())
    return ((f"{name}_row", 1.0), (f"{name}_component", float(type_.number_count)))
