"""The shared conformance suite of the filter language, through SQL; skipped where it is not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vsql
from vsql.driver.connection import Connection
from vsql.grammar.filter import parse_filter

SUITE = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "filter"
TYPES = {
    "INT8": "TINYINT",
    "INT16": "SMALLINT",
    "INT32": "INTEGER",
    "INT64": "BIGINT",
    "FLOAT": "REAL",
    "DOUBLE": "DOUBLE PRECISION",
    "BOOL": "BOOLEAN",
    "VARCHAR": "TEXT",
    "JSON": "JSON",
    "TIMESTAMPTZ": "TIMESTAMPTZ",
    "GEOMETRY": "TEXT",
}
# These need a text index and a geometry type.
LATER = ("geometry", "text")
LATER_CALLS = ("text_match", "phrase_match", "st_")


def _cases() -> list[dict[str, Any]]:
    if not SUITE.is_dir():
        return []
    lines = (SUITE / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        case
        for case in map(json.loads, lines)
        if case["category"] not in LATER and not case["expression"].lower().startswith(LATER_CALLS)
    ]


CASES = _cases()
pytestmark = pytest.mark.skipif(not CASES, reason="the conformance suite is not here")


def _type(field: dict[str, Any]) -> str:
    if field["type"] == "VECTOR":
        return f"VECTOR({field['dim']})"
    if field["type"] == "ARRAY":
        return f"{TYPES[field['element_type']]}[]"
    return TYPES[field["type"]]


@pytest.fixture(scope="module", params=["growing", "sealed"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """Sealed rows have their JSON paths in columns, growing ones have documents."""
    fields = json.loads((SUITE / "schema.json").read_text(encoding="utf-8"))["fields"]
    names = [field["name"] for field in fields]
    columns = ", ".join(f"{field['name']} {_type(field)}" for field in fields)
    marks = ", ".join("?" * (len(names) + 1))
    connection = vsql.connect(":memory:")
    connection.execute(f'CREATE TABLE t ({columns}, "$meta" JSON, PRIMARY KEY (pk))')
    rows = []
    for line in (SUITE / "data.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        values = [
            _json(row.get(f["name"])) if f["type"] == "JSON" else row.get(f["name"]) for f in fields
        ]
        rows.append([*values, json.dumps({k: v for k, v in row.items() if k not in names})])
    connection.executemany(f"INSERT INTO t VALUES ({marks})", rows)
    connection.commit()
    if request.param == "sealed":
        connection.execute("FLUSH")
    yield connection
    connection.close()


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_case(connection: Connection, case: dict[str, Any]) -> None:
    def answer() -> list[int]:
        condition = parse_filter(case["expression"], case.get("parameters")).sql("postgres")
        if "refused" in case and not case.get("parameters"):
            # As a filter: SQL itself compares more, such as two vectors.
            condition = f"matches($filter${case['expression']}$filter$)"
        return [row[0] for row in connection.execute(f"SELECT pk FROM t WHERE {condition}")]

    if "refused" in case:
        with pytest.raises(vsql.Error) as caught:
            answer()
        assert not isinstance(caught.value, vsql.InternalError)
    else:
        assert sorted(answer()) == case["matches"]
