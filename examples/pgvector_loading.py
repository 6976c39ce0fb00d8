"""Loading and searching with the driver, after pgvector-python's example "loading".

There, the connection is psycopg's and rows go through COPY in its binary form; here, the import and
the URL differ, a parameter is `?` instead of `%s`, and the rows are one Arrow table.

    python examples/pgvector_loading.py [FOLDER]
"""

import sys

import numpy as np
import pyarrow as pa

import vsql

rows, dimensions = 5_000, 64
embeddings = np.random.default_rng(1).random((rows, dimensions), dtype=np.float32)

connection = vsql.connect(sys.argv[1] if len(sys.argv) > 1 else ":memory:", autocommit=True)
connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
connection.execute("DROP TABLE IF EXISTS items")
connection.execute(f"CREATE TABLE items (id bigserial PRIMARY KEY, embedding vector({dimensions}))")

flat = pa.array(embeddings.reshape(-1))
table = pa.table({"embedding": pa.FixedSizeListArray.from_arrays(flat, dimensions)})
count = connection.cursor().adbc_ingest("items", table, mode="append")
print("loaded", count)

# Indexes after the rows, as there.
connection.execute("CREATE INDEX ON items USING hnsw (embedding vector_cosine_ops)")
connection.execute("ANALYZE items")

nearest = "SELECT id FROM items ORDER BY embedding <=> ? LIMIT 5"
found = connection.execute(nearest, (embeddings[41],)).fetchall()
print("nearest to row 42:", found[0][0])
exact = np.argsort(
    1 - embeddings @ embeddings[41] / np.linalg.norm(embeddings, axis=1), kind="stable"
)
print("found of 5:", len({row[0] for row in found} & {int(row) + 1 for row in exact[:5]}))
connection.close()
