"""Index kinds by name, and what CREATE INDEX may say about them.

A name that CREATE INDEX takes (`AUTOINDEX`, `HNSW`, `BTREE`, …) stands for one or more
*structures*, each built by one kind and stored in one file per segment; FLAT has none, since exact
search needs nothing but the column. Third parties add kinds through the entry-point groups
`vsql.vector_indexes` and `vsql.scalar_indexes`; these load when a name is unknown otherwise.
"""

import functools
import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vsql.core import sqlstate
from vsql.core.distance import Metric
from vsql.core.errors import ProgrammingError, did_you_mean
from vsql.core.protocols import (
    MAPPED,
    AnyOption,
    FlagOption,
    FractionOption,
    Option,
    ScalarIndexKind,
    VectorIndexKind,
    WordOption,
)
from vsql.core.types import Family, SqlType

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

DEFAULT_VECTOR_KIND = "AUTOINDEX"
DEFAULT_SCALAR_KIND = "BTREE"
# AUTOINDEX takes bitmaps where a key stands for many rows.
_BITMAP_KEYS_MAX, _BITMAP_SHARE_MAX = 500, 0.01
VECTOR_GROUP = "vsql.vector_indexes"
SCALAR_GROUP = "vsql.scalar_indexes"

_VECTOR_KINDS: Mapping[str, str] = {
    "HNSW": "vsql.index.faiss_hnsw:HNSW",
    "HNSW_SQ": "vsql.index.faiss_hnsw:HNSW_SQ",
    "HNSW_PQ": "vsql.index.faiss_hnsw:HNSW_PQ",
    "DISKANN": "vsql.index.faiss_hnsw:DISKANN",
    "SCANN": "vsql.index.faiss_lists:SCANN",
    "IVF_FLAT": "vsql.index.row_lists:IVF_FLAT",
    "IVF_SQ8": "vsql.index.faiss_lists:IVF_SQ8",
    "IVF_PQ": "vsql.index.faiss_lists:IVF_PQ",
    "IVF_RABITQ": "vsql.index.faiss_lists:IVF_RABITQ",
    "BIN_IVF_FLAT": "vsql.index.row_lists:BIN_IVF_FLAT",
    "BIN_HNSW": "vsql.index.faiss_binary:BIN_HNSW",
    "MINHASH_LSH": "vsql.index.minhash:MINHASH_LSH",
}
_SCALAR_KINDS: Mapping[str, str] = {
    "STL_SORT": "vsql.index.sorted_values:KIND",
    "BITMAP": "vsql.index.bitmap:KIND",
    "INVERTED": "vsql.index.inverted:KIND",
    "TRIE": "vsql.index.trie:KIND",
    "NGRAM": "vsql.index.ngram:KIND",
}
"""Where each kind is: module:attribute, as in an entry point."""

_COMPOSED: Mapping[str, tuple[str, ...]] = {
    "AUTOINDEX": ("HNSW", "SCANN", "BIN_IVF_FLAT"),
    "FLAT": (),
    "BIN_FLAT": (),
}
# What pgvector calls ivfflat is asked for speed: SCANN, which is as exact in the end.
_ALIASES: Mapping[str, str] = {"BTREE": "STL_SORT", "IVFFLAT": "SCANN"}
_OPTION_ALIASES: Mapping[str, str] = {
    "lists": "nlist",
    "efconstruction": "ef_construction",
    "maxdegree": "max_degree",
    "searchlistsize": "search_list_size",
    "pqcodebudgetgbratio": "pq_code_budget_gb_ratio",
}
_TRUTHS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "on", "1"), True),
    **dict.fromkeys(("false", "off", "0"), False),
}


def canonical(name: str) -> str:
    """Return the kind's own name (BTREE: STL_SORT); raises ProgrammingError (42704)."""
    folded = name.upper()
    folded = _ALIASES.get(folded, folded)
    if folded in _COMPOSED or folded in _VECTOR_KINDS or folded in _SCALAR_KINDS:
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
    own = (*_COMPOSED, *_VECTOR_KINDS, *_ALIASES, *_SCALAR_KINDS)
    return (*own, *_plugins(VECTOR_GROUP), *_plugins(SCALAR_GROUP))


def is_vector_kind(name: str) -> bool:
    """Whether the kind indexes vectors rather than scalar keys; raises ProgrammingError."""
    own = canonical(name)
    if own in _SCALAR_KINDS:
        return False
    return own in _COMPOSED or own in _VECTOR_KINDS or own in _plugins(VECTOR_GROUP)


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
    found: VectorIndexKind = _kind(structure, _VECTOR_KINDS, VECTOR_GROUP)
    return found


def scalar_kind(structure: str) -> ScalarIndexKind:
    """Return the kind that builds a scalar structure; raises ProgrammingError (42704)."""
    found: ScalarIndexKind = _kind(structure, _SCALAR_KINDS, SCALAR_GROUP)
    return found


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
    known = [option for s in structures(name) for option in _options(s)]
    seen: dict[str, str] = {}
    for written, text in options.items():
        option = _option(written, known)
        if option is None:
            raise ProgrammingError(
                f'index kind "{name.lower()}" has no option "{written}"',
                code=sqlstate.INVALID_PARAMETER_VALUE,
                hint=did_you_mean(written, [o.name for o in known]) or "it has no options",
            )
        if option.name in seen:
            raise ProgrammingError(
                f'option "{option.name}" is given twice, as "{seen[option.name]}" and "{written}"',
                code=sqlstate.INVALID_PARAMETER_VALUE,
            )
        seen[option.name] = written
        value = _checked(option, text)
        if isinstance(option, Option) and option.divides_dimension and value:
            _check_divides(option, int(value), type_)


def build_options(structure: str, options: Mapping[str, str]) -> dict[str, Any]:
    """Return every option of a structure, as WITH said or by default; others are passed over.

    Raises ProgrammingError (22023) for a value of another type or out of range.
    """
    known = _options(structure)
    values: dict[str, Any] = {option.name: option.default for option in known}
    for written, text in options.items():
        option = _option(written, known)
        if option is not None:
            values[option.name] = _checked(option, text)
    return values


def load_arguments(structure: str, options: Mapping[str, str]) -> dict[str, Any]:
    """Return the keyword arguments of a vector kind's `load`; raises ProgrammingError (22023)."""
    values = build_options(structure, options)
    return {"mapped": values[MAPPED]} if MAPPED in values else {}


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
    if own == "BIN_FLAT" and type_.family is not Family.BIT:
        raise ProgrammingError(
            f'index kind "{name.lower()}" does not support {type_}',
            code=sqlstate.WRONG_OBJECT_TYPE,
            hint=_alternatives(type_, metric),
        )
    # What is composed falls back to exact search where no structure serves.
    if own not in _COMPOSED and not structures_for(own, type_, metric):
        what = type_.family.value if metric is None else f"{metric.operator_class} on {type_}"
        raise ProgrammingError(
            f'index kind "{name.lower()}" does not support {what}',
            code=sqlstate.WRONG_OBJECT_TYPE,
            hint=_alternatives(type_, metric) if metric is not None else None,
        )


def _alternatives(type_: SqlType, metric: Metric | None) -> str:
    serving = [name for name in _VECTOR_KINDS if structures_for(name, type_, metric)]
    return f"use {', '.join(serving)} or FLAT" if serving else "exact search serves this: use FLAT"


def _check_metric(type_: SqlType, metric: Metric) -> None:
    if metric.over_bits != (type_.family is Family.BIT):
        raise ProgrammingError(
            f"{metric.function} is not defined for {type_}",
            code=sqlstate.WRONG_OBJECT_TYPE,
            hint="use hamming or jaccard for BIT, the others for vectors of numbers",
        )


def _options(structure: str) -> tuple[AnyOption, ...]:
    if is_vector_kind(structure):
        return vector_kind(structure).options
    return scalar_kind(structure).options


def _option(written: str, known: Sequence[AnyOption]) -> AnyOption | None:
    """Return the option meant; case counts only where names differ in nothing else (M and m)."""
    folded = written.lower()
    for name in (written, folded, _OPTION_ALIASES.get(folded, folded)):
        for option in known:
            if option.name == name:
                return option
    return next((option for option in known if option.name.lower() == folded), None)


def _checked(option: AnyOption, text: str) -> Any:
    value = _value(option, text.strip())
    if value is None:
        raise ProgrammingError(
            f'invalid value for option "{option.name}" ({option.meaning}): {text}',
            code=sqlstate.INVALID_PARAMETER_VALUE,
            hint=f"allowed: {_allowed(option)}, default {_shown(option.default)}",
        )
    return value


def _value(option: AnyOption, text: str) -> int | float | str | bool | None:
    """Return the option's value, None where the text is none."""
    match option:
        case WordOption():
            return text.upper() if text.upper() in option.choices else None
        case FlagOption():
            return _TRUTHS.get(text.lower())
        case Option() | FractionOption():
            try:
                value = int(text) if isinstance(option, Option) else float(text)
            except ValueError:
                return None
            return value if option.minimum <= value <= option.maximum else None


def _allowed(option: AnyOption) -> str:
    match option:
        case WordOption():
            return ", ".join(option.choices)
        case FlagOption():
            return "true, false"
        case Option() | FractionOption():
            return f"{option.minimum} to {option.maximum}"


def _shown(value: float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_divides(option: Option, value: int, type_: SqlType) -> None:
    if type_.dimension % value:
        raise ProgrammingError(
            f'option "{option.name}" ({option.meaning}) must divide the dimension of the column, '
            f"and {type_.dimension} is no multiple of {value}",
            code=sqlstate.INVALID_PARAMETER_VALUE,
        )


def _kind(structure: str, kinds: Mapping[str, str], group: str) -> Any:
    own = canonical(structure)
    if own in kinds:
        module, _, attribute = kinds[own].partition(":")
        return getattr(importlib.import_module(module), attribute)
    entry = _plugins(group).get(own)
    if entry is None:
        raise ProgrammingError(
            f'index kind "{structure.lower()}" is not of the group {group}',
            code=sqlstate.UNDEFINED_OBJECT,
            hint=did_you_mean(structure, (*kinds, *_plugins(group))),
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
