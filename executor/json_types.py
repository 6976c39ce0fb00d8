"""JSON values as DuckDB reads them, each a type and a text, to typed columns.

DuckDB parses, Arrow converts: a column per kind, and the elements of lists that have none opened
one level below the other.
"""

from collections.abc import Mapping
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

_TYPE_NAMES = ("NULL", "BOOLEAN", "BIGINT", "UBIGINT", "DOUBLE", "VARCHAR", "ARRAY", "OBJECT")
_KIND_OF_TYPE = np.array(
    [
        *(Kind.NULL, Kind.BOOLEAN, Kind.INTEGER, Kind.INTEGER),
        *(Kind.DOUBLE, Kind.STRING, Kind.ARRAY, Kind.OBJECT, Kind.ABSENT),
    ],
    dtype=np.uint8,
)
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
    return relational.query(query, {"vsql_documents": pa.table({"document": documents})}, {})


def quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def typed(
    types: pa.Array, texts: pa.Array, relational: "Relational"
) -> tuple[PathValues, Elements | None]:
    """Return values by kind, and the elements of those lists that have no column."""
    found = pc.fill_null(pc.index_in(types, value_set=pa.array(_TYPE_NAMES)), len(_TYPE_NAMES))
    kinds = _KIND_OF_TYPE[found.to_numpy(zero_copy_only=False)]
    kinds[_beyond_64_bits(kinds, types, texts)] = Kind.NUMBER
    parts: dict[Kind, pa.Array] = {}
    elements = None
    lists = np.flatnonzero(kinds == Kind.ARRAY)
    if len(lists):
        own, elements = _lists(kinds, lists, texts, relational)
        parts.update(own)
    for kind in (Kind.BOOLEAN, Kind.INTEGER, Kind.DOUBLE, Kind.STRING):
        mask = kinds == kind
        if mask.any():
            part = texts if mask.all() else pc.if_else(pa.array(mask), texts, None)
            parts[kind] = part if kind is Kind.STRING else part.cast(TYPES[kind])
    return PathValues(kinds, parts), elements


def _beyond_64_bits(kinds: npt.NDArray[np.uint8], types: pa.Array, texts: pa.Array) -> Rows:
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


def _lists(
    kinds: npt.NDArray[np.uint8], rows: Rows, texts: pa.Array, relational: "Relational"
) -> tuple[Mapping[Kind, pa.Array], Elements | None]:
    """Give lists of only strings, or of only integers, a kind and a column of their own."""
    query = (
        "SELECT json_type(document, '$[*]'), json_extract_string(document, '$[*]') "
        "FROM vsql_documents"
    )
    found = ask(query, texts.take(pa.array(rows)), relational)
    types, values = (found.column(number).combine_chunks() for number in (0, 1))
    lengths = pc.list_value_length(types).to_numpy()
    element_types, elements = types.flatten(), values.flatten()
    strings = _all_of(pc.equal(element_types, "VARCHAR"), lengths)
    whole = pc.is_in(element_types, value_set=pa.array(["BIGINT", "UBIGINT"]))
    small = pc.less(pc.utf8_length(elements), 19)
    integers = _all_of(pc.and_(whole, pc.fill_null(small, False)), lengths) & (lengths > 0)
    parts: dict[Kind, pa.Array] = {}
    for kind, own in ((Kind.STRINGS, strings), (Kind.INTEGERS, integers)):
        if own.any():
            kinds[rows[own]] = kind
            taken = values.take(pa.array(np.flatnonzero(own))).cast(TYPES[kind])
            places = np.full(len(kinds), -1, dtype=np.int64)
            places[rows[own]] = np.arange(int(own.sum()))
            parts[kind] = taken.take(pa.array(places, mask=places < 0))
    others = np.flatnonzero(~(strings | integers))
    if not len(others):
        return parts, None
    return parts, Elements(rows[others], others, types, values)


def _all_of(flags: pa.Array, lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return for each list whether all its elements pass."""
    passed = np.concatenate(([0], np.cumsum(flags.to_numpy(zero_copy_only=False))))
    ends = np.cumsum(lengths)
    all_passed: npt.NDArray[np.bool_] = passed[ends] - passed[ends - lengths] == lengths
    return all_passed
