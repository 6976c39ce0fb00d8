"""Alembic's own suite for dialects passes."""

import re
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parent / "alembic" / "run.py"


def test_suite() -> None:
    done = subprocess.run(
        [sys.executable, str(RUN)], capture_output=True, text=True, check=False, timeout=600
    )
    passed = re.search(r"^(\d+) passed", done.stdout.splitlines()[-1])
    assert passed is not None, done.stdout[-5_000:]
    assert int(passed.group(1)) >= 71
