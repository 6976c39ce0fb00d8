"""A vector store for LangChain: `from vsql.langchain import VsqlVectorStore`.

Needs the extra `vsql[langchain]`.
"""

from vsql.langchain.store import VsqlVectorStore

__all__ = ["VsqlVectorStore"]
