"""Hybrid search: `ORDER BY rrf(a <=> :x, b <=> :y) LIMIT k`, several searches fused into one order.

Both functions are distances like the operators: smaller is better, so ORDER BY needs no DESC.

| function | value |
|---|---|
| `rrf(d1, d2, …, k => 60)` | −Σ 1 / (k + the row's rank in the search by dᵢ), from 1 |
| `weighted_sum(d1, d2, …, weights => ARRAY[…], norm => 'minmax')` | Σ wᵢ · norm(dᵢ) |

Each search gives its `depth` nearest rows (by default ten times LIMIT + OFFSET, at least 100). A
row that a search does not give adds nothing to rrf; weighted_sum uses its exact distance.
Source: Cormack, Clarke, Büttcher, "Reciprocal rank fusion", SIGIR 2009; Milvus's RRFRanker and
WeightedRanker.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.distance import Metric
from vsql.core.errors import NotSupportedError, ProgrammingError, did_you_mean
from vsql.core.schema import Column
from vsql.planner.bind import folded, span_of, vector_distance

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "rrf": ("k", "depth"),
    "weighted_sum": ("weights", "norm", "depth"),
}
NORMS = ("minmax", "arctan", "none")


@dataclass(frozen=True, slots=True)
class Fused:
    """An ordering by a fusion: `distances` are metric, column and query of each search."""

    call: exp.Anonymous
    distances: tuple[tuple[Metric, Column, exp.Expr], ...]
    options: Mapping[str, exp.Expr]

    @property
    def method(self) -> str:
        return self.call.name.lower()

    @property
    def name(self) -> str:
        """The name of an output that shows it."""
        return self.method

    def is_value(self, node: exp.Expr, columns: tuple[Column, ...]) -> bool:
        """Whether an expression is the value that orders the rows."""
        return node.unnest() == self.call


def is_fusion(node: exp.Expr) -> bool:
    """Whether a node is a call of a fusion."""
    return isinstance(node, exp.Anonymous) and node.name.lower() in _OPTIONS


def fusion_of(node: exp.Expr, columns: tuple[Column, ...]) -> Fused | None:
    """Return the fusion that `node` is, None for anything else; raises ProgrammingError."""
    node = node.unnest()
    if not isinstance(node, exp.Anonymous) or not is_fusion(node):
        return None
    distances: list[tuple[Metric, Column, exp.Expr]] = []
    options: dict[str, exp.Expr] = {}
    for argument in node.expressions:
        if isinstance(argument, exp.Kwarg):
            options[_option(node, argument)] = argument.expression
            continue
        distance = vector_distance(argument, columns)
        if distance is None:
            raise ProgrammingError(
                f"{node.name.lower()} fuses distances of a table's vectors to constants",
                code=sqlstate.UNDEFINED_FUNCTION,
                span=span_of(argument) or span_of(node),
                hint=f"as in {node.name.lower()}(a <=> :x, b <-> :y)",
            )
        distances.append(distance)
    if not distances:
        raise ProgrammingError(
            f"{node.name.lower()} needs a distance to fuse",
            code=sqlstate.UNDEFINED_FUNCTION,
            span=span_of(node),
        )
    return Fused(node, tuple(distances), options)


def _option(node: exp.Anonymous, argument: exp.Kwarg) -> str:
    name, known = folded(argument.this), _OPTIONS[node.name.lower()]
    if name not in known:
        raise ProgrammingError(
            f'{node.name.lower()} has no argument "{name}"',
            code=sqlstate.UNDEFINED_FUNCTION,
            hint=did_you_mean(name, known),
        )
    return name


def refuse_fusion(tree: exp.Expr) -> None:
    """Raise NotSupportedError for a fusion that no search took."""
    for node in tree.find_all(exp.Anonymous):
        if is_fusion(node):
            raise NotSupportedError(
                f"{node.name.lower()} can stand in ORDER BY … LIMIT of a SELECT over one table,"
                " and in its select list",
                span=span_of(node),
                hint="put that SELECT into a subquery, and the rest around it",
            )
