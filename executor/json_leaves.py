"""A flat index over a JSON column: every leaf of every path as one key, so that INVERTED serves it.

| value | key |
|---|---|
| string, number, boolean | pointer, NUL, `s`, `n` or `b`, text |
| element of a list of strings or of integers | pointer, NUL, `S` or `N`, text |
| other list, integer beyond 64 bits | pointer, NUL, `?` |

What a key finds are candidates, checked against the documents' values.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vsql.core.protocols import Comparison, Condition, Rows, ScalarSearcher
from vsql.executor.frame import Frame
from vsql.executor.shred import all_paths, extract
from vsql.planner.scan_nodes import PathCondition
from vsql.storage.path_values import Kind, PathValues

if TYPE_CHECKING:
    from vsql.executor.remainder import Relational

_PATHS_AT_A_TIME = 64
_TAGS = {Kind.STRING: "s", Kind.INTEGER: "n", Kind.DOUBLE: "n", Kind.BOOLEAN: "b"}
_ELEMENT_TAGS = {Kind.STRINGS: "S", Kind.INTEGERS: "N"}
_EXACT_MAX = 2**53
# Set on the first row where some paths were left out, and then for each that was not.
INCOMPLETE_KEY = "\0incomplete"


def leaf_keys(documents: pa.Array, relational: "Relational") -> pa.Array:
    """Return the keys of each document's leaves, a list of strings per row."""
    pointers, complete = all_paths(documents, relational)
    owners: list[Any] = []
    keys: list[pa.Array] = []
    for start in range(0, len(pointers), _PATHS_AT_A_TIME):
        some = pointers[start : start + _PATHS_AT_A_TIME]
        for pointer, values in extract(documents, some, relational).items():
            for rows, texts in _postings(pointer, values, relational):
                owners.append(rows)
                keys.append(texts)
    if not complete and len(documents):
        marks = [INCOMPLETE_KEY, *(covered_key(pointer) for pointer in pointers)]
        owners.append(np.zeros(len(marks), dtype=np.int64))
        keys.append(pa.array(marks))
    rows = np.concatenate(owners) if owners else np.empty(0, np.int64)
    whole = pa.concat_arrays(keys) if keys else pa.array([], pa.string())
    order = np.argsort(rows, kind="stable")
    offsets = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(documents)))))
    return pa.ListArray.from_arrays(
        pa.array(offsets.astype(np.int32)),
        whole.take(pa.array(order)),
        mask=documents.is_null() if documents.null_count else None,
    )


def _postings(
    pointer: str, values: PathValues, relational: "Relational"
) -> Iterator[tuple[Any, pa.Array]]:
    for kind, tag in _TAGS.items():
        if kind in values.parts:
            part = values.parts[kind]
            rows = values.rows_of(kind)
            yield rows, _keyed(pointer, tag, _text(part.take(pa.array(rows)), kind, relational))
    for kind, tag in _ELEMENT_TAGS.items():
        if kind in values.parts:
            part = values.parts[kind]
            lengths = pc.fill_null(pc.list_value_length(part), 0).to_numpy(zero_copy_only=False)
            elements = part.flatten().cast(pa.string())
            yield np.repeat(np.arange(len(part)), lengths), _keyed(pointer, tag, elements)
    rows = values.rows_of(Kind.ARRAY, Kind.NUMBER)
    if len(rows):
        yield rows, pa.array([_other(pointer)] * len(rows))


def _text(part: pa.Array, kind: Kind, relational: "Relational") -> pa.Array:
    if kind is Kind.DOUBLE:
        # A whole double has the key of the integer that it equals; DuckDB writes the others as
        # Python does. Past _EXACT_MAX none is looked up.
        query = (
            f"SELECT CASE WHEN v = trunc(v) AND abs(v) <= {_EXACT_MAX} THEN v::BIGINT::VARCHAR "
            "ELSE v::VARCHAR END FROM vsql_doubles"
        )
        answer = relational.query(query, {"vsql_doubles": pa.table({"v": part})}, {})
        return answer.column(0).combine_chunks()
    return part.cast(pa.string())


def _number(value: float) -> str:
    if isinstance(value, int) or not value.is_integer():
        return repr(value)
    return str(int(value))


def _keyed(pointer: str, tag: str, texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(f"{pointer}\0{tag}"), texts, "")


def _other(pointer: str) -> str:
    return f"{pointer}\0?"


def covered_key(pointer: str) -> str:
    """Return the key that tells that a path is in the index, where some are not."""
    return f"{pointer}\0."


def candidate_keys(pointer: str, value: Any, *, text: bool, element: bool) -> list[str] | None:
    """Return the keys under which a value may stand, None where the index can't tell.

    `text` compares with the value's text, as `->>` does; `element` looks inside lists.
    """
    if isinstance(value, np.generic):
        value = value.item()
    string, number = ("S", "N") if element else ("s", "n")
    found = [_other(pointer)]
    match value:
        case bool():
            found.append(f"{pointer}\0b{str(value).lower()}")
        case int() | float():
            # Beyond 2**53 an integer and a double may be equal without having one text.
            if not abs(value) <= _EXACT_MAX:
                return None
            found.append(f"{pointer}\0{number}{_number(value)}")
        case str():
            found.append(f"{pointer}\0{string}{value}")
            if text:
                if value[:1] in ("{", "["):
                    return None
                found.extend(_number_keys(pointer, value))
                found.append(f"{pointer}\0b{value}")
        case _:
            return None
    return found


def _number_keys(pointer: str, text: str) -> list[str]:
    try:
        return [f"{pointer}\0n{_number(int(text))}"]
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return []
    return [f"{pointer}\0n{_number(number)}"] if math.isfinite(number) else []


def candidates(
    wanted: PathCondition, postings: ScalarSearcher, frame: Frame, most: int
) -> Rows | None:
    """Return rows that may pass, ascending; None where they are too many or can't be told."""
    from vsql.executor.evaluate import evaluate

    if _count(postings, [INCOMPLETE_KEY]) and not _count(postings, [covered_key(wanted.pointer)]):
        return None
    groups: list[list[str]] = []
    for node in wanted.values:
        value = evaluate(node, frame)
        values = value if isinstance(value, list | tuple | np.ndarray) else [value]
        for one in values:
            found = candidate_keys(wanted.pointer, one, text=wanted.text, element=wanted.element)
            if found is None:
                return None
            groups.append(found)
    if not groups:
        return None
    # Of several that must all be there the rarest is enough: what it finds is checked.
    if wanted.every:
        keys = min(groups, key=lambda group: _count(postings, group))
    else:
        keys = [key for group in groups for key in group]
    if _count(postings, keys) > most:
        return None
    rows = postings.lookup(Condition(Comparison.CONTAINS_ANY, tuple(keys)))
    return None if rows is None else np.unique(rows).astype(np.int64)


def _count(postings: ScalarSearcher, keys: list[str]) -> int:
    return postings.estimate(Condition(Comparison.CONTAINS_ANY, tuple(keys))) or 0
