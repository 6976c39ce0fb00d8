"""VsqlVectorStore beyond LangChain's own tests: filters, MMR, scores, injection, persistence."""

import asyncio
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vsql

pytest.importorskip("langchain_core")

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from vsql.langchain import VsqlVectorStore


class Hashed(Embeddings):
    """A vector per text, the same each time: words that two texts share make them near."""

    def embed_query(self, text: str) -> list[float]:
        vector = np.zeros(16)
        for word in text.lower().split():
            vector[hashlib.sha256(word.encode()).digest()[0] % 16] += 1.0
        return vector.tolist()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


TEXTS = ("red apple", "green apple", "red car", "blue car fast")
METADATAS: tuple[dict[str, Any], ...] = (
    {"kind": "fruit", "n": 1, "tags": ["a"], "nested": {"x": 1}},
    {"kind": "fruit", "n": 2, "ripe": False},
    {"kind": "car", "n": 3, "none": None},
    {"kind": "car", "n": 4, 'o\'brien "q" \\ ü': "odd"},
)
IDS = ("1", "2", "3", "4")


@pytest.fixture
def store() -> Iterator[VsqlVectorStore]:
    store = VsqlVectorStore.from_texts(
        list(TEXTS), Hashed(), [dict(m) for m in METADATAS], ids=list(IDS)
    )
    yield store
    store.close()


FILTERS: tuple[tuple[Any, set[str]], ...] = (
    (None, {"1", "2", "3", "4"}),
    ({}, {"1", "2", "3", "4"}),
    ({"kind": "fruit"}, {"1", "2"}),
    ({"kind": {"$eq": "car"}}, {"3", "4"}),
    ({"kind": {"$ne": "car"}}, {"1", "2"}),
    ({"n": {"$gt": 1, "$lte": 3}}, {"2", "3"}),
    ({"n": {"$in": [1, 4, 9]}}, {"1", "4"}),
    ({"n": {"$nin": [1, 4]}}, {"2", "3"}),
    ({"n": {"$in": []}}, set()),
    ({"kind": {"$like": "fr%"}}, {"1", "2"}),
    ({"ripe": {"$exists": True}}, {"2"}),
    ({"ripe": {"$exists": False}}, {"1", "3", "4"}),
    ({"ripe": False}, {"2"}),
    ({"kind": "car", "n": 4}, {"4"}),
    ({"$or": [{"n": 1}, {"n": 2}]}, {"1", "2"}),
    ({"$and": [{"kind": "car"}, {"n": {"$lt": 4}}]}, {"3"}),
    ({"$not": {"kind": "car"}}, {"1", "2"}),
    ({'o\'brien "q" \\ ü': "odd"}, {"4"}),
    ({"missing": 1}, set()),
    ({"kind": "fruit' or 1 == 1 or '"}, set()),
    ({'kind"] == "fruit" or metadata["kind': "x"}, set()),
    ({"kind'); DROP TABLE langchain; --": "x"}, set()),
    ('metadata["n"] >= 3', {"3", "4"}),
    ('id in ["1", "4"] and metadata["kind"] == "fruit"', {"1"}),
    ('content like "red%"', {"1", "3"}),
)


@pytest.mark.parametrize(("written", "expected"), FILTERS, ids=[str(f[0]) for f in FILTERS])
def test_filter(store: VsqlVectorStore, written: Any, expected: set[str]) -> None:
    found = store.similarity_search("red apple", k=10, filter=written)
    assert {document.id for document in found} == expected
    assert len(store.get_by_ids(list(IDS))) == 4


BAD_FILTERS: tuple[Any, ...] = (
    {"$nor": []},
    {"$or": []},
    {"$or": {"n": 1}},
    {"n": {"$near": 1}},
    {"n": {}},
    {"n": {"$in": "text"}},
    {5: 1},
    {"": 1},
    {"a\nb": 1},
    {"$not": 3},
    "metadata[",
    "'); DROP TABLE langchain; --",
    "nosuch == 1",
)


@pytest.mark.parametrize("written", BAD_FILTERS, ids=str)
def test_bad_filter(store: VsqlVectorStore, written: Any) -> None:
    with pytest.raises(vsql.ProgrammingError):
        store.similarity_search("red apple", filter=written)
    assert len(store.get_by_ids(list(IDS))) == 4


@pytest.mark.parametrize(
    "name", ["'", '"; DROP TABLE langchain; --', "select", "Ünï çödé", "a b", "x" * 60]
)
def test_odd_names(name: str) -> None:
    """Collection names, ids and metadata are data, whatever they hold."""
    store = VsqlVectorStore(Hashed(), collection=name)
    document = Document(id=name, page_content=name, metadata={name: name})
    assert store.add_documents([document]) == [name]
    assert store.similarity_search(name, filter={name: name}) == [document]
    assert store.get_by_ids([name, name, "x' OR '1'='1"]) == [document]
    store.delete(["x' OR '1'='1"])
    assert store.get_by_ids([name]) == [document]
    store.delete([name])
    assert store.get_by_ids([name]) == []
    store.close()


@pytest.mark.parametrize("name", ["", "a.b", "a\0b"])
def test_refused_names(name: str) -> None:
    with pytest.raises(vsql.ProgrammingError):
        VsqlVectorStore(Hashed(), collection=name)


@pytest.mark.parametrize("kind", ["hnsw; DROP TABLE langchain", "hnsw ", ""])
def test_refused_index(store: VsqlVectorStore, kind: str) -> None:
    with pytest.raises(vsql.ProgrammingError):
        store.create_index(kind)


@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product", "l1"])
def test_scores(metric: str) -> None:
    """Scores are distances, nearest first; relevance falls with them."""
    store = VsqlVectorStore.from_texts(list(TEXTS), Hashed(), ids=list(IDS), metric=metric)
    found = store.similarity_search_with_score("red apple", k=4)
    scores = [score for _, score in found]
    assert scores == sorted(scores)
    assert found[0][0].id == "1"
    query, best = (np.array(Hashed().embed_query(t)) for t in ("red apple", "red apple"))
    expected = {
        "cosine": 0.0,
        "l2": 0.0,
        "l1": 0.0,
        "inner_product": -float(query @ best),
    }[metric]
    assert math.isclose(scores[0], expected, abs_tol=1e-6)
    relevance = [r for _, r in store.similarity_search_with_relevance_scores("red apple", k=4)]
    assert relevance == sorted(relevance, reverse=True)
    store.close()


def test_unknown_metric() -> None:
    with pytest.raises(vsql.ProgrammingError):
        VsqlVectorStore(Hashed(), metric="cosin")


def test_marginal_relevance(store: VsqlVectorStore) -> None:
    """With no weight on nearness, the second is what is least like the first."""
    alike = store.max_marginal_relevance_search("red apple", k=2, fetch_k=4, lambda_mult=1.0)
    diverse = store.max_marginal_relevance_search("red apple", k=2, fetch_k=4, lambda_mult=0.0)
    assert alike[0].id == diverse[0].id == "1"
    assert diverse[1].id == "4"
    filtered = store.max_marginal_relevance_search("red apple", filter={"kind": "car"})
    assert {d.id for d in filtered} == {"3", "4"}


def test_by_vector(store: VsqlVectorStore) -> None:
    vector = Hashed().embed_query("green apple")
    assert store.similarity_search_by_vector(vector, k=1)[0].id == "2"
    assert store.similarity_search_with_score_by_vector(vector, k=1)[0][1] == pytest.approx(0)


def test_async(store: VsqlVectorStore) -> None:
    async def run() -> None:
        found = await asyncio.gather(*(store.asimilarity_search(text, k=1) for text in TEXTS))
        assert [documents[0].id for documents in found] == list(IDS)
        marginal = await store.amax_marginal_relevance_search("red apple", k=2, fetch_k=4)
        assert marginal[0].id == "1"
        assert (await store.asimilarity_search_with_score("red car", k=1))[0][0].id == "3"
        added = await VsqlVectorStore.afrom_texts(["x"], Hashed(), ids=["9"])
        assert [d.id for d in await added.aget_by_ids(["9"])] == ["9"]

    asyncio.run(run())


def test_delete(store: VsqlVectorStore) -> None:
    store.delete(["1", "nosuch"])
    assert {d.id for d in store.similarity_search("red", k=9)} == {"2", "3", "4"}
    store.delete()
    assert store.similarity_search("red", k=9) == []
    assert VsqlVectorStore(Hashed()).delete(["1"])


def test_ids_are_made_and_given_back() -> None:
    store = VsqlVectorStore(Hashed())
    ids = store.add_texts(["a", "b"], ids=["x", None])
    assert ids[0] == "x"
    assert [d.page_content for d in store.get_by_ids([ids[1], "x"])] == ["b", "a"]
    assert store.add_texts([]) == []
    # The last of a repeated id wins, as it would one call after the other.
    store.add_texts(["one", "two"], ids=["r", "r"])
    assert store.get_by_ids(["r"])[0].page_content == "two"
    with pytest.raises(vsql.ProgrammingError):
        store.add_texts(["a", "b"], ids=["x"])
    with pytest.raises(vsql.Error):
        store.add_texts(["a"], [{"x": object()}])


def test_folder_and_index(tmp_path: Path) -> None:
    path = tmp_path / "db"
    first = VsqlVectorStore.from_texts(list(TEXTS), Hashed(), ids=list(IDS), connection=path)
    first.create_index("hnsw", m=8)
    first.close()
    again = VsqlVectorStore(Hashed(), path)
    assert again.similarity_search("blue car fast", k=1)[0].id == "4"
    again.close()


def test_connection_keeps_its_transaction() -> None:
    with vsql.connect(":memory:") as connection:
        store = VsqlVectorStore.from_texts(["a"], Hashed(), ids=["1"], connection=connection)
        connection.commit()
        store.add_texts(["b"], ids=["2"])
        connection.rollback()
        assert [d.id for d in store.get_by_ids(["1", "2"])] == ["1"]
        store.close()
        assert connection.execute("SELECT count(*) FROM langchain").fetchone() == (1,)


def test_retriever(store: VsqlVectorStore) -> None:
    retriever = store.as_retriever(search_kwargs={"k": 1, "filter": {"kind": "car"}})
    assert retriever.invoke("red apple")[0].id == "3"
