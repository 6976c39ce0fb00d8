"""SPARSEVEC(n): what goes in and out, exact search, SQL around it."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pgvector
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import vsql
from vsql import SparseVector
from vsql.core.distance import Metric
from vsql.core.sparse import SparseRows
from vsql.driver.connection import Connection
from vsql.index.sparse_exact import SparseRanker, distances_of_pairs

HUGE = 1_000_000_000
ROWS = (
    (1, "{1:1}/3"),
    (2, "{1:1,3:5}/3"),
    (3, "{2:4,3:3}/3"),
    (4, None),
    (5, "{}/3"),
    (6, "{2:2}/3"),
    (7, "{1:1}/3"),
)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with vsql.connect(":memory:", autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, e SPARSEVEC(3), x INT)")
        connection.executemany("INSERT INTO t VALUES (?, ?, 1)", ROWS)
        yield connection


@pytest.fixture(params=["growing", "sealed", "both"])
def stored(request: Any, connection: Connection) -> Connection:
    """The same rows, where they may lie."""
    if request.param == "sealed":
        connection.execute("FLUSH t")
    elif request.param == "both":
        connection.execute("DELETE FROM t WHERE id > 4")
        connection.execute("FLUSH t")
        connection.executemany("INSERT INTO t VALUES (?, ?, 1)", ROWS[4:])
    return connection


def _all(connection: Connection, sql: str, *parameters: Any) -> list[Any]:
    return list(connection.execute(sql, parameters).fetchall())


def _ids(connection: Connection, sql: str, *parameters: Any) -> list[Any]:
    return [row[0] for row in _all(connection, sql, *parameters)]


VALUES: dict[str, Any] = {
    "text": " { 3 : 2 , 1 : 0.5 , 2 : 0 } / 3 ",
    "dict": {2: 2, 0: 0.5, 1: 0.0},
    "dict of numpy numbers": {np.int64(2): np.float64(2), np.int32(0): np.float16(0.5)},
    "pair": ([2, 0], [2, 0.5]),
    "pair of arrays": (np.array([0, 2], np.uint8), np.array([0.5, 2])),
    "own": SparseVector({0: 0.5, 2: 2}, 3),
    "pgvector's": pgvector.SparseVector({0: 0.5, 2: 2}, 3),
    "list": [0.5, 0, 2],
    "tuple": (0.5, 0, 2),
    "array": np.array([0.5, 0, 2], np.float16),
    "scipy matrix": scipy.sparse.csr_matrix([[0.5, 0, 2]]),
    "scipy array": scipy.sparse.coo_array(np.array([0.5, 0, 2])),
    "scipy duplicates": scipy.sparse.coo_matrix(([0.25, 2, 0.25], ([0, 0, 0], [0, 2, 0])), (1, 3)),
    "arrow": pa.scalar({"dimension": 3, "indices": [0, 2], "values": [0.5, 2.0]}),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_goes_in(value: Any, connection: Connection) -> None:
    connection.execute("INSERT INTO t VALUES (10, ?, 1)", (value,))
    ((found,),) = _all(connection, "SELECT e FROM t WHERE id = 10")
    assert found == SparseVector({0: 0.5, 2: 2}, 3)
    assert (found.indices(), found.values(), found.dimensions()) == ([0, 2], [0.5, 2.0], 3)
    assert (found.to_text(), str(found)) == ("{1:0.5,3:2}/3", "{1:0.5,3:2}/3")
    assert found.to_list() == found.to_numpy().tolist() == [0.5, 0, 2]
    assert found.to_coo().toarray().tolist() == [[0.5, 0, 2]]
    assert pgvector.SparseVector.from_text(str(found)).to_list() == found.to_list()
    assert _ids(connection, "SELECT id FROM t WHERE e = ?", found) == [10]
    assert _ids(connection, "SELECT id FROM t ORDER BY e <-> ? LIMIT 1", value) == [10]
    assert _all(connection, "SELECT id, e <-> ? FROM t WHERE id = 10", value) == [(10, 0.0)]
    assert _all(connection, "SELECT ?::sparsevec(3)::text", value) == [("{1:0.5,3:2}/3",)]


WRONG: dict[str, tuple[Any, str]] = {
    "text of a vector": ("[1,2,3]", "22P02"),
    "no dimension": ("{1:1}", "22P02"),
    "no value": ("{1:}/3", "22P02"),
    "trailing comma": ("{1:1,}/3", "22P02"),
    "underscore": ("{1:1_0}/3", "22P02"),
    "other digits": ("{1:\u0661}/3", "22P02"),
    "index twice": ("{1:1,1:2}/3", "22000"),
    "index 0 in text": ("{0:1}/3", "22000"),
    "index beyond": ("{4:1}/3", "22000"),
    "other dimension": ("{1:1}/4", "22000"),
    "NaN": ("{1:NaN}/3", "22000"),
    "infinity": ("{1:-Infinity}/3", "22000"),
    "no dimensions": ("{}/0", "22000"),
    "too many dimensions": ("{}/1000000001", "54000"),
    "digits without end": ("{1:1}/" + "9" * 5000, "54000"),
    "index without end": ("{" + "9" * 5000 + ":1}/3", "22000"),
    "overflow": ("{1:1e39}/3", "22003"),
    "underflow": ("{1:1e-46}/3", "22003"),
    "dict index beyond": ({3: 1}, "22000"),
    "dict index negative": ({-1: 1}, "22000"),
    "dict index of 70 bits": ({2**70: 1}, "22000"),
    "dict index no number": ({"a": 1}, "42804"),
    "dict index a fraction": ({0.5: 1}, "42804"),
    "dict value no number": ({0: "a"}, "42804"),
    "dict value NaN": ({0: math.nan}, "22000"),
    "dict value overflows": ({0: 1e300}, "22000"),
    "pair index twice": (([1, 1], [1, 2]), "22000"),
    "pair of different lengths": (([0, 1], [1]), "42804"),
    "list too short": ([1, 2], "22000"),
    "list with NaN": ([1, 2, math.nan], "22000"),
    "own of another dimension": (SparseVector({}, 4), "22000"),
    "matrix of two rows": (scipy.sparse.csr_matrix(np.eye(3)[:2]), "42804"),
    "number": (5, "42804"),
}


@pytest.mark.parametrize(("value", "code"), WRONG.values(), ids=WRONG)
def test_what_is_no_sparse_vector(value: Any, code: str, connection: Connection) -> None:
    for sql in (
        "INSERT INTO t VALUES (10, ?, 1)",
        "UPDATE t SET e = ? WHERE id = 1",
        "SELECT id FROM t ORDER BY e <-> ? LIMIT 1",
        "SELECT id FROM t WHERE e <-> ? < 1",
        "SELECT a.e <-> ? FROM t a JOIN t b USING (id)",
        "SELECT ?::sparsevec(3)",
    ):
        with pytest.raises(vsql.Error) as caught:
            connection.execute(sql, (value,))
        assert caught.value.sqlstate == code, sql


STATEMENTS: dict[str, str] = {
    "CREATE TABLE s (e SPARSEVEC)": "22023",
    "CREATE TABLE s (e SPARSEVEC(0))": "22023",
    "CREATE TABLE s (e SPARSEVEC(1000000001))": "22023",
    "CREATE TABLE s (e SPARSEVEC(3)[])": "0A000",
    "CREATE TABLE s AS SELECT array_agg(e) AS a FROM t": "0A000",
    "CREATE TABLE s AS SELECT e FROM t UNION ALL SELECT '{}/4'::sparsevec": "0A000",
    "CREATE TABLE s (e SPARSEVEC(3) PRIMARY KEY)": "42P16",
    "CREATE INDEX ON t USING hnsw (e sparsevec_l2_ops)": "42809",
    "CREATE INDEX ON t USING scann (e sparsevec_ip_ops)": "42809",
    "CREATE INDEX ON t USING btree (e)": "42809",
    "CREATE INDEX ON t USING flat (e vector_l2_ops)": "42804",
    "SELECT greatest(e, '{}/3') FROM t": "0A000",
    "SELECT id FROM t WHERE matches('e == 1')": "42883",
}


@pytest.mark.parametrize(("statement", "code"), STATEMENTS.items(), ids=STATEMENTS)
def test_what_it_cannot(statement: str, code: str, connection: Connection) -> None:
    with pytest.raises(vsql.Error) as caught:
        connection.execute(statement)
    assert caught.value.sqlstate == code


def test_too_many_values(connection: Connection) -> None:
    connection.execute("CREATE TABLE wide (e SPARSEVEC(20000))")
    connection.execute("INSERT INTO wide VALUES (?)", ([1.0] * 16_000 + [0.0] * 4_000,))
    for sql in ("INSERT INTO wide VALUES (?)", "SELECT (?::vector(20000))::sparsevec"):
        with pytest.raises(vsql.DataError) as caught:
            connection.execute(sql, ([1.0] * 16_001 + [0.0] * 3_999,))
        assert caught.value.sqlstate == "54000"


SEARCHES: dict[str, tuple[str, list[int]]] = {
    "l2, ties by key, NULL last": ("ORDER BY e <-> '{1:1}/3'", [1, 7, 5, 6, 2, 3, 4]),
    "inner product": ("ORDER BY e <#> '{1:1,3:1}/3' LIMIT 3", [2, 3, 1]),
    "cosine: zero vectors have none": ("ORDER BY e <=> '{1:1}/3'", [1, 7, 2, 3, 6, 5, 4]),
    "l1": ("ORDER BY e <+> '{2:2}/3' LIMIT 3", [6, 5, 1]),
    "offset": ("ORDER BY e <-> '{1:1}/3' LIMIT 2 OFFSET 1", [7, 5]),
    "filter": ("WHERE id > 1 ORDER BY e <-> '{1:1}/3' LIMIT 2", [7, 5]),
    "no match": ("WHERE id > 9 ORDER BY e <-> '{1:1}/3' LIMIT 2", []),
    "range": ("WHERE e <-> '{1:1}/3' < 3 ORDER BY e <-> '{1:1}/3'", [1, 7, 5, 6]),
    "distance as a filter": ("WHERE e <-> '{1:1}/3' < 3 ORDER BY id", [1, 5, 6, 7]),
    "dense query": ("ORDER BY e <-> '[1,0,5]'::vector LIMIT 1", [2]),
    "array query": ("ORDER BY e <-> ARRAY[1,0,5] LIMIT 1", [2]),
    "subquery": ("ORDER BY e <-> (SELECT e FROM t WHERE id = 2) LIMIT 2", [2, 3]),
    "NULL query": ("ORDER BY e <-> NULL LIMIT 2", [1, 2]),
    "fusion": ("ORDER BY rrf(e <-> '{1:1}/3', e <#> '{3:1}/3') LIMIT 2", [1, 2]),
    "equality": ("WHERE e = '{1:1}/3' ORDER BY id", [1, 7]),
    "order": ("ORDER BY e, id", [5, 6, 3, 1, 7, 2, 4]),
    "order down": ("ORDER BY e DESC, id", [4, 2, 1, 7, 3, 6, 5]),
    "comparison": ("WHERE e >= '{2:4,3:3}/3' ORDER BY id", [1, 2, 3, 7]),
    "between": ("WHERE e BETWEEN '{2:1}/3' AND '{1:1}/3' ORDER BY id", [1, 3, 6, 7]),
    "membership": ("WHERE e IN ('{}/3', '{1:1}/3') ORDER BY id", [1, 5, 7]),
    "membership in a query": ("WHERE e IN (SELECT e FROM t WHERE id < 3) ORDER BY id", [1, 2, 7]),
    "nothing": ("WHERE e IS NULL", [4]),
}


@pytest.mark.parametrize(("rest", "expected"), SEARCHES.values(), ids=SEARCHES)
def test_search(rest: str, expected: list[int], stored: Connection) -> None:
    assert _ids(stored, f"SELECT id FROM t {rest}") == expected


def test_sql_around_it(stored: Connection) -> None:
    one = SparseVector({0: 1}, 3)
    assert _all(stored, "SELECT e, count(*) FROM t WHERE id IN (1, 7) GROUP BY e") == [(one, 2)]
    assert _all(stored, "SELECT count(DISTINCT e) FROM t") == [(5,)]
    assert _all(stored, "SELECT DISTINCT e FROM t ORDER BY 1 LIMIT 2 OFFSET 3") == [
        (one,),
        (SparseVector({0: 1, 2: 5}, 3),),
    ]
    joined = "SELECT a.id, b.id, a.e FROM t a JOIN t b ON a.e = b.e AND a.id < b.id"
    assert _all(stored, joined) == [(1, 7, one)]
    lateral = (
        "SELECT q.id, n.id FROM t q CROSS JOIN LATERAL"
        " (SELECT id, e <-> q.e AS d FROM t ORDER BY d LIMIT 2) n WHERE q.id = 2 ORDER BY d"
    )
    assert _all(stored, lateral) == [(2, 2), (2, 3)]
    assert _all(stored, "SELECT array_agg(e ORDER BY id) FROM t WHERE id IN (1, 4)") == [
        ([one, None],)
    ]
    assert _all(stored, "SELECT coalesce(e, '{2:9}/3')::text FROM t WHERE id = 4") == [("{2:9}/3",)]
    written_out = "SELECT CASE WHEN id = 1 THEN '{}/3' ELSE e END AS e FROM t ORDER BY e LIMIT 2"
    assert _all(stored, written_out) == [(SparseVector({}, 3),)] * 2
    most = "SELECT mode() WITHIN GROUP (ORDER BY e) FROM t"
    assert _all(stored, most) == [(one,)]
    united = "SELECT e AS w FROM t WHERE id = 2 UNION SELECT e FROM t WHERE id = 3 ORDER BY w"
    assert [str(e) for (e,) in _all(stored, united)] == ["{2:4,3:3}/3", "{1:1,3:5}/3"]


def test_types_pass_through_a_join(connection: Connection) -> None:
    cursor = connection.execute("SELECT a.e, b.e::vector AS v FROM t a JOIN t b USING (id)")
    assert [column[1] for column in cursor.description or ()] == ["SPARSEVEC", "VECTOR"]
    assert [column[3] for column in cursor.description or ()] == [3, 3]
    connection.execute("CREATE TABLE made AS SELECT a.e FROM t a JOIN t b USING (id) WHERE false")
    assert _all(connection, "DESCRIBE made")[0][:2] == ("e", "SPARSEVEC(3)")


def test_registered_tables(connection: Connection) -> None:
    """Their vectors say their dimension themselves."""
    outside = connection.execute("SELECT id, e FROM t WHERE id < 4").fetch_arrow_table()
    connection.register("outside", outside.replace_schema_metadata())
    plain = outside.cast(pa.schema([f.remove_metadata() for f in outside.schema]))
    connection.register("plain", plain)
    for name in ("outside", "plain"):
        lateral = f"""
            SELECT q.id, n.id FROM {name} q CROSS JOIN LATERAL
            (SELECT id, e <-> q.e AS d FROM t ORDER BY d, id LIMIT 2) n ORDER BY q.id, n.d, n.id"""
        assert _all(connection, lateral) == [(1, 1), (1, 7), (2, 2), (2, 3), (3, 3), (3, 6)]
        search = f"SELECT id FROM {name} ORDER BY e <-> '{{1:1}}/3' LIMIT 1"
        assert _ids(connection, search) == [1]
        assert _all(connection, f"SELECT e::text FROM {name} WHERE id = 1") == [("{1:1}/3",)]


def test_explain(connection: Connection) -> None:
    connection.execute("CREATE INDEX nearest ON t USING flat (e sparsevec_l2_ops)")
    plan = "\n".join(_ids(connection, "EXPLAIN SELECT id FROM t ORDER BY e <-> '{1:1}/3' LIMIT 2"))
    assert "TopK 2 of t" in plan and "exact over matches" in plan
    connection.execute("CREATE INDEX ON t (e)")
    assert _ids(connection, "SELECT id FROM t ORDER BY e <=> '{1:1}/3' LIMIT 1") == [1]


def test_dimensions_without_end(connection: Connection) -> None:
    connection.execute(f"CREATE TABLE far (id INT PRIMARY KEY, e SPARSEVEC({HUGE}))")
    last = HUGE - 1
    connection.execute("INSERT INTO far VALUES (1, ?), (2, ?)", ({last: 1}, {5: 1, last: 2}))
    for _ in range(2):
        found = _all(connection, "SELECT id, e <-> ? AS d FROM far ORDER BY d", {last: 1})
        assert found == [(1, 0.0), (2, pytest.approx(math.sqrt(2)))]
        assert _ids(connection, "SELECT id FROM far ORDER BY e <-> ? LIMIT 1", {}) == [1]
        assert _ids(connection, "SELECT id FROM far ORDER BY e") == [1, 2]
        connection.execute("FLUSH far")
    with pytest.raises(vsql.DataError, match="more than 32768 dimensions"):
        connection.execute("SELECT e::vector FROM far")


def test_writes(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE w (id INT PRIMARY KEY, e SPARSEVEC(3) DEFAULT '{1:1}/3'"
        " CHECK (l2_norm(e) < 10), n DOUBLE PRECISION GENERATED ALWAYS AS (l2_norm(e)) STORED)"
    )
    connection.execute("INSERT INTO w (id) VALUES (1)")
    connection.execute("INSERT INTO w (id, e) SELECT id + 1, e FROM t WHERE id = 3")
    connection.execute("INSERT INTO w (id, e) VALUES (5, '[0,2,0]'::vector), (6, ARRAY[0, 3, 0])")
    with pytest.raises(vsql.IntegrityError, match=r"e = \{1:100\}/3"):
        connection.execute("INSERT INTO w (id, e) VALUES (7, '{1:100}/3')")
    upsert = "INSERT INTO w (id, e) VALUES (1, '{2:2}/3') ON CONFLICT (id) DO UPDATE"
    returned = _all(connection, f"{upsert} SET e = excluded.e RETURNING e::text, n")
    assert returned == [("{2:2}/3", 2.0)]
    connection.execute("UPDATE w SET e = l2_normalize(e) WHERE id = 4")
    connection.execute("DELETE FROM w WHERE id = 5")
    connection.execute("ALTER TABLE w ADD COLUMN f SPARSEVEC(2) DEFAULT '{2:1}/2'")
    assert _all(connection, "SELECT id, e::text, n, f::text FROM w ORDER BY id") == [
        (1, "{2:2}/3", 2.0, "{2:1}/2"),
        (4, "{2:0.8,3:0.6}/3", pytest.approx(1), "{2:1}/2"),
        (6, "{2:3}/3", 3.0, "{2:1}/2"),
    ]
    connection.execute("MERGE INTO w USING t ON w.id = t.id WHEN MATCHED THEN UPDATE SET e = t.e")
    assert _all(connection, "SELECT e::text FROM w ORDER BY id")[0] == ("{1:1}/3",)


def test_into_columns_of_other_types(connection: Connection) -> None:
    connection.execute("CREATE TABLE o (v VECTOR(3), h HALFVEC(3), s TEXT, n VECTOR(2))")
    connection.execute("INSERT INTO o (v, h, s) SELECT e, e, e FROM t WHERE id IN (2, 4)")
    assert _all(connection, "SELECT v::text, h::text, s FROM o") == [
        ("[1,0,5]", "[1,0,5]", "{1:1,3:5}/3"),
        (None, None, None),
    ]
    for target in ("n", "v"):
        for value in ("e", "'{1:1}/1000000000'::sparsevec"):
            if (target, value) != ("v", "e"):
                with pytest.raises(vsql.DataError, match="expected"):
                    connection.execute(f"INSERT INTO o ({target}) SELECT {value} FROM t")
    connection.execute("CREATE TABLE i (n INT, b BIT(8))")
    for target in ("n", "b"):
        with pytest.raises(vsql.DataError):
            connection.execute(f"INSERT INTO i ({target}) SELECT e FROM t")
    connection.execute("ALTER TABLE o ALTER COLUMN v TYPE SPARSEVEC(3)")
    connection.execute("ALTER TABLE o ALTER COLUMN v TYPE VECTOR(3)")
    assert _all(connection, "SELECT v::text FROM o")[0] == ("[1,0,5]",)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "arrow"])
def test_files(ending: str, connection: Connection, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    connection.execute(f"COPY t TO '{path}'")
    connection.execute("CREATE TABLE back (id INT PRIMARY KEY, e SPARSEVEC(3), x INT)")
    connection.execute(f"COPY back FROM '{path}'")
    assert _all(connection, "SELECT * FROM back") == _all(connection, "SELECT * FROM t")
    if ending == "csv":
        assert '2,"{1:1,3:5}/3",1' in path.read_text()


def test_arrow_in_and_out(connection: Connection) -> None:
    table = connection.execute("SELECT id, e FROM t").fetch_arrow_table()
    cursor = connection.cursor()
    cursor.adbc_ingest("copy", table, mode="create")
    assert _all(connection, "DESCRIBE copy")[1][:2] == ("e", "SPARSEVEC(3)")
    plain = [{"indices": [2, 0], "values": [1.0, 2.0]}, None, {"indices": [], "values": []}]
    cursor.adbc_ingest("copy", pa.table({"id": [8, 9, 10], "e": pa.array(plain)}), mode="append")
    sliced = pa.table({"id": [11], "e": pa.array(plain).slice(0, 1)})
    cursor.adbc_ingest("copy", sliced, mode="append")
    found = _all(connection, "SELECT e::text FROM copy WHERE id > 7 ORDER BY id")
    assert found == [("{1:2,3:1}/3",), (None,), ("{}/3",), ("{1:2,3:1}/3",)]
    frame = connection.execute("SELECT e FROM copy WHERE id = 8").fetch_numpy()
    assert frame["e"].tolist() == [SparseVector({0: 2, 2: 1}, 3)]


BAD_STRUCTS: dict[str, tuple[dict[str, Any], str]] = {
    "index twice": ({"indices": [2, 2], "values": [1.0, 2.0]}, "duplicates"),
    "index beyond": ({"indices": [3], "values": [1.0]}, "out of bounds"),
    "NaN": ({"indices": [1], "values": [math.nan]}, "NaN"),
    "fewer values": ({"indices": [1, 2], "values": [1.0]}, "a value for each index"),
    "another dimension": ({"dimension": 4, "indices": [1], "values": [1.0]}, "expected 3"),
    "NULL element": ({"indices": [1, None], "values": [1.0, 2.0]}, "NULL"),
    "index beyond 32 bits": ({"indices": [2**40], "values": [1.0]}, "cannot read"),
    "index in words": ({"indices": ["a"], "values": [1.0]}, "cannot read"),
    "indices in no list": ({"indices": 1, "values": [1.0]}, "cannot read"),
    "dimension beyond 32 bits": ({"dimension": 2**40, "indices": [], "values": []}, "cannot read"),
    "dimension in words": ({"dimension": "a", "indices": [], "values": []}, "cannot read"),
}


@pytest.mark.parametrize(("value", "message"), BAD_STRUCTS.values(), ids=BAD_STRUCTS)
def test_bad_arrow(value: dict[str, Any], message: str, connection: Connection) -> None:
    table = pa.table({"id": [8, 9], "e": pa.array([None, value])})
    with pytest.raises(vsql.DataError, match=f'column "e", row 2: .*{message}'):
        connection.cursor().adbc_ingest("t", table, mode="append")
    assert _all(connection, "SELECT count(*) FROM t") == [(len(ROWS),)]


def test_backup_and_export(tmp_path: Path) -> None:
    with vsql.connect(tmp_path / "db", autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, e SPARSEVEC(3))")
        connection.executemany("INSERT INTO t VALUES (?, ?)", ROWS)
        connection.execute("FLUSH t")
        connection.execute("INSERT INTO t VALUES (8, '{3:1}/3')")
        connection.execute("CREATE INDEX i ON t USING flat (e sparsevec_ip_ops)")
        expected = _all(connection, "SELECT * FROM t ORDER BY id")
        connection.execute(f"BACKUP DATABASE TO '{tmp_path / 'copy'}'")
        connection.execute(f"EXPORT DATABASE '{tmp_path / 'dump'}'")
    for name in ("db", "copy"):
        with vsql.connect(tmp_path / name) as again:
            assert _all(again, "SELECT * FROM t ORDER BY id") == expected
            assert _ids(again, "SELECT id FROM t ORDER BY e <-> '{3:1}/3' LIMIT 1") == [8]
    with vsql.connect(":memory:", autocommit=True) as imported:
        imported.execute(f"IMPORT DATABASE '{tmp_path / 'dump'}'")
        assert _all(imported, "SELECT * FROM t ORDER BY id") == expected


def test_the_value_class() -> None:
    vector = SparseVector({3: 2.0, 1: 0.5, 2: 0}, 5)
    assert repr(vector) == "SparseVector({1: 0.5, 3: 2.0}, 5)"
    assert SparseVector.from_text(vector.to_text()) == vector
    assert vector == SparseVector([0, 0.5, 0, 2, 0]) != SparseVector([0, 0.5, 0, 2])
    assert len({vector, SparseVector([0, 0.5, 0, 2, 0])}) == 1
    assert vector != "{2:0.5,4:2}/5"
    theirs = pgvector.SparseVector({3: 2.0, 1: 0.5}, 5)
    for name in ("dimensions", "indices", "values", "to_list"):
        assert getattr(vector, name)() == getattr(theirs, name)()
    with pytest.raises(vsql.DataError, match="missing dimensions"):
        SparseVector({1: 1})
    with pytest.raises(vsql.DataError, match="expected 3 dimensions, not 2"):
        SparseVector([1, 2], 3)
    row = scipy.sparse.coo_matrix(([0.25, 2, 0.25], ([0, 0, 0], [0, 2, 0])), (1, 3))
    for matrix in (row, row.tocsr(), scipy.sparse.coo_array(np.array([0.5, 0, 2]))):
        assert SparseVector(matrix, 3) == SparseVector([0.5, 0, 2])


NO_VECTORS: dict[str, tuple[tuple[Any, ...], str]] = {
    "number": ((5,), "42804"),
    "None": ((None,), "42804"),
    "text": (("{1:1}/3",), "42804"),
    "words": ((["a", "b"],), "42804"),
    "rows": (([[1, 0], [0, 2]],), "42804"),
    "ragged rows": (([[1], [0, 2]],), "42804"),
    "number beyond any float": (([10**400],), "42804"),
    "nothing": (([],), "22000"),
    "matrix of two rows": ((scipy.sparse.csr_matrix(np.eye(3)[:2]),), "42804"),
    "matrix of no row": ((scipy.sparse.csr_matrix((0, 3)),), "42804"),
    "row of other dimensions": ((scipy.sparse.csr_matrix([[1, 2]]), 3), "22000"),
    "dimensions in words": (({0: 1}, "three"), "42804"),
    "dimensions in parts": (({0: 1}, 2.5), "42804"),
    "index in words": (({"a": 1}, 3), "42804"),
    "indices in pairs": (({(0, 1): 1}, 3), "42804"),
}


@pytest.mark.parametrize(("arguments", "code"), NO_VECTORS.values(), ids=NO_VECTORS)
def test_what_the_value_class_refuses(arguments: tuple[Any, ...], code: str) -> None:
    with pytest.raises(vsql.DataError) as raised:
        SparseVector(*arguments)
    assert raised.value.sqlstate == code


# Against numpy: small numbers meet each other and cancel out, large ones drown small ones.
numbers = st.one_of(
    st.integers(-3, 3).map(float), st.sampled_from([1e-4, 1e4, -1e4, 0.1, 16777216.0])
)
dense = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.lists(numbers, min_size=n, max_size=n), min_size=1, max_size=8),
        st.lists(numbers, min_size=n, max_size=n),
    )
)


def _expected(metric: Metric, rows: np.ndarray[Any, Any], query: Any) -> np.ndarray[Any, Any]:
    with np.errstate(invalid="ignore"):
        match metric:
            case Metric.L2:
                return np.asarray(np.linalg.norm(rows - query, axis=1))
            case Metric.L1:
                return np.asarray(np.abs(rows - query).sum(axis=1))
            case Metric.INNER_PRODUCT:
                return np.asarray(-(rows @ query))
            case _:
                lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
                return np.asarray(1 - np.clip(rows @ query / lengths, -1, 1))


@settings(deadline=None)
@given(
    data=dense,
    metric=st.sampled_from([Metric.L2, Metric.L1, Metric.INNER_PRODUCT, Metric.COSINE]),
    far=st.sampled_from([1, 100_000_000]),
)
def test_distances_are_those_of_dense_vectors(
    data: tuple[list[list[float]], list[float]], metric: Metric, far: int
) -> None:
    """A ranker, with a table or without, and pairs give numpy's distances, to 32 bits."""
    rows, query = (np.array(part, dtype=np.float32).astype(np.float64) for part in data)
    spread = [SparseVector.of(np.flatnonzero(r) * far, r[r != 0], far * len(r)) for r in rows]
    wanted = SparseVector.of(np.flatnonzero(query) * far, query[query != 0], far * len(query))
    expected = _expected(metric, rows, query)
    sparse = SparseRows.of(spread)
    found = SparseRanker(metric, sparse).distances(wanted)
    # Products of large numbers round away what small ones add.
    scale = np.abs(rows).max(initial=0) * np.abs(query).max(initial=0)
    slack = 1e-12 * scale if metric is Metric.INNER_PRODUCT else 1e-7 * (metric is Metric.COSINE)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=slack)
    pairs = distances_of_pairs(metric, sparse, SparseRows.of([wanted] * len(rows)))
    np.testing.assert_array_equal(found, pairs)
    some = np.arange(0, len(rows), 2)
    np.testing.assert_array_equal(SparseRanker(metric, sparse).distances(wanted, some), found[some])
    best, distances = SparseRanker(metric, sparse).best(wanted, np.arange(len(rows)), 3)
    order = sorted(range(len(rows)), key=lambda n: (math.isnan(found[n]), found[n], n))[:3]
    assert best.tolist() == order
    np.testing.assert_array_equal(distances, found[order])


@settings(deadline=None, max_examples=50)
@given(data=dense, limit=st.integers(0, 9), least=st.integers(0, 8))
def test_a_table_is_searched_as_a_dense_one(
    data: tuple[list[list[float]], list[float]], limit: int, least: int
) -> None:
    rows, query = data
    with vsql.connect(":memory:", autocommit=True) as connection:
        n = len(query)
        connection.execute(f"CREATE TABLE t (id INT PRIMARY KEY, s SPARSEVEC({n}), v VECTOR({n}))")
        values = [(number, row, row) for number, row in enumerate(rows)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", values[::2])
        connection.execute("FLUSH t")
        if values[1::2]:
            connection.executemany("INSERT INTO t VALUES (?, ?, ?)", values[1::2])
        connection.execute("DELETE FROM t WHERE id = 1")
        search = f"SELECT id, s <+> ? AS d FROM t WHERE id >= {least} ORDER BY d, id LIMIT {limit}"
        sparse = _all(connection, search, query)
        by_hand = sorted(
            (float(np.abs(np.float32(row) - np.float32(query)).sum(dtype=float)), number)
            for number, row, _ in values
            if number != 1 and number >= least
        )[:limit]
        assert [d for _, d in sparse] == pytest.approx([d for d, _ in by_hand], rel=1e-6)
        for sql in (
            "SELECT id FROM t ORDER BY {}, id",
            "SELECT id FROM t WHERE {} < ? ORDER BY id",
            "SELECT {0}::vector::text, count(*) FROM t GROUP BY {0} ORDER BY {0}",
            "SELECT a.id, b.id FROM t a JOIN t b ON a.{0} >= b.{0} ORDER BY 1, 2",
        ):
            parameters = [query] if "?" in sql else []
            found = [_all(connection, sql.format(name), *parameters) for name in ("s", "v")]
            assert found[0] == found[1], sql
