"""What no column of a JSON path keeps, as columns: mixed and nested lists, objects, large integers.

    values   [1, ["x"]]   {"k": 2}   [[3]]        2**64
    texts    its own      its own    its own      "18446744073709551616"
    lists    rows 0 and 2, offsets 0 2 3
    elements 1            ["x"]      [3]          (their kinds INTEGER, STRINGS, INTEGERS)

Elements are values as well, so a list in a list is opened in turn, as deep as is asked for.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core.protocols import Rows
from vsql.executor.json_types import Elements, ask, quoted, typed
from vsql.storage.path_values import Kind, PathValues

if TYPE_CHECKING:
    from vsql.executor.remainder import Relational

REST = (Kind.OBJECT, Kind.ARRAY, Kind.NUMBER)
"""The kinds of value that a `PathValues` has no column for."""

# Brackets, commas, nulls and keys: all that a document without any value is made of.
_NOTHING = r'^(?:[\[\]{},]|null|"(?:[^"\\]|\\.)*":)*$'


@dataclass(frozen=True, slots=True)
class NestedValues:
    """JSON values, one per row: `texts` has those of the kinds in REST, NULL for the others.

    `lists` holds the elements of kind ARRAY; None where there is none, or where they were not
    asked for.
    """

    values: PathValues
    texts: pa.Array
    lists: Optional["Lists"] = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def byte_size(self) -> int:
        """The bytes that it takes in memory."""
        below = 0 if self.lists is None else self.lists.elements.byte_size
        return self.values.byte_size + int(self.texts.nbytes) + below

    def take(self, rows: Rows) -> "NestedValues":
        """Return the values of some rows."""
        lists = None if self.lists is None else self.lists.of_rows(rows, len(self))
        return NestedValues(self.values.take(rows), self.texts.take(pa.array(rows)), lists)


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists in `rows`: that in rows[n] is elements[offsets[n] : offsets[n + 1]]."""

    rows: Rows
    offsets: npt.NDArray[np.int64]
    elements: NestedValues

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The number of elements of each."""
        return np.diff(self.offsets)

    def of_rows(self, rows: Rows, row_count: int) -> "Lists":
        """Return the lists that stand in some of `row_count` rows, numbered by their order."""
        numbers = np.full(row_count, -1, dtype=np.int64)
        numbers[self.rows] = np.arange(len(self.rows))
        found = np.flatnonzero(numbers[rows] >= 0)
        taken = numbers[rows][found]
        lengths = self.lengths[taken]
        offsets = _offsets(lengths)
        shifts = np.repeat(self.offsets[taken] - offsets[:-1], lengths)
        return Lists(found, offsets, self.elements.take(np.arange(offsets[-1]) + shifts))

    def any_of(self, flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return which lists hold an element that is flagged."""
        counts = np.concatenate(([0], np.cumsum(flags)))
        held: npt.NDArray[np.bool_] = counts[self.offsets[1:]] > counts[self.offsets[:-1]]
        return held


def _offsets(lengths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def nested_values(
    documents: pa.Array, pointer: str, levels: int, relational: "Relational"
) -> NestedValues:
    """Return the values of one path with their lists opened `levels` deep."""
    # The document is parsed once for both: the second time there is only the value.
    query = (
        "SELECT json_type(found), json_extract_string(found, '$') FROM "
        f"(SELECT json_extract(document, {quoted(pointer or '$')}) AS found FROM vsql_documents)"
    )
    found = ask(query, documents, relational)
    types, texts = (found.column(number).combine_chunks() for number in (0, 1))
    return _nested(types, texts, levels, relational)


def _nested(
    types: pa.Array, texts: pa.Array, levels: int, relational: "Relational"
) -> NestedValues:
    values, elements = typed(types, texts, relational)
    kept = pc.if_else(pa.array(np.isin(values.kinds, REST)), texts, None)
    lists = None
    if elements is not None and levels > 0:
        lists = _opened(elements, levels, relational)
    return NestedValues(values, kept, lists)


def _opened(elements: Elements, levels: int, relational: "Relational") -> Lists:
    places = pa.array(elements.places)
    types, texts = elements.types.take(places), elements.texts.take(places)
    offsets = _offsets(pc.list_value_length(types).to_numpy())
    below = _nested(types.flatten(), texts.flatten(), levels - 1, relational)
    return Lists(elements.rows, offsets, below)


def is_something(texts: pa.Array) -> pa.Array:
    """Return which JSON texts hold a value: null, {} and [] are none, however deep."""
    return pc.invert(pc.match_substring_regex(texts, _NOTHING))
