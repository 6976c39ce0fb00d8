"""JSON paths of a frame as typed columns, and what SQL's operators make of them.

Paths that a sealed segment keeps shredded are read from its file; others are extracted once per
immutable segment and kept while there is room.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from vsql.core.protocols import Rows
from vsql.core.schema import Column
from vsql.core.types import Family, SqlType
from vsql.executor.context import Context, column_of
from vsql.executor.frame import Frame
from vsql.executor.nested_values import NestedValues, nested_values
from vsql.executor.shred import extract
from vsql.grammar.json_paths import key_pointer, pointer_of, root_of, steps_of
from vsql.storage.path_values import TYPES, Kind, PathValues
from vsql.storage.segment import OpenSegment

# Their text is the document's own, which no column keeps.
_AS_WRITTEN = (
    *(Kind.DOUBLE, Kind.INTEGERS, Kind.STRINGS),
    *(Kind.OBJECT, Kind.ARRAY, Kind.NUMBER),
)

Rest = Callable[[PathValues, tuple[Kind, ...], int], NestedValues]
"""Return values of some kinds, in the order of their rows, with lists opened so many deep."""


def is_json(node: exp.Expr, frame: Frame) -> bool:
    """Whether a chain of `->` begins with a JSON column."""
    root = root_of(node)
    return isinstance(root, exp.Column) and frame.table.column(root.name).type.family is Family.JSON


def path_values(node: exp.Expr, frame: Frame) -> PathValues:
    """Return the values of the filter language's path: "0" is a key, or a place in a list."""
    steps = steps_of(node)
    assert steps is not None
    column = frame.table.column(root_of(node).name)
    values = values_of(column, pointer_of(steps), frame)
    return values if frame.rows is None else values.take(frame.rows)


def values_of(column: Column, pointer: str, frame: Frame) -> PathValues:
    """Return the values of one JSON pointer for all rows of the frame's segment."""
    segment, context = frame.segment, frame.context
    shredded = segment.shredded(column.id, pointer)
    if shredded is not None:
        return shredded
    if segment.facts is None:
        return _extracted(column, pointer, segment, context)
    key = ("path", segment.id, column.id, pointer)
    found: PathValues = context.resources.derived.find(
        key,
        lambda: _extracted(column, pointer, segment, context),
        lambda values: values.byte_size,
    )
    return found


def _extracted(column: Column, pointer: str, segment: OpenSegment, context: Context) -> PathValues:
    return extract(column_of(segment, column), [pointer], context.relational())[pointer]


def rest_of(node: exp.Expr, frame: Frame) -> Rest:
    """Return how to read what the columns of a path leave out."""
    steps = steps_of(node)
    assert steps is not None
    column, pointer = frame.table.column(root_of(node).name), pointer_of(steps)

    def read(rows: Rows, levels: int) -> NestedValues:
        found = column_of(frame.segment, column).take(pa.array(rows))
        return nested_values(found, pointer, levels, frame.context.relational())

    def rest(values: PathValues, kinds: tuple[Kind, ...], levels: int) -> NestedValues:
        rows = values.rows_of(*kinds)
        segment = frame.segment
        if frame.rows is not None:
            return read(frame.rows[rows], levels)
        if segment.facts is None:
            return read(rows, levels)
        key = ("rest", segment.id, column.id, pointer, kinds, levels)
        found: NestedValues = frame.context.resources.derived.find(
            key, lambda: read(rows, levels), lambda nested: nested.byte_size
        )
        return found

    return rest


def text_of(node: exp.JSONExtractScalar, frame: Frame) -> pa.Array | None:
    """Return the text that `->>` gives, None where the path is none of plain keys."""
    pointer = key_pointer(node)
    if pointer is None or not is_json(node, frame):
        return None
    column = frame.table.column(root_of(node).name)
    values = values_of(column, pointer, frame)
    if frame.rows is not None:
        values = values.take(frame.rows)
    text = values.parts.get(Kind.STRING)
    if Kind.INTEGER in values.parts:
        text = _coalesced(text, values.parts[Kind.INTEGER].cast(pa.string()))
    if Kind.BOOLEAN in values.parts:
        text = _coalesced(text, values.parts[Kind.BOOLEAN].cast(pa.string()))
    if values.has(*_AS_WRITTEN):
        rows = values.rows_of(*_AS_WRITTEN)
        found = frame.column(column.name).take(pa.array(rows))
        text = _coalesced(text, _as_written(found, pointer, rows, frame))
    return pa.nulls(frame.length, pa.string()) if text is None else text


def _coalesced(one: pa.Array | None, other: pa.Array) -> pa.Array:
    return other if one is None else pc.coalesce(one, other)


def _as_written(found: pa.Array, pointer: str, rows: Rows, frame: Frame) -> pa.Array:
    quoted = pointer.replace("'", "''")
    query = f"SELECT json_extract_string(document, '{quoted}') FROM vsql_documents"
    documents = pa.table({"document": found})
    answer = frame.context.relational().query(query, {"vsql_documents": documents}, {})
    places = np.full(frame.length, -1, dtype=np.int64)
    places[rows] = np.arange(len(rows))
    return answer.column(0).combine_chunks().take(pa.array(places, mask=places < 0))


def cast_of(node: exp.Expr, type_: SqlType, frame: Frame) -> pa.Array | None:
    """Return `(path ->> key)::type` without its text, None where only the text can tell."""
    if not isinstance(node, exp.JSONExtractScalar):
        return None
    pointer = key_pointer(node)
    if pointer is None or not is_json(node, frame):
        return None
    allowed: tuple[Kind, ...]
    if type_.is_integer or type_.family is Family.DECIMAL:
        allowed = (Kind.INTEGER,)
    elif type_.family in (Family.REAL, Family.DOUBLE):
        allowed = (Kind.DOUBLE, Kind.INTEGER)
    elif type_.family is Family.BOOLEAN:
        allowed = (Kind.BOOLEAN,)
    else:
        return None
    values = values_of(frame.table.column(root_of(node).name), pointer, frame)
    if values.has(*(kind for kind in Kind if kind > Kind.NULL and kind not in allowed)):
        return None
    if frame.rows is not None:
        values = values.take(frame.rows)
    found, wanted = None, TYPES[allowed[0]]
    for kind in allowed:
        if kind in values.parts:
            found = _coalesced(found, values.parts[kind].cast(wanted, safe=False))
    return pa.nulls(frame.length, wanted) if found is None else found
