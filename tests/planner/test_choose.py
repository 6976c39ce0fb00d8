"""The choice of an access path by facts alone: costs, promises, and what a curve can't promise."""

import pytest

from vsql.core.protocols import Shape
from vsql.core.snapshot import CurvePoint
from vsql.planner.choose import AccessPath, Choice, SearchFacts, Structure, consider

SETTINGS = {"target_recall": 0.95, "ef_search": 0, "nprobe": 0, "access_path": "auto"}


def _scan(recalls: tuple[float, float, float], *, k: int, matches: float) -> Choice:
    """The scan of 100,000 rows whose codes give `recalls` of the top 10, 100 and 1000."""
    curve = tuple(
        CurvePoint(effort, depth, recall * share, 1_000.0 * effort)
        for effort, share in ((8, 0.5), (64, 1.0))
        for depth, recall in zip((10, 100, 1_000), recalls, strict=True)
    )
    facts = SearchFacts(100_000, matches, True, k, 128, (Structure("SCANN", Shape.LISTS, curve),))
    found = consider(facts, SETTINGS)
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
