"""Lists and what they hold against constants: elements are compared all at once, then by list."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from vsql.core.floating import canonical
from vsql.executor.json_constants import exactly, is_64_bit, kind_of, whole_of
from vsql.executor.nested_values import Lists, NestedValues

Flags = npt.NDArray[np.bool_]


def list_contains(lists: pa.Array, wanted: list[Any], *, every: bool) -> pa.Array:
    """Return whether Arrow lists of scalars hold one, or every one, of some values, exactly."""
    offsets = lists.offsets.to_numpy()

    def hold(constants: list[Any]) -> Flags:
        counts = np.concatenate(([0], np.cumsum(is_among(lists.values, constants))))
        held: Flags = counts[offsets[1:]] > counts[offsets[:-1]]
        return held

    if every:
        found = np.ones(len(lists), dtype=bool)
        for value in wanted:
            found &= hold([value])
    else:
        found = hold(wanted)
    return pc.if_else(lists.is_valid(), pa.array(found), pa.scalar(None, pa.bool_()))


def nested_contains(lists: Lists, wanted: list[Any], *, every: bool) -> Flags:
    """Return whether lists of anything hold one, or every one, of some values."""
    if not every:
        return lists.any_of(nested_is_among(lists.elements, wanted))
    found = np.ones(len(lists.rows), dtype=bool)
    for value in wanted:
        found &= lists.any_of(nested_is_among(lists.elements, [value]))
    return found


def list_compare(kind: type[exp.Expr], lists: pa.Array, wanted: Any) -> pa.Array:
    """Return whether Arrow lists of scalars equal a list, element by element; lists have no order.

    NULL equals nothing, and nothing but a list compares with one.
    """
    if not isinstance(wanted, list) or kind not in (exp.EQ, exp.NEQ):
        return pa.nulls(len(lists), pa.bool_())
    same = _equals(lists, wanted)
    return pc.if_else(lists.is_valid(), pa.array(same == (kind is exp.EQ)), None)


def _equals(lists: pa.Array, wanted: list[Any]) -> Flags:
    lengths = pc.fill_null(pc.list_value_length(lists), -1).to_numpy()
    rows = np.flatnonzero(lengths == len(wanted))
    starts = lists.offsets.to_numpy()[:-1]
    for place, value in enumerate(wanted):
        rows = rows[is_among(lists.values.take(pa.array(starts[rows] + place)), [value])]
    same = np.zeros(len(lists), dtype=bool)
    same[rows] = True
    return same


def is_among(values: pa.Array, wanted: list[Any]) -> Flags:
    """Return which values of an Arrow array equal one of some constants, numbers exactly."""
    if pa.types.is_list(values.type):
        found = np.zeros(len(values), dtype=bool)
        for value in wanted:
            if kind_of(value) == "list":
                found |= _equals(values, value)
        return found
    fitting = [value for value in (exactly(v, values.type) for v in wanted) if value is not None]
    return is_in(values, fitting)


def is_in(values: pa.Array, constants: list[Any]) -> Flags:
    """Return which values are one of some constants of their type; NaN is none."""
    if not constants:
        return np.zeros(len(values), dtype=bool)
    if pa.types.is_floating(values.type):
        values = canonical(values)
        constants = [constant + 0.0 for constant in constants if constant == constant]
    found = pc.is_in(values, value_set=pa.array(constants, values.type))
    flags: Flags = found.to_numpy(zero_copy_only=False)
    return flags


def nested_is_among(nested: NestedValues, wanted: list[Any]) -> Flags:
    """Return which JSON values equal one of some constants, numbers exactly; objects equal none."""
    found = np.zeros(len(nested), dtype=bool)
    for part in nested.values.parts.values():
        found |= is_among(part, wanted)
    wholes = [whole_of(value) for value in wanted if kind_of(value) == "number"]
    large = [str(whole) for whole in wholes if whole is not None and not is_64_bit(whole)]
    found |= is_in(nested.texts, large)
    if nested.lists is not None:
        for value in wanted:
            if kind_of(value) == "list":
                found[nested.lists.rows] |= _nested_equals(nested.lists, value)
    return found


def _nested_equals(lists: Lists, wanted: list[Any]) -> Flags:
    places = np.flatnonzero(lists.lengths == len(wanted))
    for number, value in enumerate(wanted):
        if not len(places):
            break
        elements = lists.elements.take(lists.offsets[places] + number)
        places = places[nested_is_among(elements, [value])]
    same = np.zeros(len(lists.rows), dtype=bool)
    same[places] = True
    return same
