"""What pgvector-python documents for SQLAlchemy, with another import and another URL.

After https://github.com/pgvector/pgvector-python#sqlalchemy: there, the types come from
`pgvector.sqlalchemy` and the URL begins with `postgresql`; the rest is as it stands here.

    python examples/pgvector_sqlalchemy.py [URL]
"""

import sys
from typing import Any

from sqlalchemy import BigInteger, Index, create_engine, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from vsql.dialect import BIT, HALFVEC, VECTOR, avg, sum


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    embedding = mapped_column(VECTOR(3))
    half_embedding = mapped_column(HALFVEC(3))
    binary_embedding = mapped_column(BIT(8))


engine = create_engine(sys.argv[1] if len(sys.argv) > 1 else "vsql://")
with Session(engine) as session:
    session.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
    session.commit()
Base.metadata.drop_all(engine)
Base.metadata.create_all(engine)

with Session(engine) as session:
    for vector, bits in (([1, 1, 1], "11110000"), ([2, 2, 2], "00001111"), ([1, 1, 2], "11100000")):
        item = Item(embedding=vector, half_embedding=vector, binary_embedding=bits)
        session.add(item)
    session.commit()

    # The nearest neighbours of a vector, by each distance.
    query = [3, 1, 2]
    nearest = session.scalars(select(Item).order_by(Item.embedding.l2_distance(query)).limit(5))
    print("l2:", [item.id for item in nearest])
    for name in ("max_inner_product", "cosine_distance", "l1_distance"):
        order = getattr(Item.embedding, name)(query)
        print(f"{name}:", [item.id for item in session.scalars(select(Item).order_by(order))])
    order = Item.half_embedding.l2_distance(query)
    print("half:", [item.id for item in session.scalars(select(Item).order_by(order))])
    for name in ("hamming_distance", "jaccard_distance"):
        order = getattr(Item.binary_embedding, name)("11110000")
        print(f"{name}:", [item.id for item in session.scalars(select(Item).order_by(order))])

    # The distance itself, and items within a certain distance.
    distances = session.scalars(select(Item.embedding.l2_distance(query)).order_by(Item.id))
    print("distances:", [round(distance, 3) for distance in distances])
    within = select(Item).filter(Item.embedding.l2_distance(query) < 2).order_by(Item.id)
    print("within:", [item.id for item in session.scalars(within)])

    # Averages and sums of vectors.
    for aggregate in (avg, sum):
        vector = session.scalars(select(aggregate(Item.embedding))).one()
        print(f"{aggregate.__name__}:", [round(float(number), 3) for number in vector])

    # Half precision and binary quantisation, then the best of these by the vectors themselves.
    order = func.cast(Item.embedding, HALFVEC(3)).l2_distance(query)
    print("as half:", [item.id for item in session.scalars(select(Item).order_by(order, Item.id))])
    quantized = func.cast(func.binary_quantize(Item.embedding), BIT(3))
    wanted: Any = [3, -1, 2]
    other = func.binary_quantize(func.cast(wanted, VECTOR(3)))
    rough = select(Item).order_by(quantized.hamming_distance(other), Item.id).limit(20).subquery()
    order = rough.c.embedding.l2_distance([3, -1, 2])
    reranked = select(rough.c.id).order_by(order, rough.c.id).limit(2)
    print("re-ranked:", list(session.scalars(reranked)))

for kind, options in (("hnsw", {"m": 16, "ef_construction": 64}), ("ivfflat", {"lists": 1})):
    index = Index(
        f"my_{kind}_index",
        Item.embedding,
        postgresql_using=kind,
        postgresql_with=options,
        postgresql_ops={"embedding": "vector_l2_ops"},
    )
    index.create(engine)

with Session(engine) as session:
    nearest = session.scalars(select(Item).order_by(Item.embedding.l2_distance([3, 1, 2])).limit(5))
    print("with indexes:", [item.id for item in nearest])
