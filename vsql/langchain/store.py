"""`VsqlVectorStore`: a table of texts, metadata and embeddings, as LangChain reads and writes it.

| column | type |
|---|---|
| id | TEXT PRIMARY KEY |
| content | TEXT |
| metadata | JSON |
| embedding | VECTOR(n), n being the dimension of the first embedding |
"""

import json
import math
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

import vsql
from vsql.core import sqlstate
from vsql.core.distance import Metric
from vsql.core.errors import ProgrammingError, did_you_mean
from vsql.driver.connection import Connection
from vsql.langchain.filters import filter_text

Filter = str | Mapping[str, Any]
"""Conditions on metadata as a mapping, or the text of a filter over the table's columns."""

_METRICS = {m.value: m for m in Metric if not m.over_bits}
# Identifiers of one statement: far below the limit on its parameters.
_IDS_AT_ONCE = 1_000


class VsqlVectorStore(VectorStore):
    """Texts and their embeddings in one table of a vsql database.

    `connection` is a folder, ":memory:", or a connection: a folder is opened here with autocommit,
    and closed by `close`; a connection that is given keeps its own transactions. The table, named
    `collection`, is made when the first text comes. `metric` is cosine, l2, inner_product or l1.
    Scores are distances, smaller is nearer; relevance scores are turned the other way.
    """

    def __init__(
        self,
        embedding: Embeddings,
        connection: Connection | str | PathLike[str] = ":memory:",
        *,
        collection: str = "langchain",
        metric: str = Metric.COSINE.value,
    ) -> None:
        if not collection or "." in collection or "\0" in collection:
            raise ProgrammingError(
                f"{collection!r} is no name for a collection",
                code=sqlstate.INVALID_PARAMETER_VALUE,
                hint="a name is not empty, and holds no dot",
            )
        if metric not in _METRICS:
            raise ProgrammingError(
                f"metric {metric!r} does not exist",
                code=sqlstate.INVALID_PARAMETER_VALUE,
                hint=did_you_mean(metric, _METRICS),
            )
        self._embedding = embedding
        self._owned = not isinstance(connection, Connection)
        self._connection = (
            connection
            if isinstance(connection, Connection)
            else vsql.connect(os.fspath(connection), autocommit=True)
        )
        self._metric = _METRICS[metric]
        self._table = '"' + collection.replace('"', '""') + '"'

    @property
    def embeddings(self) -> Embeddings:
        """What turns texts into vectors."""
        return self._embedding

    def close(self) -> None:
        """Close the connection, where it was opened here."""
        if self._owned:
            self._connection.close()

    def create_index(self, kind: str = "hnsw", **options: int) -> None:
        """Build a vector index, as CREATE INDEX … USING kind WITH (options)."""
        words = (kind, *options)
        if not all(word.isidentifier() for word in words):
            raise ProgrammingError(f"no index is called {words!r}", code=sqlstate.SYNTAX_ERROR)
        given = ", ".join(f"{name} = {int(value)}" for name, value in options.items())
        self._connection.execute(
            f"CREATE INDEX ON {self._table} USING {kind}"
            f" (embedding vector_{self._metric.operator_class})"
            + (f" WITH ({given})" if given else "")
        )

    # Writing

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed and store texts; one whose id is there already replaces it. Returns the ids."""
        contents = list(texts)
        return self._store(
            contents, self._embedding.embed_documents(contents), metadatas or [], ids or []
        )

    def _store(
        self,
        contents: list[str],
        vectors: list[list[float]],
        metadatas: Sequence[Mapping[str, Any] | None],
        ids: Sequence[str | None],
    ) -> list[str]:
        for what, given in (("metadatas", metadatas), ("ids", ids)):
            if given and len(given) != len(contents):
                raise ProgrammingError(
                    f"{len(contents)} texts, but {len(given)} {what}",
                    code=sqlstate.INVALID_PARAMETER_VALUE,
                )
        if not contents:
            return []
        chosen = [one or str(uuid.uuid4()) for one in ids or [None] * len(contents)]
        rows = [
            (one, content, dict(metadata or {}), vector)
            for one, content, metadata, vector in zip(
                chosen, contents, metadatas or [{}] * len(contents), vectors, strict=True
            )
        ]
        self._connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} (id TEXT PRIMARY KEY, content TEXT NOT NULL,"
            f" metadata JSON, embedding VECTOR({len(vectors[0])}))"
        )
        self._connection.executemany(
            f"UPSERT INTO {self._table} (id, content, metadata, embedding) VALUES (?, ?, ?, ?)",
            rows,
        )
        return chosen

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Remove texts by id, all of them for None; an id that is not there is passed over."""
        if not self._exists():
            return True
        if ids is None:
            self._connection.execute(f"DELETE FROM {self._table}")
            return True
        for part in _parts(ids):
            marks = ", ".join("?" * len(part))
            self._connection.execute(f"DELETE FROM {self._table} WHERE id IN ({marks})", part)
        return True

    # Reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents that are there, in the order of the ids."""
        if not self._exists():
            return []
        found: dict[str, Document] = {}
        for part in _parts(ids):
            marks = ", ".join("?" * len(part))
            rows = self._connection.execute(
                f"SELECT id, content, metadata FROM {self._table} WHERE id IN ({marks})", part
            )
            found.update((row[0], _document(*row)) for row in rows)
        return [found[one] for one in dict.fromkeys(ids) if one in found]

    def similarity_search(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the `k` documents nearest to a text, among those that pass the filter."""
        return [found for found, _ in self.similarity_search_with_score(query, k, filter)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the nearest documents and their distances."""
        return self.similarity_search_with_score_by_vector(
            self._embedding.embed_query(query), k, filter
        )

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the `k` documents nearest to a vector."""
        return [d for d, _ in self.similarity_search_with_score_by_vector(embedding, k, filter)]

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the documents nearest to a vector, and their distances."""
        return [
            (_document(*row[:3]), row[3])
            for row in self._nearest(embedding, k, filter, "id, content, metadata")
        ]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return `k` of the `fetch_k` nearest documents, near the query and unlike each other."""
        return self.max_marginal_relevance_search_by_vector(
            self._embedding.embed_query(query), k, fetch_k, lambda_mult, filter
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return `k` of the `fetch_k` documents nearest to a vector, unlike each other."""
        rows = self._nearest(embedding, fetch_k, filter, "id, content, metadata, embedding")
        if not rows:
            return []
        chosen = maximal_marginal_relevance(
            np.asarray(embedding, dtype=np.float32), [row[3] for row in rows], lambda_mult, k
        )
        return [_document(*rows[place][:3]) for place in chosen]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        match self._metric:
            case Metric.COSINE:
                return self._cosine_relevance_score_fn
            case Metric.INNER_PRODUCT:
                # Any number into 0 to 1: products of vectors of any length are scores, too.
                return lambda distance: 1.0 / (1.0 + math.exp(min(distance, 700.0)))
            case _:
                return lambda distance: 1.0 / (1.0 + distance)

    def _exists(self) -> bool:
        try:
            self._connection.execute(f"SELECT id FROM {self._table} LIMIT 0")
        except ProgrammingError as error:
            if error.sqlstate == sqlstate.UNDEFINED_TABLE:
                return False
            raise
        return True

    def _nearest(
        self, embedding: Sequence[float], k: int, written: Filter | None, outputs: str
    ) -> list[tuple[Any, ...]]:
        if not self._exists():
            return []
        where, parameters = _condition(written)
        sql = (
            f"SELECT {outputs}, embedding {self._metric.operator} :query AS distance"
            f" FROM {self._table}{where} ORDER BY distance LIMIT :k"
        )
        given = {**parameters, "query": embedding, "k": k}
        return self._connection.execute(sql, given).fetchall()

    # Construction

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        connection: Connection | str | PathLike[str] = ":memory:",
        collection: str = "langchain",
        metric: str = Metric.COSINE.value,
        **kwargs: Any,
    ) -> "VsqlVectorStore":
        """Return a store that holds these texts."""
        store = cls(embedding, connection, collection=collection, metric=metric)
        store.add_texts(texts, metadatas, ids=ids)
        return store


def _condition(written: Filter | None) -> tuple[str, dict[str, Any]]:
    """Return a WHERE, and the values that it names."""
    if written is None or (isinstance(written, Mapping) and not written):
        return "", {}
    values: dict[str, Any] = {}
    text = written
    if not isinstance(text, str):
        text, values = filter_text(text, "metadata")
    named = "".join(f", {name} => :{name}" for name in values)
    return f" WHERE matches('{text.replace(chr(39), chr(39) * 2)}'{named})", values


def _parts(ids: Sequence[str]) -> Iterable[list[str]]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield list(ids[start : start + _IDS_AT_ONCE])


def _document(id: str, content: str, metadata: str | None) -> Document:
    return Document(id=id, page_content=content, metadata=json.loads(metadata or "{}"))
