"""Writing the catalog: a change becomes rows, or ends some, as of a version."""

import json
import sqlite3

import pyarrow as pa

from vsql.catalog.text_form import write_columns, write_details, write_machine, write_statistics
from vsql.core import changes as change
from vsql.core.changes import Change
from vsql.core.schema import Index, Table
from vsql.core.snapshot import SegmentFacts


def write_change(connection: sqlite3.Connection, one: Change, version: int) -> None:
    """Write one change of a commit; the caller has a transaction open."""
    run = connection.execute
    match one:
        case change.AddTable(table):
            _write_table(connection, table, version)
        case change.AlterTable(table):
            _remove(connection, "table_", table.id, version)
            _write_table(connection, table, version)
        case change.DropTable(table_id):
            _remove(connection, "table_", table_id, version)
            for name in ("segment", "index_"):
                run(
                    f"UPDATE {name} SET removed = ? WHERE table_id = ? AND removed IS NULL",
                    (version, table_id),
                )
        case change.PutObject(named):
            _remove_object(connection, named.kind, named.name, version)
            run(
                "INSERT INTO object_ VALUES (?, ?, ?, ?, ?, ?, NULL)",
                (named.id, named.kind, named.name, named.body, named.comment, version),
            )
        case change.DropObject(kind, name):
            _remove_object(connection, kind, name, version)
        case change.UndoDeletes(_, segment_id, after, _, _):
            run(
                "UPDATE deleted SET removed = ? WHERE segment_id = ? AND added > ? "
                "AND removed IS NULL",
                (version, segment_id, after),
            )
        case change.AlterIndex(index):
            _remove(connection, "index_", index.id, version)
            _write_index(connection, index, version)
        case change.AddSegment(segment, rows):
            _write_segment(connection, segment, rows, version)
        case change.RemoveSegment(_, segment_id, moved):
            run(
                "UPDATE segment SET removed = ?, moved = ? WHERE id = ? AND removed IS NULL",
                (version, int(moved), segment_id),
            )
        case change.AddDeletes(table_id, segment_id, bits, count, carried):
            run(
                "INSERT INTO deleted VALUES (?, ?, ?, ?, ?, NULL, ?)",
                (segment_id, table_id, bits, count, version, int(carried)),
            )
        case change.AddIndex(index):
            _write_index(connection, index, version)
        case change.DropIndex(_, index_id):
            _remove(connection, "index_", index_id, version)
        case change.AddIndexFile(_, file):
            curve = json.dumps(
                [[p.effort, p.depth, p.recall, p.nanoseconds, p.reorder_factor] for p in file.curve]
            )
            run(
                "DELETE FROM index_file WHERE index_id = ? AND segment_id = ? AND structure = ?",
                (file.index_id, file.segment_id, file.structure),
            )
            run(
                "INSERT INTO index_file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    file.index_id,
                    file.segment_id,
                    file.structure,
                    file.name,
                    file.byte_size,
                    file.checksum,
                    curve,
                    file.exact_nanoseconds,
                    version,
                ],
            )
        case change.PutStatistics(_, segment_id, statistics, paths):
            run(
                "UPDATE segment SET statistics = ? WHERE id = ?",
                (write_statistics(statistics, paths), segment_id),
            )
        case change.PutSetting(name, value):
            run(
                "UPDATE setting SET removed = ? WHERE name = ? AND removed IS NULL",
                (version, name),
            )
            if value is not None:
                run("INSERT INTO setting VALUES (?, ?, ?, NULL)", (name, value, version))
        case change.PutMachine(machine):
            run(
                "INSERT INTO database_fact VALUES ('machine', :value) "
                "ON CONFLICT (name) DO UPDATE SET value = :value",
                {"value": write_machine(machine)},
            )


def _remove(connection: sqlite3.Connection, table: str, id_: int, version: int) -> None:
    connection.execute(
        f"UPDATE {table} SET removed = ? WHERE id = ? AND removed IS NULL", (version, id_)
    )


def _remove_object(connection: sqlite3.Connection, kind: str, name: str, version: int) -> None:
    connection.execute(
        "UPDATE object_ SET removed = ? WHERE kind = ? AND name = ? AND removed IS NULL",
        (version, kind, name),
    )


def _forget_same_version(connection: sqlite3.Connection, name: str, id_: int, version: int) -> None:
    """Remove a definition that the same commit replaced: no version ever saw it."""
    connection.execute(f"DELETE FROM {name} WHERE id = ? AND added = ?", (id_, version))


def _write_table(connection: sqlite3.Connection, table: Table, version: int) -> None:
    _forget_same_version(connection, "table_", table.id, version)
    connection.execute(
        "INSERT INTO table_ VALUES (?, ?, ?, ?, ?, ?, NULL)",
        (
            table.id,
            table.name,
            json.dumps(table.primary_key),
            write_columns(table.columns),
            write_details(table),
            version,
        ),
    )


def _write_index(connection: sqlite3.Connection, index: Index, version: int) -> None:
    _forget_same_version(connection, "index_", index.id, version)
    connection.execute(
        "INSERT INTO index_ VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        [
            index.id,
            index.table_id,
            index.name,
            index.kind,
            index.key,
            index.metric.value if index.metric is not None else None,
            int(index.unique),
            json.dumps(dict(index.options)),
            version,
        ],
    )


def _write_segment(
    connection: sqlite3.Connection, segment: SegmentFacts, rows: pa.RecordBatch | None, version: int
) -> None:
    connection.execute(
        "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, 0)",
        [
            segment.id,
            segment.table_id,
            segment.row_count,
            segment.byte_size,
            segment.name,
            segment.checksum,
            write_statistics(segment.statistics, segment.paths),
            segment.partition,
            int(segment.rewritten),
            version,
        ],
    )
    if rows is not None:
        sink = pa.BufferOutputStream()
        # Without options Arrow looks up two variables of the environment each time.
        with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions()) as writer:
            writer.write_batch(rows)
        connection.execute(
            "INSERT OR IGNORE INTO inlined VALUES (?, ?)",
            (segment.id, memoryview(sink.getvalue())),
        )
