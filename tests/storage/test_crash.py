"""A few rounds of the harnesses; `make crash`, `make stress` and `make fuzz` run many."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "crash"


def harness(name: str) -> Any:
    sys.path.insert(0, str(FOLDER))
    try:
        specification = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


def test_kills_lose_nothing() -> None:
    assert harness("harness").run(6, 60, 11, say=False) >= 3


def test_readers_beside_writers_see_whole_transactions() -> None:
    counts = harness("stress").stress(4, 4, 2)
    assert counts["_transfer"] > 0
    assert counts["_look"] > 0


def test_broken_text_raises_errors_of_vsql_alone() -> None:
    tried, failures = harness("fuzz").fuzz(5, 17)
    assert not failures
    assert tried > 50
