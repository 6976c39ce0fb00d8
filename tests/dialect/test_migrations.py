"""Alembic: what autogenerate finds, what operations do, and whole migrations there and back."""

import io
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

import vsql
import vsql.dialect.migrations
from vsql.dialect import BFloatVector, Bit, HalfVector, Int8Vector, SparseVector, Vector
from vsql.grammar.parse import split_statements

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    made = sa.create_engine(f"vsql:///{tmp_path}/db")
    yield made
    made.dispose()


def _differences(engine: sa.Engine, metadata: sa.MetaData) -> list[Any]:
    with engine.connect() as connection:
        options = {"compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))


def _table(metadata: sa.MetaData, *items: Any, **options: Any) -> sa.Table:
    return sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True), *items, **options)


COLUMNS: dict[str, Callable[[], sa.Column[Any]]] = {
    "vector": lambda: sa.Column("c", Vector(3)),
    "half vector": lambda: sa.Column("c", HalfVector(3)),
    "bfloat16 vector": lambda: sa.Column("c", BFloatVector(3)),
    "int8 vector": lambda: sa.Column("c", Int8Vector(3)),
    "bits": lambda: sa.Column("c", Bit(8)),
    "sparse vector": lambda: sa.Column("c", SparseVector(1_000_000)),
    "vectors": lambda: sa.Column("c", sa.ARRAY(sa.Float)),
    "text": lambda: sa.Column("c", sa.Text),
    "text of a length": lambda: sa.Column("c", sa.String(30), nullable=False),
    "character": lambda: sa.Column("c", sa.CHAR(3)),
    "unicode": lambda: sa.Column("c", sa.Unicode(30)),
    "enumeration": lambda: sa.Column("c", sa.Enum("a", "bc", name="kind")),
    "small": lambda: sa.Column("c", sa.SmallInteger),
    "big": lambda: sa.Column("c", sa.BigInteger),
    "decimal": lambda: sa.Column("c", sa.Numeric(10, 2)),
    "float": lambda: sa.Column("c", sa.Float),
    "double": lambda: sa.Column("c", sa.Double),
    "real": lambda: sa.Column("c", sa.REAL),
    "boolean": lambda: sa.Column("c", sa.Boolean),
    "date": lambda: sa.Column("c", sa.Date),
    "time": lambda: sa.Column("c", sa.Time),
    "timestamp": lambda: sa.Column("c", sa.DateTime),
    "timestamp in a zone": lambda: sa.Column("c", sa.DateTime(timezone=True)),
    "interval": lambda: sa.Column("c", sa.Interval),
    "bytes": lambda: sa.Column("c", sa.LargeBinary),
    "uuid": lambda: sa.Column("c", sa.Uuid),
    "json": lambda: sa.Column("c", sa.JSON),
    "jsonb": lambda: sa.Column("c", JSONB),
    "array": lambda: sa.Column("c", sa.ARRAY(sa.String)),
    "array of arrays": lambda: sa.Column("c", sa.ARRAY(sa.Integer, dimensions=2)),
    "unique": lambda: sa.Column("c", sa.Integer, unique=True),
    "indexed": lambda: sa.Column("c", sa.Integer, index=True),
    "commented": lambda: sa.Column("c", sa.Integer, comment='it\'s "odd"'),
    "text default": lambda: sa.Column("c", sa.String, server_default="it's"),
    "number default": lambda: sa.Column("c", sa.Integer, server_default="5"),
    "expression default": lambda: sa.Column("c", sa.Float, server_default=sa.text("1.50")),
    "boolean default": lambda: sa.Column("c", sa.Boolean, server_default=sa.true()),
    "function default": lambda: sa.Column("c", sa.DateTime, server_default=sa.func.now()),
    "random default": lambda: sa.Column("c", sa.Uuid, server_default=sa.text("gen_random_uuid()")),
    "json default": lambda: sa.Column("c", sa.JSON, server_default=sa.text("'{}'")),
    "cast default": lambda: sa.Column("c", sa.JSON, server_default=sa.text("'[]'::json")),
    "computed": lambda: sa.Column("c", sa.Integer, sa.Computed("id * 2")),
    "foreign key": lambda: sa.Column("c", sa.ForeignKey("t.id")),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_column_just_made_does_not_differ(
    engine: sa.Engine, column: Callable[[], sa.Column[Any]]
) -> None:
    metadata = sa.MetaData()
    _table(metadata, column())
    metadata.create_all(engine)
    assert _differences(engine, metadata) == []
    reflected = sa.MetaData()
    reflected.reflect(engine)
    assert _differences(engine, reflected) == []


INDEXES: dict[str, Callable[[sa.Table], sa.Index]] = {
    "hnsw": lambda t: sa.Index(
        "i", t.c.e, vsql_using="hnsw", vsql_with={"m": 16}, vsql_ops={"e": "vector_cosine_ops"}
    ),
    "hnsw by l2": lambda t: sa.Index(
        "i", t.c.e, vsql_using="HNSW", vsql_ops={"e": "vector_l2_ops"}
    ),
    "pgvector's words": lambda t: sa.Index(
        "i",
        t.c.e,
        postgresql_using="hnsw",
        postgresql_with={"m": 16, "ef_construction": 64},
        postgresql_ops={"e": "vector_ip_ops"},
    ),
    "the metric by default": lambda t: sa.Index("i", t.c.e, vsql_using="hnsw"),
    "the kind by default": lambda t: sa.Index("i", t.c.e),
    "half": lambda t: sa.Index("i", t.c.h, vsql_using="hnsw", vsql_ops={"h": "halfvec_l2_ops"}),
    "bits": lambda t: sa.Index("i", t.c.b, vsql_using="flat", vsql_ops={"b": "bit_hamming_ops"}),
    "sparse": lambda t: sa.Index("i", t.c.v, vsql_using="flat", vsql_ops={"v": "sparsevec_ip_ops"}),
    "half of a vector": lambda t: sa.Index(
        "i",
        sa.func.cast(t.c.e, HalfVector(3)).label("e"),
        vsql_using="hnsw",
        vsql_ops={"e": "halfvec_l2_ops"},
    ),
    "btree": lambda t: sa.Index("i", t.c.n, vsql_using="btree"),
    "bitmap": lambda t: sa.Index("i", t.c.n, vsql_using="bitmap"),
    "several columns": lambda t: sa.Index("i", t.c.n, t.c.s),
    "unique": lambda t: sa.Index("i", t.c.n, t.c.s, unique=True),
    "backwards": lambda t: sa.Index("i", t.c.n.desc().nulls_last(), t.c.s.asc()),
    "backwards as text": lambda t: sa.Index("i", sa.text("n DESC"), _table=t),
    "an expression backwards": lambda t: sa.Index("i", (t.c.n + 1).desc()),
    "inverted": lambda t: sa.Index("i", t.c.j, vsql_using="inverted"),
    "a path": lambda t: sa.Index("i", t.c.j["a"].as_string()),
    "a path as text": lambda t: sa.Index("i", sa.text("(j ->> 'a')"), _table=t),
    "a quoted name": lambda t: sa.Index("I x", t.c["Odd name"]),
}


def _indexed(make: Callable[[sa.Table], sa.Index] | None) -> sa.MetaData:
    metadata = sa.MetaData()
    table = _table(
        metadata,
        sa.Column("n", sa.Integer),
        sa.Column("s", sa.String(10)),
        sa.Column("j", sa.JSON),
        sa.Column("e", Vector(3)),
        sa.Column("h", HalfVector(3)),
        sa.Column("b", Bit(8)),
        sa.Column("v", SparseVector(5)),
        sa.Column("Odd name", sa.Integer),
    )
    if make is not None:
        make(table)
    return metadata


# An index of a vector expression is a definition alone, and says so.
@pytest.mark.filterwarnings("ignore:.*searches by an expression are exact")
@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_an_index_just_made_does_not_differ(
    engine: sa.Engine, index: Callable[[sa.Table], sa.Index]
) -> None:
    _indexed(index).create_all(engine)
    assert _differences(engine, _indexed(index)) == []
    assert [found[0] for found in _differences(engine, _indexed(None))] == ["remove_index"]
    reflected = sa.MetaData()
    reflected.reflect(engine)
    assert _differences(engine, reflected) == []
    reflected.drop_all(engine)
    reflected.create_all(engine)
    assert _differences(engine, _indexed(index)) == []


@pytest.mark.filterwarnings("ignore:.*searches by an expression are exact")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("hnsw", "hnsw by l2"),
        ("hnsw", "the metric by default"),
        ("btree", "bitmap"),
        ("several columns", "unique"),
        ("several columns", "btree"),
        ("a path", "inverted"),
        ("half of a vector", "hnsw by l2"),
        ("the kind by default", "hnsw"),
    ],
)
def test_a_changed_index_is_made_anew(engine: sa.Engine, before: str, after: str) -> None:
    _indexed(INDEXES[before]).create_all(engine)
    found = _differences(engine, _indexed(INDEXES[after]))
    assert [difference[0] for difference in found] == ["remove_index", "add_index"]


Items = Callable[[], list[Any]]


def _one(type_: Any, **options: Any) -> Items:
    return lambda: [sa.Column("c", type_, **options)]


CHANGES: dict[str, tuple[Items, Items, list[str]]] = {
    "a wider vector": (_one(Vector(3)), _one(Vector(4)), ["modify_type"]),
    "halves": (_one(Vector(3)), _one(HalfVector(3)), ["modify_type"]),
    "bytes": (_one(Vector(3)), _one(Int8Vector(3)), ["modify_type"]),
    "other halves": (_one(HalfVector(3)), _one(BFloatVector(3)), ["modify_type"]),
    "a wider sparse vector": (_one(SparseVector(3)), _one(SparseVector(4)), ["modify_type"]),
    "an array": (_one(sa.Text), _one(sa.ARRAY(sa.Text)), ["modify_type"]),
    "a wider number": (_one(sa.Integer), _one(sa.BigInteger), ["modify_type"]),
    "a longer text": (_one(sa.String(3)), _one(sa.String(4)), ["modify_type"]),
    "not null": (_one(sa.Text), _one(sa.Text, nullable=False), ["modify_nullable"]),
    "a default": (_one(sa.Text), _one(sa.Text, server_default="b"), ["modify_default"]),
    "another default": (
        _one(sa.Text, server_default="a"),
        _one(sa.Text, server_default="b"),
        ["modify_default"],
    ),
    "no default": (_one(sa.Text, server_default="a"), _one(sa.Text), ["modify_default"]),
    "a comment": (_one(sa.Text), _one(sa.Text, comment="new"), ["modify_comment"]),
    "unique": (_one(sa.Text), _one(sa.Text, unique=True), ["add_constraint"]),
    "unique by another name": (
        lambda: [sa.Column("c", sa.Text), sa.UniqueConstraint("c", name="one")],
        lambda: [sa.Column("c", sa.Text), sa.UniqueConstraint("c", name="two")],
        ["remove_constraint", "add_constraint"],
    ),
    "a column": (list, _one(Vector(2)), ["add_column"]),
    "no column": (_one(Vector(2)), list, ["remove_column"]),
}


@pytest.mark.parametrize(("before", "after", "kinds"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_found(
    engine: sa.Engine, before: Items, after: Items, kinds: list[str]
) -> None:
    old, new = sa.MetaData(), sa.MetaData()
    _table(old, *before())
    _table(new, *after())
    old.create_all(engine)
    found = _differences(engine, new)
    # Changes of one column come as a list.
    kinds_found = [d[0][0] if isinstance(d, list) else d[0] for d in found]
    assert sorted(kinds_found) == sorted(kinds)


def test_tables_and_comments(engine: sa.Engine) -> None:
    old, new = sa.MetaData(), sa.MetaData()
    _table(old, comment="one")
    sa.Table("gone", old, sa.Column("id", sa.Integer))
    _table(new, comment="two")
    sa.Table("made", new, sa.Column("id", sa.Integer))
    old.create_all(engine)
    assert sorted(found[0] for found in _differences(engine, new)) == [
        "add_table",
        "add_table_comment",
        "remove_table",
    ]


@pytest.fixture
def operations(engine: sa.Engine) -> Iterator[Operations]:
    with engine.begin() as connection:
        yield Operations(MigrationContext.configure(connection))


def _column(operations: Operations, name: str, table: str = "t") -> dict[str, Any]:
    columns = sa.inspect(operations.get_bind()).get_columns(table)
    return {column["name"]: dict(column) for column in columns}[name]


def test_operations(operations: Operations) -> None:
    op, execute = operations, operations.get_bind().exec_driver_sql
    op.create_table(
        "t",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer, comment="a number"),
        sa.Column("s", sa.String(3), nullable=False, server_default="x"),
        sa.Column("e", Vector(2)),
        sa.UniqueConstraint("n", name="one"),
        comment="a table",
    )
    op.bulk_insert(
        sa.table("t", sa.column("n"), sa.column("e", Vector(2))),
        [{"n": 1, "e": [1, 0]}, {"n": 2, "e": [0, 1]}],
    )
    op.add_column("t", sa.Column("added", sa.Integer, server_default=sa.text("7"), nullable=False))
    op.add_column("t", sa.Column("other", sa.Integer, sa.ForeignKey("t.id"), unique=True))
    assert execute("SELECT added, other FROM t").all() == [(7, None)] * 2
    op.alter_column("t", "added", type_=sa.BigInteger(), existing_type=sa.Integer())
    assert isinstance(_column(op, "added")["type"], sa.BigInteger)
    op.alter_column("t", "s", type_=sa.Text(), existing_nullable=False)
    op.alter_column("t", "s", nullable=True, server_default=None)
    found = _column(op, "s")
    assert (str(found["type"]), found["nullable"], found["default"]) == ("TEXT", True, None)
    op.alter_column("t", "s", server_default="y", comment="a text")
    assert (_column(op, "s")["default"], _column(op, "s")["comment"]) == ("'y'", "a text")
    op.alter_column("t", "s", new_column_name="text")
    assert _column(op, "text")["default"] == "'y'"
    op.create_table_comment("t", "another", existing_comment="a table")
    op.create_index(
        "near",
        "t",
        ["e"],
        vsql_using="hnsw",
        vsql_with={"m": 8},
        vsql_ops={"e": "vector_l2_ops"},
    )
    op.create_index("by_text", "t", ["text", "added"])
    op.create_foreign_key("fk", "t", "t", ["other"], ["id"])
    op.drop_constraint("fk", "t", type_="foreignkey")
    op.create_check_constraint("positive", "t", "n > 0")
    op.drop_constraint("positive", "t", type_="check")
    op.create_unique_constraint("both", "t", ["n", "added"])
    op.drop_constraint("both", "t", type_="unique")
    op.rename_table("t", "u")
    inspector = sa.inspect(op.get_bind())
    assert [index["name"] for index in inspector.get_indexes("u") if not index["unique"]] == [
        "by_text",
        "near",
    ]
    assert inspector.get_table_comment("u") == {"text": "another"}
    assert execute("SELECT n FROM u ORDER BY e <-> '[0,1]' LIMIT 1").all() == [(2,)]
    op.drop_index("near", table_name="u")
    op.drop_column("u", "e")
    op.drop_table_comment("u")
    op.execute("UPDATE u SET n = n + 10")
    assert execute("SELECT n FROM u ORDER BY n").all() == [(11,), (12,)]
    op.drop_table("u")
    assert not sa.inspect(op.get_bind()).has_table("u")


def test_a_conversion_by_expression_is_refused(operations: Operations) -> None:
    operations.create_table("t", sa.Column("n", sa.Integer))
    with pytest.raises(sa.exc.CompileError, match="USING"):
        operations.alter_column("t", "n", type_=sa.Text(), postgresql_using="n::text")


def test_operations_in_a_schema(operations: Operations) -> None:
    operations.execute("CREATE SCHEMA other")
    operations.create_table("t", sa.Column("n", sa.Integer), schema="other")
    operations.add_column("t", sa.Column("e", Vector(2), comment="near"), schema="other")
    operations.create_index("i", "t", ["n"], schema="other")
    operations.drop_index("i", table_name="t", schema="other")
    operations.rename_table("t", "u", schema="other")
    columns = sa.inspect(operations.get_bind()).get_columns("u", schema="other")
    assert [column["name"] for column in columns] == ["n", "e"]


def test_a_failed_migration_leaves_nothing(engine: sa.Engine) -> None:
    def fails() -> None:
        with engine.begin() as connection:
            op = Operations(MigrationContext.configure(connection))
            op.create_table("t", sa.Column("id", sa.Integer))
            op.add_column("t", sa.Column("e", Vector(2)))
            op.create_index("i", "t", ["e"], vsql_using="hnsw")
            op.execute("SELECT nothing FROM t")

    with pytest.raises(sa.exc.ProgrammingError):
        fails()
    assert not sa.inspect(engine).has_table("t")


def _first() -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table(
        "author",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(30), unique=True, nullable=False, comment="as printed"),
    )
    sa.Table(
        "note",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("author_id", sa.ForeignKey("author.id"), nullable=False),
        sa.Column("text", sa.String(10), server_default="none"),
        sa.Column("meta", sa.JSON),
        sa.Column("tags", sa.ARRAY(sa.String)),
        sa.Column("embedding", Vector(3), nullable=False),
        sa.Column("half", HalfVector(2)),
        sa.CheckConstraint("length(text) < 9", name="short"),
        sa.Index("note_half", "half", vsql_using="hnsw", vsql_ops={"half": "halfvec_l2_ops"}),
        comment="what was written",
    )
    return metadata


def _second() -> sa.MetaData:
    metadata = _first()
    note = metadata.tables["note"]
    note.c.text.type = sa.Text()
    note.c.text.server_default = None
    note.append_column(sa.Column("bits", Bit(16), comment="a sketch"))
    note.append_column(sa.Column("words", SparseVector(30522)))
    note.append_column(sa.Column("more", sa.ARRAY(JSONB)))
    note.append_column(sa.Column("grid", ARRAY(sa.Integer, dimensions=2)))
    sa.Index(
        "note_embedding",
        note.c.embedding,
        vsql_using="hnsw",
        vsql_with={"m": 16},
        vsql_ops={"embedding": "vector_cosine_ops"},
    )
    sa.Index("note_by", note.c.author_id.desc(), note.c.text)
    sa.Index("note_path", note.c.meta["kind"].as_string())
    sa.Index("note_sum", sa.text("((id + 1) * (id + 2))"), _table=note)
    note.indexes -= {index for index in note.indexes if index.name == "note_half"}
    sa.Table(
        "shelf", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("e", Vector(2))
    )
    return metadata


ENVIRONMENT = """
from alembic import context
from sqlalchemy import create_engine

if context.is_offline_mode():
    context.configure(
        url=context.config.get_main_option("sqlalchemy.url"), literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=context.config.attributes.get("metadata"),
            compare_server_default=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
"""


class Project:
    """A folder with migrations, as `alembic init` makes it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder / "migrations", f"vsql:///{folder}/db"
        self.written = io.StringIO()
        command.init(Config(str(folder / "alembic.ini"), stdout=io.StringIO()), str(self.folder))
        self.config = Config(
            str(folder / "alembic.ini"), stdout=io.StringIO(), output_buffer=self.written
        )
        self.config.set_main_option("sqlalchemy.url", self.url)
        (self.folder / "env.py").write_text(ENVIRONMENT)

    def revision(self, metadata: sa.MetaData, name: str) -> str:
        """Return the script that autogenerate writes."""
        self.config.attributes["metadata"] = metadata
        script: Any = command.revision(self.config, name, autogenerate=True, rev_id=name)
        return Path(script.path).read_text()

    def snapshot(self) -> dict[str, Any]:
        """Return all that reflection knows of the tables."""
        engine = sa.create_engine(self.url)
        inspector = sa.inspect(engine)
        names = sorted(set(inspector.get_table_names()) - {"alembic_version"})
        found = {
            name: (
                [{**c, "type": str(c["type"])} for c in inspector.get_columns(name)],
                inspector.get_pk_constraint(name),
                inspector.get_indexes(name),
                inspector.get_unique_constraints(name),
                inspector.get_check_constraints(name),
                inspector.get_table_comment(name),
            )
            for name in names
        }
        engine.dispose()
        return found

    def differences(self, metadata: sa.MetaData) -> list[Any]:
        engine = sa.create_engine(self.url)
        try:
            return _differences(engine, metadata)
        finally:
            engine.dispose()


def test_there_and_back(tmp_path: Path) -> None:
    project = Project(tmp_path)
    script = project.revision(_first(), "one")
    assert "import vsql.dialect\n" in script
    assert "vsql.dialect.Vector(dim=3)" in script
    assert "vsql_ops={'half': 'halfvec_l2_ops'}" in script
    command.upgrade(project.config, "head")
    assert project.differences(_first()) == []
    first = project.snapshot()

    with vsql.connect(str(tmp_path / "db")) as connection:
        connection.execute("INSERT INTO author (name) VALUES ('Ada')")
        rows = [(f"n{number}", [number, 1, 1], [number, 1]) for number in range(20)]
        insert = "INSERT INTO note (author_id, text, embedding, half) VALUES (1, ?, ?, ?)"
        connection.executemany(insert, rows)

    script = project.revision(_second(), "two")
    assert "vsql.dialect.Bit(length=16)" in script
    assert "vsql.dialect.SparseVector(dim=30522)" in script
    assert "vsql_using='hnsw', vsql_with={'m': 16}" in script
    command.upgrade(project.config, "head")
    assert project.differences(_second()) == []
    with vsql.connect(str(tmp_path / "db")) as connection:
        nearest = "SELECT text FROM note ORDER BY embedding <=> '[9,1,1]' LIMIT 1"
        assert connection.execute(nearest).fetchall() == [("n9",)]
        plan = connection.execute(f"EXPLAIN {nearest}").fetchall()
        assert "search on HNSW" in str(plan)
    assert command.check(project.config) is None

    command.downgrade(project.config, "one")
    assert project.snapshot() == first
    assert project.differences(_first()) == []
    with vsql.connect(str(tmp_path / "db")) as connection:
        counted = connection.execute("SELECT count(*), max(half) FROM note").fetchall()
        assert counted[0][0] == 20
    command.upgrade(project.config, "head")
    command.downgrade(project.config, "base")
    assert project.snapshot() == {}


def test_offline_scripts_do_the_same(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.revision(_first(), "one")
    command.upgrade(project.config, "head")
    project.revision(_second(), "two")
    command.upgrade(project.config, "head")
    online = project.snapshot()
    command.upgrade(project.config, "head", sql=True)
    script = project.written.getvalue()
    assert "USING hnsw (embedding vector_cosine_ops) WITH (m = 16)" in script
    with vsql.connect(autocommit=True) as connection:
        for statement in split_statements(script):
            connection.execute(statement.text)
        found = connection.snapshot().tables
        assert set(found) == {*online, "alembic_version"}
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("two",)
        ]
        project.written.truncate(0)
        command.downgrade(project.config, "head:base", sql=True)
        for statement in split_statements(project.written.getvalue().strip("\0")):
            connection.execute(statement.text)
        assert set(connection.snapshot().tables) <= {"alembic_version"}


def test_an_asyncio_engine_migrates_too(tmp_path: Path) -> None:
    """With the environment that `alembic init --template async` writes."""
    project = Project(tmp_path)
    project.revision(_first(), "one")
    other = tmp_path / "asynchronous"
    made = Config(str(tmp_path / "asynchronous.ini"), stdout=io.StringIO())
    command.init(made, str(other), template="async")
    # Without the logging set up there, which would outlive the test.
    environment = (other / "env.py").read_text().replace("fileConfig(config.config_file_name)", "0")
    (project.folder / "env.py").write_text(environment)
    project.config.set_main_option("sqlalchemy.url", f"vsql+aio:///{tmp_path}/db")
    command.upgrade(project.config, "head")
    assert project.differences(_first()) == []


def test_alembic_finds_the_dialect_by_itself(tmp_path: Path) -> None:
    """By the entry points of the project's own metadata, in a process that imports Alembic only."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = tmp_path / "vsql-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vsql\nVersion: 0\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {target}" for name, target in points.items())])
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups) + "\n")
    code = (
        "import alembic, sqlalchemy as sa\n"
        "from alembic.ddl.impl import DefaultImpl\n"
        "for url in ('vsql://', 'vsql+vsql://', 'vsql+aio://'):\n"
        "    dialect = sa.make_url(url).get_dialect()\n"
        "    print(dialect.driver, DefaultImpl.get_by_dialect(dialect).__name__)\n"
    )
    run = [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}, '.']\n{code}"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:3] == ["vsql VsqlImpl", "vsql VsqlImpl", "aio VsqlImpl"], (
        done.stderr
    )


def test_the_dialect_does_not_import_alembic() -> None:
    code = "import sys, vsql.dialect, vsql.dialect.aio; print('alembic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"False\s*", done.stdout)
