"""JSON documents to typed columns: DuckDB parses each once for many paths, Arrow does the rest.

A path is a JSON pointer (RFC 6901) without decimal steps, which mean an element of an array in one
language and a key in another.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core.protocols import Rows
from vsql.executor.remainder import Relational
from vsql.grammar.json_paths import pointer_of
from vsql.storage.path_values import TYPES, Kind, PathValues

# A path is kept in columns where this share of the documents has it, and so many paths at most.
_SHARE_MIN = 0.02
_PATHS_MAX = 64
_SAMPLE_ROWS = 1_000
_CANDIDATES_MAX = 1_000
# So many paths a flat index holds.
_INDEXED_PATHS_MAX = 4_000
_DEPTH_MAX = 8
# Documents parsed at a time: what lies between text and columns stays small.
_CHUNK_ROWS = 32_768

_TYPE_NAMES = pa.array(
    ["NULL", "BOOLEAN", "BIGINT", "UBIGINT", "DOUBLE", "VARCHAR", "ARRAY", "OBJECT"]
)
_KIND_OF_TYPE = np.array(
    [
        *(Kind.NULL, Kind.BOOLEAN, Kind.INTEGER, Kind.INTEGER),
        *(Kind.DOUBLE, Kind.STRING, Kind.ARRAY, Kind.OBJECT, Kind.ABSENT),
    ],
    dtype=np.uint8,
)
_INT64_MAX = 2**63 - 1
_DIGITS = r"^-?[0-9]+$"


def frequent_paths(documents: pa.Array, relational: Relational) -> list[str]:
    """Return the pointers of scalars and lists that many documents have, most frequent first."""
    filled = documents.drop_null()
    if not len(filled):
        return []
    count = min(_SAMPLE_ROWS, len(filled))
    sample = filled.take(pa.array(np.linspace(0, len(filled) - 1, count).astype(np.int64)))
    candidates = list(_leaves(_structure(sample, (), relational), ()))[:_CANDIDATES_MAX]
    if not candidates:
        return []
    pointers = [pointer_of(steps) for steps in candidates]
    present = [
        (np.count_nonzero((values.kinds != Kind.ABSENT) & (values.kinds != Kind.OBJECT)), pointer)
        for pointer, values in extract(sample, pointers, relational).items()
    ]
    enough = [(n, pointer) for n, pointer in present if n >= max(1, _SHARE_MIN * count)]
    return [pointer for _, pointer in sorted(enough, key=lambda p: (-p[0], p[1]))[:_PATHS_MAX]]


def all_paths(documents: pa.Array, relational: Relational) -> tuple[list[str], bool]:
    """Return the pointers of all scalars and lists, and whether these are really all."""
    found: dict[str, None] = {}
    pending: list[tuple[str, ...]] = [()]
    complete = True
    while pending:
        above = pending.pop()
        leaves = list(_leaves(_structure(documents, above, relational), above))
        complete &= all(len(steps) < _DEPTH_MAX for steps in leaves)
        found.update((pointer_of(steps), None) for steps in leaves)
        if len(found) > _INDEXED_PATHS_MAX:
            return list(found)[:_INDEXED_PATHS_MAX], False
        # What is an object in some documents and a scalar in others counts as a leaf: look below.
        mixed = [steps for steps in leaves if steps != above]
        pending.extend(steps for steps in mixed if _has_objects(documents, steps, relational))
    return list(found), complete


def _structure(documents: pa.Array, above: tuple[str, ...], relational: Relational) -> Any:
    pointer = _quoted(pointer_of(above) or "$")
    query = (
        f"SELECT json_group_structure(json_extract(document, {pointer}))::VARCHAR "
        f"FROM vsql_documents WHERE json_type(document, {pointer}) = 'OBJECT'"
    )
    found = _ask(query, documents, relational).column(0)[0].as_py()
    return {} if found is None else json.loads(found)


def _has_objects(documents: pa.Array, steps: tuple[str, ...], relational: Relational) -> bool:
    pointer = _quoted(pointer_of(steps))
    query = f"SELECT bool_or(json_type(document, {pointer}) = 'OBJECT') FROM vsql_documents"
    return bool(_ask(query, documents, relational).column(0)[0].as_py())


def _leaves(structure: Any, steps: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if not isinstance(structure, dict):
        if steps:
            yield steps
        return
    if len(steps) >= _DEPTH_MAX:
        return
    for key, below in structure.items():
        if not key.isdecimal():
            yield from _leaves(below, (*steps, key))


def extract(
    documents: pa.Array, pointers: Sequence[str], relational: Relational
) -> dict[str, PathValues]:
    """Return the values of some paths; "" is the whole document."""
    parts: list[dict[str, PathValues]] = []
    for start in range(0, max(len(documents), 1), _CHUNK_ROWS):
        chunk = documents.slice(start, _CHUNK_ROWS)
        parts.append(_extract_chunk(chunk, pointers, relational))
    if len(parts) == 1:
        return parts[0]
    return {pointer: _joined([part[pointer] for part in parts]) for pointer in pointers}


def _joined(chunks: Sequence[PathValues]) -> PathValues:
    kinds = np.concatenate([chunk.kinds for chunk in chunks])
    present = sorted({kind for chunk in chunks for kind in chunk.parts})
    parts = {
        kind: pa.concat_arrays(
            [
                chunk.parts[kind] if kind in chunk.parts else pa.nulls(len(chunk), TYPES[kind])
                for chunk in chunks
            ]
        )
        for kind in present
    }
    return PathValues(kinds, parts)


def _ask(query: str, documents: pa.Array, relational: Relational) -> pa.Table:
    if not pa.types.is_string(documents.type):
        documents = documents.cast(pa.string())
    return relational.query(query, {"vsql_documents": pa.table({"document": documents})}, {})


def _extract_chunk(
    documents: pa.Array, pointers: Sequence[str], relational: Relational
) -> dict[str, PathValues]:
    paths = [_quoted(pointer or "$") for pointer in pointers]
    wanted = f"[{', '.join(paths)}]"
    shown = ", ".join(f"t[{n}], s[{n}]" for n in range(1, len(paths) + 1))
    query = (
        f"SELECT {shown} FROM (SELECT json_type(document, {wanted}) AS t, "
        f"json_extract_string(document, {wanted}) AS s FROM vsql_documents)"
    )
    found = _ask(query, documents, relational)
    result: dict[str, PathValues] = {}
    for number, pointer in enumerate(pointers):
        types = found.column(2 * number).combine_chunks()
        texts = found.column(2 * number + 1).combine_chunks()
        result[pointer] = _values(types, texts, relational)
    return result


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _values(types: pa.Array, texts: pa.Array, relational: Relational) -> PathValues:
    found = pc.fill_null(pc.index_in(types, value_set=_TYPE_NAMES), len(_TYPE_NAMES))
    kinds = _KIND_OF_TYPE[found.to_numpy(zero_copy_only=False)]
    kinds[_beyond_64_bits(kinds, types, texts)] = Kind.NUMBER
    parts: dict[Kind, pa.Array] = {}
    lists = np.flatnonzero(kinds == Kind.ARRAY)
    if len(lists):
        parts.update(_lists(kinds, lists, texts, relational))
    for kind in (Kind.BOOLEAN, Kind.INTEGER, Kind.DOUBLE, Kind.STRING):
        mask = kinds == kind
        if mask.any():
            own = texts if mask.all() else pc.if_else(pa.array(mask), texts, None)
            parts[kind] = own if kind is Kind.STRING else own.cast(TYPES[kind])
    return PathValues(kinds, parts)


def _beyond_64_bits(kinds: Any, types: pa.Array, texts: pa.Array) -> Rows:
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
    kinds: Any, rows: Rows, texts: pa.Array, relational: Relational
) -> Mapping[Kind, pa.Array]:
    """Give lists of only strings, or of only integers, a kind and a column of their own."""
    query = (
        "SELECT json_type(document, '$[*]'), json_extract_string(document, '$[*]') "
        "FROM vsql_documents"
    )
    found = _ask(query, texts.take(pa.array(rows)), relational)
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
    return parts


def _all_of(flags: pa.Array, lengths: Any) -> Any:
    """Return for each list whether all its elements pass."""
    passed = np.concatenate(([0], np.cumsum(flags.to_numpy(zero_copy_only=False))))
    ends = np.cumsum(lengths)
    return passed[ends] - passed[ends - lengths] == lengths
