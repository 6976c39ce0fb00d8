"""What the catalogs speak of, gathered from a snapshot: schemas, relations and constraints by oid.

PostgreSQL's clients know objects by 32-bit numbers. Here they are made from vsql's own ids, so that
they stay the same while an object lives.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from sqlglot import exp

from vsql.core.errors import Error
from vsql.core.schema import NO_CONSTRAINT, Check, Column, Index, NamedObject, Table
from vsql.core.snapshot import TableSnapshot
from vsql.core.types import BIGINT
from vsql.executor.context import Context
from vsql.grammar.parse import parse_expression
from vsql.planner.bind import folded
from vsql.planner.system_catalog import SystemRelation, relations, type_of

OWNER, OWNER_NAME = 10, "vsql"
PUBLIC, CATALOG, INFORMATION, TEMPORARY = 2200, 11, 13000, 13100
_FIRST_OID = 100_000
_Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Namespace:
    """A schema."""

    oid: int
    name: str
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A table (r), view (v), index (i) or sequence (S).

    An index and a sequence have an `owner`; `columns` are those that it shows.
    """

    oid: int
    name: str
    namespace: Namespace
    kind: str
    columns: tuple[Column, ...] = ()
    table: TableSnapshot | None = None
    view: NamedObject | None = None
    index: Index | None = None
    owner: "Relation | None" = None
    system: SystemRelation | None = None

    @property
    def shown(self) -> str:
        """The name as regclass prints it: with its schema where that goes not without saying."""
        if self.namespace.oid in (PUBLIC, CATALOG, TEMPORARY):
            return quoted(self.name)
        return self.qualified

    @property
    def qualified(self) -> str:
        return f"{quoted(self.namespace.name)}.{quoted(self.name)}"

    @property
    def comment(self) -> str | None:
        if self.table is not None:
            return self.table.table.comment
        return None if self.view is None else self.view.comment

    def number(self, column: str) -> int:
        """Return the place of a column, from 1; 0 where it has none of that name."""
        return next((n for n, c in enumerate(self.columns, 1) if c.name == column), 0)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A PRIMARY KEY (p), UNIQUE (u) or CHECK (c) constraint; `columns` are names."""

    oid: int
    name: str
    kind: str
    relation: Relation
    columns: tuple[str, ...]
    definition: str
    check: Check | None = None
    index: Relation | None = None


class SystemObjects:
    """Everything of one snapshot; made for one statement."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def settings(self) -> Mapping[str, Any]:
        """The statement's settings."""
        return self._context.settings

    @functools.cached_property
    def database(self) -> str:
        """The database's name: that of its folder."""
        root = self._context.resources.store.root
        return "memory" if root is None else root.resolve().name

    @functools.cached_property
    def namespaces(self) -> tuple[Namespace, ...]:
        named = self._context.snapshot.named("schema").values()
        own = [Namespace(self._oids["schema", o.id], o.name, o.comment) for o in named]
        return (
            Namespace(CATALOG, "pg_catalog", "system catalog schema"),
            Namespace(PUBLIC, "public", "standard public schema"),
            Namespace(INFORMATION, "information_schema"),
            Namespace(TEMPORARY, "pg_temp_1"),
            *own,
        )

    @functools.cached_property
    def relations(self) -> tuple[Relation, ...]:
        """Those of the users, then those of the system."""
        return (*self.own, *self._system)

    @functools.cached_property
    def own(self) -> tuple[Relation, ...]:
        found: list[Relation] = []
        for table in self._context.snapshot.tables.values():
            found.extend(self._of_table(table))
        for view in self._context.snapshot.named("view").values():
            namespace, name = self._place(view.name)
            oid = self._oids["view", view.id]
            found.append(Relation(oid, name, namespace, "v", self._outputs(view), view=view))
        return tuple(found)

    @functools.cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        tables = [r for r in self.own if r.kind == "r"]
        return tuple(one for relation in tables for one in self._constraints(relation))

    @functools.cached_property
    def indexed(self) -> Mapping[int, tuple[Relation, ...]]:
        """The indexes of each table that has any, by the table's oid."""
        found: dict[int, tuple[Relation, ...]] = {}
        for relation in self.own:
            if relation.kind == "i" and relation.owner is not None:
                known = found.get(relation.owner.oid, ())
                found[relation.owner.oid] = (*known, relation)
        return found

    @functools.cached_property
    def _system(self) -> tuple[Relation, ...]:
        return tuple(
            Relation(
                system.oid, name, self._by_name[schema], system.kind, system.columns, system=system
            )
            for system in relations().values()
            for schema, _, name in (system.name.partition("."),)
            if not name.startswith("vsql_")
        )

    @functools.cached_property
    def _by_name(self) -> Mapping[str, Namespace]:
        return {namespace.name: namespace for namespace in self.namespaces}

    @functools.cached_property
    def _oids(self) -> Mapping[_Key, int]:
        """Every object's number: where two would have the same, their ids say which gives way."""
        found: dict[_Key, int] = {}
        taken: set[int] = set()
        for key in sorted(self._keys(), key=repr):
            oid = _hashed(key)
            while oid in taken:
                oid += 1
            taken.add(oid)
            found[key] = oid
        return found

    def _keys(self) -> Iterator[_Key]:
        snapshot = self._context.snapshot
        for kind in ("schema", "view"):
            yield from ((kind, one.id) for one in snapshot.named(kind).values())
        for table in snapshot.tables.values():
            yield "table", table.table.id
            for index in table.indexes:
                yield "index", index.id
                yield "constraint", index.id
            yield from (("sequence", c.id) for c in table.table.columns if c.identity is not None)
            yield from (("check", table.table.id, check.name) for check in table.table.checks)

    def _place(self, qualified: str) -> tuple[Namespace, str]:
        schema, dot, name = qualified.rpartition(".")
        wanted = schema if dot else "public"
        return self._by_name[wanted], name

    def _of_table(self, table: TableSnapshot) -> Iterator[Relation]:
        definition = table.table
        namespace, name = self._place(definition.name)
        if definition.temporary:
            namespace = self._by_name["pg_temp_1"]
        oid = self._oids["table", definition.id]
        relation = Relation(oid, name, namespace, "r", definition.columns, table)
        yield relation
        for index in table.indexes:
            columns = tuple(
                found if found is not None else Column(0, "expr", BIGINT)
                for found in (definition.find(part) for part in key_parts(index, definition))
            )
            own = self._oids["index", index.id]
            name = index.name.rpartition(".")[2]
            yield Relation(own, name, namespace, "i", columns, index=index, owner=relation)
        for column in definition.columns:
            if column.identity is not None:
                own = self._oids["sequence", column.id]
                name = f"{relation.name}_{column.name}_seq"
                yield Relation(own, name, namespace, "S", (column,), owner=relation)

    def _outputs(self, view: NamedObject) -> tuple[Column, ...]:
        try:
            outputs = self._context.host.outputs_of(view.body)
        except Error:
            # A view over what is gone is still listed, so that it can be found and dropped.
            return ()
        return tuple(Column(n, name, type_) for n, (name, type_) in enumerate(outputs, 1))

    def _constraints(self, relation: Relation) -> Iterator[Constraint]:
        assert relation.table is not None
        table = relation.table.table
        for index in self.indexed.get(relation.oid, ()):
            assert index.index is not None
            if not index.index.unique or NO_CONSTRAINT in index.index.options:
                continue
            columns = index.index.key_columns
            is_primary = columns == table.primary_key
            words = "PRIMARY KEY" if is_primary else "UNIQUE"
            shown = ", ".join(map(quoted, columns))
            yield Constraint(
                self._oids["constraint", index.index.id],
                index.name,
                "p" if is_primary else "u",
                relation,
                columns,
                f"{words} ({shown})",
                index=index,
            )
        for check in table.checks:
            condition = parse_expression(check.condition)
            names = dict.fromkeys(folded(c.this) for c in condition.find_all(exp.Column))
            yield Constraint(
                self._oids["check", table.id, check.name],
                check.name,
                "c",
                relation,
                tuple(name for name in names if table.find(name) is not None),
                f"CHECK (({check.condition}))",
                check,
            )


def _hashed(key: _Key) -> int:
    # What an object would have by itself.
    digest = blake2b(repr(key).encode(), digest_size=4).digest()
    return _FIRST_OID + int.from_bytes(digest, "big") % (2**31 - 2 * _FIRST_OID)


def key_parts(index: Index, table: Table) -> tuple[str, ...]:
    """Return the parts of an index's key: names of columns, or one expression."""
    names = index.key_columns
    is_known = bool(names) and all(table.find(name) is not None for name in names)
    return names if is_known else (index.key,)


def largest_of(sequence: Column) -> int:
    """Return the last number that a column's sequence has."""
    bits = 8 * type_of(sequence.type).length
    return (1 << (bits - 1)) - 1


def quoted(name: str) -> str:
    """Return a name as SQL needs it: in quotes where it is not a plain word."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and name == name.lower()
    return name if plain and not name[:1].isdigit() else '"' + name.replace('"', '""') + '"'


def index_definition(relation: Relation) -> str:
    """Return the CREATE INDEX statement of an index."""
    index, owner = relation.index, relation.owner
    assert index is not None and owner is not None and owner.table is not None
    unique = "UNIQUE " if index.unique else ""
    keys = ", ".join(key_definitions(relation))
    given = {name: value for name, value in index.options.items() if name != NO_CONSTRAINT}
    options = ", ".join(f"{name}='{value}'" for name, value in given.items())
    made = f"CREATE {unique}INDEX {quoted(relation.name)} ON {owner.qualified}"
    made += f" USING {access_method(index)}"
    return f"{made} ({keys})" + (f" WITH ({options})" if options else "")


def access_method(index: Index) -> str:
    """Return the name of an index's kind as PostgreSQL's users know it."""
    return "btree" if index.unique or index.kind == "STL_SORT" else index.kind.lower()


def key_definitions(relation: Relation) -> tuple[str, ...]:
    """Return the parts of an index's key as SQL."""
    index, owner = relation.index, relation.owner
    assert index is not None and owner is not None and owner.table is not None
    table = owner.table.table
    shown = [
        quoted(part) if table.find(part) is not None else f"({part})"
        for part in key_parts(index, table)
    ]
    if index.metric is not None:
        shown[0] += f" {type_of(relation.columns[0].type).name}_{index.metric.operator_class}"
    return tuple(shown)
