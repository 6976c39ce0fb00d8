"""Runs SQLAlchemy's dialect suite over a new database.

python tests/conformance/sqlalchemy/run.py [--driver aio] [pytest arguments]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import vsql

FOLDER = Path(__file__).parent


def command(place: str, driver: str, arguments: list[str]) -> list[str]:
    """Return the command that runs the suite over a database."""
    suite = ["-c", "setup.cfg", "--rootdir", ".", "--dburi", f"vsql+{driver}:///{place}"]
    return [sys.executable, "-m", "pytest", *suite, "-q", *arguments, "suite_sqlalchemy.py"]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", choices=("vsql", "aio"), default="vsql")
    chosen, arguments = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        place = f"{folder}/db"
        with vsql.connect(place, autocommit=True) as connection:
            # The suite expects these two to be there.
            connection.execute("CREATE SCHEMA test_schema")
            connection.execute("CREATE SCHEMA test_schema_2")
        return subprocess.run(
            command(place, chosen.driver, arguments), cwd=FOLDER, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
