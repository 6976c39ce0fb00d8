"""LangChain's standard tests of a vector store pass, sync and async, none of them skipped."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "langchain" / "run.py"


def test_suite() -> None:
    pytest.importorskip("langchain_tests")
    done = subprocess.run(
        [sys.executable, str(RUN)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-5_000:]
    counts = dict(re.findall(r"(\d+) (\w+)", done.stdout.splitlines()[-1]))
    words = {word: int(count) for count, word in counts.items()}
    assert words["passed"] >= 25
    assert not words.keys() & {"failed", "errors", "skipped", "xfailed"}
