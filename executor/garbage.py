"""VACUUM: old versions out of the catalog, and the files that only they needed off the disk."""

import time
from dataclasses import dataclass
from pathlib import Path

from vsql.catalog.catalog import Catalog
from vsql.catalog.collect import files_known, forget_before, horizon
from vsql.storage.store import Store

# A file that no version names may be one that another process is about to commit.
_ORPHAN_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Collected:
    """What garbage collection removed."""

    versions: int
    files: int
    bytes: int


def collect(
    catalog: Catalog, store: Store, *, pinned: int, kept_since: int, alone: bool
) -> Collected:
    """Remove what no version from the horizon on needs; raises OperationalError.

    `pinned` is the oldest version that some transaction reads, `kept_since` a time in microseconds
    from which every version is kept, `alone` whether no other process may be writing.
    """
    oldest = horizon(catalog, pinned, kept_since)
    versions = forget_before(catalog, oldest)
    # In this order: what is committed between both is known.
    found = store.names()
    known = files_known(catalog) | store.pending
    doomed = [name for name in found if name not in known]
    if not alone:
        doomed = [name for name in doomed if _is_old(store.root, name)]
    size = sum(store.size(name) for name in doomed)
    store.remove(doomed)
    if versions or doomed:
        catalog.shrink()
    return Collected(versions, len(doomed), size)


def _is_old(root: Path | None, name: str) -> bool:
    if root is None:
        return True
    try:
        return time.time() - (root / name).stat().st_mtime > _ORPHAN_SECONDS
    except FileNotFoundError:
        return False
