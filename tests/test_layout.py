"""The package list of pyproject.toml is what is on the disk, and the four links are optional."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {"vsql": "vsql", **{name: name for name in ("grammar", "planner", "executor", "dialect")}}


def test_every_package_is_listed() -> None:
    listed = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    )
    found = set()
    for folder in ROOMS:
        prefix = "vsql" if folder == "vsql" else f"vsql.{folder}"
        for init in (ROOT / folder).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT / folder).parts
            if not any(
                (ROOT / folder / Path(*parts[: n + 1])).is_symlink() for n in range(len(parts))
            ):
                found.add(".".join((prefix, *parts)))
    assert listed == found


def test_the_rooms_have_one_name() -> None:
    assert not {"grammar", "planner", "executor", "dialect"} & set(sys.modules)


def test_import_and_version_load_no_library() -> None:
    heavy = "{'numpy', 'pyarrow', 'faiss', 'sqlglot', 'duckdb', 'lark'}"
    for code in (
        f"import vsql, sys; sys.exit(bool({heavy} & set(sys.modules)))",
        "import sys; from vsql.repl.main import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        f"sys.exit(bool({heavy} & set(sys.modules)))",
    ):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


_OTHERS = (
    "'vsql.core.changes', 'vsql.planner.scan_nodes', 'vsql.planner.search_nodes', "
    "'vsql.planner.relational_nodes', 'vsql.planner.write_nodes', 'vsql.planner.predicate', "
    "'vsql.planner.system_catalog', 'vsql.executor.conjuncts', 'pyarrow.compute', 'lark'"
)


@pytest.mark.parametrize(
    ("condition", "others"),
    [
        ("", _OTHERS),
        ("WHERE n < 5", "'lark'"),
        ("WHERE n IN (3, 4)", "'lark'"),
        ("WHERE name = 'a'", "'lark'"),
        ("WHERE name LIKE 'a%'", "'lark'"),
    ],
)
def test_a_first_search_waits_for_no_other_kind_of_statement(
    tmp_path: Path, condition: str, others: str
) -> None:
    made = (
        "import vsql\n"
        f"c = vsql.connect({str(tmp_path / 'db')!r}, autocommit=True)\n"
        "c.execute('CREATE TABLE t (id BIGINT PRIMARY KEY, n INT, name TEXT, e VECTOR(2))')\n"
        "c.execute('INSERT INTO t VALUES (1, 3, ?, ?), (2, 3, ?, ?)', ('a', [1, 0], 'a', [1, 1]))\n"
        "c.execute('DELETE FROM t WHERE id = 2')\n"
        "c.close()"
    )
    query = f"SELECT id FROM t {condition} ORDER BY e <-> ? LIMIT 1"
    searched = (
        "import sys, vsql\n"
        f"c = vsql.connect({str(tmp_path / 'db')!r}, autocommit=True)\n"
        f"assert c.execute({query!r}, ([1, 0],)).fetchall() == [(1,)]\n"
        f"print([name for name in ('duckdb', 'pandas', {others}) if name in sys.modules])"
    )
    subprocess.run([sys.executable, "-c", made], check=True, cwd=ROOT)
    done = subprocess.run(
        [sys.executable, "-c", searched], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"
