"""The functions of the filter language, as expressions."""

from collections.abc import Callable

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import Span, did_you_mean
from vsql.grammar.filter_leaves import leaf_of, literal, operand, value_node
from vsql.grammar.filter_names import ARRAY_LENGTH, CONTAINS, EXISTS, MATCH_FUNCTIONS, MATCHES
from vsql.grammar.filter_terms import (
    Computed,
    Constant,
    Field,
    Predicate,
    Template,
    Term,
    refused,
    unsupported,
)

Options = dict[str, Constant]
_Call = Callable[[str, list[Term], Options, Span], Computed | Predicate]

_FULL_TEXT = ("text_match", "text_match_fuzzy", "phrase_match")
_SPATIAL = (
    *("st_equals", "st_touches", "st_overlaps", "st_crosses", "st_contains"),
    *("st_intersects", "st_within", "st_dwithin", "st_isvalid"),
)
_SAMPLE_EDGE = 1e-10


def call(name: str, arguments: list[Term], options: Options, span: Span) -> Computed | Predicate:
    """Return what a call means; raises ProgrammingError (42883), NotSupportedError (0A000)."""
    known = name.lower()
    build = _CALLS.get(known)
    if build is None or name not in (known, known.upper()):
        raise refused(
            f"function {name} does not exist",
            span,
            did_you_mean(name, _CALLS),
            sqlstate.UNDEFINED_FUNCTION,
        )
    allowed = _OPTIONS.get(known)
    for option in options:
        if option != allowed:
            raise refused(
                f"{name} has no option {option}", span, did_you_mean(option, (allowed or "",))
            )
    return build(known, arguments, options, span)


def exists(field: Term, span: Span) -> Predicate:
    """Return `EXISTS field`; raises ProgrammingError where it is no path."""
    if not isinstance(field, Field) or not isinstance(field.node, exp.Column | exp.JSONExtract):
        raise refused("EXISTS takes a JSON path", field.span)
    return leaf_of(_function(EXISTS, operand(field)), span)


def is_null(field: Field, negated: bool, span: Span) -> Predicate:
    """Return `field IS [NOT] NULL`; a JSON path is NULL where nothing exists there."""
    if not isinstance(field.node, exp.Column | exp.JSONExtract):
        raise refused("IS NULL takes a column or a JSON path", field.span)
    if field.is_path:
        found = _function(EXISTS, operand(field))
        return leaf_of(found if negated else exp.Not(this=found), span)
    leaf = exp.Is(this=operand(field), expression=exp.null())
    return leaf_of(exp.Not(this=leaf) if negated else leaf, span)


def _function(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _check_count(name: str, arguments: list[Term], count: int, span: Span) -> None:
    if len(arguments) != count:
        raise refused(f"{name} takes {count} arguments, not {len(arguments)}", span)


def _field(name: str, term: Term) -> Field:
    if not isinstance(term, Field):
        raise refused(f"the first argument of {name} is a column or a path", term.span)
    return term


def _word(name: str, term: Term) -> Field:
    field = _field(name, term)
    if field.is_path or not field.bare or not isinstance(field.node, exp.Column):
        raise refused(f"the first argument of {name} is a column", term.span)
    return field


def _contains(name: str, arguments: list[Term], options: Options, span: Span) -> Predicate:
    _check_count(name, arguments, 2, span)
    field, value = _field(name, arguments[0]), arguments[1]
    if not isinstance(value, Constant | Template):
        raise refused(f"the second argument of {name} is a constant", value.span)
    ending = next((e for e in ("_all", "_any") if name.endswith(e)), "")
    if ending and isinstance(value, Constant) and not isinstance(value.value, list):
        raise refused(f"the second argument of {name} is a list", value.span)
    return leaf_of(_function(CONTAINS[ending], operand(field), value_node(value)), span)


def _array_length(name: str, arguments: list[Term], options: Options, span: Span) -> Computed:
    _check_count(name, arguments, 1, span)
    return Computed(_function(ARRAY_LENGTH, operand(_field(name, arguments[0]))), "length", span)


def _match(name: str, arguments: list[Term], options: Options, span: Span) -> Predicate:
    _check_count(name, arguments, 2, span)
    field, condition = _word(name, arguments[0]), arguments[1]
    if not isinstance(condition, Predicate) or condition.sampled:
        raise refused(f"the second argument of {name} is a condition on $", condition.span)
    node = condition.node
    nested = [a for a in node.find_all(exp.Anonymous) if a.name in MATCH_FUNCTIONS]
    if nested or node.find(exp.Column):
        raise refused(f"the condition in {name} reads $ and nothing else", condition.span)
    counted = name not in ("match_all", "match_any")
    if counted != bool(options):
        raise refused(f"{name} {'needs' if counted else 'has no'} threshold", span)
    parts = [operand(field), node]
    if counted:
        threshold = options["threshold"]
        least = 1 if name == "match_least" else 0
        if type(threshold.value) is not int or threshold.value < least:
            raise refused(f"threshold is an integer of at least {least}", threshold.span)
        parts.append(literal(threshold.value))
    return leaf_of(_function(f"vsql_{name}", *parts), span)


def _random_sample(name: str, arguments: list[Term], options: Options, span: Span) -> Predicate:
    _check_count(name, arguments, 1, span)
    share = arguments[0]
    inside = (
        isinstance(share, Constant)
        and isinstance(share.value, float)
        and _SAMPLE_EDGE < share.value < 1 - _SAMPLE_EDGE
    )
    if not inside or not isinstance(share, Constant) or share.bound:
        raise refused("random_sample takes a float between 0 and 1", share.span)
    node = exp.LT(this=exp.Rand(), expression=literal(share.value))
    return Predicate((node,), "leaf", span, sampled=True)


def _empty(name: str, arguments: list[Term], options: Options, span: Span) -> Predicate:
    _check_count(name, arguments, 1, span)
    field = _word(name, arguments[0])
    return leaf_of(exp.EQ(this=operand(field), expression=exp.Literal.string("")), span)


def _starts_with(name: str, arguments: list[Term], options: Options, span: Span) -> Predicate:
    _check_count(name, arguments, 2, span)
    field, prefix = _word(name, arguments[0]), arguments[1]
    if not isinstance(prefix, Constant) or not isinstance(prefix.value, str):
        raise refused("the second argument of starts_with is a string", prefix.span)
    # As a pattern it is answered by an index.
    escaped = prefix.value.translate({ord(c): f"\\{c}" for c in "\\%_"})
    pattern = exp.Literal.string(f"{escaped}%")
    return leaf_of(exp.Like(this=operand(field), expression=pattern), span)


def _needs_text_index(name: str, arguments: list[Term], options: Options, span: Span) -> Predicate:
    raise unsupported(
        f"{name} needs a full-text index, which vsql does not have yet",
        span,
        "LIKE and =~ look at the text itself",
    )


def _needs_geometry(name: str, arguments: list[Term], options: Options, span: Span) -> Predicate:
    raise unsupported(f"{name} needs a geometry type, which vsql does not have yet", span)


def _needs_struct(name: str, arguments: list[Term], options: Options, span: Span) -> Predicate:
    raise unsupported(
        f"{name} needs arrays of structs, which vsql does not have", span, "match_any takes arrays"
    )


_CALLS: dict[str, _Call] = {
    **{f"{kind}_contains{end}": _contains for kind in ("json", "array") for end in CONTAINS},
    "array_length": _array_length,
    **dict.fromkeys(MATCHES, _match),
    "random_sample": _random_sample,
    "empty": _empty,
    "starts_with": _starts_with,
    **dict.fromkeys(_FULL_TEXT, _needs_text_index),
    **dict.fromkeys(_SPATIAL, _needs_geometry),
    "element_filter": _needs_struct,
}
_OPTIONS = {
    **dict.fromkeys(("match_least", "match_most", "match_exact"), "threshold"),
    "text_match": "minimum_should_match",
    "text_match_fuzzy": "max_edit_distance",
}
