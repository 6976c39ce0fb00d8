"""What pgvector's Python package offers to SQLAlchemy, with another import and another URL.

Where that package and its documentation say `from pgvector.sqlalchemy import …`, this says
`from vsql.dialect import …`; Index still gets its `postgresql_…` options.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pgvector
import pytest
import sqlalchemy as sa
from sqlalchemy import func, select, text
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vsql
import vsql.dialect
from vsql.dialect import BIT, HALFVEC, SPARSEVEC, VECTOR, avg, sum
from vsql.index import registry

ROOT = Path(__file__).parent.parent.parent
ONE, TWO, NEAR = [1, 1, 1], [2, 2, 2], [1, 1, 2]


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    embedding: Mapped[Any] = mapped_column(VECTOR(3), nullable=True)
    half: Mapped[Any] = mapped_column(HALFVEC(3), nullable=True)
    bits: Mapped[Any] = mapped_column(BIT(8), nullable=True)
    sparse: Mapped[Any] = mapped_column(SPARSEVEC(3), nullable=True)
    vectors: Mapped[Any] = mapped_column(sa.ARRAY(VECTOR(3)), nullable=True)
    halves: Mapped[Any] = mapped_column(sa.ARRAY(HALFVEC(3), dimensions=1), nullable=True)


@pytest.fixture
def session() -> Iterator[Session]:
    engine = sa.create_engine("vsql://")
    with Session(engine) as session:
        session.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
        session.commit()
        Base.metadata.create_all(engine)
        yield session
    engine.dispose()


@pytest.fixture
def three(session: Session) -> Session:
    rows = [(1, ONE, "00000000"), (2, TWO, "10100000"), (3, NEAR, "11100000")]
    session.add_all(Item(id=n, embedding=v, half=v, bits=b, sparse=v) for n, v, b in rows)
    session.commit()
    return session


def _knows(expression: str) -> bool:
    with vsql.connect() as connection:
        try:
            connection.execute(f"SELECT {expression}")
        except vsql.Error:
            return False
        return True


def _knows_kind(kind: str) -> bool:
    with vsql.connect() as connection:
        connection.execute("CREATE TABLE t (e VECTOR(3))")
        try:
            connection.execute(f"CREATE INDEX ON t USING {kind} (e)")
        except vsql.Error:
            return False
        return True


def test_the_names_are_pgvectors() -> None:
    import pgvector.sqlalchemy

    offered = set(pgvector.sqlalchemy.__all__)
    assert [name for name in sorted(offered) if not hasattr(vsql.dialect, name)] == []
    pairs = (
        (VECTOR, pgvector.sqlalchemy.VECTOR),
        (BIT, pgvector.sqlalchemy.BIT),
        (SPARSEVEC, pgvector.sqlalchemy.SPARSEVEC),
    )
    for own, theirs in pairs:
        methods = {name for name in dir(theirs.comparator_factory) if name.endswith("distance")}
        methods |= {"max_inner_product"} & set(dir(theirs.comparator_factory))
        assert methods
        assert [name for name in methods if not hasattr(own.comparator_factory, name)] == []


DISTANCES: dict[str, tuple[Any, list[int]]] = {
    "l2": (Item.embedding.l2_distance(ONE), [1, 3, 2]),
    "inner product": (Item.embedding.max_inner_product(ONE), [2, 3, 1]),
    "cosine": (Item.embedding.cosine_distance(ONE), [1, 2, 3]),
    "l1": (Item.embedding.l1_distance(ONE), [1, 3, 2]),
    "half l2": (Item.half.l2_distance(ONE), [1, 3, 2]),
    "half inner product": (Item.half.max_inner_product(ONE), [2, 3, 1]),
    "half cosine": (Item.half.cosine_distance(ONE), [1, 2, 3]),
    "half l1": (Item.half.l1_distance(ONE), [1, 3, 2]),
    "sparse l2": (Item.sparse.l2_distance(pgvector.SparseVector(ONE)), [1, 3, 2]),
    "sparse inner product": (Item.sparse.max_inner_product(ONE), [2, 3, 1]),
    "sparse cosine": (Item.sparse.cosine_distance({0: 1, 1: 1, 2: 1}), [1, 2, 3]),
    "sparse l1": (Item.sparse.l1_distance("{1:1,2:1,3:1}/3"), [1, 3, 2]),
    "hamming": (Item.bits.hamming_distance("10100000"), [2, 3, 1]),
    "jaccard": (Item.bits.jaccard_distance("10100000"), [2, 3, 1]),
}


@pytest.mark.parametrize(("distance", "order"), DISTANCES.values(), ids=DISTANCES)
def test_nearest_first(three: Session, distance: Any, order: list[int]) -> None:
    assert [item.id for item in three.scalars(select(Item).order_by(distance, Item.id))] == order
    nearest = three.scalars(select(Item).order_by(distance, Item.id).limit(2))
    assert [item.id for item in nearest] == order[:2]
    assert [item.id for item in three.query(Item).order_by(distance, Item.id).all()] == order


@pytest.mark.parametrize(
    ("column", "value", "back"),
    [
        ("embedding", [1.5, 2, 3], [1.5, 2, 3]),
        ("embedding", (1, 2, 3), [1, 2, 3]),
        ("embedding", np.array([1, 2, 3]), [1, 2, 3]),
        ("embedding", np.array([1, 2, 3], np.float16), [1, 2, 3]),
        ("embedding", "[1,2,3]", [1, 2, 3]),
        ("embedding", pgvector.Vector([1, 2, 3]), [1, 2, 3]),
        ("embedding", None, None),
        ("half", [1.5, 2, 3], [1.5, 2, 3]),
        ("half", np.array([1, 2, 3]), [1, 2, 3]),
        ("half", pgvector.HalfVector([1, 2, 3]), [1, 2, 3]),
        ("half", None, None),
        ("bits", "10100000", "10100000"),
        ("bits", b"\xa0", "10100000"),
        ("bits", pgvector.Bit("10100000"), "10100000"),
        ("bits", np.array([1, 0, 1, 0, 0, 0, 0, 0], bool), "10100000"),
        ("bits", None, None),
        ("sparse", pgvector.SparseVector({0: 1, 2: 5}, 3), vsql.SparseVector([1, 0, 5])),
        ("sparse", vsql.SparseVector([1, 0, 5]), vsql.SparseVector([1, 0, 5])),
        ("sparse", {2: 5, 0: 1}, vsql.SparseVector([1, 0, 5])),
        ("sparse", ([0, 2], [1, 5]), vsql.SparseVector([1, 0, 5])),
        ("sparse", [1, 0, 5], vsql.SparseVector([1, 0, 5])),
        ("sparse", "{1:1,3:5}/3", vsql.SparseVector([1, 0, 5])),
        ("sparse", None, None),
        ("vectors", [[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]),
        ("vectors", [np.array([1, 2, 3]), np.array([4, 5, 6])], [[1, 2, 3], [4, 5, 6]]),
        ("vectors", None, None),
        ("halves", [[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]),
        ("halves", [np.array([1, 2, 3]), [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_values_there_and_back(session: Session, column: str, value: Any, back: Any) -> None:
    session.add(Item(id=1, **{column: value}))
    session.commit()
    found = getattr(session.get_one(Item, 1), column)
    assert type(found) is type(back)
    assert found == back


@pytest.mark.parametrize(
    "value", [np.array(TWO), TWO, pgvector.Vector(TWO), "[2,2,2]"], ids=lambda v: type(v).__name__
)
@pytest.mark.parametrize("before", [ONE, None])
def test_a_unit_of_work_sees_what_has_changed(session: Session, before: Any, value: Any) -> None:
    session.add(Item(id=1, embedding=before, half=before))
    session.commit()
    item = session.get_one(Item, 1)
    assert (item.embedding, item.half) == (before, before)
    item.embedding = item.half = value
    assert session.is_modified(item)
    session.commit()
    assert (item.embedding, item.half) == (TWO, TWO)
    session.merge(Item(id=1, embedding=np.array(NEAR), bits=np.array([1, 0] * 4)))
    session.commit()
    assert (item.embedding, item.half, item.bits) == (NEAR, TWO, "10101010")
    item.embedding = np.array(NEAR)
    assert not session.is_modified(item)
    item.embedding = None
    session.commit()
    assert item.embedding is None


def test_a_unit_of_work_compares_sparse_vectors(session: Session) -> None:
    session.add(Item(id=1, sparse={0: 1}))
    session.commit()
    item = session.get_one(Item, 1)
    assert item.sparse == vsql.SparseVector([1, 0, 0])
    for same in ({0: 1}, "{1:1}/3", pgvector.SparseVector([1, 0, 0])):
        item.sparse = same
        assert not session.is_modified(item)
        session.refresh(item)
    item.sparse = {1: 1}
    assert session.is_modified(item)
    session.commit()
    assert item.sparse.to_text() == "{2:1}/3"


def test_arrays_of_vectors_pass_through_duckdb(session: Session) -> None:
    session.add(Item(id=1, embedding=ONE, vectors=[[1, 2, 3]], halves=[[4, 5, 6]]))
    session.commit()
    item = session.scalars(select(Item).order_by(Item.id + 1)).one()
    assert (item.vectors, item.halves) == ([[1, 2, 3]], [[4, 5, 6]])


def test_arrays_where_they_are_asked_for(three: Session) -> None:
    table = sa.table("item", sa.column("embedding", VECTOR(3, as_numpy=True)))
    found = three.scalars(select(table.c.embedding)).all()
    assert [type(vector) for vector in found] == [np.ndarray] * 3
    assert np.array_equal(found, [ONE, TWO, NEAR])


def test_pgvectors_own_values_as_parameters(three: Session) -> None:
    by_vector = Item.embedding.l2_distance(pgvector.Vector(TWO))
    by_half = Item.half.l2_distance(pgvector.HalfVector(TWO))
    by_bits = Item.bits.hamming_distance(pgvector.Bit("11100000"))
    found = [
        three.scalars(select(Item.id).order_by(d)).first() for d in (by_vector, by_half, by_bits)
    ]
    assert found == [2, 2, 3]
    # Where DuckDB computes the distance, too.
    paired = sa.text("SELECT i.embedding <-> :v FROM item i JOIN item j ON i.id = j.id ORDER BY 1")
    assert three.scalars(paired, {"v": pgvector.Vector(TWO)}).first() == 0


def test_the_driver_takes_pgvectors_values_and_columns_of_frames() -> None:
    pandas = pytest.importorskip("pandas")
    with vsql.connect() as connection:
        connection.execute("CREATE TABLE t (e VECTOR(3), h HALFVEC(3), b BIT(8))")
        row = (pgvector.Vector(ONE), pgvector.HalfVector(TWO), pgvector.Bit("10100000"))
        connection.execute("INSERT INTO t VALUES (?, ?, ?)", row)
        connection.execute("INSERT INTO t (e) VALUES (?)", (pandas.Series(NEAR),))
        query = "SELECT e FROM t ORDER BY e <-> ? LIMIT 1"
        for near in (pgvector.Vector(NEAR), pandas.Series(NEAR)):
            ((found,),) = connection.execute(query, (near,)).fetchall()
            assert found.tolist() == NEAR
        stamp = pandas.Timestamp("2026-01-02 03:04:05.678")
        assert connection.execute("SELECT ?", (stamp,)).fetchone() == (stamp.to_pydatetime(),)


def test_pgvector_is_not_imported() -> None:
    code = (
        "import sys, vsql, vsql.dialect, sqlalchemy as sa\n"
        "c = vsql.connect()\n"
        "c.execute('CREATE TABLE t (e VECTOR(2))')\n"
        "c.execute('INSERT INTO t VALUES (?)', ([1, 2],))\n"
        "print('pgvector' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_distances_as_values_and_conditions(three: Session) -> None:
    distance = Item.embedding.l2_distance(ONE)
    found = three.scalars(select(distance).order_by(Item.id)).all()
    assert found == pytest.approx([0, 3**0.5, 1])
    assert [i.id for i in three.scalars(select(Item).filter(distance < 1))] == [1]
    nearest = select(Item.embedding).filter_by(id=1).scalar_subquery()
    order = Item.embedding.l2_distance(nearest)
    assert [i.id for i in three.scalars(select(Item).order_by(order))] == [1, 3, 2]


@pytest.mark.skipif(
    not _knows("avg(e) FROM (SELECT CAST('[1,2]' AS VECTOR(2)) AS e) AS t"),
    reason="the engine has no aggregates of vectors",
)
def test_averages_and_sums(session: Session) -> None:
    for aggregate, expected in ((avg, [2.5, 3.5, 4.5]), (sum, [5, 7, 9])):
        assert session.scalars(select(aggregate(Item.embedding))).first() is None
        session.add_all([Item(embedding=[1, 2, 3]), Item(embedding=[4, 5, 6])])
        assert session.scalars(select(aggregate(Item.embedding))).one() == expected
        session.rollback()


def test_avg_is_a_function_of_its_own(session: Session) -> None:
    """It has its argument's type, where SQLAlchemy's `func.avg` has none."""
    assert isinstance(avg(Item.embedding).type, VECTOR)
    assert isinstance(sum(Item.half).type, HALFVEC)
    assert not isinstance(func.avg(Item.embedding).type, VECTOR)
    assert str(select(avg(Item.id))) == "SELECT avg(item.id) AS avg_1 \nFROM item"
    session.add_all([Item(id=1), Item(id=4)])
    assert session.scalars(select(avg(Item.id))).one() == 2.5


INDEXES: dict[str, dict[str, Any]] = {
    "hnsw": {"using": "hnsw", "with": {"m": 16, "ef_construction": 64}},
    "ivfflat": {"using": "ivfflat", "with": {"lists": 100}},
}


@pytest.mark.parametrize("kind", INDEXES)
@pytest.mark.parametrize("class_", ["vector_l2_ops", "vector_ip_ops", "vector_cosine_ops"])
def test_indexes(three: Session, kind: str, class_: str) -> None:
    if not _knows_kind(kind):
        pytest.skip(f"the engine has no {kind}")
    options = {f"postgresql_{name}": value for name, value in INDEXES[kind].items()}
    table = Item.__table__.to_metadata(sa.MetaData())
    index = sa.Index("ix", table.c.embedding, postgresql_ops={"embedding": class_}, **options)
    index.create(three.connection())
    (found,) = sa.inspect(three.connection()).get_indexes("item")
    assert found["dialect_options"]["vsql_using"].upper() == registry.canonical(kind)
    assert found["dialect_options"]["vsql_ops"] == {"embedding": class_}
    index.drop(three.connection())
    assert sa.inspect(three.connection()).get_indexes("item") == []


def test_an_index_of_half_precision(three: Session) -> None:
    half = func.cast(Item.embedding, HALFVEC(3))
    index = sa.Index(
        "half_index",
        half.label("embedding"),
        postgresql_using="hnsw",
        postgresql_ops={"embedding": "halfvec_l2_ops"},
    )
    try:
        with pytest.warns(UserWarning, match="exact"):
            index.create(three.connection())
        nearest = select(Item.id).order_by(half.l2_distance(ONE))
        assert three.scalars(nearest).all() == [1, 3, 2]
        assert three.scalars(nearest.limit(2)).all() == [1, 3]
    finally:
        table: Any = Item.__table__
        table.indexes.discard(index)


@pytest.mark.skipif(
    not _knows("binary_quantize(CAST('[1,2]' AS VECTOR(2)))"),
    reason="the engine has no binary_quantize",
)
def test_binary_quantization(session: Session) -> None:
    signs = [[-1, -2, -3], [1, -2, 3], [1, 2, 3]]
    session.add_all(Item(id=n, embedding=v) for n, v in enumerate(signs, 1))
    session.commit()
    query = func.binary_quantize(func.cast([3, -1, 2], VECTOR(3)))
    distance = func.cast(func.binary_quantize(Item.embedding), BIT(3)).hamming_distance(query)
    assert [i.id for i in session.scalars(select(Item).order_by(distance))] == [2, 3, 1]
    inner = session.query(Item).order_by(distance).limit(20).subquery()
    order = inner.c.embedding.cosine_distance([3, -1, 2])
    assert [row.id for row in session.query(inner).order_by(order).limit(5)] == [2, 3, 1]


@pytest.mark.parametrize("bad", [[1, 2], np.array([[1, 2, 3]]), np.array(["x", "y", "z"]), "[1,"])
def test_what_is_no_such_vector(session: Session, bad: Any) -> None:
    session.add(Item(embedding=bad))
    with pytest.raises(sa.exc.StatementError):
        session.commit()
    session.rollback()
    session.add(Item(embedding=[1, 2]))
    with pytest.raises(sa.exc.DataError, match="expected 3 dimensions"):
        session.commit()


@pytest.mark.parametrize(
    ("distance", "written"),
    [
        (Item.embedding.l2_distance([1, 2, 3]), "embedding <-> '[1.0,2.0,3.0]'"),
        (Item.half.cosine_distance(np.array([0.5, 2, 3])), "half <=> '[0.5,2.0,3.0]'"),
        (Item.embedding.l1_distance(pgvector.Vector([1, 2, 3])), "<+> '[1.0,2.0,3.0]'"),
        (Item.bits.hamming_distance("10100000"), "bits <~> '10100000'"),
        (Item.bits.jaccard_distance(b"\xa0"), "bits <%> '10100000'"),
        (Item.bits.jaccard_distance(pgvector.Bit("10100000")), "bits <%> '10100000'"),
        (Item.sparse.l2_distance({2: 1, 0: 0.5}), "sparse <-> '{1:0.5,3:1}/3'"),
        (Item.sparse.l1_distance(pgvector.SparseVector([0, 1, 0])), "sparse <+> '{2:1}/3'"),
        (Item.embedding.l2_distance("it's"), "embedding <-> 'it''s'"),
    ],
)
def test_vectors_as_literals(session: Session, distance: Any, written: str) -> None:
    statement = (
        select(Item.id)
        .order_by(distance)
        .compile(session.get_bind(), compile_kwargs={"literal_binds": True})
    )
    assert written in str(statement)
    if "it's" not in str(written.replace("''", "'")):
        assert session.execute(text(str(statement))).all() == []


def test_reflection_and_automap(session: Session) -> None:
    columns = {c["name"]: c["type"] for c in sa.inspect(session.get_bind()).get_columns("item")}
    assert isinstance(columns["embedding"], VECTOR) and columns["embedding"].dim == 3
    assert isinstance(columns["half"], HALFVEC)
    assert isinstance(columns["bits"], BIT)
    assert isinstance(columns["sparse"], SPARSEVEC) and columns["sparse"].dim == 3
    metadata = sa.MetaData()
    metadata.reflect(session.get_bind(), only=["item"])
    base = automap_base(metadata=metadata)
    base.prepare()
    session.execute(sa.insert(base.classes.item), [{"embedding": [1, 2, 3]}])
    assert session.query(base.classes.item).one().embedding == [1, 2, 3]


def test_inserts_without_the_orm(session: Session) -> None:
    session.execute(sa.insert(Item).values(embedding=[1, 2, 3]))
    session.execute(sa.insert(Item), [{"embedding": [4, 5, 6]}, {"embedding": np.ones(3)}])
    plain = text("INSERT INTO item (embedding) VALUES (:v)")
    session.execute(plain, {"v": np.array([7, 8, 9])})
    found = session.scalars(select(Item.embedding).order_by(Item.id)).all()
    assert found == [[1, 2, 3], [4, 5, 6], [1, 1, 1], [7, 8, 9]]
