"""The functions that carry the filter language's own meanings; `vsql.grammar.filter` has them."""

from sqlglot import exp

FILTER = "vsql_filter"
ELEMENT = "vsql_element"
ARRAY_LENGTH = "vsql_array_length"
EXISTS = "vsql_exists"
CONTAINS = {"": "vsql_contains", "_all": "vsql_contains_all", "_any": "vsql_contains_any"}
MATCHES = ("match_all", "match_any", "match_least", "match_most", "match_exact")
MATCH_FUNCTIONS = frozenset(f"vsql_{name}" for name in MATCHES)
FUNCTIONS = frozenset({FILTER, ELEMENT, ARRAY_LENGTH, EXISTS, *CONTAINS.values(), *MATCH_FUNCTIONS})


def function_name(node: exp.Anonymous) -> str | None:
    """Return the name of a filter function, None where the call is another's."""
    name = node.name.lower()
    return name if name in FUNCTIONS else None
