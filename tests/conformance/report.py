"""Runs the suites that others wrote and writes what they gave to docs/conformance.md.

    python tests/conformance/report.py [--shared FOLDER]

FOLDER (default ../shared/conformance) holds SQLite's sqllogictest files and the statements of
clients that ask PostgreSQL's catalogs.
"""

import argparse
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.conformance import catalog_queries, sqlalchemy_suite, sqllogictest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a suite gave; `excluded` counts by reason."""

    suite: str
    passed: int
    failed: int
    excluded: tuple[tuple[str, int], ...]


def db_api() -> Outcome:
    """Run the DB-API 2.0 suite."""
    report = _pytest([str(ROOT / "tests" / "conformance" / "test_dbapi20.py")])
    return Outcome("DB-API 2.0 (dbapi-compliance)", *_counts(report), ())


def sqlalchemy(driver: str) -> Outcome:
    """Run SQLAlchemy's dialect suite over one of the two drivers."""
    run = ROOT / "tests" / "conformance" / "sqlalchemy" / "run.py"
    command = [sys.executable, str(run), "--driver", driver]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    passed, failed = _counts(done.stdout)
    reasons = [sqlalchemy_suite.reason(name) for name in sqlalchemy_suite.failures(done.stdout)]
    excluded = Counter(reason for reason in reasons if reason is not None)
    skipped = re.search(r"(\d+) skipped", done.stdout)
    closed = [("by closed requirements, see dialect/requirements.py", int(skipped.group(1)))]
    return Outcome(
        f"SQLAlchemy (sqlalchemy.testing.suite), vsql+{driver}",
        passed,
        failed - sum(excluded.values()),
        (*excluded.items(), *(closed if skipped else ())),
    )


def alembic() -> Outcome:
    """Run Alembic's suite."""
    run = ROOT / "tests" / "conformance" / "alembic" / "run.py"
    done = subprocess.run([sys.executable, str(run)], capture_output=True, text=True, check=False)
    skipped = re.search(r"(\d+) skipped", done.stdout)
    reason = "by closed requirements, see tests/conformance/alembic/requirements.py"
    closed = ((reason, int(skipped.group(1))),) if skipped else ()
    return Outcome("Alembic (alembic.testing.suite)", *_counts(done.stdout), closed)


def langchain() -> Outcome:
    """Run LangChain's standard tests of a vector store, sync and async."""
    run = ROOT / "tests" / "conformance" / "langchain" / "run.py"
    done = subprocess.run([sys.executable, str(run)], capture_output=True, text=True, check=False)
    return Outcome("LangChain (VectorStoreIntegrationTests)", *_counts(done.stdout), ())


def sql_logic(folder: Path) -> Outcome:
    """Run SQLite's sqllogictest files."""
    passed, failures, excluded = 0, 0, 0
    for path in sorted(folder.glob("*.test")):
        outcome = sqllogictest.run(path)
        passed += outcome.passed
        failures += len(outcome.failures)
        excluded += outcome.excluded
        for line in outcome.failures:
            print(line, flush=True)
    reasons = (("PostgreSQL refuses them too, see sqllogictest.py", excluded),)
    return Outcome("sqllogictest (SQLite)", passed, failures, reasons)


def catalogs(folder: Path) -> Outcome:
    """Run the statements that PostgreSQL's clients send to its catalogs."""
    texts = catalog_queries.statements(folder)
    outcome = catalog_queries.run(texts, catalog_queries.expected_names(texts))
    for line in outcome.failures:
        print(line, flush=True)
    reasons = (("COPY over the wire, or PostgreSQL 18 refuses them too", outcome.excluded),)
    name = "Catalog queries (psql, JDBC, SQLAlchemy, asyncpg, ADBC, pgvector)"
    return Outcome(name, outcome.passed, len(outcome.failures), reasons)


def _pytest(arguments: list[str]) -> str:
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout


def _counts(report: str) -> tuple[int, int]:
    def count(word: str) -> int:
        found = re.search(rf"(\d+) {word}", report)
        return int(found.group(1)) if found else 0

    return count("passed"), count("failed") + count("error")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared" / "conformance")
    shared = parser.parse_args().shared
    outcomes = [db_api(), sqlalchemy("vsql"), sqlalchemy("aio"), alembic(), langchain()]
    if (shared / "slt").is_dir():
        outcomes.append(sql_logic(shared / "slt"))
    if (shared / "catalog-queries").is_dir():
        outcomes.append(catalogs(shared / "catalog-queries"))
    lines = [
        "# Conformance",
        "",
        "Suites that others wrote, as `make conformance` ran them last; it writes this page.",
        "",
        "| suite | passed | failed | excluded |",
        "|---|---|---|---|",
    ]
    for one in outcomes:
        shown = "; ".join(f"{count}: {reason}" for reason, count in one.excluded if count)
        lines.append(f"| {one.suite} | {one.passed} | {one.failed} | {shown or '0'} |")
    text = "\n".join(lines) + "\n"
    print(text)
    (ROOT / "docs" / "conformance.md").write_text(text, encoding="utf-8")
    return 1 if any(one.failed for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
