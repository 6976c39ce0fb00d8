# %% [markdown]
# Packages in a notebook: a data frame in, SQL and vector search, data frames out.

# %%
from pathlib import Path

import pandas as pd

import vsql

packages = pd.read_parquet(Path(__file__).with_name("packages.parquet"))
connection = vsql.connect(":memory:", autocommit=True)


def query(sql: str) -> pd.DataFrame:
    return connection.execute(sql).fetch_arrow_table().to_pandas()


print(packages[["name", "section", "installed_kib"]].head(3))

# %% A table with a type for each column, filled from the file; the frame itself can be queried too.
connection.execute(
    "CREATE TABLE package (id BIGINT PRIMARY KEY, name TEXT, section TEXT, description TEXT,"
    " installed_kib BIGINT, embedding VECTOR(384))"
)
columns = ["id", "name", "section", "description", "installed_kib", "embedding"]
connection.cursor().adbc_ingest("package", packages[columns], mode="append")
connection.execute("CREATE INDEX ON package USING hnsw (embedding vector_cosine_ops)")

# %% Which sections are large, and how large is what they install?
sections = query(
    "SELECT section, count(*) AS packages, sum(installed_kib) / 1024 AS mib FROM package"
    " GROUP BY section ORDER BY packages DESC LIMIT 3"
)
print(sections)

# %% What is like the package kate? The query vector is a subquery.
like = query(
    "SELECT name, embedding <=> (SELECT embedding FROM package WHERE name = 'kate') AS distance"
    " FROM package WHERE name <> 'kate' ORDER BY distance LIMIT 3"
)
print(like)

# %% The middle of each section, and the package that is nearest to it.
middles = query(
    "WITH middle AS (SELECT section, avg(embedding) AS m FROM package"
    " WHERE section IN ('games', 'editors', 'math') GROUP BY section)"
    " SELECT DISTINCT ON (p.section) p.section, p.name, p.embedding <=> middle.m AS distance"
    " FROM package p JOIN middle ON middle.section = p.section"
    " ORDER BY p.section, distance"
)
print(middles)

# %% A frame beside the table: names chosen by hand, joined.
chosen = pd.DataFrame({"name": ["kate", "jed", "csh"], "stars": [5, 4, 3]})
connection.register("chosen", chosen)
joined = query(
    "SELECT c.name, c.stars, p.section FROM chosen c JOIN package p ON p.name = c.name"
    " ORDER BY c.stars DESC"
)
print(joined)
connection.close()
