"""Expressions as canonical text: the keys of indexes, masks and EXPLAIN."""

from sqlglot import exp


def render(expression: exp.Expr) -> str:
    """Return SQL text that `parse_expression` reads back to an equal tree.

    Plain names are written without quotes, so that `"name"` and `name` are one key; parentheses
    around the whole are left out; a parameter is written as $key.
    """
    return expression.unnest().transform(_plain).sql(dialect="postgres")


def _plain(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Placeholder):
        return exp.Parameter(this=exp.to_identifier(node.name))
    if isinstance(node, exp.Identifier) and node.args.get("quoted"):
        name = node.name
        if name.isidentifier() and name.isascii() and name == name.lower():
            return exp.to_identifier(name, quoted=False)
    if isinstance(node, exp.Identifier) and not node.args.get("quoted"):
        return exp.to_identifier(node.name.lower(), quoted=False)
    return node
