"""Chains of `->` and `->>`: what they begin with, and the keys and places that they name."""

from collections.abc import Sequence

from sqlglot import exp


def root_of(node: exp.Expr) -> exp.Expr:
    """Return what a chain begins with."""
    node = node.unnest()
    while isinstance(node, exp.JSONExtract | exp.JSONExtractScalar):
        node = node.this.unnest()
    return node


def steps_of(node: exp.Expr) -> list[str | int] | None:
    """Return the keys and places of a chain, outermost first; None where one is computed."""
    steps: list[str | int] = []
    node = node.unnest()
    while isinstance(node, exp.JSONExtract | exp.JSONExtractScalar):
        path = node.expression
        if not isinstance(path, exp.JSONPath):
            return None
        for part in reversed(path.expressions):
            if isinstance(part, exp.JSONPathRoot):
                continue
            if not isinstance(part, exp.JSONPathKey | exp.JSONPathSubscript):
                return None
            if not isinstance(part.this, str | int):
                return None
            steps.append(part.this)
        node = node.this.unnest()
    return steps[::-1]


def pointer_of(steps: Sequence[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of steps, one below the other."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def key_pointer(node: exp.Expr) -> str | None:
    """Return the pointer of a chain of keys only, None for any other.

    A decimal key is none: SQL takes it for a key, a JSON pointer for a place in a list too.
    """
    steps = steps_of(node)
    if not steps or not all(isinstance(step, str) and not step.isdecimal() for step in steps):
        return None
    return pointer_of(steps)
