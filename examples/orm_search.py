"""Semantic search with SQLAlchemy's ORM: packages like another one, and what they have in common.

    python examples/orm_search.py [package] [URL]

The embeddings of packages.parquet are of sentences, by all-MiniLM-L6-v2; the query is an existing
package's, so that no model is needed here.
"""

import sys
from pathlib import Path

import pyarrow.parquet as parquet
from sqlalchemy import Index, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column

from vsql.dialect import HalfVector

PACKAGES = Path(__file__).with_name("packages.parquet")


class Base(DeclarativeBase):
    pass


class Package(Base):
    __tablename__ = "package"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    section: Mapped[str]
    description: Mapped[str]
    installed_kib: Mapped[int | None]
    embedding = mapped_column(HalfVector(384))


Index(
    "package_embedding",
    Package.embedding,
    vsql_using="hnsw",
    vsql_ops={"embedding": "halfvec_cosine_ops"},
)


def load(session: Session) -> None:
    """Fill the table: one batch of Arrow, under SQLAlchemy's own connection."""
    columns = [column.name for column in Package.__table__.columns]
    packages = parquet.read_table(PACKAGES, columns=columns)
    driver = session.connection().connection.driver_connection
    assert driver is not None
    driver.cursor().adbc_ingest("package", packages, mode="append")
    session.commit()


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "kate"
    engine = create_engine(sys.argv[2] if len(sys.argv) > 2 else "vsql://")
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        load(session)
        wanted = session.scalars(select(Package).where(Package.name == name)).one()
        distance = Package.embedding.cosine_distance(wanted.embedding)
        others = Package.id != wanted.id

        print(f"like {wanted.name}: {wanted.description}")
        nearest = select(Package, distance.label("d")).where(others).order_by("d").limit(5)
        for package, found in session.execute(nearest):
            print(f"  {found:.3f}  {package.name}: {package.description}")

        print("small ones")
        small = select(Package).where(others, Package.installed_kib < 1000)
        for package in session.scalars(small.order_by(distance).limit(3)):
            print(f"  {package.installed_kib:>5} KiB  {package.name}")

        print("sections of the nearest 100")
        near = aliased(Package, select(Package).order_by(distance).limit(100).subquery())
        counted = func.count().label("n")
        sections = select(near.section, counted).group_by(near.section)
        for section, count in session.execute(sections.order_by(counted.desc()).limit(3)):
            print(f"  {count:>3}  {section}")


if __name__ == "__main__":
    main()
