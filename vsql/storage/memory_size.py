"""How much memory this process may use: the machine's, or less where a control group says so."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")


@functools.cache
def memory_bytes(groups: Path = _GROUPS, mounted: Path = _MOUNTED) -> int:
    """Return the bytes that the process and what it maps may take without being dropped.

    `groups` says which control groups it is in, `mounted` is where those are (cgroups(7)).
    """
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(whole, *_limits(groups, mounted))


def _limits(groups: Path, mounted: Path) -> Iterator[int]:
    """Yield the limits of the memory controller, of version 1 or 2, and of the groups around."""
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    yield 1 << 62
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        root = mounted / controllers
        group = root / path.lstrip("/")
        # A container may see its own group as the root, under a name from outside.
        for place in (group, *group.parents):
            written = _read(place / name)
            if written.isdigit():
                yield int(written)
            if place == root:
                break


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
