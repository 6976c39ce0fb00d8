"""The choice of an access path by facts alone: costs, promises, and what a curve can't promise."""

from dataclasses import replace

import pytest

from vsql.core.distance import Metric
from vsql.core.machine import BUILT_IN, Machine, distance_work
from vsql.core.protocols import Shape
from vsql.core.snapshot import CurvePoint
from vsql.core.types import Family, SqlType
from vsql.planner.choose import AccessPath, Choice, SearchFacts, Structure, consider

DISTANCE = distance_work(SqlType(Family.VECTOR, (128,)), Metric.COSINE)
SETTINGS = {"target_recall": 0.95, "ef_search": 0, "nprobe": 0, "access_path": "auto"}


def _facts(
    recalls: tuple[float, float, float], *, k: int, matches: float, machine: Machine = BUILT_IN
) -> SearchFacts:
    """100,000 rows, of which codes that can be scanned give `recalls` of the top 10, 100, 1000."""
    curve = tuple(
        CurvePoint(effort, depth, recall * share, 1_000.0 * effort)
        for effort, share in ((8, 0.5), (64, 1.0))
        for depth, recall in zip((10, 100, 1_000), recalls, strict=True)
    )
    scann = Structure("SCANN", Shape.LISTS, curve)
    return SearchFacts(
        100_000, matches, True, k, DISTANCE, (scann,), exact_nanoseconds=20.0, machine=machine
    )


def _costs(machine: Machine) -> dict[AccessPath, float]:
    found = consider(_facts((1.0, 1.0, 1.0), k=10, matches=5_000, machine=machine), SETTINGS)
    return {choice.path: choice.nanoseconds for choice in found}


def _scan(recalls: tuple[float, float, float], *, k: int, matches: float) -> Choice:
    found = consider(_facts(recalls, k=k, matches=matches), SETTINGS)
    return next(choice for choice in found if choice.path is AccessPath.SCAN)


def test_codes_that_blur_nothing_serve_any_filter() -> None:
    assert _scan((0.99, 0.99, 0.99), k=10, matches=1_000).share_max == 1.0
    assert _scan((0.95, 0.97, 0.99), k=10, matches=1_000).share_max == 1.0


def test_codes_that_blur_serve_matches_that_lie_deep() -> None:
    """The top 100 are found; the top 10 are not: so many of the nearest rows may match."""
    choice = _scan((0.5, 0.95, 0.99), k=10, matches=1_000)
    assert choice.share_max == pytest.approx(0.1)
    # Halfway from 0.91 to 0.99 in recall, and in the logarithm of depth.
    halfway = _scan((0.5, 0.91, 0.99), k=10, matches=1_000)
    assert halfway.share_max == pytest.approx(10 / 10**2.5)
    assert _scan((0.5, 0.5, 0.95), k=100, matches=10_000).share_max == pytest.approx(0.1)


def test_a_post_filter_is_no_path_once_the_matches_are_known() -> None:
    facts = _facts((1.0, 1.0, 1.0), k=10, matches=50_000)
    forced = {**SETTINGS, "access_path": "postfilter"}
    for known in (False, True):
        found = consider(replace(facts, mask_known=known), forced)
        assert (found[0].path is AccessPath.POSTFILTER) is not known


def test_what_another_machine_measured_is_scaled() -> None:
    """Exact distances took 20 ns where the index was built; here they take 400 ns, or 20.5."""
    built_in = _costs(BUILT_IN)
    slow = _costs(Machine({"vector_row": 272.0, "vector_component": 1.0}, 1))
    assert slow[AccessPath.SCAN] == pytest.approx(20 * built_in[AccessPath.SCAN])
    assert slow[AccessPath.EXACT] - built_in[AccessPath.EXACT] == pytest.approx(5_000 * 380)
    same = _costs(Machine({"vector_row": 7.7, "vector_component": 0.1}, 1))
    assert same == built_in


def test_the_machine_decides_what_pays() -> None:
    facts = _facts((1.0, 1.0, 1.0), k=10, matches=1_000)
    for nanoseconds, path in ((0.1, AccessPath.EXACT), (1_000.0, AccessPath.SCAN)):
        machine = Machine({"choice": nanoseconds, "vector_row": 7.2, "vector_component": 0.1}, 1)
        assert consider(replace(facts, machine=machine), SETTINGS)[0].path is path
