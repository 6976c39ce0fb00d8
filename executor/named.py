"""PREPARE, EXECUTE and DEALLOCATE: statements that a session keeps under a name."""

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import ProgrammingError
from vsql.core.types import SqlType
from vsql.executor.context import Context
from vsql.executor.named_objects import NamedObjects
from vsql.executor.result import Result
from vsql.executor.values import value_of
from vsql.grammar.utility_statements import Deallocate, Execute, Prepare


def run_named(
    statement: Prepare | Execute | Deallocate,
    statements: NamedObjects[Prepare],
    run: Callable[[str, dict[str, Any]], Result],
    context: Context,
) -> Result:
    """Keep, run or forget a statement; `run` takes its text and parameters."""
    match statement:
        case Prepare(name):
            statements.add(name, statement)
            return Result("PREPARE")
        case Execute(name):
            known = statements.get(name)
            return run(known.text, arguments_of(statement, known, context))
        case Deallocate(name):
            statements.drop(name)
            return Result("DEALLOCATE" if name is not None else "DEALLOCATE ALL")


def arguments_of(statement: Execute, known: Prepare, context: Context) -> dict[str, Any]:
    """Return parameters by key, each as its declared type; raises ProgrammingError (42601)."""
    given = statement.arguments
    if len(given) != known.count:
        raise ProgrammingError(
            f'prepared statement "{known.name}" has {known.count} parameters, '
            f"but {len(given)} were given",
            code=sqlstate.SYNTAX_ERROR,
        )
    types = (*known.types, *([None] * len(given)))
    return {
        str(number): _typed(node, type_, context)
        for number, (node, type_) in enumerate(zip(given, types, strict=False), 1)
    }


def _typed(node: exp.Expr, type_: SqlType | None, context: Context) -> Any:
    value = value_of(node, context)
    if type_ is None or type_.is_vector or value is None:
        return value
    cast = exp.cast(node.copy(), exp.DataType.build(str(type_), dialect="postgres"))
    return context.relational().scalar(cast, context.parameters)
