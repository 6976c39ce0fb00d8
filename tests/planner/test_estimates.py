"""How far estimates are from the truth, over real data: q-error is the larger ratio of the two.

Source: Moerkotte, Neumann and Steidl, Preventing Bad Plans by Bounding the Impact of Cardinality
Estimation Errors, VLDB 2009.
"""

import json
import math
import statistics
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import vsql
from vsql.driver.connection import Connection

PACKAGES = Path(__file__).parents[2] / ".." / "shared" / "data" / "packages.parquet"

CONDITIONS = (
    "section = 'python'",
    "section = 'games'",
    "section = 'kernel'",
    "section = 'no such section'",
    "section <> 'libs'",
    "section IN ('python', 'games', 'net')",
    "section IS NULL",
    "priority = 'optional'",
    "NOT section = 'libs'",
    "installed_kib < 20",
    "installed_kib > 100000",
    "installed_kib BETWEEN 100 AND 1000",
    "installed_kib = 24",
    "download_bytes >= 1000000",
    "download_bytes < 5000",
    "id < 6000",
    "id IN (1, 2, 3)",
    "name = 'vim'",
    "name LIKE 'python3-%'",
    "name LIKE 'lib%'",
    "name LIKE 'ab%'",
    "name LIKE '%-dev'",
    "name LIKE '%perl%'",
    "name ILIKE '%PYTHON%'",
    "description LIKE '%library%'",
    "description LIKE '%game%'",
    "homepage IS NULL",
    "homepage IS NOT NULL",
    "homepage LIKE 'https://github.com/%'",
    "tags @> ARRAY['role::program']",
    "tags && ARRAY['role::program', 'role::plugin']",
    "'implemented-in::python' = ANY(tags)",
    "depends @> ARRAY['perl']",
    "meta->'maintainer'->>'name' = 'Debian Games Team'",
    "meta->'maintainer'->>'name' = 'nobody'",
    "meta->>'homepage' IS NULL",
    "meta->>'source' IS NOT NULL",
    "(meta->'sizes'->>'installed_kib')::bigint < 20",
    "(meta->'sizes'->>'installed_kib')::bigint > 100000",
    "meta->>'multi_arch' = 'foreign'",
    "meta->>'version' LIKE '1.%'",
    """matches('meta["sizes"]["installed_kib"] > 1000')""",
    """matches('meta["maintainer"]["name"] == "Debian Perl Group"')""",
    """matches('json_contains(meta["facets"]["role"], "program")')""",
    """matches('json_contains_any(meta["facets"]["role"], ["program", "plugin"])')""",
    """matches('exists meta["homepage"]')""",
    """matches('not (meta["multi_arch"] == "same")')""",
    """matches('array_contains(tags, "role::plugin")')""",
    "section = 'python' AND installed_kib < 100",
    "section = 'games' OR section = 'net'",
    "installed_kib < 100 AND download_bytes < 20000 AND priority = 'optional'",
)


@pytest.fixture(scope="module")
def packages() -> Iterator[Connection]:
    if not PACKAGES.exists():
        pytest.skip("the packages data set lies beside the repository")
    table = pq.read_table(PACKAGES).drop(["embedding"])
    with vsql.connect(autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE packages (id BIGINT PRIMARY KEY, name TEXT, version TEXT, section TEXT,"
            " priority TEXT, architecture TEXT, installed_kib BIGINT, download_bytes BIGINT,"
            " homepage TEXT, description TEXT, tags TEXT[], depends TEXT[], meta JSON)"
        )
        connection.register("source", table)
        connection.execute("INSERT INTO packages SELECT * FROM source")
        yield connection


def _estimate(connection: Connection, condition: str) -> float:
    """Return the share of rows that the planner believes to pass."""
    query = f"EXPLAIN (FORMAT JSON) SELECT id FROM packages WHERE {condition}"
    (document,) = connection.execute(query).fetchone() or ("{}",)
    plan = document if isinstance(document, dict) else json.loads(document)
    return math.prod(found["selectivity"] for found in plan["conditions"])


def test_q_error(packages: Connection) -> None:
    rows = (packages.execute("SELECT count(*) FROM packages").fetchone() or (0,))[0]
    errors = {}
    for condition in CONDITIONS:
        query = f"SELECT count(*) FROM packages WHERE {condition}"
        actual = max((packages.execute(query).fetchone() or (0,))[0], 1)
        estimated = max(_estimate(packages, condition) * rows, 1.0)
        errors[condition] = max(actual / estimated, estimated / actual)
    ordered = sorted(errors.values())
    worst = sorted(errors, key=lambda c: -errors[c])[:5]
    shown = "; ".join(f"{condition}: {errors[condition]:.1f}" for condition in worst)
    median, tail = statistics.median(ordered), ordered[int(len(ordered) * 0.95)]
    print(f"q-error of {len(ordered)} conditions: median {median:.2f}, 95 % {tail:.2f}; {shown}")
    assert median <= 1.5
    assert tail <= 10, shown


@pytest.mark.parametrize(
    ("condition", "share"),
    [
        ("b", 0.1),
        ("NOT b", 0.8),
        ("b = true", 0.1),
        ("b IS TRUE", 0.1),
        ("b IS NOT TRUE", 0.9),
        ("b IS FALSE", 0.8),
        ("b IS NULL", 0.1),
    ],
)
def test_booleans(condition: str, share: float) -> None:
    with vsql.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id INT, b BOOLEAN)")
        rows = [(n, None if n % 10 == 0 else n % 10 == 1) for n in range(2_000)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.execute("FLUSH")
        ((text,),) = connection.execute(
            f"EXPLAIN (FORMAT JSON) SELECT id FROM t WHERE {condition}"
        ).fetchall()
        (found,) = json.loads(text)["conditions"]
        assert found["selectivity"] == pytest.approx(share, abs=0.02)
