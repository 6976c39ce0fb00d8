"""PEP 249's type objects and constructors.

A type object equals every type code of its kind, so that
`cursor.description[0][1] == vsql.NUMBER` holds for each numeric type. Type codes are the SQL names
of `vsql.core.types.Family`. Source: PEP 249, "Type Objects and Constructors".
"""

import datetime
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class TypeObject:
    """A set of type codes that compares equal to each of them."""

    name: str
    codes: frozenset[str]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TypeObject):
            return self.codes == other.codes
        return other in self.codes

    def __hash__(self) -> int:
        return hash(self.codes)


def _of(name: str, *codes: str) -> TypeObject:
    return TypeObject(name, frozenset(codes))


STRING = _of("STRING", "VARCHAR", "TEXT", "JSON", "UUID")
BINARY = _of("BINARY", "BYTEA")
NUMBER = _of(
    "NUMBER",
    *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "REAL", "DOUBLE PRECISION", "DECIMAL"),
)
DATETIME = _of("DATETIME", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "INTERVAL")
ROWID = _of("ROWID")
VECTOR = _of("VECTOR", "VECTOR", "HALFVEC", "BFLOATVEC", "INT8VEC", "BIT", "SPARSEVEC")

Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
Binary = bytes


def DateFromTicks(ticks: float) -> datetime.date:  # noqa: N802  PEP 249 names it so
    """Return the local date `ticks` seconds after the epoch."""
    return datetime.date.fromtimestamp(ticks)


def TimeFromTicks(ticks: float) -> datetime.time:  # noqa: N802  PEP 249 names it so
    """Return the local time of day `ticks` seconds after the epoch."""
    return datetime.datetime.fromtimestamp(ticks).time()


def TimestampFromTicks(ticks: float) -> datetime.datetime:  # noqa: N802  PEP 249 names it so
    """Return the local date and time `ticks` seconds after the epoch."""
    return datetime.datetime.fromtimestamp(ticks)
