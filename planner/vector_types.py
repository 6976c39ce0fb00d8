"""Types of vector expressions, as far as they can be told before anything runs.

`annotate` leaves each node's type in its meta. A vector whose dimension is not known has a type
without arguments: `SqlType(Family.VECTOR)`. What has no type here is left to DuckDB.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from vsql.core.distance import METRIC_BY_FUNCTION
from vsql.core.types import DOUBLE, TEXT, VECTOR_FAMILIES, Family, SqlType, named
from vsql.core.vector_functions import VECTOR_FUNCTIONS, Operation
from vsql.planner.bind import folded, qualifier, type_name
from vsql.planner.facts import Facts
from vsql.planner.resolve import cte_of
from vsql.planner.scope import relations_of

_META = "vsql_type"
_BOOLEAN = SqlType(Family.BOOLEAN)
_INTEGER = SqlType(Family.INTEGER)
_ARRAY = SqlType(Family.ARRAY, element=SqlType(Family.REAL))
_TEXTS = ("TEXT", "VARCHAR", "CHAR")
_PASSES_MAX = 16
_DIGITS_MAX = 12

Outputs = tuple[tuple[str, SqlType | None], ...]


@dataclass
class _Scope:
    """The relations in one query's FROM, by name; None for one whose outputs are not known."""

    query: exp.Select
    relations: dict[str, Outputs | None] = field(default_factory=dict)

    def find(self, table: str | None, name: str) -> tuple[SqlType | None, ...]:
        """Return the types of the columns of a name; nothing where none is known to have it."""
        relations = self.relations.values() if table is None else (self.relations.get(table),)
        return tuple(type_ for known in relations for own, type_ in known or () if own == name)

    def may_have(self, name: str) -> bool:
        """Whether a bare name may be a column's or an output's here, before it is a relation's."""
        count = len(relations_of(self.query))
        is_known = len(self.relations) == count and None not in self.relations.values()
        outputs = [o for o in self.query.expressions if isinstance(o, exp.Alias)]
        named = {folded(o.args["alias"]) for o in outputs if _is_renamed(o)}
        return not is_known or name in named or bool(self.find(None, name))


@dataclass
class Types:
    """Types of columns: `columns` by name alone, those of queries by where they are read."""

    columns: Mapping[str, SqlType] = field(default_factory=dict)
    # By the query's identity: a scope holds its query, so that no other takes its place.
    _scopes: dict[int, _Scope] = field(default_factory=dict)

    def add(self, relation: exp.Expr, outputs: Outputs | None) -> bool:
        """Add what is known of a relation in a FROM; return whether anything of it was new."""
        query = relation.find_ancestor(exp.Select)
        if query is None:
            return False
        alias = relation.args.get("alias")
        scope = self._scopes.setdefault(id(query), _Scope(query))
        name, outputs = _name_of(relation), _renamed(outputs, alias)
        if scope.relations.get(name, ()) == outputs:
            return False
        scope.relations[name] = outputs
        return True

    def of_column(self, column: exp.Column) -> SqlType | None:
        """Return the type of a column where it stands, None where that is not known."""
        table, name = qualifier(column), folded(column.this)
        for scope in self._around(column):
            found = scope.find(table, name)
            if found or table in scope.relations:
                return next((type_ for type_ in found if type_ is not None), None)
        if table is None and name in self.columns:
            return self.columns[name]
        # A rewritten query may stand outside of the one that it reads.
        types = {t for scope in self._scopes.values() for t in scope.find(table, name)} - {None}
        return types.pop() if len(types) == 1 else None

    def of_relation(self, name: str, node: exp.Expr) -> Outputs | None:
        """Return the outputs of the relation that a node names, None where they are not known."""
        scopes = self._around(node)
        return next((s.relations[name] for s in scopes if name in s.relations), None)

    def of_row(self, column: exp.Column) -> Outputs:
        """Return the outputs of the relation whose whole row a bare name is, none for any other."""
        name, scopes = folded(column.this), list(self._around(column))
        if qualifier(column) is not None or not any(name in s.relations for s in scopes):
            return ()
        own = next(s for s in scopes if name in s.relations or s.may_have(name))
        return () if own.may_have(name) else own.relations[name] or ()

    @property
    def has_vectors(self) -> bool:
        """Whether any column is a vector."""
        relations = (known for s in self._scopes.values() for known in s.relations.values())
        types = (type_ for known in relations for _, type_ in known or ())
        return any(t is not None and t.is_vector for t in (*types, *self.columns.values()))

    def _around(self, node: exp.Expr) -> Iterator[_Scope]:
        """Yield the scopes that a node reads, the innermost first."""
        query = node if isinstance(node, exp.Select) else node.find_ancestor(exp.Select)
        while query is not None:
            scope = self._scopes.get(id(query))
            if scope is not None:
                yield scope
            query = query.find_ancestor(exp.Select)


def column_types(types: Mapping[str, SqlType]) -> Types:
    """Return the types of an expression over bare columns."""
    return Types(types)


def relation_types(tree: exp.Expr, facts: Facts) -> Types:
    """Return the types of the columns of every table, subquery and CTE in a tree; annotates it."""
    types = Types()
    readers: dict[int, list[exp.Table]] = {}
    for table in tree.find_all(exp.Table):
        cte = cte_of(table, folded(table.this))
        if cte is not None:
            readers.setdefault(id(cte), []).append(table)
            continue
        columns = facts.columns(folded(table.this))
        if columns is not None:
            types.add(table, tuple((column.name, column.type) for column in columns))
    if not has_vectors(tree, types):
        return types
    kinds = (exp.CTE, exp.Subquery, exp.Lateral, exp.Values)
    derived = [node for node in tree.find_all(*kinds) if node.args.get("alias")]
    # What stands further in, or before, is known after the first pass; one pass more per level.
    for _ in range(_PASSES_MAX):
        annotate(tree, types)
        new = [_add_derived(node, types, readers.get(id(node), ())) for node in reversed(derived)]
        if not any(new):
            break
    return types


def _name_of(relation: exp.Expr) -> str:
    alias = relation.args.get("alias")
    return folded(alias if alias is not None else relation.this)


def _is_renamed(output: exp.Alias) -> bool:
    shown = folded(output.args["alias"])
    return not isinstance(output.this, exp.Column) or folded(output.this) != shown


def _renamed(outputs: Outputs | None, alias: exp.Expr | None) -> Outputs | None:
    """Return outputs by the names that an alias gives to the first of them."""
    columns = alias.args.get("columns") if alias is not None else None
    if outputs is None or not columns:
        return outputs
    names = [folded(column) for column in columns]
    renamed = ((name, type_) for name, (_, type_) in zip(names, outputs, strict=False))
    return (*renamed, *outputs[len(names) :])


def has_vectors(tree: exp.Expr, types: Types) -> bool:
    """Whether any node of a tree may be a vector."""
    if types.has_vectors:
        return True
    return any(
        type_name(node.to) in VECTOR_FAMILIES
        if isinstance(node, exp.Cast)
        else isinstance(node, exp.BitString)
        or node.name.lower() in METRIC_BY_FUNCTION
        or node.name.lower() in VECTOR_FUNCTIONS
        for node in tree.find_all(exp.Cast, exp.Anonymous, exp.BitString)
    )


def _add_derived(node: exp.Expr, types: Types, readers: Iterable[exp.Table]) -> bool:
    """Add what is known of a derived relation; a CTE to each query that reads it."""
    outputs = values_of(node) if isinstance(node, exp.Values) else outputs_of(node.this, types)
    if not isinstance(node, exp.CTE):
        return types.add(node, outputs)
    outputs = _renamed(outputs, node.args["alias"])
    added = [types.add(table, outputs) for table in readers]
    return any(added)


def outputs_of(query: exp.Expr, types: Types) -> Outputs | None:
    """Return names and types of an annotated query's outputs, None where a star hides them."""
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    if not isinstance(query, exp.Select):
        return None
    outputs: list[tuple[str, SqlType | None]] = []
    for node in query.expressions:
        if not node.is_star:
            outputs.append((folded(node.alias_or_name), type_of(node)))
            continue
        expanded = _expanded(node, query, types)
        if expanded is None:
            return None
        outputs.extend(expanded)
    return tuple(outputs)


def common_type(types: Iterable[SqlType | None]) -> SqlType | None:
    """Return the type that vectors beside each other take: sparse where one of them is.

    Of VECTOR and HALFVEC it is the first; every other has whole numbers of 8 bits, so INT8VEC gives
    way; BFLOATVEC and HALFVEC hold what the other does not, so they meet in VECTOR.
    """
    known = [type_ for type_ in types if type_ is not None and type_.is_vector]
    sparse = next((type_ for type_ in known if type_.is_sparse), None)
    if sparse is not None or not known:
        return sparse
    floating = [type_ for type_ in known if type_.family is not Family.INT8VEC]
    first = floating[0] if floating else known[0]
    families = {type_.family for type_ in floating}
    if Family.BFLOATVEC in families and len(families) > 1 and first.is_dense:
        return SqlType(Family.VECTOR, first.arguments)
    return first


def outgrown(type_: SqlType) -> SqlType:
    """Return what sums, averages and unit vectors are of: of INT8VEC, which is too narrow, VECTOR.

    PostgreSQL's sum and avg of smallint are of wider types too.
    """
    return SqlType(Family.VECTOR, type_.arguments) if type_.family is Family.INT8VEC else type_


def values_of(node: exp.Expr) -> Outputs:
    """Return names and types of an annotated VALUES: of each column the type of its vectors."""
    rows = [row.expressions for row in node.expressions if isinstance(row, exp.Tuple)]
    found: list[tuple[str, SqlType | None]] = []
    for number, column in enumerate(zip(*rows, strict=False), 1):
        types = [type_ for type_ in map(vector_type, column) if type_ is not None]
        first = common_type(types)
        dimensions = {dimension_of(type_) for type_ in types}
        if first is not None:
            untyped = [value for value in column if vector_type(value) is None]
            dimensions |= {_shown(value, first.family) for value in untyped} - {None}
        same = dimensions.pop() if len(dimensions) == 1 else None
        found.append((f"column{number}", sized(first, same) if first else None))
    return tuple(found)


def _expanded(star: exp.Expr, select: exp.Select, types: Types) -> Outputs | None:
    inner = star.this if isinstance(star, exp.Column) else star
    if any(inner.args.get(name) for name in ("except_", "replace", "rename")):
        return None
    if isinstance(star, exp.Column):
        return types.of_relation(qualifier(star) or "", star)
    relations, joins = relations_of(select), select.args.get("joins") or ()
    if not relations or any(j.args.get("using") or j.args.get("method") for j in joins):
        return None
    outputs: list[tuple[str, SqlType | None]] = []
    for relation in relations:
        known = types.of_relation(_name_of(relation), select)
        if known is None:
            return None
        outputs.extend(known)
    return tuple(outputs)


def annotate(tree: exp.Expr, types: Types) -> None:
    """Leave in each node's meta the type that it has, from the leaves up."""
    for node in reversed(list(tree.walk(bfs=False))):
        infer = _INFER.get(type(node))
        if isinstance(node, exp.Column):
            found = types.of_column(node)
        else:
            found = None if infer is None else infer(node)
        if found is not None:
            node.meta[_META] = found


def type_of(node: exp.Expr | None) -> SqlType | None:
    """Return the type that a node was given, by `annotate` or by what rewrote it."""
    return None if node is None else node.meta.get(_META)


def with_type(node: exp.Expr, type_: SqlType | None) -> exp.Expr:
    """Give a node a type."""
    if type_ is not None:
        node.meta[_META] = type_
    return node


def vector_type(node: exp.Expr | None) -> SqlType | None:
    """Return the type of a node that is a vector, otherwise None."""
    found = type_of(node)
    return found if found is not None and found.is_vector else None


def typed_parameters(tree: exp.Expr) -> tuple[tuple[str, SqlType], ...]:
    """Return the parameters that must be vectors or arrays, with the type of each."""
    found = {p.name: t for p in tree.find_all(exp.Placeholder) if (t := type_of(p)) is not None}
    return tuple((n, t) for n, t in found.items() if t.is_vector or t.family is Family.ARRAY)


def cast_type(to: exp.DataType) -> SqlType | None:
    """Return the type that a cast gives, None where it does not matter here.

    Raises ProgrammingError (22023) for a dimension that no vector has.
    """
    name = type_name(to)
    family = VECTOR_FAMILIES.get(name)
    if family is not None:
        sizes = tuple(int(e.name) for e in to.expressions if e.name.isdigit())
        if sizes and family is not Family.BIT:
            return named(name, sizes)
        return SqlType(family, sizes or ((1,) if family is Family.BIT else ()))
    if name in ("ARRAY", "LIST"):
        return _ARRAY
    if name in _TEXTS:
        return TEXT
    if name in ("INT", "BIGINT", "SMALLINT", "TINYINT"):
        return _INTEGER
    return DOUBLE if name in ("DOUBLE", "FLOAT", "DECIMAL") else None


def sized(type_: SqlType, dimension: int | None) -> SqlType:
    """Return the vector type with another dimension, None for one that is not known."""
    return SqlType(type_.family, () if dimension is None else (dimension,))


def dimension_of(type_: SqlType | None) -> int | None:
    """Return the dimension where it is known."""
    return type_.arguments[0] if type_ is not None and type_.arguments else None


def _cast(node: exp.Expr) -> SqlType | None:
    found = cast_type(node.args["to"])
    if found is None or not found.is_vector or found.arguments:
        return found
    inner, value = vector_type(node.this), node.this
    if inner is not None:
        return sized(found, dimension_of(inner))
    if isinstance(value, exp.Literal) and value.is_string:
        return sized(found, shown_dimension(value.name, found.family))
    return sized(found, len(value.expressions) if isinstance(value, exp.Array) else None)


def _literal(node: exp.Expr) -> SqlType | None:
    assert isinstance(node, exp.Literal)
    if node.is_string:
        return None
    return _INTEGER if node.is_int else DOUBLE


def _same_as(*names: str) -> Callable[[exp.Expr], SqlType | None]:
    """Return what takes the type of the first of these arguments that is a vector."""

    def infer(node: exp.Expr) -> SqlType | None:
        types: list[SqlType | None] = []
        for name in names:
            value = node.args.get(name)
            for part in value if isinstance(value, list) else (value,):
                inner = part.args.get("true") if isinstance(part, exp.If) else part
                types.append(vector_type(inner) if isinstance(inner, exp.Expr) else None)
        return common_type(types)

    return infer


def _any_type(node: exp.Expr) -> SqlType | None:
    return type_of(node.this) if isinstance(node.this, exp.Expr) else None


def _subquery(node: exp.Expr) -> SqlType | None:
    query = node.this
    if isinstance(query, exp.Select) and len(query.expressions) == 1:
        return type_of(query.expressions[0])
    return None


def _elementwise(node: exp.Expr) -> SqlType | None:
    return common_type(map(vector_type, (node.this, node.args.get("expression"))))


def _concatenation(node: exp.Expr) -> SqlType | None:
    left, right = node.this, node.args["expression"]
    found = common_type(map(vector_type, (left, right)))
    return None if found is None else concatenated(found, left, right)


def concatenated(type_: SqlType, left: exp.Expr, right: exp.Expr) -> SqlType:
    """Return the type of `left || right`; a literal has as many elements as it shows."""
    dimensions = [dimension_of(type_of(side)) or _shown(side) for side in (left, right)]
    known = [dimension for dimension in dimensions if dimension is not None]
    return sized(type_, sum(known) if len(known) == 2 else None)


def shown_dimension(text: str, family: Family) -> int | None:
    """Return the dimension of a literal, as it seems: what is none is refused elsewhere."""
    if family is not Family.SPARSEVEC:
        return text.count(",") + 1
    dimension = text.rpartition("/")[2].strip()
    is_number = dimension.isascii() and dimension.isdigit() and len(dimension) <= _DIGITS_MAX
    return int(dimension) if is_number else None


def _shown(node: exp.Expr, family: Family = Family.VECTOR) -> int | None:
    is_text = isinstance(node, exp.Literal) and node.is_string
    return shown_dimension(node.name, family) if is_text else None


def _aggregate(node: exp.Expr) -> SqlType | None:
    inner = node.this
    if isinstance(inner, exp.Distinct):
        inner = inner.expressions[0]
    found = vector_type(inner)
    return None if found is None else outgrown(found)


def _function(node: exp.Expr) -> SqlType | None:
    name, arguments = node.name.lower(), node.expressions
    if name in METRIC_BY_FUNCTION:
        return DOUBLE
    function = VECTOR_FUNCTIONS.get(name)
    if function is None or not arguments:
        return None
    found = common_type(map(vector_type, arguments))
    family = function.family or (Family.VECTOR if found is None else found.family)
    first = sized(SqlType(family), dimension_of(found) or _shown(arguments[0]))
    match function.operation:
        case None:
            return _INTEGER if name == "vector_dims" else DOUBLE
        case Operation.NORM:
            return DOUBLE
        case Operation.NORMALIZE:
            return outgrown(first)
        case Operation.QUANTIZE:
            return SqlType(Family.BIT, first.arguments)
        case Operation.SUBVECTOR:
            return sized(first, _part(arguments, dimension_of(first)))
        case Operation.CONCATENATE if len(arguments) == 2:
            return concatenated(first, *arguments)
        case _:
            return first


def _part(arguments: list[exp.Expr], dimension: int | None) -> int | None:
    """The dimension of subvector(v, start, count) where both are written out."""
    numbers = arguments[1:]
    if dimension is None or not all(isinstance(n, exp.Literal) and n.is_int for n in numbers):
        return None
    start, count = (int(number.name) for number in numbers)
    dimension = min(start + count, dimension + 1) - max(start, 1)
    return dimension if dimension > 0 else None


_INFER: dict[type[exp.Expr], Callable[[exp.Expr], SqlType | None]] = {
    exp.Add: _elementwise,
    exp.Alias: _any_type,
    exp.Anonymous: _function,
    exp.Array: lambda node: _ARRAY,
    exp.Avg: _aggregate,
    exp.Boolean: lambda node: _BOOLEAN,
    exp.BitString: lambda node: SqlType(Family.BIT, (len(node.name),)),
    exp.Case: _same_as("ifs", "default"),
    exp.Cast: _cast,
    exp.Coalesce: _same_as("this", "expressions"),
    exp.Distinct: _same_as("expressions"),
    exp.DPipe: _concatenation,
    exp.Filter: _any_type,
    exp.FirstValue: _same_as("this"),
    exp.Greatest: _same_as("this", "expressions"),
    exp.Lag: _same_as("this"),
    exp.LastValue: _same_as("this"),
    exp.Lead: _same_as("this"),
    exp.Least: _same_as("this", "expressions"),
    exp.Literal: _literal,
    exp.Max: _same_as("this"),
    exp.Min: _same_as("this"),
    exp.Mul: _elementwise,
    exp.Nullif: _same_as("this"),
    exp.Paren: _any_type,
    exp.Sub: _elementwise,
    exp.Subquery: _subquery,
    exp.Sum: _aggregate,
    exp.Window: _any_type,
}
