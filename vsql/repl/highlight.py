"""Highlighting: pygments' PostgreSQL lexer, taught vsql's words and operators."""

from collections.abc import Callable, Iterator

from pygments.lexers.sql import PostgresLexer
from pygments.token import Keyword, Name, _TokenType, is_token_subtype

_WORDS = (
    "vector halfvec bfloatvec int8vec sparsevec autoindex hnsw hnsw_sq ivf_flat ivf_sq8 ivf_pq"
    " scann flat inverted bitmap btree optimize flush describe show indexes search params lateral"
    " upsert vector_cosine_ops vector_l2_ops vector_ip_ops json explain analyze"
)
_FUNCTIONS = (
    "l2_distance cosine_distance negative_inner_product inner_product l1_distance hamming_distance"
    " jaccard_distance vector_dims vector_norm l2_normalize subvector binary_quantize rrf matches"
    " json_contains array_contains vsql_recall"
)
WORDS = frozenset(_WORDS.split())
FUNCTIONS = frozenset(_FUNCTIONS.split())


_postgres_tokens: Callable[..., Iterator[tuple[int, _TokenType, str]]] = (
    PostgresLexer.get_tokens_unprocessed
)


class VsqlLexer(PostgresLexer):
    """SQL with vsql's types, index kinds, statements and functions."""

    name = "vsql"

    def get_tokens_unprocessed(
        self, text: str, *arguments: object
    ) -> Iterator[tuple[int, _TokenType, str]]:
        """Yield (offset, token, text), known words marked."""
        for offset, token, value in _postgres_tokens(self, text, *arguments):
            if is_token_subtype(token, Name) and value.lower() in WORDS:
                yield offset, Keyword, value
            elif is_token_subtype(token, Name) and value.lower() in FUNCTIONS:
                yield offset, Name.Function, value
            else:
                yield offset, token, value


def highlighted(sql: str) -> str:
    """Return `sql` with terminal colours."""
    from pygments import highlight
    from pygments.formatters.terminal import TerminalFormatter

    return str(highlight(sql, VsqlLexer(), TerminalFormatter())).rstrip("\n")
