"""BFLOATVEC and INT8VEC: what goes in, what comes out, what is refused, what is never widened."""

import array
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vsql
from vsql.core.dense import floats, stored
from vsql.core.types import Family
from vsql.driver.connection import Connection

BFLOAT_MAX = 3.3895313892515355e38
# The bits of 1.5, -2 and 0.1 rounded.
BITS = np.array([0x3FC0, 0xC000, 0x3DCD], np.uint16)


@pytest.fixture
def connection() -> Any:
    with vsql.connect(":memory:", autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT PRIMARY KEY, b BFLOATVEC(3), i INT8VEC(3))")
        yield connection


def _stored(connection: Connection, column: str) -> list[float] | None:
    found = connection.execute(f"SELECT {column} FROM t").fetchone()
    assert found is not None
    return None if found[0] is None else found[0].tolist()


class Columnar:
    """What a data frame's column looks like."""

    def to_numpy(self) -> Any:
        return np.array([1, -2, 3])


GIVEN: dict[str, tuple[str, Any, list[float] | None]] = {
    "a list rounds": ("b", [1.5, -2, 0.1], [1.5, -2, 0.10009765625]),
    "a tuple": ("b", (1, 2, 3), [1, 2, 3]),
    "doubles": ("b", np.array([1.5, -2, 0.1]), [1.5, -2, 0.10009765625]),
    "16-bit floats": ("b", np.array([1.5, -2, 0.5], np.float16), [1.5, -2, 0.5]),
    "an array of floats": ("b", array.array("f", [1, 2, 3]), [1, 2, 3]),
    "an array of integers": ("b", array.array("h", [1, 2, 3]), [1, 2, 3]),
    "its own bytes": ("b", BITS.tobytes(), [1.5, -2, 0.10009765625]),
    "a view of its bytes": ("b", memoryview(BITS.tobytes()), [1.5, -2, 0.10009765625]),
    "text": ("b", " [1.5, -2,1e-1] ", [1.5, -2, 0.10009765625]),
    "an Arrow scalar": ("b", pa.scalar([1.5, -2, 4], pa.list_(pa.float32(), 3)), [1.5, -2, 4]),
    "a column": ("b", Columnar(), [1, -2, 3]),
    "the largest": ("b", [BFLOAT_MAX, -BFLOAT_MAX, 0], [BFLOAT_MAX, -BFLOAT_MAX, 0]),
    "below the smallest": ("b", [1e-45, -1e-45, 1e-300], [0, 0, 0]),
    "NULL": ("b", None, None),
    "whole numbers": ("i", [1, -128, 127], [1, -128, 127]),
    "whole floats": ("i", [1.0, -128.0, 127.0], [1, -128, 127]),
    "its own array": ("i", np.array([1, -128, 127], np.int8), [1, -128, 127]),
    "wider integers": ("i", np.array([1, -128, 127], np.int64), [1, -128, 127]),
    "unsigned integers": ("i", np.array([0, 1, 127], np.uint8), [0, 1, 127]),
    "an array of bytes": ("i", array.array("b", [1, -128, 127]), [1, -128, 127]),
    "bytes": ("i", bytes([1, 0x80, 0x7F]), [1, -128, 127]),
    "text of integers": ("i", "[1,-128, 127.0]", [1, -128, 127]),
    "an Arrow scalar of int8": (
        "i",
        pa.scalar([1, -128, 127], pa.list_(pa.int8(), 3)),
        [1, -128, 127],
    ),
    "a column of integers": ("i", Columnar(), [1, -2, 3]),
    "no integers": ("i", None, None),
}


@pytest.mark.parametrize(("column", "value", "expected"), GIVEN.values(), ids=GIVEN)
def test_given(column: str, value: Any, expected: Any, connection: Connection) -> None:
    connection.execute(f"INSERT INTO t (id, {column}) VALUES (1, ?)", (value,))
    assert _stored(connection, column) == expected
    if value is not None:
        near = f"SELECT {column} <-> ? FROM t ORDER BY {column} <-> ? LIMIT 1"
        distance = connection.execute(near, (value, value)).fetchone()
        assert distance is not None
        assert distance[0] == 0 or distance[0] == math.inf or math.isnan(distance[0])


REFUSED: tuple[tuple[str, Any, str, str], ...] = (
    ("b", [1, 2, float("nan")], "22000", "element 3 is nan"),
    ("b", [1, math.inf, 3], "22000", "element 2 is inf"),
    ("b", [1, 2, 3.4e38], "22000", "element 3 is inf"),
    ("b", "[1,2,3.4e38]", "22003", '"3.4e38" is out of range for type bfloatvec'),
    ("b", "[1,2,nan]", "22000", "NaN not allowed in bfloatvec"),
    ("b", [1, 2], "22000", "expected 3 dimensions, got 2"),
    ("b", [], "22000", "at least 1 dimension"),
    ("b", b"12345", "XX", "5 bytes are no BFLOATVEC(3)"),
    ("b", b"1234", "22000", "expected 3 dimensions, got 2"),
    ("b", np.array([1, 2, 3], np.uint16), "42804", "may be numbers, or the bits"),
    ("b", array.array("H", [1, 2, 3]), "42804", "may be numbers, or the bits"),
    ("b", ["x", 1, 2], "42804", "expected BFLOATVEC(3), got list"),
    ("i", [1, 2, 128], "22003", "element 3 of INT8VEC(3), 128, is out of range, -128 to 127"),
    ("i", [-129, 2, 3], "22003", "element 1 of INT8VEC(3), -129, is out of range"),
    ("i", [1, 2, 10**400], "42804", "expected INT8VEC(3), got list"),
    ("i", np.array([1, 200, 3], np.uint8), "22003", "element 2 of INT8VEC(3), 200, is out"),
    ("i", [1, 2.5, 3], "22000", "element 2 of INT8VEC(3), 2.5, is no whole number"),
    ("i", np.array([1, 2, 0.1], np.float32), "22000", "element 3 of INT8VEC(3), 0.1, is no whole"),
    ("i", [1, 2, float("nan")], "22000", "element 3 is nan"),
    ("i", [1, 2, -math.inf], "22000", "element 3 is -inf"),
    ("i", "[1,2,128]", "22003", '"128" is out of range for type int8vec'),
    ("i", "[1,2.5,3]", "22P02", '"2.5" is no whole number'),
    ("i", "[1,2,inf]", "22000", "infinite value not allowed in int8vec"),
    ("i", [1, 2, 3, 4], "22000", "expected 3 dimensions, got 4"),
    ("i", b"12", "22000", "expected 3 dimensions, got 2"),
)


@pytest.mark.parametrize(("column", "value", "code", "words"), REFUSED)
def test_refused(column: str, value: Any, code: str, words: str, connection: Connection) -> None:
    statements = (
        f"INSERT INTO t (id, {column}) VALUES (1, ?)",
        f"SELECT id FROM t ORDER BY {column} <-> ? LIMIT 1",
    )
    connection.execute("INSERT INTO t VALUES (9, '[1,2,3]', '[1,2,3]')")
    for statement in statements:
        with pytest.raises(vsql.DataError) as caught:
            connection.execute(statement, (value,))
        assert words in str(caught.value)
        assert code in ("XX", caught.value.sqlstate)


def _lists(values: Any, type_: pa.DataType) -> pa.Array:
    return pa.array(values, pa.list_(type_, 3))


ARROW: tuple[tuple[str, pa.Array, Any], ...] = (
    ("b", _lists([[1.5, -2, 0.1], None], pa.float32()), [1.5, -2, 0.10009765625]),
    ("b", _lists([[1.5, -2, 0.1], None], pa.float64()), [1.5, -2, 0.10009765625]),
    ("b", _lists([[1, 2, 3], None], pa.int8()), [1, 2, 3]),
    ("b", _lists([[1, 2, 300], None], pa.uint16()), [1, 2, 300]),
    ("b", pa.array([[1, 2, 300], None], pa.list_(pa.uint16())), [1, 2, 300]),
    ("b", pa.array([BITS.tobytes(), None]), [1.5, -2, 0.10009765625]),
    ("b", pa.array(["[1.5,-2,0.1]", None]), [1.5, -2, 0.10009765625]),
    ("i", _lists([[1, -128, 127], None], pa.int8()), [1, -128, 127]),
    ("i", _lists([[1, -128, 127], None], pa.int64()), [1, -128, 127]),
    ("i", _lists([[1, -128, 127], None], pa.float32()), [1, -128, 127]),
    ("i", _lists([[1, 2, 100], None], pa.uint16()), [1, 2, 100]),
    ("i", pa.array([bytes([1, 0x80, 0x7F]), None]), [1, -128, 127]),
    ("i", _lists([[1, 2, 128], None], pa.int16()), "row 1: element 3 of INT8VEC(3), 128, is out"),
    ("i", _lists([None, [1, 0.5, 1]], pa.float32()), "row 2: element 2 of INT8VEC(3), 0.5, is no"),
    ("i", _lists([[1, math.nan, 1]], pa.float32()), "row 1: NaN and infinity are not allowed"),
    ("b", _lists([[1, 2, 3], [1, 2, 3.4e38]], pa.float64()), "row 2: NaN and infinity"),
    ("b", _lists([[1, 2, 3], [1, None, 3]], pa.float32()), "row 2: a vector holds a NULL"),
    ("i", _lists([None, [1, None, 3]], pa.int8()), "row 2: a vector holds a NULL"),
)


@pytest.mark.parametrize("way", ["ingest", "registered"])
@pytest.mark.parametrize(("column", "values", "expected"), ARROW)
def test_arrow_columns(
    column: str, values: pa.Array, expected: Any, way: str, connection: Connection
) -> None:
    table = pa.table({"id": range(len(values)), column: values})

    def load() -> None:
        if way == "ingest":
            connection.cursor().adbc_ingest("t", table, "append")
            return
        connection.register("outside", table)
        connection.execute(f"INSERT INTO t (id, {column}) SELECT id, {column} FROM outside")

    if not isinstance(expected, str):
        load()
        found = connection.execute(f"SELECT {column} FROM t ORDER BY id").fetchall()
        assert [None if v is None else v.tolist() for (v,) in found] == [expected, None]
        return
    with pytest.raises(vsql.DataError) as caught:
        load()
    assert expected in str(caught.value)


def test_numbers_of_16_bits_stay_numbers(connection: Connection) -> None:
    """A list of uint16 from outside is no BFLOATVEC, unless its field says so."""
    values = _lists([[1, 2, 65_535]], pa.uint16())
    connection.register("plain", pa.table({"v": values}))
    assert connection.execute("SELECT v FROM plain").fetchall() == [([1, 2, 65_535],)]
    connection.cursor().adbc_ingest("made", pa.table({"v": values}))
    assert connection.execute("SELECT v FROM made").fetchall() == [([1, 2, 65_535],)]
    field = pa.field("v", values.type, metadata={"vsql:type": "BFLOATVEC(3)"})
    bits = pa.FixedSizeListArray.from_arrays(pa.array(BITS), 3)
    marked = pa.Table.from_arrays([bits], schema=pa.schema([field]))
    connection.cursor().adbc_ingest("marked", marked)
    (row,) = connection.execute("SELECT v FROM marked").fetchall()
    assert row[0].tolist() == [1.5, -2, 0.10009765625]
    connection.register("outside", marked)
    (row,) = connection.execute("SELECT v || '[7]' FROM outside").fetchall()
    assert row[0].tolist() == [1.5, -2, 0.10009765625, 7]


BFLOATS, BYTES = "'[1.5,-2,0.1]'::bfloatvec", "'[1,-128,127]'::int8vec"
EXPRESSIONS: tuple[tuple[str, str, Any], ...] = (
    (BFLOATS, "BFLOATVEC", [1.5, -2, 0.10009765625]),
    (BYTES, "INT8VEC", [1, -128, 127]),
    (f"{BFLOATS}::text", "TEXT", "[1.5,-2,0.100097656]"),
    (f"{BYTES}::text", "TEXT", "[1,-128,127]"),
    ("'[1,2]'::bfloat16vec(2)", "BFLOATVEC", [1, 2]),
    ("'[1,2]'::bfloat16_vector", "BFLOATVEC", [1, 2]),
    ("'[1,2]'::int8_vector(2)", "INT8VEC", [1, 2]),
    ("'[0.1]'::float16vec", "HALFVEC", [0.0999755859375]),
    ("'[1,2]'::float_vector(2)", "VECTOR", [1, 2]),
    (f"{BFLOATS}::vector", "VECTOR", [1.5, -2, 0.10009765625]),
    (f"{BFLOATS}::halfvec", "HALFVEC", [1.5, -2, 0.10009765625]),
    (f"{BYTES}::vector", "VECTOR", [1, -128, 127]),
    (f"{BYTES}::bfloatvec", "BFLOATVEC", [1, -128, 127]),
    (f"{BYTES}::halfvec::int8vec(3)", "INT8VEC", [1, -128, 127]),
    ("'[0.5,1.5,-2.5]'::vector::int8vec", "INT8VEC", [0, 2, -2]),
    (f"{BFLOATS}::int8vec", "INT8VEC", [2, -2, 0]),
    (f"{BYTES}::sparsevec::int8vec", "INT8VEC", [1, -128, 127]),
    ("'{1:1.5,3:0.1}/3'::sparsevec::bfloatvec", "BFLOATVEC", [1.5, 0, 0.10009765625]),
    (f"{BYTES}::real[]", "REAL[]", [1, -128, 127]),
    ("ARRAY[1,2]::int8vec", "INT8VEC", [1, 2]),
    ("ARRAY[1,0.1]::bfloatvec", "BFLOATVEC", [1, 0.10009765625]),
    (f"{BYTES} + '[1,1,-1]'", "INT8VEC", [2, -127, 126]),
    (f"{BYTES} - '[1,-1,1]'", "INT8VEC", [0, -127, 126]),
    (f"{BYTES} * '[3,1,-1]'", "INT8VEC", [3, -128, -127]),
    (f"{BYTES} || '[5]'", "INT8VEC", [1, -128, 127, 5]),
    (f"{BFLOATS} + {BFLOATS}", "BFLOATVEC", [3, -4, 0.2001953125]),
    ("'[256]'::bfloatvec + '[1]'", "BFLOATVEC", [256]),
    (f"{BFLOATS} * {BFLOATS}", "BFLOATVEC", [2.25, 4, 0.010009765625]),
    (f"{BYTES} + '[0.5,0,0]'::vector", "VECTOR", [1.5, -128, 127]),
    (f"'[0.5,0,0]'::halfvec + {BYTES}", "HALFVEC", [0.5 + 1, -128, 127]),
    (f"{BYTES} + {BFLOATS}", "BFLOATVEC", [2.5, -130, 127]),
    ("'[1.5]'::bfloatvec + '[0.0999755859375]'::halfvec", "VECTOR", [np.float32(1.5999755859375)]),
    (f"coalesce(NULL::int8vec, {BFLOATS})", "BFLOATVEC", [1.5, -2, 0.10009765625]),
    (f"subvector({BYTES}, 2, 2)", "INT8VEC", [-128, 127]),
    ("l2_normalize('[3,4]'::int8vec)", "VECTOR", [np.float32(0.6), np.float32(0.8)]),
    ("l2_normalize('[3,4]'::bfloatvec)", "BFLOATVEC", [0.6015625, 0.80078125]),
    (f"vector_norm({BYTES})", "DOUBLE PRECISION", math.sqrt(1 + 128**2 + 127**2)),
    (f"vector_dims({BFLOATS})", "INTEGER", 3),
    (f"binary_quantize({BYTES})::text", "TEXT", "101"),
    ("int8vec_add('[1.4]'::vector, '[2]')", "INT8VEC", [3]),
    ("bfloatvec_mul('[1.5]', '[2]')", "BFLOATVEC", [3]),
    (f"{BYTES} <-> '[2,-128,127]'", "DOUBLE PRECISION", 1.0),
    (f"{BYTES} <#> {BYTES}", "DOUBLE PRECISION", -float(1 + 128**2 + 127**2)),
    (f"{BYTES} <+> '[-127,127,-128]'", "DOUBLE PRECISION", 128.0 + 255 + 255),
    (f"{BYTES} <=> {BYTES}", "DOUBLE PRECISION", 0.0),
    (f"{BYTES} <-> '[1.5,-128,127]'::vector", "DOUBLE PRECISION", 0.5),
    (f"{BFLOATS} <-> {BFLOATS}::vector", "DOUBLE PRECISION", 0.0),
    (f"{BYTES} < '[1,-127,0]'", "BOOLEAN", True),
    (f"{BYTES} = {BYTES}::vector", "BOOLEAN", True),
    (f"{BYTES} IN ('[1,-128,127]', '[0,0,0]')", "BOOLEAN", True),
)


@pytest.mark.parametrize(("expression", "type_", "expected"), EXPRESSIONS)
def test_expressions(expression: str, type_: str, expected: Any, connection: Connection) -> None:
    cursor = connection.execute(f"SELECT {expression}")
    row = cursor.fetchone()
    assert row is not None and cursor.description is not None
    found = row[0].tolist() if isinstance(row[0], np.ndarray) else row[0]
    if not isinstance(expected, str):
        expected = pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert (cursor.description[0][1], found) == (type_, expected)


FAILING: tuple[tuple[str, str, str], ...] = (
    (f"{BYTES} + '[0,0,1]'", "22003", "out of range"),
    (f"{BYTES} - '[0,1,0]'", "22003", "out of range"),
    (f"{BYTES} * '[1,1,2]'", "22003", "out of range"),
    ("'[3e38]'::bfloatvec + '[3e38]'", "22003", "out of range"),
    ("'[1e-30]'::bfloatvec * '[1e-30]'", "22003", "underflow"),
    ("'[127.5]'::vector::int8vec", "22003", '"127.5" is out of range for type int8vec'),
    ("'[3.4e38]'::vector::bfloatvec", "22003", '"3.4e+38" is out of range for type bfloatvec'),
    ("'{1:200}/3'::sparsevec::int8vec", "22003", '"200" is out of range for type int8vec'),
    ("ARRAY[1.5]::int8vec", "22000", "whole numbers"),
    (f"{BYTES}::int8vec(2)", "22000", "expected 2 dimensions, not 3"),
    (f"{BYTES} + '[1,2]'", "22000", "different"),
    (f"{BYTES} <~> {BYTES}", "42883", "<~>"),
    (f"{BYTES}::bit(3)", "42846", "cannot cast type int8vec to bit"),
    (f"-{BYTES}", "42883", "operator"),
    ("'[1]'::int8vec(0)", "22023", "1 to 32768"),
    ("int8vec_add('[100]', '[100]')", "22003", "out of range"),
)


@pytest.mark.parametrize(("expression", "code", "words"), FAILING)
def test_failing_expressions(
    expression: str, code: str, words: str, connection: Connection
) -> None:
    with pytest.raises(vsql.DatabaseError) as caught:
        connection.execute(f"SELECT {expression}").fetchall()
    assert (caught.value.sqlstate, words in str(caught.value)) == (code, True), caught.value


def test_casts_of_queries_round_and_literals_do_not(connection: Connection) -> None:
    connection.execute("INSERT INTO t VALUES (1, '[1,2,3]', '[1,2,3]')")
    near = "SELECT i <-> {} FROM t ORDER BY i <-> {} LIMIT 1"
    cast = "'[1.4,2.4,2.6]'::vector::int8vec"
    assert connection.execute(near.format(cast, cast)).fetchall() == [(0.0,)]
    with pytest.raises(vsql.DataError, match="no whole number"):
        connection.execute(near.format("'[1.4,2,3]'", "'[1.4,2,3]'"))


def test_aggregates(connection: Connection) -> None:
    rows = [(n, [n, 256, 0.5], [127, n, -n]) for n in range(1, 101)]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    sql = "SELECT sum(i), avg(i), sum(b), avg(b), max(i), count(DISTINCT i) FROM t"
    cursor = connection.execute(sql)
    row = cursor.fetchone()
    assert row is not None and cursor.description is not None
    types = [column[1] for column in cursor.description]
    assert types == ["VECTOR", "VECTOR", "BFLOATVEC", "BFLOATVEC", "INT8VEC", "BIGINT"]
    assert row[0].tolist() == [12_700, 5_050, -5_050]
    assert row[1].tolist() == [127, 50.5, -50.5]
    # Summed in full, and rounded once: 5050 and 25600 have more than eight bits.
    assert row[2].tolist() == [5_056, 25_600, 50]
    assert row[3].tolist() == [50.5, 256, 0.5]
    assert row[4].tolist() == [127, 100, -100]
    grouped = "SELECT i, count(*) FROM t GROUP BY i ORDER BY i LIMIT 1"
    (found,) = connection.execute(grouped).fetchall()
    assert (found[0].tolist(), found[1]) == ([127, 1, -1], 1)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "jsonl"])
def test_files(ending: str, connection: Connection, tmp_path: Path) -> None:
    connection.execute(
        "INSERT INTO t VALUES (1, '[0.1,-3e38,1e-40]', '[1,-128,127]'), (2, NULL, NULL)"
    )
    file = tmp_path / f"t.{ending}"
    connection.execute(f"COPY (SELECT * FROM t ORDER BY id) TO '{file}'")
    connection.execute("CREATE TABLE u AS SELECT * FROM t WHERE id = 0")
    connection.execute(f"COPY u FROM '{file}'")
    sql = "SELECT id, b::text, i::text FROM {} ORDER BY id"
    rows = connection.execute(sql.format("u")).fetchall()
    assert rows == connection.execute(sql.format("t")).fetchall()
    if ending == "parquet":
        read = pq.read_table(file)
        assert read["b"].to_pylist()[0][0] == 0.10009765625
        assert read["i"].type.value_type == pa.int8()


def test_results(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO t VALUES (1, '[1.5,2,3]', '[1,2,3]'), (2, '[4,5,6]', '[4,5,6]')"
    )
    sql = "SELECT b, i FROM t ORDER BY id"
    (b, i) = connection.execute(sql).fetchone() or ()
    assert (b.dtype, i.dtype) == (np.float32, np.int8)
    columns = connection.execute(sql).fetch_numpy()
    assert (columns["b"].dtype, columns["i"].dtype) == (np.float32, np.int8)
    assert columns["b"].tolist() == [[1.5, 2, 3], [4, 5, 6]]
    table = connection.execute(sql).fetch_arrow_table()
    assert table.schema.field("b").metadata == {b"vsql:type": b"BFLOATVEC(3)"}
    assert table["b"].to_pylist() == [[1.5, 2, 3], [4, 5, 6]]
    assert table["i"].type.value_type == pa.int8()
    connection.cursor().adbc_ingest("again", table)
    described = connection.execute("DESCRIBE again").fetchall()
    assert [row[1] for row in described] == ["BFLOATVEC(3)", "INT8VEC(3)"]
    value = table["b"][0]
    found = connection.execute("SELECT id FROM t ORDER BY b <-> ? LIMIT 1", (value,)).fetchall()
    assert found == [(1,)]
    assert connection.execute(sql).fetch_polars()["b"].to_list() == [[1.5, 2, 3], [4, 5, 6]]


def test_catalogs(connection: Connection) -> None:
    found = connection.execute(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.atttypmod FROM pg_attribute a"
        " WHERE a.attrelid = 't'::regclass AND a.attnum > 1 ORDER BY a.attnum"
    ).fetchall()
    assert found == [("b", "bfloatvec(3)", 3), ("i", "int8vec(3)", 3)]
    udt = "SELECT udt_name FROM information_schema.columns WHERE table_name = 't' ORDER BY 1"
    assert connection.execute(udt).fetchall() == [("bfloatvec",), ("int4",), ("int8vec",)]


def test_arrays(connection: Connection) -> None:
    connection.execute("CREATE TABLE a (v INT8VEC(2)[])")
    connection.execute("INSERT INTO a VALUES (ARRAY['[1,-2]'::int8vec])")
    assert connection.execute("SELECT v FROM a").fetchall() == [([[1, -2]],)]
    with pytest.raises(vsql.NotSupportedError, match="arrays of BFLOATVEC"):
        connection.execute("CREATE TABLE c (v BFLOATVEC(2)[])")


DIMENSION, ROWS = 24, 3_000


def _exact(operator: str, query: Any, numbers: npt.NDArray[np.float64]) -> Any:
    match operator:
        case "<->":
            return np.sqrt(((numbers - query) ** 2).sum(axis=1))
        case "<#>":
            return -(numbers @ query)
        case "<+>":
            return np.abs(numbers - query).sum(axis=1)
    lengths = np.linalg.norm(numbers, axis=1) * np.linalg.norm(query)
    return 1 - (numbers @ query) / lengths


@pytest.mark.parametrize("place", ["growing", "sealed", "both"])
@pytest.mark.parametrize("operator", ["<->", "<#>", "<=>", "<+>"])
@pytest.mark.parametrize("family", [Family.BFLOATVEC, Family.INT8VEC])
def test_search_agrees_with_numpy(
    family: Family, operator: str, place: str, tmp_path: Path
) -> None:
    """Growing and sealed, through the graph and exactly, filtered, in batches."""
    random = np.random.default_rng(5)
    numbers = random.standard_normal((ROWS, DIMENSION))
    numbers = floats(stored(30 * numbers if family is Family.INT8VEC else numbers, family))
    exact = numbers.astype(np.float64)
    queries = [numbers[3], numbers[1_234]]
    with vsql.connect(str(tmp_path / "db"), autocommit=True) as connection:
        connection.execute(f"CREATE TABLE t (id INT PRIMARY KEY, e {family.value}({DIMENSION}))")
        connection.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(numbers[:1_600])))
        if place != "growing":
            connection.execute("FLUSH t")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?)", list(enumerate(numbers[1_600:], 1_600))
        )
        if place == "sealed":
            connection.execute("FLUSH t")
        connection.execute("INSERT INTO t VALUES (-1, NULL)")
        connection.execute("DELETE FROM t WHERE id = 700")
        live = np.arange(ROWS) != 700
        odd = np.arange(ROWS) % 2 == 1
        for where, kept in (("", live), ("WHERE id % 2 = 1 AND id > 0", odd)):
            sql = f"SELECT id, e {operator} ? AS d FROM t {where} ORDER BY d LIMIT 10"
            for query in queries:
                distances = np.where(kept, _exact(operator, query.astype(float), exact), np.inf)
                found = connection.execute(sql, (query,)).fetchall()
                nearest = np.sort(distances)[:10]
                np.testing.assert_allclose([d for _, d in found], nearest, rtol=1e-5, atol=1e-5)
                np.testing.assert_allclose(
                    distances[[row for row, _ in found]], nearest, rtol=1e-5, atol=1e-5
                )
        batch = (
            "SELECT q.id, n.id FROM t q CROSS JOIN LATERAL"
            f" (SELECT id FROM t ORDER BY e {operator} q.e LIMIT 1) n WHERE q.id IN (3, 1234)"
        )
        if operator != "<#>":
            assert sorted(connection.execute(batch).fetchall()) == [(3, 3), (1_234, 1_234)]


@pytest.mark.parametrize(
    ("type_", "bytes_of_number"), [("VECTOR", 4), ("BFLOATVEC", 2), ("INT8VEC", 1)]
)
def test_nothing_is_widened_on_disk(type_: str, bytes_of_number: int, tmp_path: Path) -> None:
    rows, dimension = 2_000, 256
    values = np.random.default_rng(0).integers(-100, 100, (rows, dimension)).astype(np.int8)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), dimension)
    with vsql.connect(str(tmp_path / "db"), autocommit=True) as connection:
        connection.execute(f"CREATE TABLE t (e {type_}({dimension}))")
        connection.cursor().adbc_ingest("t", pa.table({"e": vectors}), "append")
        connection.execute("FLUSH t")
        (found,) = (f for f in (tmp_path / "db").rglob("*.arrow") if f.is_file())
        assert found.stat().st_size == pytest.approx(rows * dimension * bytes_of_number, rel=0.05)


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20)
)
def test_rounding_is_to_the_nearest(numbers: list[float]) -> None:
    """Against the definition: the nearer of the two neighbours, the even one of a tie."""
    values = np.array(numbers, np.float32)
    for number, bits in zip(
        values.tolist(), stored(values, Family.BFLOATVEC).tolist(), strict=True
    ):
        down = int(np.array(number, np.float32).view(np.uint32)) >> 16
        candidates = [down, down + 1]
        # What would be the next number after the largest decides for infinity.
        places = [
            _number(c) if c & 0x7FFF != 0x7F80 else math.copysign(2.0**128, number)
            for c in candidates
        ]
        apart = [abs(place - number) for place in places]
        nearest = candidates[apart.index(min(apart))]
        if apart[0] == apart[1]:
            nearest = next(c for c in candidates if c % 2 == 0)
        assert bits == nearest
        assert math.isinf(_number(bits)) or float(
            floats(np.array([bits], np.uint16))[0]
        ) == _number(bits)


def _number(bits: int) -> float:
    return float(np.array(bits << 16, np.uint32).view(np.float32))
