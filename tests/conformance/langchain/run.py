"""Runs LangChain's standard tests of vector stores; apart, for they bring plug-ins of pytest.

python tests/conformance/langchain/run.py [pytest arguments]
"""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> int:
    command = [sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", ".", "-q"]
    # The vsql beside this file, installed or not.
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parents[2])}
    return subprocess.run(
        [*command, *sys.argv[1:], "suite_langchain.py"], cwd=FOLDER, check=False, env=environment
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
