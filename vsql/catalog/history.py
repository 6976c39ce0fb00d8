"""What the catalog remembers of the past: versions of a table, dropped tables, changes of rows."""

from dataclasses import dataclass, field

from vsql.catalog.catalog import Catalog


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One version: when it was committed, in microseconds since 1970, and what it did."""

    version: int
    committed: int
    operation: str


@dataclass(frozen=True, slots=True)
class SegmentLife:
    """A segment of a table's past, as `vsql_changes` needs it.

    `added` and `removed` are versions; `rewritten` and `moved` tell that its rows came from, or
    went to, other segments. `deletes` are roaring bitmaps by the version that deleted the rows and
    the one that undid it.
    """

    id: int
    row_count: int
    name: str | None
    added: int
    removed: int | None
    rewritten: bool
    moved: bool
    deletes: tuple[tuple[bytes, int, int | None, bool], ...] = field(default=())


def versions_of(catalog: Catalog, table_id: int | None) -> list[VersionFacts]:
    """Return the versions that changed a table, or all, oldest first."""
    if table_id is None:
        rows = catalog.rows("SELECT version, committed_us, operation FROM version ORDER BY version")
    else:
        rows = catalog.rows(
            """SELECT version, committed_us, operation FROM version WHERE version IN (
                SELECT added FROM table_ WHERE id = :id
                UNION SELECT removed FROM table_ WHERE id = :id
                UNION SELECT added FROM segment WHERE table_id = :id AND rewritten = 0
                UNION SELECT removed FROM segment WHERE table_id = :id AND moved = 0
                UNION SELECT added FROM deleted WHERE table_id = :id AND carried = 0
                UNION SELECT removed FROM deleted WHERE table_id = :id
            ) ORDER BY version""",
            {"id": table_id},
        )
    return [VersionFacts(*row) for row in rows]


def dropped_at(catalog: Catalog, name: str) -> int | None:
    """Return the version that dropped the table of this name last, None where none is known."""
    rows = catalog.rows(
        """SELECT MAX(removed) FROM table_ AS t WHERE name = :name AND removed IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM table_ AS n WHERE n.id = t.id AND n.added = t.removed)""",
        {"name": name},
    )
    found: int | None = rows[0][0]
    return found


def lives_of(catalog: Catalog, table_id: int, first: int, last: int) -> list[SegmentLife]:
    """Return the segments of a table that lived in, or changed with, versions `first` to `last`."""
    span = {"id": table_id, "first": first, "last": last}
    deletes: dict[int, list[tuple[bytes, int, int | None, bool]]] = {}
    for segment_id, rows, added, removed, carried in catalog.rows(
        "SELECT segment_id, rows, added, removed, carried FROM deleted "
        "WHERE table_id = :id AND added <= :last ORDER BY added",
        span,
    ):
        deletes.setdefault(segment_id, []).append((bytes(rows), added, removed, bool(carried)))
    return [
        SegmentLife(
            row[0],
            row[1],
            row[2],
            row[3],
            row[4],
            bool(row[5]),
            bool(row[6]),
            tuple(deletes.get(row[0], ())),
        )
        for row in catalog.rows(
            "SELECT id, row_count, name, added, removed, rewritten, moved FROM segment "
            "WHERE table_id = :id AND added <= :last AND (removed IS NULL OR removed >= :first) "
            "ORDER BY added",
            span,
        )
    ]
