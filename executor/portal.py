"""Server-side cursors: a query's result and a place in it.

The rows of a plain scan are numbers until they are fetched: a FETCH reads the columns of its own
rows alone, however many the query found. Any other result was computed whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from vsql.core import sqlstate
from vsql.core.errors import OperationalError
from vsql.executor.context import Context
from vsql.executor.named_objects import NamedObjects
from vsql.executor.result import Result
from vsql.executor.take import PickedRows, from_numpy, slice_picked
from vsql.grammar.utility_statements import CloseCursor, DeclareCursor, Direction, FetchCursor


@dataclass(slots=True)
class Portal:
    """A cursor; `position` is the row that it stands on, from 1, 0 before the first.

    `scrolls` tells whether it may go back; `hold` whether it outlives its transaction, which
    `committed` says of the one that declared it.
    """

    result: Result
    scrolls: bool
    hold: bool
    committed: bool
    position: int = 0


def run_cursor(
    statement: DeclareCursor | FetchCursor | CloseCursor,
    portals: NamedObjects[Portal],
    run: Callable[[str, dict[str, Any]], Result],
    context: Context,
    *,
    alone: bool,
) -> Result:
    """Declare, move or close a cursor; `alone` where no transaction goes on after the statement."""
    match statement:
        case DeclareCursor(name, text, scrolls, hold):
            portals.check_new(name)
            result = run(text, context.parameters)
            portals.add(name, Portal(result, scrolls, hold, committed=alone))
            return Result("DECLARE CURSOR")
        case FetchCursor(name):
            return fetch(portals.get(name), statement)
        case CloseCursor(name):
            portals.drop(name)
            return Result("CLOSE CURSOR" if name is not None else "CLOSE CURSOR ALL")


def fetch(portal: Portal, wanted: FetchCursor) -> Result:
    """Return the rows of a FETCH, or the number that a MOVE passed, and move the cursor.

    Raises OperationalError (55000) where it would go back but must not.
    """
    total = portal.result.row_count
    first, count, backward, place = _target(wanted, portal.position, total)
    if not portal.scrolls and (backward or place < portal.position):
        raise OperationalError(
            "the cursor can only go forward",
            code=sqlstate.OBJECT_NOT_IN_PREREQUISITE_STATE,
            hint="declare it with SCROLL",
        )
    portal.position = place
    if wanted.only_moves:
        return Result(f"MOVE {count}", None, (), count)
    source = _rows(portal.result, first - 1, count)
    if backward and count > 1:
        table = source.gather() if isinstance(source, PickedRows) else source
        source = table.take(from_numpy(np.arange(count - 1, -1, -1)))
    return Result(f"FETCH {count}", source, portal.result.types, count)


def _target(wanted: FetchCursor, position: int, total: int) -> tuple[int, int, bool, int]:
    """Return the first row to give, how many, whether in reverse, and where the cursor then is."""
    count = wanted.count
    match wanted.direction:
        case Direction.ABSOLUTE | Direction.RELATIVE:
            assert count is not None
            if wanted.direction is Direction.RELATIVE:
                row = position + count
            else:
                row = count if count >= 0 else total + 1 + count
            row = min(max(row, 0), total + 1)
            return row, int(1 <= row <= total), False, row
        case Direction.FORWARD if count is not None and count < 0:
            return _back(position, -count)
        case Direction.BACKWARD if count is None or count >= 0:
            return _back(position, position if count is None else count)
        case _:
            steps = total + 1 if count is None else abs(count)
    if steps == 0:
        return position, int(1 <= position <= total), False, position
    found = min(steps, max(0, total - position))
    return position + 1, found, False, min(position + steps, total + 1)


def _back(position: int, steps: int) -> tuple[int, int, bool, int]:
    if steps == 0:
        return position, 0, False, position
    found = min(steps, max(0, position - 1))
    return position - found, found, True, max(position - steps, 0)


def _rows(result: Result, start: int, count: int) -> pa.Table | PickedRows:
    source = result.source
    if isinstance(source, PickedRows) and source.order is None and source.distances is None:
        picked = slice_picked(source.picked, max(0, start), count)
        return PickedRows(picked, source.table, source.outputs)
    table = result.table
    assert table is not None
    return table.slice(max(0, start), count)
