"""From the parse tree of a filter to expressions, leaves first and without recursion."""

from collections.abc import Mapping
from typing import Any

from lark import Token
from lark.visitors import Transformer_NonRecursive
from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import Span
from vsql.grammar import filter_calls as calls
from vsql.grammar import filter_leaves as leaves
from vsql.grammar import filter_literals as literals
from vsql.grammar.filter_names import ELEMENT
from vsql.grammar.filter_terms import (
    Constant,
    Field,
    Predicate,
    Template,
    Term,
    around,
    refused,
    unsupported,
)

_Children = list[Any]


def span_of(item: Any) -> Span:
    """Return the place of a token or of a part of the filter."""
    if isinstance(item, Token):
        return Span(item.start_pos or 0, item.end_pos or 0)
    span: Span = item.span
    return span


def _span(children: _Children) -> Span:
    return around(*map(span_of, children))


class Builder(Transformer_NonRecursive[Token, Any]):
    """One method per rule; `values` are those of the templates, None where they come later."""

    def __init__(self, values: Mapping[str, Any] | None) -> None:
        super().__init__(visit_tokens=False)
        self._values = values

    def condition(self, children: _Children) -> exp.Expr:
        if not children:
            return exp.true()
        node = as_predicate(children[0])
        if isinstance(node, bool):
            return exp.Boolean(this=node)
        return node.node

    def disjunction(self, children: _Children) -> Term:
        return _joined("or", children)

    def conjunction(self, children: _Children) -> Term:
        return _joined("and", children)

    def equality(self, children: _Children) -> Term:
        return _compared(children)

    def relation(self, children: _Children) -> Term:
        match children:
            case [low, ("<" | "<=") as first, field, ("<" | "<=") as second, high] if _is_bare(
                field
            ):
                return leaves.between(low, first, field, second, high)
            case [high, (">" | ">=") as first, field, (">" | ">=") as second, low] if _is_bare(
                field
            ):
                return leaves.between(high, first, field, second, low)
            case _:
                return _compared(children)

    def membership(self, children: _Children) -> Term:
        term, negated = children[0], False
        for item in children[1:]:
            if isinstance(item, Token):
                negated = item.type == "NOT" or negated
                continue
            term, negated = leaves.membership(term, item, negated), False
        assert isinstance(term, Predicate)
        return term

    def binary(self, children: _Children) -> Term:
        term: Term = children[0]
        for operator, right in zip(children[1::2], children[2::2], strict=True):
            if operator.type == "SHIFT":
                raise unsupported(f"{operator} is not supported", span_of(operator))
            for side in (term, right):
                if isinstance(side, Predicate):
                    raise refused(f"{operator} does not take a condition", side.span)
            term = leaves.arithmetic(term, str(operator), right)
        return term

    bit_or = bit_xor = bit_and = shift = sum = product = power = binary

    def prefix(self, children: _Children) -> Term:
        operator, term = children
        span = _span(children)
        if operator.type == "TILDE":
            raise unsupported("~ is not supported", span)
        if operator.type == "NOT":
            return _negated(term, span)
        if isinstance(term, Constant):
            return literals.negated(term, span) if operator == "-" else term
        if operator == "+" and isinstance(term, Field):
            return term
        raise refused(f"{operator} takes a number", span)

    def pattern(self, children: _Children) -> Term:
        term: Term = children[0]
        for operator, right in zip(children[1::2], children[2::2], strict=True):
            if operator.type == "LIKE":
                term = leaves.like(term, right)
            else:
                term = leaves.matching(term, right, negated=operator == "!~")
        return term

    def exists(self, children: _Children) -> Term:
        return calls.exists(children[1], _span(children))

    def null_test(self, children: _Children) -> Term:
        field, test = children
        return calls.is_null(field, "not" in test.lower(), _span(children))

    def group(self, children: _Children) -> Term:
        term: Term = children[0]
        if isinstance(term, Field):
            return Field(term.node, term.is_path, term.span, bare=False)
        return term

    def template(self, children: _Children) -> Term:
        name = children[0]
        span = span_of(name)
        if self._values is None:
            return Template(str(name), span)
        if name not in self._values:
            raise refused(
                f"there is no value for {{{name}}}", span, code=sqlstate.UNDEFINED_PARAMETER
            )
        value = self._values[name]
        if isinstance(value, exp.Expr):
            return Template(str(name), span, value)
        return Constant(literals.template_value(str(name), value, span), span, bound=True)

    def field(self, children: _Children) -> Term:
        token = children[0]
        span = span_of(token)
        match token.type:
            case "STRUCT":
                raise unsupported(
                    f"{token}: a subscript is a string or a number; vsql has no struct fields", span
                )
            case "ELEMENT":
                return Field(exp.Anonymous(this=ELEMENT), False, span)
            case "PATH":
                name, steps = literals.path(str(token), span)
                return Field(leaves.path_node(name, steps, span), True, span)
            case _:
                return Field(leaves.column(str(token), span), False, span)

    def integer(self, children: _Children) -> Term:
        return Constant(literals.integer(str(children[0])), span_of(children[0]))

    def float(self, children: _Children) -> Term:
        span = span_of(children[0])
        return Constant(literals.floating(str(children[0]), span), span)

    def boolean(self, children: _Children) -> Term:
        return Constant(children[0].lower() == "true", span_of(children[0]))

    def text(self, children: _Children) -> Term:
        token, span = children[0], span_of(children[0])
        if token.type == "PREFIXED_STRING":
            raise refused("a string has no encoding prefix", span)
        return Constant(literals.string(str(token), span), span)

    def regex(self, children: _Children) -> Term:
        return Constant(literals.regular_expression(str(children[0])), span_of(children[0]))

    def moment(self, children: _Children) -> Term:
        span = span_of(children[1])
        return Constant(literals.moment(literals.string(str(children[1]), span), span), span)

    def duration(self, children: _Children) -> Term:
        span = span_of(children[1])
        return Constant(literals.duration(literals.string(str(children[1]), span), span), span)

    def array(self, children: _Children) -> Term:
        values: list[Any] = []
        for element in children[1:-1]:
            if not isinstance(element, Constant) or not isinstance(
                element.value, bool | int | float | str | list
            ):
                raise refused("the elements of a list are constants", element.span)
            values.append(literals.checked(element))
        return Constant(values, _span(children))

    def argument(self, children: _Children) -> Any:
        return children[0]

    def named_argument(self, children: _Children) -> tuple[Token, Term]:
        return children[0], children[2]

    def call(self, children: _Children) -> Term:
        name, *given = children
        arguments: list[Term] = []
        options: dict[str, Constant] = {}
        for item in given:
            if isinstance(item, tuple):
                option, value = item
                if not isinstance(value, Constant):
                    raise refused(f"{option} is a constant", value.span)
                options[str(option)] = value
            elif not isinstance(item, Token):
                arguments.append(item)
        return calls.call(str(name), arguments, options, span_of(name))


def _is_bare(term: Term) -> bool:
    return isinstance(term, Field) and term.bare


def _compared(children: _Children) -> Term:
    term: Term = children[0]
    for operator, right in zip(children[1::2], children[2::2], strict=True):
        term = leaves.compare(term, str(operator), right)
    return term


def as_predicate(term: Term) -> Predicate | bool:
    """Return a condition; raises ProgrammingError where the term has another type."""
    if isinstance(term, Predicate):
        return term
    if isinstance(term, Constant) and isinstance(term.value, bool) and not term.bound:
        return term.value
    hint = "a boolean column is compared, as in b == true" if isinstance(term, Field) else None
    raise refused("this is not a condition", term.span, hint, sqlstate.DATATYPE_MISMATCH)


def _joined(kind: str, children: _Children) -> Term:
    """Join conditions by AND or OR: boolean literals fold, chains of one kind become one."""
    span = _span(children)
    neutral = kind == "and"
    parts: list[exp.Expr] = []
    sampled, folded = False, False
    for number, child in enumerate(children):
        found = as_predicate(child)
        if isinstance(found, bool):
            folded = folded or found is not neutral
            continue
        if found.sampled and (kind == "or" or number < len(children) - 1):
            raise refused("random_sample can only end a chain of ANDs", found.span)
        sampled = sampled or found.sampled
        parts.extend(_parts_within(found, kind))
    if folded:
        return Constant(not neutral, span)
    if not parts:
        return Constant(neutral, span)
    return Predicate(tuple(parts), kind if len(parts) > 1 else "leaf", span, sampled)


def _parts_within(found: Predicate, kind: str) -> tuple[exp.Expr, ...]:
    if found.joined == kind or found.joined == "leaf":
        return found.parts
    # AND binds tighter than OR: only an OR inside an AND is put in parentheses.
    return (exp.Paren(this=found.node),) if kind == "and" else (found.node,)


def _negated(term: Term, span: Span) -> Term:
    found = as_predicate(term)
    if isinstance(found, bool):
        return Constant(not found, span)
    if found.sampled:
        raise refused("random_sample can't be negated", found.span)
    node = found.node
    if isinstance(node, exp.Not):
        # A run of NOTs collapses, so that it can be of any length.
        inner = node.this
        unwrapped = inner.this if isinstance(inner, exp.Paren) else inner
        joined = {exp.And: "and", exp.Or: "or"}.get(type(unwrapped), "leaf")
        return Predicate(tuple(_chain(unwrapped)), joined, span)
    wrapped = exp.Paren(this=node) if isinstance(node, exp.And | exp.Or) else node
    return Predicate((exp.Not(this=wrapped),), "leaf", span)


def _chain(node: exp.Expr) -> list[exp.Expr]:
    kind = type(node)
    parts: list[exp.Expr] = []
    while isinstance(node, exp.And | exp.Or) and type(node) is kind:
        parts.append(node.expression)
        node = node.this
    return [node, *reversed(parts)]
