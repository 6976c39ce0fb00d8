"""Every script of examples/ runs in a process of its own and prints what it should."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

# What each must print: patterns, in this order.
EXPECTED = {
    "langchain_retrieval": (
        r"kate: powerful text editor",
        r"small, and not alike",
        r"Answer from this alone:\nkate: powerful text editor",
        r"a text editor with syntax highlighting",
    ),
    "notebook": (r"libs +430", r"jed", r"editors", r"math", r"kate +5 +editors"),
    "orm_search": (
        r"like kate: powerful text editor",
        r"\n  0\.\d{3}  \w",
        r"small ones\n +\d+ KiB",
        r"sections of the nearest 100\n +\d+  ",
    ),
    "pgvector_loading": (r"loaded 5000", r"nearest to row 42: 42", r"found of 5: [45]"),
    "pgvector_sqlalchemy": (
        r"l2: \[2, 3, 1\]",
        r"hamming_distance: \[1, 3, 2\]",
        r"avg: \[1\.333, ",
        r"re-ranked: \[\d, \d\]",
        r"with indexes: \[2, 3, 1\]",
    ),
}


def run(path: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return done.stdout


def test_none_is_forgotten() -> None:
    assert set(EXPECTED) == {path.stem for path in EXAMPLES.glob("*.py")}


@pytest.mark.parametrize("name", EXPECTED)
def test_example(name: str) -> None:
    if name.startswith("langchain"):
        pytest.importorskip("langchain_core")
    printed = run(EXAMPLES / f"{name}.py")
    place = 0
    for pattern in EXPECTED[name]:
        found = re.compile(pattern).search(printed, place)
        assert found is not None, f"{pattern!r} is not in\n{printed}"
        place = found.end()


def test_same_as_pgvector(tmp_path: Path, postgres_uri: str) -> None:
    """With the import and the URL of pgvector, the script prints the same from PostgreSQL."""
    pytest.importorskip("pgvector.sqlalchemy")
    source = (EXAMPLES / "pgvector_sqlalchemy.py").read_text(encoding="utf-8")
    theirs = tmp_path / "theirs.py"
    theirs.write_text(source.replace("from vsql.dialect import", "from pgvector.sqlalchemy import"))
    url = postgres_uri.replace("postgresql:", "postgresql+psycopg:")
    folder = f"vsql:///{tmp_path}/db"
    mine = run(EXAMPLES / "pgvector_sqlalchemy.py", folder)
    assert mine == run(theirs, url)
