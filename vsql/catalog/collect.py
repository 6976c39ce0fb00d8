"""Garbage collection: what no version that is kept can see, in the catalog and on the disk."""

from vsql.catalog.catalog import Catalog

_VERSIONED = ("table_", "index_", "segment", "deleted", "setting", "object_")


def horizon(catalog: Catalog, pinned: int, kept_since: int) -> int:
    """Return the oldest version to keep: the one at a time, or an older one that is being read.

    `kept_since` is in microseconds since 1970.
    """
    row = catalog.rows(
        "SELECT COALESCE(MAX(CASE WHEN committed_us <= :since THEN version END), 0), "
        "COALESCE(MAX(version), 0) FROM version",
        {"since": kept_since},
    )[0]
    return min(int(row[0]), int(row[1]), pinned)


def forget_before(catalog: Catalog, oldest: int) -> int:
    """Remove every row that no version from `oldest` on sees; returns the versions forgotten."""
    at = {"oldest": oldest}
    forgotten = catalog.rows("SELECT COUNT(*) FROM version WHERE version < :oldest", at)[0][0]
    statements = [
        (f"DELETE FROM {name} WHERE removed IS NOT NULL AND removed <= :oldest", at)
        for name in _VERSIONED
    ]
    statements += [
        ("DELETE FROM inlined WHERE segment_id NOT IN (SELECT id FROM segment)", {}),
        ("DELETE FROM deleted WHERE segment_id NOT IN (SELECT id FROM segment)", {}),
        (
            "DELETE FROM index_file WHERE segment_id NOT IN (SELECT id FROM segment) "
            "OR index_id NOT IN (SELECT id FROM index_)",
            {},
        ),
        ("DELETE FROM version WHERE version < :oldest", at),
    ]
    catalog.change(statements)
    return int(forgotten)


def files_known(catalog: Catalog) -> set[str]:
    """Return the names of all files that some version which is kept needs."""
    named = catalog.rows(
        "SELECT name FROM segment WHERE name IS NOT NULL UNION SELECT name FROM index_file"
    )
    return {row[0] for row in named}
