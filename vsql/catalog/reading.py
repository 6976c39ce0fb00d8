"""Reading the catalog: its rows at a version become a snapshot."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from vsql.catalog.text_form import read_machine, read_statistics, read_table
from vsql.core.distance import Metric
from vsql.core.machine import BUILT_IN, Machine
from vsql.core.schema import EMPTY, Index, NamedObject, Table
from vsql.core.snapshot import CurvePoint, IndexFile, SegmentFacts, Snapshot, TableSnapshot

_LIVING = "added <= :version AND (removed IS NULL OR removed > :version)"


class Reader:
    """Makes snapshots; what did not change since the last one is the same object in the next."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known_tables: dict[tuple[int, int], Table] = {}
        self._known_segments: dict[int, SegmentFacts] = {}
        self._last: Mapping[str, TableSnapshot] = {}

    def begin_with(self, snapshot: Snapshot) -> None:
        """Take a snapshot that this connection made itself as the last one."""
        self._last = snapshot.tables

    def forget_segment(self, segment_id: int) -> None:
        """Read a segment's facts anew: they are replaced in place."""
        self._known_segments.pop(segment_id, None)

    def read(self, version: int) -> Snapshot:
        """Return what was there at a version; the caller has a transaction open."""
        run = self._connection.execute
        at = {"version": version}
        tables: dict[int, Table] = {}
        for row in run(
            "SELECT id, name, primary_key, columns, details, added FROM table_ "
            f"WHERE {_LIVING} ORDER BY added, rowid",
            at,
        ):
            key = (row[0], row[5])
            if key not in self._known_tables:
                self._known_tables[key] = read_table(*row[:5])
            tables[row[0]] = self._known_tables[key]
        indexes: dict[int, list[Index]] = {id_: [] for id_ in tables}
        for row in run(f"SELECT * FROM index_ WHERE {_LIVING} ORDER BY added, rowid", at):
            id_, table_id, name, kind, written, metric, unique, options = row[:8]
            known = MappingProxyType(json.loads(options)) if options != "{}" else EMPTY
            how = Metric(metric) if metric is not None else None
            index = Index(id_, table_id, name, kind, written, how, bool(unique), known)
            indexes[table_id].append(index)
        segments = self._read_segments(at, {i.id for group in indexes.values() for i in group})
        settings = run(f"SELECT name, value FROM setting WHERE {_LIVING}", at).fetchall()
        by_name = {
            table.name: self._same_or_new(
                TableSnapshot(table, tuple(segments.get(table.id, ())), tuple(indexes[table.id]))
            )
            for table in tables.values()
        }
        self._last = by_name
        objects = {
            (row[1], row[2]): NamedObject(*row)
            for row in run(
                f"SELECT id, kind, name, body, comment FROM object_ WHERE {_LIVING} ORDER BY rowid",
                at,
            )
        }
        return Snapshot(version, by_name, dict(settings), objects, self._read_machine())

    def _read_machine(self) -> Machine:
        row = self._connection.execute(
            "SELECT value FROM database_fact WHERE name = 'machine'"
        ).fetchone()
        return BUILT_IN if row is None else read_machine(row[0])

    def _same_or_new(self, table: TableSnapshot) -> TableSnapshot:
        """Return the table as it was loaded before, where it is the same: caches know it by it."""
        before = self._last.get(table.table.name)
        if (
            before is not None
            and before.table is table.table
            and before.indexes == table.indexes
            and len(before.segments) == len(table.segments)
            and all(a is b for a, b in zip(before.segments, table.segments, strict=True))
        ):
            return before
        return table

    def _read_segments(
        self, at: dict[str, int], index_ids: set[int]
    ) -> dict[int, list[SegmentFacts]]:
        run = self._connection.execute
        deletes: dict[int, list[tuple[bytes, int]]] = {}
        for segment_id, rows, count in run(
            f"SELECT segment_id, rows, row_count FROM deleted WHERE {_LIVING} "
            "ORDER BY added, rowid",
            at,
        ):
            deletes.setdefault(segment_id, []).append((bytes(rows), count))
        files: dict[int, list[IndexFile]] = {}
        for row in run("SELECT * FROM index_file WHERE added <= :version ORDER BY rowid", at):
            if row[0] in index_ids:
                curve = tuple(CurvePoint(*point) for point in json.loads(row[6]))
                files.setdefault(row[1], []).append(
                    IndexFile(row[0], row[1], row[2], row[3], row[4], row[5], curve, row[7])
                )
        segments: dict[int, list[SegmentFacts]] = {}
        for row in run(
            "SELECT id, table_id, row_count, byte_size, name, checksum, statistics, partition, "
            f"rewritten FROM segment WHERE {_LIVING} ORDER BY added, rowid",
            at,
        ):
            gone = deletes.get(row[0], [])
            segments.setdefault(row[1], []).append(
                self._segment(row, gone, tuple(files.get(row[0], ())))
            )
        return segments

    def _segment(
        self, row: Sequence[Any], gone: list[tuple[bytes, int]], files: tuple[IndexFile, ...]
    ) -> SegmentFacts:
        id_, table_id, row_count, byte_size, name, checksum, statistics = row[:7]
        deletes = tuple(rows for rows, _ in gone)
        known = self._known_segments.get(id_)
        if known is not None and known.deletes == deletes and known.index_files == files:
            return known
        if known is not None:
            columns, paths = known.statistics, known.paths
        else:
            columns, paths = read_statistics(statistics)
        facts = SegmentFacts(
            id_,
            table_id,
            row_count,
            byte_size,
            name,
            checksum,
            deletes,
            sum(count for _, count in gone),
            columns,
            paths,
            files,
            row[7],
            bool(row[8]),
        )
        self._known_segments[id_] = facts
        return facts
