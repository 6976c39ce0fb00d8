"""The catalog's tables, in SQL that PostgreSQL runs as well.

Every row has the version that added it and the version that removed it (NULL: still there), so a
snapshot of version v is `added <= v AND (removed IS NULL OR removed > v)`. Ids are random 63-bit
integers made by the writer. Values that are lists or mappings are JSON text.
"""

FORMAT_VERSION = 1

TABLES = """
CREATE TABLE IF NOT EXISTS database_fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS version (version BIGINT PRIMARY KEY, committed_us BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS table_ (
    id BIGINT PRIMARY KEY, name TEXT NOT NULL, primary_key TEXT NOT NULL, columns TEXT NOT NULL,
    added BIGINT NOT NULL, removed BIGINT);
CREATE TABLE IF NOT EXISTS segment (
    id BIGINT PRIMARY KEY, table_id BIGINT NOT NULL, row_count BIGINT NOT NULL,
    byte_size BIGINT NOT NULL, name TEXT, checksum TEXT NOT NULL, statistics TEXT NOT NULL,
    added BIGINT NOT NULL, removed BIGINT);
CREATE TABLE IF NOT EXISTS inlined (segment_id BIGINT PRIMARY KEY, rows BYTEA NOT NULL);
CREATE TABLE IF NOT EXISTS deleted (
    segment_id BIGINT NOT NULL, table_id BIGINT NOT NULL, rows BYTEA NOT NULL,
    row_count BIGINT NOT NULL, added BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS index_ (
    id BIGINT PRIMARY KEY, table_id BIGINT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
    key TEXT NOT NULL, metric TEXT, is_unique BIGINT NOT NULL, options TEXT NOT NULL,
    added BIGINT NOT NULL, removed BIGINT);
CREATE TABLE IF NOT EXISTS index_file (
    index_id BIGINT NOT NULL, segment_id BIGINT NOT NULL, structure TEXT NOT NULL,
    name TEXT NOT NULL, byte_size BIGINT NOT NULL, checksum TEXT NOT NULL, curve TEXT NOT NULL,
    exact_ns DOUBLE PRECISION NOT NULL, added BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS setting (
    name TEXT NOT NULL, value TEXT NOT NULL, added BIGINT NOT NULL, removed BIGINT);
"""
