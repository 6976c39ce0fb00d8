"""The catalog's tables, in SQL that PostgreSQL runs as well.

Every row has the version that added it and the version that removed it (NULL: still there), so a
snapshot of version v is `added <= v AND (removed IS NULL OR removed > v)`. Ids are random 63-bit
integers made by the writer; a definition that changes keeps its id in a new row. Values that are
lists or mappings are JSON text. A sequence alone is not versioned: numbers are handed out once.
"""

FILE_NAME = "catalog.sqlite"
FORMAT_VERSION = 2

TABLES = """
CREATE TABLE IF NOT EXISTS database_fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS version (
    version BIGINT PRIMARY KEY, committed_us BIGINT NOT NULL, operation TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS table_ (
    id BIGINT NOT NULL, name TEXT NOT NULL, primary_key TEXT NOT NULL, columns TEXT NOT NULL,
    details TEXT NOT NULL, added BIGINT NOT NULL, removed BIGINT, PRIMARY KEY (id, added));
CREATE TABLE IF NOT EXISTS segment (
    id BIGINT NOT NULL, table_id BIGINT NOT NULL, row_count BIGINT NOT NULL,
    byte_size BIGINT NOT NULL, name TEXT, checksum TEXT NOT NULL, statistics TEXT NOT NULL,
    partition TEXT NOT NULL, rewritten BIGINT NOT NULL, added BIGINT NOT NULL, removed BIGINT,
    moved BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (id, added));
CREATE TABLE IF NOT EXISTS inlined (segment_id BIGINT PRIMARY KEY, rows BYTEA NOT NULL);
CREATE TABLE IF NOT EXISTS deleted (
    segment_id BIGINT NOT NULL, table_id BIGINT NOT NULL, rows BYTEA NOT NULL,
    row_count BIGINT NOT NULL, added BIGINT NOT NULL, removed BIGINT,
    carried BIGINT NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS index_ (
    id BIGINT NOT NULL, table_id BIGINT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
    key TEXT NOT NULL, metric TEXT, is_unique BIGINT NOT NULL, options TEXT NOT NULL,
    added BIGINT NOT NULL, removed BIGINT, PRIMARY KEY (id, added));
CREATE TABLE IF NOT EXISTS index_file (
    index_id BIGINT NOT NULL, segment_id BIGINT NOT NULL, structure TEXT NOT NULL,
    name TEXT NOT NULL, byte_size BIGINT NOT NULL, checksum TEXT NOT NULL, curve TEXT NOT NULL,
    exact_ns DOUBLE PRECISION NOT NULL, added BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS setting (
    name TEXT NOT NULL, value TEXT NOT NULL, added BIGINT NOT NULL, removed BIGINT);
CREATE TABLE IF NOT EXISTS object_ (
    id BIGINT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, comment TEXT,
    added BIGINT NOT NULL, removed BIGINT);
CREATE TABLE IF NOT EXISTS sequence (column_id BIGINT PRIMARY KEY, next_value BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS segment_by_removal ON segment (removed);
CREATE INDEX IF NOT EXISTS deleted_by_segment ON deleted (segment_id)
"""

# From a format to the next: what changes a catalog in place, in one transaction.
MIGRATIONS = {
    1: """
ALTER TABLE version ADD COLUMN operation TEXT NOT NULL DEFAULT '';
ALTER TABLE deleted ADD COLUMN removed BIGINT;
ALTER TABLE deleted ADD COLUMN carried BIGINT NOT NULL DEFAULT 0;
ALTER TABLE table_ RENAME TO old_table;
ALTER TABLE segment RENAME TO old_segment;
ALTER TABLE index_ RENAME TO old_index;
{tables};
INSERT INTO table_ SELECT id, name, primary_key, columns, '{{}}', added, removed FROM old_table;
INSERT INTO segment SELECT id, table_id, row_count, byte_size, name, checksum, statistics,
    '', 0, added, removed, 0 FROM old_segment;
INSERT INTO index_ SELECT * FROM old_index;
DROP TABLE old_table;
DROP TABLE old_segment;
DROP TABLE old_index
""".replace("{tables}", TABLES).replace("{{}}", "{}"),
}
