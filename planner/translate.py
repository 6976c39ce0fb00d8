"""A tree in DuckDB's words: vectors, JSON, PostgreSQL's functions, WITH TIES."""

from sqlglot import exp

from vsql.core import sqlstate
from vsql.core.errors import NotSupportedError, ProgrammingError
from vsql.grammar.filter_names import function_name
from vsql.planner.json_functions import translate_json
from vsql.planner.postgres_functions import KINDS, translate_function
from vsql.planner.select import has_ties
from vsql.planner.vector_types import Types, annotate, has_vectors
from vsql.planner.vectors import translate_vectors


def to_duckdb(tree: exp.Expr, types: Types) -> exp.Expr:
    """Return `tree` with every expression in DuckDB's words; changes it in place.

    `types` are those of the columns that are vectors. Raises as `translate_vectors`, and
    NotSupportedError for what only vsql's executor evaluates.
    """
    kinds = {type(node) for node in tree.walk()}
    if exp.Fetch in kinds:
        for select in tree.find_all(exp.Select):
            _with_ties(select)
    if exp.Exists in kinds:
        for exists in tree.find_all(exp.Exists):
            _with_output(exists.this)
    if exp.Anonymous in kinds:
        _refuse_filter_functions(tree)
    if has_vectors(tree, types):
        annotate(tree, types)
        tree = translate_vectors(tree)
    tree = tree.transform(translate_json, copy=False)
    if not kinds.isdisjoint(KINDS):
        tree = _with_functions(tree)
    return tree


def _with_ties(select: exp.Select) -> None:
    """FETCH FIRST n ROWS WITH TIES: the rows of the first n ranks."""
    if not has_ties(select):
        return
    order = select.args.get("order")
    others = [name for name in ("offset", "qualify", "distinct") if select.args.get(name)]
    if order is None:
        raise ProgrammingError(
            "WITH TIES cannot be specified without ORDER BY", code=sqlstate.SYNTAX_ERROR
        )
    if others:
        raise NotSupportedError(f"WITH TIES cannot stand with {others[0].upper()}")
    count = select.args["limit"].args.get("count") or exp.Literal.number(1)
    keys = order.copy()
    for key in keys.expressions:
        # ORDER BY 2 means the second output; in a window it would be the number.
        if isinstance(key.this, exp.Literal) and key.this.is_int:
            key.set("this", select.expressions[int(key.this.name) - 1].unalias().copy())
    rank = exp.Window(this=exp.func("rank"), order=keys)
    select.set("limit", None)
    select.set("qualify", exp.Qualify(this=exp.LTE(this=rank, expression=count.copy())))


def _with_output(query: exp.Expr) -> None:
    """EXISTS (SELECT FROM t): DuckDB wants an output, which EXISTS never reads."""
    if isinstance(query, exp.Select) and not query.expressions:
        query.set("expressions", [exp.Literal.number(1)])


def _with_functions(tree: exp.Expr) -> exp.Expr:
    # From the leaves up: what stands inside of a call is translated before it.
    for node in reversed(list(tree.walk(bfs=False))):
        if type(node) not in KINDS:
            continue
        translated = translate_function(node)
        if translated is node:
            continue
        if node is tree:
            tree = translated
        else:
            node.replace(translated)
    return tree


def _refuse_filter_functions(tree: exp.Expr) -> None:
    for call in tree.find_all(exp.Anonymous):
        if function_name(call) is not None:
            raise NotSupportedError(
                "a filter over JSON, arrays or floats can stand in a WHERE without joins only",
                hint="put it into a subquery: FROM (SELECT * FROM t WHERE matches(...)) AS t",
            )
