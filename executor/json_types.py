"""JSON values as DuckDB reads them, each a type and a text, to typed columns.

DuckDB parses, Arrow converts: a column per kind, and the elements of lists that have none opened
one level below the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core.protocols import Rows
from vsql.storage.path_values import TYPES, Kind, PathValues

if TYPE_CHECKING:
    from vsql.executor.remainder import Relational

Kinds = npt.NDArray[np.uint8]

_TYPE_NAMES = ("NULL", "BOOLEAN", "BIGINT", "UBIGINT", "DOUBLE", "VARCHAR", "ARRAY", "OBJECT")
_KIND_OF_TYPE = np.array(
    [
        *(Kind.NULL, Kind.BOOLEAN, Kind.INTEGER, Kind.INTEGER),
        *(Kind.DOUBLE, Kind.STRING, Kind.ARRAY, Kind.OBJECT, Kind.ABSENT),
    ],
    dtype=np.uint8,
)
# DuckDB gives each batch of rows to one thread.
_BATCH_ROWS = 4_096
_INT64_MAX = 2**63 - 1
_DIGITS = r"^-?[0-9]+$"


@dataclass(frozen=True, slots=True)
class Elements:
    """What the lists of kind ARRAY hold, in `rows`: for each its elements' types and their texts.

    `types` and `texts` hold other lists too; `places` are those of these.
    """

    rows: Rows
    places: Rows
    types: pa.ListArray
    texts: pa.ListArray


def ask(query: str, documents: pa.Array, relational: "Relational") -> pa.Table:
    """Return the answer to a query over the column "document" of vsql_documents."""
    if not pa.types.is_string(documents.type):
        documents = documents.cast(pa.string())
    rows = range(0, max(len(documents), 1), _BATCH_ROWS)
    batches = pa.chunked_array([documents.slice(start, _BATCH_ROWS) for start in rows])
    return relational.query(query, {"vsql_documents": pa.table({"document": batches})}, {})


def quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def typed(
    types: pa.Array, texts: pa.Array, relational: "Relational"
) -> tuple[PathValues, Elements | None]:
    """Return values by kind, and the elements of those lists that have no column."""
    return typed_together([(types, texts)], relational)[0]


def typed_together(
    columns: Sequence[tuple[pa.Array, pa.Array]], relational: "Relational"
) -> list[tuple[PathValues, Elements | None]]:
    """Return the same of several columns of types and texts; all their lists are opened at once."""
    kinds = [_kinds(types, texts) for types, texts in columns]
    lists = [np.flatnonzero(of_column == Kind.ARRAY) for of_column in kinds]
    documents = [t.take(pa.array(r)) for (_, t), r in zip(columns, lists, strict=True)]
    opened = _opened(pa.concat_arrays(documents), relational) if documents else None
    found: list[tuple[PathValues, Elements | None]] = []
    start = 0
    for of_column, (_, texts), rows in zip(kinds, columns, lists, strict=True):
        parts: dict[Kind, pa.Array] = {}
        elements = None
        if opened is not None and len(rows):
            own = opened.slice(start, len(rows))
            parts, elements = _lists(of_column, rows, own)
            start += len(rows)
        parts.update(_scalars(of_column, texts))
        found.append((PathValues(of_column, parts), elements))
    return found


def _kinds(types: pa.Array, texts: pa.Array) -> Kinds:
    found = pc.fill_null(pc.index_in(types, value_set=pa.array(_TYPE_NAMES)), len(_TYPE_NAMES))
    kinds: Kinds = _KIND_OF_TYPE[found.to_numpy(zero_copy_only=False)]
    kinds[_beyond_64_bits(kinds, types, texts)] = Kind.NUMBER
    return kinds


def _scalars(kinds: Kinds, texts: pa.Array) -> Iterator[tuple[Kind, pa.Array]]:
    for kind in (Kind.BOOLEAN, Kind.INTEGER, Kind.DOUBLE, Kind.STRING):
        mask = kinds == kind
        if mask.any():
            part = texts if mask.all() else pc.if_else(pa.array(mask), texts, None)
            yield kind, part if kind is Kind.STRING else part.cast(TYPES[kind])


def _beyond_64_bits(kinds: Kinds, types: pa.Array, texts: pa.Array) -> Rows:
    """Return the rows of integers that no BIGINT holds; DuckDB calls the largest ones DOUBLE."""
    rows: list[Rows] = []
    unsigned = pc.fill_null(pc.equal(types, "UBIGINT"), False).to_numpy(zero_copy_only=False)
    if unsigned.any():
        places = np.flatnonzero(unsigned)
        numbers = texts.take(pa.array(places)).cast(pa.uint64()).to_numpy()
        rows.append(places[numbers > _INT64_MAX])
    places = np.flatnonzero(kinds == Kind.DOUBLE)
    if len(places):
        digits = pc.match_substring_regex(texts.take(pa.array(places)), _DIGITS)
        rows.append(places[digits.to_numpy(zero_copy_only=False)])
    return np.concatenate(rows) if rows else np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class _Opened:
    """The types and the texts of lists' elements, and which lists are of only one kind."""

    types: pa.ListArray
    texts: pa.ListArray
    strings: npt.NDArray[np.bool_]
    integers: npt.NDArray[np.bool_]

    def slice(self, start: int, count: int) -> "_Opened":
        end = start + count
        return _Opened(
            self.types.slice(start, count),
            self.texts.slice(start, count),
            self.strings[start:end],
            self.integers[start:end],
        )


def _opened(documents: pa.Array, relational: "Relational") -> _Opened | None:
    if not len(documents):
        return None
    query = (
        "SELECT json_type(document, '$[*]'), json_extract_string(document, '$[*]') "
        "FROM vsql_documents"
    )
    found = ask(query, documents, relational)
    types, texts = (found.column(number).combine_chunks() for number in (0, 1))
    lengths = pc.list_value_length(types).to_numpy()
    element_types = types.flatten()
    strings = _all_of(pc.equal(element_types, "VARCHAR"), lengths)
    whole = pc.is_in(element_types, value_set=pa.array(["BIGINT", "UBIGINT"]))
    small = pc.less(pc.utf8_length(texts.flatten()), 19)
    integers = _all_of(pc.and_(whole, pc.fill_null(small, False)), lengths) & (lengths > 0)
    return _Opened(types, texts, strings, integers)


def _lists(
    kinds: Kinds, rows: Rows, opened: _Opened
) -> tuple[dict[Kind, pa.Array], Elements | None]:
    """Give lists of only strings, or of only integers, a kind and a column of their own."""
    parts: dict[Kind, pa.Array] = {}
    for kind, own in ((Kind.STRINGS, opened.strings), (Kind.INTEGERS, opened.integers)):
        if own.any():
            kinds[rows[own]] = kind
            taken = opened.texts.take(pa.array(np.flatnonzero(own))).cast(TYPES[kind])
            places = np.full(len(kinds), -1, dtype=np.int64)
            places[rows[own]] = np.arange(int(own.sum()))
            parts[kind] = taken.take(pa.array(places, mask=places < 0))
    others = np.flatnonzero(~(opened.strings | opened.integers))
    if not len(others):
        return parts, None
    return parts, Elements(rows[others], others, opened.types, opened.texts)


def _all_of(flags: pa.Array, lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return for each list whether all its elements pass."""
    passed = np.concatenate(([0], np.cumsum(flags.to_numpy(zero_copy_only=False))))
    ends = np.cumsum(lengths)
    all_passed: npt.NDArray[np.bool_] = passed[ends] - passed[ends - lengths] == lengths
    return all_passed
