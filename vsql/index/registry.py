"""Index kinds by name, and what CREATE INDEX may say about them.

A name that CREATE INDEX takes (`AUTOINDEX`, `HNSW`, `BTREE`, …) stands for one or more
*structures*, each built by one kind and stored in one file per segment; FLAT has none, since exact
search needs nothing but the column. Third parties add kinds through the entry-point groups
`vsql.vector_indexes` and `vsql.scalar_indexes`; these load when a name is unknown otherwise.
"""

import functools
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vsql.core import sqlstate
from vsql.core.distance import Metric
from vsql.core.errors import ProgrammingError, did_you_mean
from vsql.core.protocols import Option, ScalarIndexKind, VectorIndexKind
from vsql.core.types import Family, SqlType

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

DEFAULT_VECTOR_KIND = "AUTOINDEX"
DEFAULT_SCALAR_KIND = "BTREE"
# AUTOINDEX takes bitmaps where a key stands for many rows.
_BITMAP_KEYS_MAX, _BITMAP_SHARE_MAX = 500, 0.01
VECTOR_GROUP = "vsql.vector_indexes"
SCALAR_GROUP = "vsql.scalar_indexes"

_VECTOR_MODULES: Mapping[str, str] = {
    "HNSW": "vsql.index.faiss_hnsw",
    "SCANN": "vsql.index.faiss_scann",
}
_SCALAR_MODULES: Mapping[str, str] = {
    "STL_SORT": "vsql.index.sorted_values",
    "BITMAP": "vsql.index.bitmap",
    "INVERTED": "vsql.index.inverted",
    "TRIE": "vsql.index.trie",
    "NGRAM": "vsql.index.ngram",
}
_COMPOSED: Mapping[str, tuple[str, ...]] = {"AUTOINDEX": ("HNSW", "SCANN"), "FLAT": ()}
# pgvector's inverted lists are ours of that shape: with 4-bit codes, and exact distances after.
_ALIASES: Mapping[str, str] = {"BTREE": "STL_SORT", "IVFFLAT": "SCANN"}
_OPTION_ALIASES: Mapping[str, str] = {"lists": "nlist", "efconstruction": "ef_construction"}


def canonical(name: str) -> str:
    """Return the kind's own name (BTREE: STL_SORT); raises ProgrammingError (42704)."""
    folded = name.upper()
    folded = _ALIASES.get(folded, folded)
    if folded in _COMPOSED or folded in _VECTOR_MODULES or folded in _SCALAR_MODULES:
        return folded
    if folded in _plugins(VECTOR_GROUP) or folded in _plugins(SCALAR_GROUP):
        return folded
    raise ProgrammingError(
        f'index kind "{name.lower()}" does not exist',
        code=sqlstate.UNDEFINED_OBJECT,
        hint=did_you_mean(name, names()),
    )


def names() -> tuple[str, ...]:
    """Return every name that CREATE INDEX … USING takes, vector kinds first."""
    own = (*_COMPOSED, *_VECTOR_MODULES, *_ALIASES, *_SCALAR_MODULES)
    return (*own, *_plugins(VECTOR_GROUP), *_plugins(SCALAR_GROUP))


def is_vector_kind(name: str) -> bool:
    """Whether the kind indexes vectors rather than scalar keys; raises ProgrammingError."""
    own = canonical(name)
    if own in _SCALAR_MODULES:
        return False
    return own in _COMPOSED or own in _VECTOR_MODULES or own in _plugins(VECTOR_GROUP)


def structures(name: str) -> tuple[str, ...]:
    """Return the structures that the kind consists of; raises ProgrammingError (42704)."""
    own = canonical(name)
    return _COMPOSED.get(own, (own,))


def structures_for(name: str, type_: SqlType, metric: Metric | None = None) -> tuple[str, ...]:
    """Return those structures of the kind that can index this column, in order.

    Empty for FLAT, and for AUTOINDEX under a metric that no structure knows: exact search serves.
    """
    if metric is None:
        return tuple(s for s in structures(name) if scalar_kind(s).supports(type_))
    return tuple(s for s in structures(name) if vector_kind(s).supports(type_, metric))


def vector_kind(structure: str) -> VectorIndexKind:
    """Return the kind that builds a vector structure; raises ProgrammingError (42704)."""
    return _kind(structure, _VECTOR_MODULES, VECTOR_GROUP)  # type: ignore[no-any-return]


def scalar_kind(structure: str) -> ScalarIndexKind:
    """Return the kind that builds a scalar structure; raises ProgrammingError (42704)."""
    return _kind(structure, _SCALAR_MODULES, SCALAR_GROUP)  # type: ignore[no-any-return]


def default_kind(type_: SqlType) -> str:
    """Return the kind of CREATE INDEX without USING."""
    if type_.is_vector:
        return DEFAULT_VECTOR_KIND
    return "INVERTED" if type_.family in (Family.ARRAY, Family.JSON) else DEFAULT_SCALAR_KIND


def automatic_kind(type_: SqlType, rows: int, distinct: int) -> str:
    """Return what AUTOINDEX means for a scalar key with so many distinct values in so many rows."""
    few = rows and distinct <= min(_BITMAP_KEYS_MAX, rows * _BITMAP_SHARE_MAX)
    if few and scalar_kind("BITMAP").supports(type_):
        return "BITMAP"
    return canonical(default_kind(type_))


def check(name: str, type_: SqlType, metric: Metric | None, options: Mapping[str, str]) -> None:
    """Check what CREATE INDEX says; raises ProgrammingError.

    42704: no such kind; 42809: the kind can't index this type or metric; 22023: a bad option.
    `metric` is None for scalar keys.
    """
    _check_support(name, type_, metric)
    known = {option.name: option for s in structures(name) for option in _options(s)}
    for written, text in options.items():
        option = known.get(_option_name(written))
        if option is None:
            raise ProgrammingError(
                f'index kind "{name.lower()}" has no option "{written}"',
                code=sqlstate.INVALID_PARAMETER_VALUE,
                hint=did_you_mean(written, known) or "it has no options",
            )
        _checked(option, text)


def build_options(structure: str, options: Mapping[str, str]) -> dict[str, int]:
    """Return every option of a structure, as WITH said or by default; others are passed over.

    Raises ProgrammingError (22023) for a value that is no integer or out of range.
    """
    given = {_option_name(written): text for written, text in options.items()}
    return {
        option.name: _checked(option, given[option.name])
        if option.name in given
        else option.default
        for option in _options(structure)
    }


def _check_support(name: str, type_: SqlType, metric: Metric | None) -> None:
    own = canonical(name)
    if is_vector_kind(own) != type_.is_vector:
        raise ProgrammingError(
            f'index kind "{name.lower()}" cannot index a column of type {type_}',
            code=sqlstate.WRONG_OBJECT_TYPE,
            hint=f"use {default_kind(type_)}",
        )
    if type_.is_vector:
        assert metric is not None
        _check_metric(type_, metric)
    # What is composed falls back to exact search where no structure serves.
    if own not in _COMPOSED and not structures_for(own, type_, metric):
        what = type_.family.value if metric is None else f"{metric.operator_class} on {type_}"
        raise ProgrammingError(
            f'index kind "{name.lower()}" does not support {what}',
            code=sqlstate.WRONG_OBJECT_TYPE,
            hint="exact search serves this: use FLAT" if type_.is_vector else None,
        )


def _check_metric(type_: SqlType, metric: Metric) -> None:
    if metric.over_bits != (type_.family is Family.BIT):
        raise ProgrammingError(
            f"{metric.function} is not defined for {type_}",
            code=sqlstate.WRONG_OBJECT_TYPE,
            hint="use hamming or jaccard for BIT, the others for VECTOR and HALFVEC",
        )


def _options(structure: str) -> tuple[Option, ...]:
    if is_vector_kind(structure):
        return vector_kind(structure).options
    return scalar_kind(structure).options


def _option_name(written: str) -> str:
    folded = written.lower()
    return _OPTION_ALIASES.get(folded, folded)


def _checked(option: Option, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = option.minimum - 1
    if not option.minimum <= value <= option.maximum:
        raise ProgrammingError(
            f'invalid value for option "{option.name}" ({option.meaning}): {text}',
            code=sqlstate.INVALID_PARAMETER_VALUE,
            hint=f"allowed: {option.minimum} to {option.maximum}, default {option.default}",
        )
    return value


def _kind(structure: str, modules: Mapping[str, str], group: str) -> Any:
    own = canonical(structure)
    if own in modules:
        return importlib.import_module(modules[own]).KIND
    entry = _plugins(group).get(own)
    if entry is None:
        raise ProgrammingError(
            f'index kind "{structure.lower()}" is not of the group {group}',
            code=sqlstate.UNDEFINED_OBJECT,
            hint=did_you_mean(structure, (*modules, *_plugins(group))),
        )
    try:
        return entry.load()
    except Exception as error:  # anything may go wrong in foreign code
        raise ProgrammingError(
            f'index kind "{structure.lower()}" cannot be loaded from {entry.value}: {error}',
            code=sqlstate.UNDEFINED_OBJECT,
        ) from error


@functools.cache
def _plugins(group: str) -> Mapping[str, "EntryPoint"]:
    from importlib import metadata

    return {entry.name.upper(): entry for entry in metadata.entry_points(group=group)}
