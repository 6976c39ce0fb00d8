"""The package list of pyproject.toml is what is on the disk, and the four links are optional."""

import subprocess
import sys
import tomllib
from pathlib import Path

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


def test_a_first_search_waits_for_no_other_kind_of_statement(tmp_path: Path) -> None:
    made = (
        "import vsql\n"
        f"c = vsql.connect({str(tmp_path / 'db')!r}, autocommit=True)\n"
        "c.execute('CREATE TABLE t (id BIGINT PRIMARY KEY, e VECTOR(2))')\n"
        "c.execute('INSERT INTO t VALUES (1, ?)', ([1.0, 0.0],))\n"
        "c.close()"
    )
    searched = (
        "import sys, vsql\n"
        f"c = vsql.connect({str(tmp_path / 'db')!r}, autocommit=True)\n"
        "assert c.execute('SELECT id FROM t ORDER BY e <-> ? LIMIT 1', ([1, 0],)).fetchone()\n"
        "others = ('vsql.core.changes', 'vsql.planner.scan_nodes', 'vsql.planner.search_nodes',\n"
        "    'vsql.planner.relational_nodes', 'vsql.planner.write_nodes',\n"
        "    'vsql.planner.predicate', 'vsql.planner.system_catalog', 'vsql.executor.conjuncts',\n"
        "    'pyarrow.compute', 'duckdb', 'lark')\n"
        "print([name for name in others if name in sys.modules])"
    )
    subprocess.run([sys.executable, "-c", made], check=True, cwd=ROOT)
    done = subprocess.run(
        [sys.executable, "-c", searched], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"
