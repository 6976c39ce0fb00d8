"""Transactions of several connections against a plain Python model of snapshot isolation.

The model keeps one mapping per committed version; a transaction works on a copy of the newest one
and, when it commits, is refused where a key that it wrote was written by another since it began.
Where rows are sealed meanwhile, a transaction that changes rows that moved may be refused too.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import vsql

KEYS = st.integers(0, 12)
CONNECTIONS = st.sampled_from([0, 1, 2])


@dataclass
class Open:
    """A transaction of the model: what it sees, what it wrote, and where it began."""

    began: int
    base: dict[int, int]
    seen: dict[int, int]
    savepoints: list[tuple[str, dict[int, int]]] = field(default_factory=list)

    @property
    def written(self) -> set[int]:
        """The keys whose rows are others than they were; what was made and undone is not."""
        keys = set(self.base) | set(self.seen)
        return {key for key in keys if self.base.get(key) != self.seen.get(key)}


class Transactions(RuleBasedStateMachine):
    seal_rows = 10_000

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        place = str(Path(self.folder.name) / "db")
        with vsql.connect(place) as first:
            first.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
        self.connections = [
            vsql.connect(place, background="off", seal_rows=self.seal_rows) for _ in range(3)
        ]
        self.committed: dict[int, int] = {}
        self.writes: list[set[int]] = []
        self.open: dict[int, Open] = {}
        self.next_value = 0

    def transaction(self, number: int) -> Open:
        if number not in self.open:
            self.open[number] = Open(len(self.writes), dict(self.committed), dict(self.committed))
        return self.open[number]

    def value(self) -> int:
        self.next_value += 1
        return self.next_value

    @rule(number=CONNECTIONS, keys=st.sets(KEYS, min_size=1, max_size=4))
    def insert(self, number: int, keys: set[int]) -> None:
        mine, value = self.transaction(number), self.value()
        rows = [(key, value) for key in sorted(keys)]
        try:
            self.connections[number].executemany("INSERT INTO t VALUES (?, ?)", rows)
        except vsql.IntegrityError:
            assert keys & set(mine.seen)
            return
        assert not keys & set(mine.seen)
        mine.seen.update(rows)

    @rule(number=CONNECTIONS, keys=st.sets(KEYS, min_size=1, max_size=4))
    def upsert(self, number: int, keys: set[int]) -> None:
        mine, value = self.transaction(number), self.value()
        rows = [(key, value) for key in sorted(keys)]
        self.connections[number].executemany("UPSERT INTO t VALUES (?, ?)", rows)
        mine.seen.update(rows)

    @rule(number=CONNECTIONS, low=KEYS, high=KEYS)
    def update(self, number: int, low: int, high: int) -> None:
        mine, value = self.transaction(number), self.value()
        cursor = self.connections[number].execute(
            "UPDATE t SET v = ? WHERE id BETWEEN ? AND ?", (value, low, high)
        )
        touched = {key for key in mine.seen if low <= key <= high}
        assert cursor.rowcount == len(touched)
        mine.seen.update(dict.fromkeys(touched, value))

    @rule(number=CONNECTIONS, keys=st.sets(KEYS, max_size=3))
    def delete(self, number: int, keys: set[int]) -> None:
        mine = self.transaction(number)
        cursor = self.connections[number].execute("DELETE FROM t WHERE id IN (?)", (list(keys),))
        touched = keys & set(mine.seen)
        assert cursor.rowcount == len(touched)
        for key in touched:
            del mine.seen[key]

    @rule(number=CONNECTIONS, name=st.sampled_from("ab"))
    def save(self, number: int, name: str) -> None:
        mine = self.transaction(number)
        self.connections[number].execute(f"SAVEPOINT {name}")
        mine.savepoints.append((name, dict(mine.seen)))

    @rule(number=CONNECTIONS, name=st.sampled_from("ab"))
    def roll_back_to(self, number: int, name: str) -> None:
        mine = self.transaction(number)
        places = [p for p, saved in enumerate(mine.savepoints) if saved[0] == name]
        try:
            self.connections[number].execute(f"ROLLBACK TO {name}")
        except vsql.OperationalError as error:
            assert not places
            assert error.sqlstate == "3B001"
            return
        mine.seen = dict(mine.savepoints[places[-1]][1])
        del mine.savepoints[places[-1] + 1 :]

    @rule(number=CONNECTIONS)
    def commit(self, number: int) -> None:
        mine = self.open.pop(number, None)
        if mine is None:
            self.connections[number].commit()
            return
        others = set().union(*self.writes[mine.began :])
        # A key that was new to both and that the other took back is nobody's.
        clash = {k for k in mine.written & others if k in mine.base or k in self.committed}
        try:
            self.connections[number].commit()
        except vsql.OperationalError as error:
            assert error.sqlstate == "40001"
            assert clash or (others and "moved" in str(error))
            return
        assert not clash
        for key in mine.written:
            if key in mine.seen:
                self.committed[key] = mine.seen[key]
            else:
                self.committed.pop(key, None)
        if mine.written:
            self.writes.append(mine.written)

    @rule(number=CONNECTIONS)
    def roll_back(self, number: int) -> None:
        self.open.pop(number, None)
        self.connections[number].rollback()

    @invariant()
    def everyone_sees_what_they_should(self) -> None:
        for number, mine in self.open.items():
            connection: Any = self.connections[number]
            rows = dict(connection.execute("SELECT id, v FROM t").fetchall())
            assert rows == mine.seen
            counted = connection.execute("SELECT count(*) FROM t").fetchone()
            assert counted == (len(mine.seen),)

    def teardown(self) -> None:
        for connection in self.connections:
            connection.close()
        self.folder.cleanup()


class TransactionsThatSeal(Transactions):
    seal_rows = 15


_SETTINGS = settings(
    max_examples=100,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestTransactions = Transactions.TestCase
TestTransactions.settings = _SETTINGS
TestTransactionsThatSeal = TransactionsThatSeal.TestCase
TestTransactionsThatSeal.settings = _SETTINGS
