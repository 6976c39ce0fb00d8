"""The memory that a process may use, as control groups say."""

import os
from pathlib import Path

import pytest

from vsql.storage.memory_size import memory_bytes

WHOLE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MB = 1_000_000


@pytest.mark.parametrize(
    ("groups", "files", "found"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "5000000"}, 5 * MB),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "7000000"}, 7 * MB),
        ("0::/a/b\n", {"a/b/memory.max": "9000000", "memory.max": "3000000"}, 3 * MB),
        ("0::/elsewhere\n", {"memory.max": "4000000"}, 4 * MB),
        ("0::/\n", {}, WHOLE),
        (
            "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n",
            {"memory/x/memory.limit_in_bytes": "6000000", "cpu/x/memory.max": "1"},
            6 * MB,
        ),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, WHOLE),
        ("", {"memory.max": "1"}, WHOLE),
    ],
)
def test_the_least_limit_around_a_process(
    tmp_path: Path, groups: str, files: dict[str, str], found: int
) -> None:
    for name, text in files.items():
        (tmp_path / "mounted" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mounted" / name).write_text(text)
    (tmp_path / "cgroup").write_text(groups)
    assert memory_bytes(tmp_path / "cgroup", tmp_path / "mounted") == found


def test_a_system_without_control_groups(tmp_path: Path) -> None:
    assert memory_bytes(tmp_path / "nothing", tmp_path) == WHOLE
