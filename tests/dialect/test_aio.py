"""The asyncio engine: Core, ORM sessions, streams, reflection, tasks that are cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import (
    AsyncAttrs,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

import vsql
import vsql.aio
from vsql.dialect import Vector

ENDLESS = sa.text("SELECT count(*) FROM range(100000000000) a")


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "shelf"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    books: Mapped[list["Book"]] = relationship(
        back_populates="shelf", cascade="all, delete-orphan", order_by="Book.id"
    )


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(sa.ForeignKey("shelf.id"))
    title: Mapped[str]
    embedding: Mapped[Any] = mapped_column(Vector(2), nullable=True)
    shelf: Mapped[Shelf] = relationship(back_populates="books")
    __table_args__ = (
        sa.Index(
            "book_embedding",
            "embedding",
            vsql_using="hnsw",
            vsql_ops={"embedding": "vector_cosine_ops"},
        ),
    )


def _with_engine(url: str, body: Callable[[AsyncEngine], Awaitable[None]]) -> None:
    async def run() -> None:
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        try:
            await body(engine)
        finally:
            await engine.dispose()

    asyncio.run(run())


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"vsql+aio:///{tmp_path}/db"


async def _fill(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        books = [Book(title="near", embedding=[1, 0]), Book(title="far", embedding=[0, 1])]
        session.add(Shelf(name="a", books=books))


async def _titles(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list((await connection.scalars(sa.select(Book.title).order_by(Book.id))).all())


@pytest.mark.parametrize("memory", ["vsql+aio://", "vsql+aio:///:memory:", "vsql://"])
def test_a_database_in_memory_is_one_for_all_tasks(memory: str) -> None:
    async def body(engine: AsyncEngine) -> None:
        assert isinstance(engine.pool, sa.StaticPool)
        await _fill(engine)
        assert await asyncio.gather(_titles(engine), _titles(engine)) == [["near", "far"]] * 2

    _with_engine(memory, body)


def test_core(url: str) -> None:
    async def body(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            made = await connection.execute(
                sa.insert(Shelf).returning(Shelf.id, Shelf.name), [{"name": "a"}, {"name": "b"}]
            )
            assert sorted(row.name for row in made) == ["a", "b"]
            table: Any = Shelf.__table__
            statement = insert(table).values(name="a")
            again = statement.on_conflict_do_nothing(index_elements=["name"])
            assert (await connection.execute(again)).rowcount == 0
            many = [{"shelf_id": 1, "title": f"{n:04}"} for n in range(2_000)]
            await connection.execute(sa.insert(Book), many)
            assert await connection.scalar(sa.select(sa.func.count(Book.id))) == 2_000
            deleted = await connection.execute(sa.delete(Book).where(Book.title >= "1000"))
            assert deleted.rowcount == 1_000
        assert len(await _titles(engine)) == 1_000

    _with_engine(url, body)


def test_streams_give_rows_as_they_are_asked_for(url: str) -> None:
    async def body(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            found = await connection.stream(sa.text("SELECT i FROM range(1000) r(i) ORDER BY i"))
            assert await found.fetchone() == (0,)
            assert await found.fetchmany(2) == [(1,), (2,)]
            assert [row[0] async for row in found] == list(range(3, 1_000))
            async with AsyncSession(engine) as session:
                await session.run_sync(lambda inner: inner.add(Shelf(name="z")))
                await session.flush()
                names = [name async for name in await session.stream_scalars(sa.select(Shelf.name))]
                assert names == ["z"]

    _with_engine(url, body)


def test_orm(url: str) -> None:
    async def body(engine: AsyncEngine) -> None:
        await _fill(engine)
        sessions = async_sessionmaker(engine, expire_on_commit=False)
        async with sessions() as session:
            nearest = sa.select(Book).order_by(Book.embedding.cosine_distance([0, 1])).limit(1)
            far = (await session.scalars(nearest)).one()
            assert far.title == "far"
            assert (await far.awaitable_attrs.shelf).name == "a"
            shelves = await session.scalars(sa.select(Shelf).options(selectinload(Shelf.books)))
            shelf = shelves.one()
            assert [book.title for book in shelf.books] == ["near", "far"]
            shelf.books.remove(far)
            shelf.name = "b"
            await session.commit()
        assert await _titles(engine) == ["near"]

    _with_engine(url, body)


def test_rollback_and_savepoints(url: str) -> None:
    async def body(engine: AsyncEngine) -> None:
        await _fill(engine)
        async with AsyncSession(engine) as session:
            session.add(Book(shelf_id=1, title="lost"))
            await session.flush()
            await session.rollback()
            session.add(Book(shelf_id=1, title="kept"))
            with pytest.raises(sa.exc.IntegrityError):
                async with session.begin_nested():
                    session.add(Shelf(name="a"))
            await session.commit()
        assert await _titles(engine) == ["near", "far", "kept"]

        async def fails() -> None:
            async with engine.begin() as connection:
                await connection.execute(sa.delete(Book))
                raise ValueError("on purpose")

        with pytest.raises(ValueError, match="on purpose"):
            await fails()
        assert len(await _titles(engine)) == 3

    _with_engine(url, body)


def test_sessions_run_side_by_side(url: str) -> None:
    async def body(engine: AsyncEngine) -> None:
        await _fill(engine)

        async def add(number: int) -> None:
            async with AsyncSession(engine) as session, session.begin():
                session.add(Book(shelf_id=1, title=f"{number:02}"))
                await session.flush()
                nearest = sa.select(Book.title).order_by(Book.embedding.cosine_distance([1, 0]))
                assert await session.scalar(nearest.limit(1)) == "near"

        await asyncio.gather(*(add(number) for number in range(12)))
        assert (await _titles(engine))[:2] == ["near", "far"]
        assert sorted(await _titles(engine)) == sorted(
            ["near", "far", *(f"{number:02}" for number in range(12))]
        )

    _with_engine(url, body)


@pytest.mark.parametrize("memory", [False, True], ids=["folder", "memory"])
def test_a_cancelled_task_leaves_a_good_connection(url: str, memory: bool) -> None:
    async def body(engine: AsyncEngine) -> None:
        await _fill(engine)

        async def slow() -> None:
            async with engine.begin() as connection:
                await connection.execute(sa.delete(Book))
                await connection.execute(ENDLESS)

        task = asyncio.create_task(slow())
        await asyncio.sleep(0.3)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Its transaction is gone, and what it used works on.
        assert await _titles(engine) == ["near", "far"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), AsyncSession(engine) as session:
                await session.execute(ENDLESS)
        assert await _titles(engine) == ["near", "far"]

    _with_engine("vsql+aio://" if memory else url, body)


def test_reflection(url: str) -> None:
    async def body(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.execute(sa.text("CREATE VIEW titles AS SELECT title FROM book"))
            await connection.commit()
        async with engine.connect() as connection:
            metadata = sa.MetaData()
            await connection.run_sync(metadata.reflect, views=True)
            assert set(metadata.tables) == {"shelf", "book", "titles"}
            assert isinstance(metadata.tables["book"].c.embedding.type, Vector)
            assert isinstance(metadata.tables["titles"].c.title.type, sa.Text)
            (index,) = metadata.tables["book"].indexes
            assert index.dialect_kwargs["vsql_using"] == "hnsw"

    _with_engine(url, body)


def test_autocommit(url: str) -> None:
    async def body(engine: AsyncEngine) -> None:
        autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with autocommit.connect() as connection:
            await connection.execute(sa.insert(Shelf).values(name="kept"))
            assert await connection.get_isolation_level() == "AUTOCOMMIT"
        async with engine.connect() as connection:
            assert await connection.get_isolation_level() == "SNAPSHOT"
            assert (await connection.scalars(sa.select(Shelf.name))).all() == ["kept"]

    _with_engine(url, body)


def test_errors_are_sqlalchemys(url: str) -> None:
    async def body(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            with pytest.raises(sa.exc.ProgrammingError) as caught:
                await connection.execute(sa.text("SELECT nothing FROM book"))
            assert isinstance(caught.value.orig, vsql.ProgrammingError)
            assert caught.value.orig.sqlstate == "42703"
        async with engine.connect() as connection:
            await connection.execute(sa.insert(Shelf).values(name="a"))
            with pytest.raises(sa.exc.IntegrityError):
                await connection.execute(sa.insert(Shelf).values(name="a"))

    _with_engine(url, body)


def test_the_drivers_connection_is_within_reach(url: str) -> None:
    async def body(engine: AsyncEngine) -> None:
        await _fill(engine)
        async with engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, vsql.aio.AsyncConnection)
            cursor = await driver.execute("SELECT title FROM book ORDER BY id")
            assert (await cursor.fetch_arrow_table())["title"].to_pylist() == ["near", "far"]

    _with_engine(url, body)


def test_an_invalidated_connection_is_replaced(url: str) -> None:
    async def body(engine: AsyncEngine) -> None:
        await _fill(engine)
        async with engine.connect() as connection:
            await connection.invalidate()
        assert await _titles(engine) == ["near", "far"]

    _with_engine(url, body)


def test_a_folder_that_cannot_be_opened(tmp_path: Path) -> None:
    async def run() -> None:
        engine = create_async_engine(f"vsql+aio:///{tmp_path}/missing?read_only=true")
        with pytest.raises(sa.exc.OperationalError):
            await engine.connect()

    asyncio.run(run())
