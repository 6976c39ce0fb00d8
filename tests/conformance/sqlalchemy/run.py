"""Runs SQLAlchemy's dialect suite over a new database.

python tests/conformance/sqlalchemy/run.py [pytest arguments]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import vsql

FOLDER = Path(__file__).parent


def command(place: str, arguments: list[str]) -> list[str]:
    """Return the command that runs the suite over a database."""
    suite = ["-c", "setup.cfg", "--rootdir", ".", "--dburi", f"vsql:///{place}"]
    return [sys.executable, "-m", "pytest", *suite, "-q", *arguments, "suite_sqlalchemy.py"]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        place = f"{folder}/db"
        with vsql.connect(place, autocommit=True) as connection:
            # The suite expects these two to be there.
            connection.execute("CREATE SCHEMA test_schema")
            connection.execute("CREATE SCHEMA test_schema_2")
        return subprocess.run(command(place, sys.argv[1:]), cwd=FOLDER, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
