"""The SQLAlchemy dialect as its users have it: ORM, vectors, upserts, reflection, pandas."""

import contextlib
import datetime
import decimal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    selectinload,
)

import vsql
from vsql.dialect import Bit, HalfVector, Vector


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(30), unique=True, comment="as printed")
    notes: Mapped[list["Note"]] = relationship(
        back_populates="author", cascade="all, delete-orphan"
    )


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("author.id"))
    text: Mapped[str | None]
    meta: Mapped[Any] = mapped_column(sa.JSON, nullable=True)
    tags: Mapped[Any] = mapped_column(sa.ARRAY(sa.String), nullable=True)
    embedding: Mapped[Any] = mapped_column(Vector(3), nullable=True)
    half: Mapped[Any] = mapped_column(HalfVector(2), nullable=True)
    bits: Mapped[Any] = mapped_column(Bit(8), nullable=True)
    author: Mapped[Author] = relationship(back_populates="notes")
    __table_args__ = (
        sa.Index(
            "note_embedding",
            "embedding",
            vsql_using="hnsw",
            vsql_with={"m": 16},
            vsql_ops={"embedding": "vector_cosine_ops"},
        ),
        sa.CheckConstraint("length(text) < 100", name="short"),
    )


@pytest.fixture
def engine(tmp_path: Any) -> Iterator[sa.Engine]:
    made = sa.create_engine(f"vsql:///{tmp_path}/db")
    Base.metadata.create_all(made)
    yield made
    made.dispose()


def _filled(session: Session) -> None:
    ada = Author(name="Ada")
    ada.notes = [
        Note(text="near", embedding=[1, 0, 0], meta={"k": [1, 2]}, tags=["a"], bits="11110000"),
        Note(text="far", embedding=np.array([0, 1, 0]), half=[1, 2], meta={"k": "v"}),
    ]
    session.add_all([ada, Author(name="Bo")])
    session.commit()


def test_search_by_every_distance(engine: sa.Engine) -> None:
    with Session(engine) as session:
        _filled(session)
        column = Note.embedding
        for distance in (
            column.l2_distance([1, 0, 0]),
            column.cosine_distance([1, 0, 0]),
            column.max_inner_product([1, 0, 0]),
            column.l1_distance([1, 0, 0]),
        ):
            found = session.scalars(sa.select(Note).order_by(distance).limit(1)).one()
            assert found.text == "near"
        nearest = sa.select(Note.text, column.cosine_distance([0, 1, 0]).label("d")).order_by("d")
        assert session.execute(nearest.limit(1)).one() == ("far", 0.0)
        hamming = Note.bits.hamming_distance("11110001")
        assert session.scalars(sa.select(hamming).where(Note.bits.is_not(None))).one() == 1.0
        assert session.scalars(sa.select(Note.half).where(Note.text == "far")).one() == [1.0, 2.0]


def test_relationships_and_the_unit_of_work(engine: sa.Engine) -> None:
    with Session(engine) as session:
        _filled(session)
        ada = session.scalars(
            sa.select(Author).options(selectinload(Author.notes)).where(Author.name == "Ada")
        ).one()
        assert sorted(note.text or "" for note in ada.notes) == ["far", "near"]
        ada.name = "Ada L."
        ada.notes.pop()
        session.flush()
        session.rollback()
        assert session.scalar(sa.select(sa.func.count()).select_from(Note)) == 2
        session.delete(ada)
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Note)) == 0
        counted = (
            sa.select(Author.name, sa.func.count(Note.id)).outerjoin(Note).group_by(Author.name)
        )
        assert session.execute(counted).all() == [("Bo", 0)]


def test_json_and_arrays(engine: sa.Engine) -> None:
    with Session(engine) as session:
        _filled(session)
        key = sa.select(Note.text).where(Note.meta["k"].as_string() == "v")
        assert session.scalars(key).all() == ["far"]
        assert session.scalars(sa.select(Note.meta).where(Note.text == "near")).one() == {
            "k": [1, 2]
        }
        assert session.scalars(sa.select(Note.tags).where(Note.text == "near")).one() == ["a"]


def test_upsert_and_returning(engine: sa.Engine) -> None:
    table: Any = Author.__table__
    with engine.begin() as connection:
        first = connection.execute(
            sa.insert(Author).returning(Author.id), [{"name": "a"}, {"name": "b"}]
        ).all()
        assert len({row[0] for row in first}) == 2
        statement = insert(table).values(name="a")
        again = statement.on_conflict_do_nothing(index_elements=["name"])
        assert connection.execute(again).rowcount == 0
        changed = statement.on_conflict_do_update(
            index_elements=["name"], set_={"name": statement.excluded.name + "!"}
        )
        connection.execute(changed)
        names = connection.scalars(sa.select(Author.name).order_by(Author.name)).all()
        assert names == ["a!", "b"]
        updated = sa.update(Author).where(Author.name == "b").values(name="c")
        assert connection.scalars(updated.returning(Author.name)).all() == ["c"]


def test_reflection(engine: sa.Engine) -> None:
    inspector = sa.inspect(engine)
    assert set(inspector.get_table_names()) == {"author", "note"}
    columns = {column["name"]: column for column in inspector.get_columns("note")}
    assert isinstance(columns["embedding"]["type"], Vector)
    assert columns["embedding"]["type"].dim == 3
    assert isinstance(columns["tags"]["type"], sa.ARRAY)
    assert columns["id"]["identity"]["always"] is False
    assert inspector.get_pk_constraint("note")["constrained_columns"] == ["id"]
    assert inspector.get_unique_constraints("author")[0]["column_names"] == ["name"]
    assert inspector.get_check_constraints("note")[0]["name"] == "short"
    assert {c["name"]: c["comment"] for c in inspector.get_columns("author")}[
        "name"
    ] == "as printed"
    (index,) = inspector.get_indexes("note")
    assert index["dialect_options"] == {
        "vsql_using": "hnsw",
        "vsql_with": {"m": "16"},
        "vsql_ops": {"embedding": "vector_cosine_ops"},
    }
    reflected = sa.MetaData()
    reflected.reflect(engine)
    other = sa.create_engine("vsql://")
    reflected.create_all(other)
    assert sa.inspect(other).get_indexes("note") == [index]


def test_pandas_writes_and_reads(engine: sa.Engine) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [0.5, 1.5, None]})
    frame.to_sql("frame", engine, index=False)
    frame.to_sql("frame", engine, index=False, if_exists="append")
    back = pd.read_sql("SELECT * FROM frame ORDER BY a", engine)
    assert back["a"].tolist() == [1, 1, 2, 2, 3, 3]
    assert pd.read_sql_table("frame", engine).shape == (6, 3)


def test_errors_are_sqlalchemys(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(sa.exc.ProgrammingError) as caught:
            connection.execute(sa.text("SELECT nothing FROM author"))
        assert isinstance(caught.value.orig, vsql.ProgrammingError)
        connection.rollback()
        connection.execute(sa.insert(Author).values(name="a"))
        with pytest.raises(sa.exc.IntegrityError):
            connection.execute(sa.insert(Author).values(name="a"))


def test_a_host_is_reserved_for_the_server() -> None:
    with pytest.raises(sa.exc.ArgumentError, match="reserved"):
        sa.create_engine("vsql://user@localhost:5432/db").connect()


@pytest.mark.parametrize(
    "options",
    [
        {"vsql_using": "hnsw (e); DROP TABLE t; --"},
        {"vsql_using": "hnsw", "vsql_with": {"m = 16); DROP TABLE t; --": 1}},
        {"vsql_using": "hnsw", "vsql_with": {"m": "16); DROP TABLE t; --"}},
        {"vsql_using": "hnsw", "vsql_ops": {"e": "vector_l2_ops); DROP TABLE t; --"}},
    ],
)
def test_options_of_an_index_are_words_and_numbers(options: dict[str, Any]) -> None:
    engine = sa.create_engine("vsql://")
    table = sa.Table("t", sa.MetaData(), sa.Column("e", Vector(2)))
    table.create(engine)
    with pytest.raises((sa.exc.CompileError, sa.exc.ProgrammingError)):
        sa.Index("i", table.c.e, **options).create(engine)
    assert sa.inspect(engine).get_table_names() == ["t"]
    assert sa.inspect(engine).get_indexes("t") == []


def test_autocommit(engine: sa.Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.insert(Author).values(name="kept"))
    with engine.connect() as connection:
        assert connection.scalars(sa.select(Author.name)).all() == ["kept"]


def test_half_vectors_are_cast_everywhere() -> None:
    with vsql.connect(autocommit=True) as connection:
        run = connection.execute
        run("CREATE TABLE t (h HALFVEC(2))")
        run("INSERT INTO t SELECT p::HALFVEC(2) FROM (VALUES ('[1,2]')) AS v(p)")
        distance = "h <-> '[1,1]'::halfvec(2)"
        assert run(f"SELECT {distance} AS d FROM t ORDER BY d LIMIT 1").fetchall() == [(1.0,)]
        assert run(f"SELECT count(*) FROM t WHERE {distance} < 3").fetchall() == [(1,)]


TYPES: list[tuple[Any, Any]] = [
    (sa.Boolean, True),
    (sa.BigInteger, 2**62),
    (sa.Numeric(10, 2), decimal.Decimal("1.50")),
    (sa.Float, 1.25),
    (sa.String(5), "é日"),
    (sa.LargeBinary, b"\x00\xff"),
    (sa.Date, datetime.date(2024, 2, 29)),
    (sa.Time, datetime.time(1, 2, 3, 4)),
    (sa.DateTime, datetime.datetime(2024, 2, 29, 1, 2, 3, 4)),
    (sa.DateTime(timezone=True), datetime.datetime(2024, 2, 29, 1, tzinfo=datetime.UTC)),
    (sa.Interval, datetime.timedelta(days=1, seconds=7, microseconds=1)),
    (sa.Interval, datetime.timedelta(days=-1, seconds=7)),
    (postgresql.INTERVAL, datetime.timedelta(hours=30)),
    (sa.Uuid, uuid.UUID(int=7)),
    (sa.JSON, {"a": [1, None]}),
    (sa.ARRAY(sa.Integer), [1, 2, None]),
]


@pytest.mark.parametrize(("type_", "value"), TYPES)
@pytest.mark.parametrize("null", [False, True])
def test_what_goes_in_comes_out(type_: Any, value: Any, null: bool) -> None:
    value = None if null else value
    engine = sa.create_engine("vsql://")
    table = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("c", type_))
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(sa.insert(table), {"id": 1, "c": value})
        assert connection.scalar(sa.select(table.c.c)) == value
    reflected = sa.Table("t", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(reflected.c.c)) == value


@pytest.mark.parametrize(("written", "read_only"), [("true", True), ("0", False)])
def test_read_only_of_a_url(tmp_path: Path, written: str, read_only: bool) -> None:
    vsql.connect(tmp_path / "db").close()
    engine = sa.create_engine(f"vsql:///{tmp_path}/db?read_only={written}")
    with engine.begin() as connection:
        refused: Any = pytest.raises(sa.exc.OperationalError, match="read-only")
        with refused if read_only else contextlib.nullcontext():
            connection.execute(sa.text("CREATE TABLE t (id INT)"))
    engine.dispose()


def test_read_only_of_a_url_is_true_or_false(tmp_path: Path) -> None:
    with pytest.raises(sa.exc.ArgumentError, match="true or false, not 'maybe'"):
        sa.create_engine(f"vsql:///{tmp_path}/db?read_only=maybe").connect()
