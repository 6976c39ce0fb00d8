"""JSON documents to typed columns: DuckDB parses each once for many paths, Arrow does the rest.

A path is a JSON pointer (RFC 6901) without decimal steps, which mean an element of an array in one
language and a key in another.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from vsql.executor.json_types import ask, quoted, typed_together
from vsql.grammar.json_paths import pointer_of
from vsql.storage.path_values import TYPES, PathValues

if TYPE_CHECKING:
    from vsql.executor.remainder import Relational

# A path is kept in columns where this share of the documents has it, and so many paths at most;
# so many are also looked for at a time.
_SHARE_MIN = 0.02
_PATHS_MAX = 64
_SAMPLE_ROWS = 1_000
_CANDIDATES_MAX = 1_000
# So many paths a flat index holds.
_INDEXED_PATHS_MAX = 4_000
_DEPTH_MAX = 8
# Documents parsed at a time: what lies between text and columns stays small.
_CHUNK_ROWS = 16_384


def frequent_paths(documents: pa.Array, relational: "Relational") -> list[str]:
    """Return the pointers of scalars and lists that many documents have, most frequent first."""
    filled = documents.drop_null()
    if not len(filled):
        return []
    count = min(_SAMPLE_ROWS, len(filled))
    sample = filled.take(pa.array(np.linspace(0, len(filled) - 1, count).astype(np.int64)))
    candidates = list(_leaves(_structure(sample, (), relational), ()))[:_CANDIDATES_MAX]
    if not candidates:
        return []
    present = _of_types(sample, candidates, "count_if({} <> 'OBJECT')", relational)
    enough = [
        (n, pointer_of(steps))
        for n, steps in zip(present, candidates, strict=True)
        if n >= max(1, _SHARE_MIN * count)
    ]
    return [pointer for _, pointer in sorted(enough, key=lambda p: (-p[0], p[1]))[:_PATHS_MAX]]


def all_paths(documents: pa.Array, relational: "Relational") -> tuple[list[str], bool]:
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
        for start in range(0, len(mixed), _PATHS_MAX):
            pending.extend(_with_objects(documents, mixed[start : start + _PATHS_MAX], relational))
    return list(found), complete


def _structure(documents: pa.Array, above: tuple[str, ...], relational: "Relational") -> Any:
    pointer = quoted(pointer_of(above) or "$")
    query = (
        f"SELECT json_group_structure(json_extract(document, {pointer}))::VARCHAR "
        f"FROM vsql_documents WHERE json_type(document, {pointer}) = 'OBJECT'"
    )
    found = ask(query, documents, relational).column(0)[0].as_py()
    return {} if found is None else json.loads(found)


def _with_objects(
    documents: pa.Array, paths: list[tuple[str, ...]], relational: "Relational"
) -> list[tuple[str, ...]]:
    """Return the paths below which some document has an object."""
    found = _of_types(documents, paths, "bool_or({} = 'OBJECT')", relational)
    return [steps for steps, is_object in zip(paths, found, strict=True) if is_object]


def _of_types(
    documents: pa.Array, paths: list[tuple[str, ...]], aggregate: str, relational: "Relational"
) -> list[Any]:
    """Return for each path an aggregate over the types of what the documents have there."""
    wanted = ", ".join(quoted(pointer_of(steps)) for steps in paths)
    shown = ", ".join(aggregate.format(f"t[{n}]") for n in range(1, len(paths) + 1))
    query = f"SELECT {shown} FROM (SELECT json_type(document, [{wanted}]) AS t FROM vsql_documents)"
    return [column[0].as_py() for column in ask(query, documents, relational).columns]


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
    documents: pa.Array, pointers: Sequence[str], relational: "Relational"
) -> dict[str, PathValues]:
    """Return the values of some paths; "" is the whole document."""
    parts: list[dict[str, PathValues]] = []
    for start in range(0, max(len(documents), 1), _CHUNK_ROWS):
        chunk = documents.slice(start, _CHUNK_ROWS)
        parts.append(_extract_chunk(chunk, pointers, relational))
        pa.default_memory_pool().release_unused()
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


def _extract_chunk(
    documents: pa.Array, pointers: Sequence[str], relational: "Relational"
) -> dict[str, PathValues]:
    paths = [quoted(pointer or "$") for pointer in pointers]
    wanted = f"[{', '.join(paths)}]"
    shown = ", ".join(f"t[{n}], s[{n}]" for n in range(1, len(paths) + 1))
    query = (
        f"SELECT {shown} FROM (SELECT json_type(document, {wanted}) AS t, "
        f"json_extract_string(document, {wanted}) AS s FROM vsql_documents)"
    )
    found = ask(query, documents, relational)
    columns = [found.column(number).combine_chunks() for number in range(found.num_columns)]
    pairs = list(zip(columns[::2], columns[1::2], strict=True))
    known = typed_together(pairs, relational)
    return {pointer: values for pointer, (values, _) in zip(pointers, known, strict=True)}
