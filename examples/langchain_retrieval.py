"""Retrieval for a RAG application: LangChain's vector-store interface over vsql.

    python examples/langchain_retrieval.py

The embedder here counts hashed words, so that no model and no network is needed: put your own in
its place. What `answer` returns is what you would send to a language model.
"""

import re
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough

from vsql.langchain import VsqlVectorStore

PACKAGES = Path(__file__).with_name("packages.parquet")
DIMENSIONS = 1024


class HashedWords(Embeddings):
    """Each word of four letters or more has a place among the dimensions; a text is their sum."""

    def embed_query(self, text: str) -> list[float]:
        vector = np.zeros(DIMENSIONS)
        for word in re.findall(r"[a-z0-9]{4,}", text.lower()):
            digest = blake2b(word.encode(), digest_size=4).digest()
            vector[int.from_bytes(digest, "big") % DIMENSIONS] += 1
        return vector.tolist()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


def documents() -> list[Document]:
    """Return a document per package: its description, and the rest as metadata."""
    columns = ["id", "name", "section", "installed_kib", "description"]
    return [
        Document(
            id=str(row["id"]),
            page_content=f"{row['name']}: {row['description']}",
            metadata={key: row[key] for key in ("name", "section", "installed_kib")},
        )
        for row in parquet.read_table(PACKAGES, columns=columns).to_pylist()
    ]


def joined(found: list[Document]) -> str:
    return "\n".join(document.page_content for document in found)


def main() -> None:
    store = VsqlVectorStore(HashedWords(), collection="packages")
    store.add_documents(documents())
    store.create_index("hnsw", m=16)

    question = "a text editor with syntax highlighting"
    print("nearest")
    for document, distance in store.similarity_search_with_score(question, k=3):
        print(f"  {distance:.3f}  {document.page_content}")
    print("small, and not alike")
    small = {"installed_kib": {"$lt": 2000}, "section": {"$in": ["editors", "utils"]}}
    for document in store.max_marginal_relevance_search(question, k=3, filter=small):
        print(f"  {document.page_content}")

    # The chain ends where a language model would begin.
    prompt = PromptTemplate.from_template("Answer from this alone:\n{context}\n\n{question}")
    retriever = store.as_retriever(search_kwargs={"k": 2})
    answer = {
        "context": retriever | RunnableLambda(joined),
        "question": RunnablePassthrough(),
    } | prompt
    print(answer.invoke(question).to_string())
    store.close()


if __name__ == "__main__":
    main()
