"""INSERT, DELETE, UPDATE and MERGE with their sets of parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vsql.core.changes import Change
from vsql.executor.context import Context
from vsql.executor.insert import insert, is_one_batch
from vsql.executor.modify import delete, merge, update
from vsql.executor.result import Result
from vsql.executor.written import Written, all_returned, returned
from vsql.planner.nodes import Write
from vsql.planner.write_nodes import DeleteRows, InsertRows, MergeRows, UpdateRows

_WORDS: Mapping[type, str] = {
    InsertRows: "INSERT 0",
    DeleteRows: "DELETE",
    UpdateRows: "UPDATE",
    MergeRows: "MERGE",
}


def write(
    plan: Write,
    parameter_sets: Sequence[Mapping[str, Any]],
    stage: Callable[[tuple[Change, ...]], None],
    context: Context,
) -> Result:
    """Run a write for each set of parameters; `stage` makes its changes seen by the next one."""
    sets = list(parameter_sets) or [{}]
    count = 0
    results: list[Result] = []
    # The sets of an INSERT make one batch, unless more than its values reads them.
    together = isinstance(plan, InsertRows) and is_one_batch(plan)
    if len(sets) > 1 and isinstance(plan, UpdateRows | DeleteRows):
        from vsql.executor.keyed_writes import keyed_write

        at_once = keyed_write(plan, sets, context)
        if at_once is not None:
            stage(at_once.changes)
            count, sets = at_once.count, []
    for parameters in sets[:1] if together else sets:
        context.parameters = dict(parameters)
        written = _written(plan, sets if together else [context.parameters], context)
        count += written.count
        if plan.returning is not None:
            results.append(returned(written, plan.returning, context))
        stage(written.changes)
    tag = f"{_WORDS[type(plan)]} {count}"
    return all_returned(results, tag) if results else Result(tag, None, (), count)


def _written(plan: Write, sets: Sequence[Mapping[str, Any]], context: Context) -> Written:
    match plan:
        case InsertRows():
            return insert(plan, [dict(one) for one in sets], context)
        case DeleteRows():
            return delete(plan, context)
        case UpdateRows():
            return update(plan, context)
        case MergeRows():
            return merge(plan, context)
    raise AssertionError(plan)
