"""Runs Alembic's suite over a new database.

python tests/conformance/alembic/run.py [pytest arguments]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import vsql

FOLDER = Path(__file__).parent


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        with vsql.connect(f"{folder}/db", autocommit=True) as connection:
            # The suite expects these two to be there.
            connection.execute("CREATE SCHEMA test_schema")
            connection.execute("CREATE SCHEMA test_schema_2")
        suite = ["-c", "setup.cfg", "--rootdir", ".", "--dburi", f"vsql:///{folder}/db"]
        command = [sys.executable, "-m", "pytest", *suite, "-q", *sys.argv[1:], "suite_alembic.py"]
        return subprocess.run(command, cwd=FOLDER, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
