"""What SQLAlchemy's dialect suite asks and can't be given, and how to read its report."""

import re

EXCLUDED = {
    "test_truediv_divisor": "DuckDB divides decimals as doubles and gives literals 18 digits",
    "test_truediv_numeric": "DuckDB divides decimals as doubles",
    "test_string_length_reflection[CHAR": "CHAR(n) is VARCHAR(n)",
}


def failures(report: str) -> list[str]:
    """Return the names of the tests that failed."""
    return re.findall(r"^(?:FAILED|ERROR) \S+?::(.+?)(?: - .*)?$", report, re.MULTILINE)


def reason(name: str) -> str | None:
    """Return why a test is excluded, None where it is not."""
    return next((why for part, why in EXCLUDED.items() if part in name), None)
