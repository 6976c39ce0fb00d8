"""What scalar indexes of a sealed segment say about a conjunct: its rows, or candidates."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core.protocols import Comparison, Condition, Rows, ScalarSearcher
from vsql.core.snapshot import SegmentFacts, TableSnapshot
from vsql.executor.context import Context, column_of
from vsql.executor.frame import Frame
from vsql.executor.open_index import open_index
from vsql.planner.nodes import Conjunct
from vsql.planner.scan_nodes import IndexCondition, PathCondition, PatternCondition
from vsql.storage.segment import OpenSegment

# Beyond this share of the rows, building a mask from row numbers costs more than a kernel.
_SHARE_MAX = 0.3


@dataclass(frozen=True, slots=True)
class Found:
    """Rows in no order; where they are not `exact` some may not pass."""

    rows: Rows
    exact: bool


def find_rows(
    conjunct: Conjunct, table: TableSnapshot, segment: OpenSegment, context: Context
) -> Found | None:
    """Return what an index finds, None where none helps."""
    facts, wanted = segment.facts, conjunct.condition
    if wanted is None or facts is None or not facts.index_files:
        return None
    frame = Frame(context, table.table, segment)
    most = int(segment.row_count * _SHARE_MAX)
    match wanted:
        case IndexCondition():
            condition = _condition(conjunct, wanted, table, frame)
            return None if condition is None else _best([(condition, True)], wanted, frame, most)
        case PatternCondition():
            return _best(_pattern_conditions(wanted, frame), wanted, frame, most)
        case PathCondition():
            from vsql.executor.json_leaves import candidates

            for searcher in _searchers((wanted.index_id,), facts, context):
                rows = candidates(wanted, searcher, frame, most)
                return None if rows is None else Found(rows, exact=False)
            return None


def _searchers(
    index_ids: tuple[int, ...], facts: SegmentFacts, context: Context
) -> Iterator[ScalarSearcher]:
    for file in facts.index_files:
        if file.index_id in index_ids:
            yield open_index(file, context)


def _best(
    conditions: list[tuple[Condition, bool]],
    wanted: IndexCondition | PatternCondition,
    frame: Frame,
    most: int,
) -> Found | None:
    """Ask the index that expects the fewest rows."""
    assert frame.segment.facts is not None
    offers: list[tuple[int, bool, ScalarSearcher, Condition]] = []
    for searcher in _searchers(wanted.index_ids, frame.segment.facts, frame.context):
        for condition, exact in conditions:
            expected = searcher.estimate(condition)
            if expected is not None and expected <= most:
                offers.append((expected, exact, searcher, condition))
    for _, exact, searcher, condition in sorted(offers, key=lambda o: (o[0], not o[1])):
        rows = searcher.lookup(condition)
        if rows is not None:
            return Found(rows.astype(np.int64), exact)
    return None


def _pattern_conditions(wanted: PatternCondition, frame: Frame) -> list[tuple[Condition, bool]]:
    from vsql.executor.evaluate import evaluate

    pattern = evaluate(wanted.pattern, frame)
    if not isinstance(pattern, str):
        return []
    pieces = _pieces(pattern, wanted.escape)
    if pieces is None:
        return []
    literals = tuple(piece for piece in pieces if isinstance(piece, str))
    found: list[tuple[Condition, bool]] = []
    if literals:
        found.append((Condition(Comparison.SUBSTRINGS, literals), False))
    if not wanted.ignore_case and pieces and isinstance(pieces[0], str):
        prefix = pieces[0]
        if len(pieces) == 1:
            found.append((Condition(Comparison.EQUAL, (prefix,)), True))
        else:
            exact = len(pieces) == 2 and pieces[1] is _ANY
            found.append((Condition(Comparison.PREFIX, (prefix,)), exact))
    return found


_ANY = None
"""Stands for %; an underscore for an int."""


def _pieces(pattern: str, escape: str) -> list[str | int | None] | None:
    """Return the literal pieces of a LIKE pattern with what stands between them.

    >>> _pieces("a\\\\%b%c__d", "\\\\")
    ['a%b', None, 'c', 1, 1, 'd']

    None where it ends with the escape character.
    """
    pieces: list[str | int | None] = []
    characters = iter(pattern)
    for character in characters:
        if escape and character == escape:
            following = next(characters, None)
            if following is None:
                return None
            character = following
        elif character in "%_":
            pieces.append(_ANY if character == "%" else 1)
            continue
        if pieces and isinstance(pieces[-1], str):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _condition(
    conjunct: Conjunct, wanted: IndexCondition, table: TableSnapshot, frame: Frame
) -> Condition | None:
    from vsql.executor.constants import constant_array
    from vsql.executor.evaluate import constants

    column = table.table.find(conjunct.columns[0]) if len(conjunct.columns) == 1 else None
    index = next(i for i in table.indexes if i.id in wanted.index_ids)
    plain = column is not None and index.key_columns[:1] == (column.name,)

    def values_of(nodes: tuple[Any, ...]) -> list[Any] | None:
        values = constants(list(nodes), frame)
        if any(value is None for value in values):
            return None
        if values and plain and column is not None:
            arrow = column_of(frame.segment, column).type
            arrow = arrow.value_type if column.type.element is not None else arrow
            if set(map(type, values)) != {str} or not pa.types.is_string(arrow):
                values = constant_array(values, arrow).to_pylist()
        return values

    bounds = [values_of(() if bound is None else (bound,)) for bound in (wanted.low, wanted.high)]
    values, (low, high) = values_of(wanted.values), bounds
    if values is None or low is None or high is None:
        return None
    return Condition(
        wanted.comparison,
        tuple(values),
        low[0] if low else None,
        high[0] if high else None,
        wanted.low_inclusive,
        wanted.high_inclusive,
    )
