"""Relational SQL beside DuckDB, a search inside of a join, and what an ORM costs.

    python benchmarks/sql.py [--data FOLDER]

The packages of FOLDER (default ../shared/data) in vsql and in DuckDB's own storage, both on disk;
one process, one thread each, medians of repeated statements, results compared. The search is timed
alone and joined with a second table; SQLAlchemy beside the cursor beneath it.
Writes a Markdown table to benchmarks/results/sql.md.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from packages import FOLDER, ROOT, matrix, packages_file
from sqlalchemy import BigInteger, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vsql
from vsql.dialect import Vector
from vsql.driver.connection import Connection

REPEATS = 30
COLUMNS = (
    "id BIGINT PRIMARY KEY, name TEXT, section TEXT, installed_kib BIGINT, download_bytes BIGINT,"
    " homepage TEXT, embedding VECTOR(384)"
)
# Both know these.
QUERIES = {
    "GROUP BY": "SELECT section, count(*), avg(installed_kib), max(download_bytes) FROM packages"
    " GROUP BY section ORDER BY section",
    "GROUP BY HAVING": "SELECT left(name, 3) AS prefix, sum(installed_kib) AS kib FROM packages"
    " GROUP BY prefix HAVING count(*) > 50 ORDER BY kib DESC NULLS LAST, prefix LIMIT 20",
    "filtered GROUP BY": "SELECT section, count(*) FROM packages"
    " WHERE installed_kib BETWEEN 100 AND 1000 GROUP BY section ORDER BY 2 DESC, 1",
    "join": "SELECT s.title, count(*), sum(p.installed_kib) FROM packages p"
    " JOIN sections s ON s.section = p.section GROUP BY s.title ORDER BY s.title",
    "self-join": "SELECT count(*) FROM packages a JOIN packages b"
    " ON b.homepage = a.homepage AND b.id > a.id",
    "window": "SELECT section, name, installed_kib FROM (SELECT section, name, installed_kib,"
    " row_number() OVER (PARTITION BY section ORDER BY installed_kib DESC NULLS LAST, id) AS n"
    " FROM packages) AS ranked WHERE n <= 3 ORDER BY section, n",
    "running sum": "SELECT max(total) FROM (SELECT sum(download_bytes) OVER (PARTITION BY section"
    " ORDER BY id) AS total FROM packages) AS sums",
    "DISTINCT": "SELECT count(DISTINCT homepage), count(DISTINCT section) FROM packages",
}


class Base(DeclarativeBase):
    pass


class Package(Base):
    __tablename__ = "packages"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str]
    section: Mapped[str]
    installed_kib: Mapped[int]
    embedding: Mapped[Any] = mapped_column(Vector(384), deferred=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=FOLDER)
    folder = parser.parse_args().data
    names = [part.split()[0] for part in COLUMNS.split(", ")]
    packages = pq.read_table(packages_file(folder), columns=names)
    wide = packages["embedding"].cast(pa.list_(pa.float32(), 384))
    packages = packages.set_column(len(names) - 1, "embedding", wide)
    sections = pa.table({"section": packages["section"].unique()})
    titles = pa.array([str(name.as_py()).title() for name in sections["section"]])
    sections = sections.append_column("title", titles)
    with tempfile.TemporaryDirectory() as place:
        ours = loaded(Path(place) / "packages", packages, sections)
        theirs = duckdb.connect(str(Path(place) / "packages.duckdb"), config={"threads": 1})
        for name, table in (("packages", packages), ("sections", sections)):
            theirs.register("incoming", table)
            theirs.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
        theirs.execute("CHECKPOINT")
        lines = [
            "# Relational SQL",
            "",
            f"`python benchmarks/sql.py`: {packages.num_rows:,} packages, medians of {REPEATS},"
            " one thread, milliseconds, rows fetched as tuples.",
            "",
            "| query | vsql | DuckDB | ratio |",
            "|---|---|---|---|",
        ]
        for name, query in QUERIES.items():
            lines.append(compared(name, query, ours, theirs))
        vectors = matrix(packages)
        queries = vectors[:: len(vectors) // REPEATS][:REPEATS].copy()
        lines += ["", "## A search inside", "", *searched(ours, queries)]
        ours.close()
        lines += ["", "## SQLAlchemy", "", *mapped(Path(place) / "packages", queries)]
    text = "\n".join(lines) + "\n"
    print(text)
    (ROOT / "benchmarks" / "results" / "sql.md").write_text(text, encoding="utf-8")


def loaded(place: Path, packages: pa.Table, sections: pa.Table) -> Connection:
    """Return a database that holds both tables and an index of the vectors."""
    connection = vsql.connect(place, autocommit=True, threads=1, background="off")
    connection.execute(f"CREATE TABLE packages ({COLUMNS})")
    connection.execute("CREATE TABLE sections (section TEXT PRIMARY KEY, title TEXT)")
    cursor = connection.cursor()
    cursor.adbc_ingest("packages", packages, "append")
    cursor.adbc_ingest("sections", sections, "append")
    connection.execute("FLUSH")
    connection.execute("CREATE INDEX ON packages USING hnsw (embedding vector_cosine_ops)")
    connection._session._relation()._connection.execute("SET threads = 1")
    return connection


def milliseconds(run: Callable[[int], Any]) -> float:
    """Return the median time of a call, after two that warm up."""
    times: list[float] = []
    for number in range(-2, REPEATS):
        start = time.perf_counter()
        run(max(number, 0))
        if number >= 0:
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def compared(name: str, query: str, ours: Connection, theirs: duckdb.DuckDBPyConnection) -> str:
    """Return a line of the table; raises AssertionError where the rows differ."""

    def value(cell: Any) -> Any:
        return round(float(cell), 6) if isinstance(cell, float) else cell

    found = [tuple(map(value, row)) for row in ours.execute(query).fetchall()]
    expected = [tuple(map(value, row)) for row in theirs.execute(query).fetchall()]
    assert [repr(row) for row in found] == [repr(row) for row in expected], name
    own = milliseconds(lambda number: ours.execute(query).fetchall())
    other = milliseconds(lambda number: theirs.execute(query).fetchall())
    return f"| {name} | {own:.2f} | {other:.2f} | {own / other:.2f} |"


def searched(ours: Connection, queries: Any) -> list[str]:
    """Return the lines about a top 100, alone and joined with a second table."""
    search = "SELECT id, section, embedding <=> ? AS distance FROM packages ORDER BY 3 LIMIT 100"
    inside = f"SELECT p.id, s.title FROM ({search}) AS p JOIN sections s USING (section)"
    outside = (
        "SELECT p.id, s.title FROM packages p JOIN sections s USING (section)"
        " ORDER BY p.embedding <=> ? LIMIT 100"
    )
    plain = "SELECT count(*) FROM sections s JOIN sections t USING (section) WHERE s.title > ?"
    alone = milliseconds(lambda n: ours.execute(search, (queries[n],)).fetchall())
    rows = [("top 100", alone)]
    for name, query in (
        ("top 100 joined with sections", inside),
        ("top 100 of the join with sections", outside),
    ):
        assert len(ours.execute(query, (queries[0],)).fetchall()) == 100
        rows.append(
            (name, milliseconds(lambda n, q=query: ours.execute(q, (queries[n],)).fetchall()))
        )
    rows.append(
        (
            "DuckDB joining sections alone",
            milliseconds(lambda n: ours.execute(plain, ("A",)).fetchall()),
        )
    )
    return [
        "| query | ms | over the search |",
        "|---|---|---|",
        *(f"| {name} | {took:.2f} | {took - alone:+.2f} |" for name, took in rows),
    ]


def mapped(place: Path, queries: Any) -> list[str]:
    """Return the lines about SQLAlchemy over the same search."""
    engine = create_engine(f"vsql:///{place}")
    text = "SELECT id, name, section, installed_kib FROM packages ORDER BY embedding <=> ? LIMIT 10"
    with Session(engine) as session, vsql.connect(place) as connection:

        def nearest(number: int) -> list[Package]:
            distance = Package.embedding.cosine_distance(queries[number])
            return list(session.scalars(select(Package).order_by(distance).limit(10)))

        def core(number: int) -> Any:
            distance = Package.embedding.cosine_distance(queries[number])
            table = Package.__table__.c
            columns = (table.id, table.name, table.section, table.installed_kib)
            return session.execute(select(*columns).order_by(distance).limit(10)).all()

        ids = [row[0] for row in connection.execute(text, (queries[0],)).fetchall()]
        assert [package.id for package in nearest(0)] == ids
        raw = milliseconds(lambda n: connection.execute(text, (queries[n],)).fetchall())
        rows = [("cursor", raw), ("Core", milliseconds(core)), ("ORM", milliseconds(nearest))]
    return [
        "| top 10 through | ms | over the cursor |",
        "|---|---|---|",
        *(f"| {name} | {took:.2f} | {took / raw:.1f} x |" for name, took in rows),
    ]


if __name__ == "__main__":
    main()
