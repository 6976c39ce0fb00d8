"""The README's code runs, block after block, and so does the SQL of docs/."""

import re
from pathlib import Path
from typing import Any

import pytest

import vsql
from vsql.grammar.parse import split_statements

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def test_python_blocks_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 3
    exec(compile("\n".join(blocks), str(README), "exec"), {})


PYTHON_PAGES = ("driver", "sqlalchemy")


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_of_docs_runs(page: str) -> None:
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / f"{page}.md").read_text(), re.DOTALL
    )
    assert blocks
    exec(compile("\n".join(blocks), page, "exec"), {"__name__": page})


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.stem)
def test_sql_blocks_run(page: Path, tmp_path: Any) -> None:
    blocks = re.findall(r"```sql\n(.*?)```", page.read_text(), re.DOTALL)
    with vsql.connect(str(tmp_path / "db"), autocommit=True) as connection:
        for block in blocks:
            for piece in split_statements(block):
                connection.execute(piece.text)
