"""LangChain's standard tests of a vector store, unchanged, over vsql."""

from collections.abc import Iterator

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from vsql.langchain import VsqlVectorStore


class TestVsqlVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorStore]:
        store = VsqlVectorStore(self.get_embeddings())
        yield store
        store.close()
