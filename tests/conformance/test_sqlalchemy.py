"""SQLAlchemy's own dialect suite passes, but for what run.py excludes with a reason."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance import sqlalchemy_suite

RUN = Path(__file__).parent / "sqlalchemy" / "run.py"


@pytest.mark.parametrize("driver", ["vsql", "aio"])
def test_suite(driver: str) -> None:
    run = [sys.executable, str(RUN), "--driver", driver]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=600)
    failed = sqlalchemy_suite.failures(done.stdout)
    unexpected = [name for name in failed if sqlalchemy_suite.reason(name) is None]
    assert not unexpected, done.stdout[-5_000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout[-5_000:]
    assert int(passed.group(1)) > 1_400
