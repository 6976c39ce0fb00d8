"""Threads and processes that read, write and compact one database, each reader checked.

    python tests/crash/stress.py [--seconds S] [--threads N] [--processes N]

Accounts hold money; every transfer moves some from one to another in one transaction, so in every
snapshot the sum is the same. A second table counts transfers, one row each: in every snapshot its
count is the sum of a counter that the same transactions raise. Readers check both, and that two
looks inside one transaction see the same.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import vsql

ACCOUNTS, MONEY = 200, 1_000
SETTINGS = {"seal_rows": 300, "segment_rows": 5_000, "busy_timeout_ms": 60_000}


def prepare(place: str) -> None:
    """Create the accounts."""
    with vsql.connect(place, **SETTINGS) as connection:
        connection.execute(
            "CREATE TABLE account (id INT PRIMARY KEY, money INT CHECK (money >= 0), e VECTOR(8))"
        )
        connection.execute("CREATE TABLE transfer (id TEXT PRIMARY KEY, amount INT)")
        connection.execute("CREATE TABLE counter (id INT PRIMARY KEY, n INT)")
        connection.executemany(
            "INSERT INTO account VALUES (?, ?, ?)",
            [(i, MONEY, [i % 5, i % 7, 1, 0, 0, 0, 0, 1]) for i in range(ACCOUNTS)],
        )
        connection.executemany("INSERT INTO counter VALUES (?, 0)", [(i,) for i in range(50)])
        connection.execute("CREATE INDEX ON account USING HNSW (e)")


def work(place: str, seconds: float, seed: int, counts: Counter[str]) -> None:
    """Read, write and compact for some seconds; raises AssertionError where a reader is lied to."""
    random_ = random.Random(seed)
    connection = vsql.connect(place, **SETTINGS)
    until = time.monotonic() + seconds
    number = 0
    while time.monotonic() < until:
        number += 1
        task = random_.choices((_transfer, _look, _search, _tidy), (8, 6, 4, 0.2))[0]
        try:
            task(connection, random_, f"{seed}-{number}")
            connection.commit()
            counts[task.__name__] += 1
        except vsql.OperationalError as error:
            connection.rollback()
            if error.sqlstate not in ("40001", "55P03"):
                raise
            counts["overtaken"] += 1
    connection.close()


def _transfer(connection: Any, random_: random.Random, name: str) -> None:
    source, target = random_.sample(range(ACCOUNTS), 2)
    (money,) = connection.execute("SELECT money FROM account WHERE id = ?", (source,)).fetchone()
    amount = random_.randint(0, money)
    connection.execute("UPDATE account SET money = money - ? WHERE id = ?", (amount, source))
    connection.execute("UPDATE account SET money = money + ? WHERE id = ?", (amount, target))
    connection.execute("INSERT INTO transfer VALUES (?, ?)", (name, amount))
    slot = random_.randrange(50)
    connection.execute("UPDATE counter SET n = n + 1 WHERE id = ?", (slot,))
    if random_.random() < 0.05:
        connection.rollback()


def _look(connection: Any, random_: random.Random, name: str) -> None:
    first = _sums(connection)
    assert first[0] == ACCOUNTS * MONEY, first
    assert first[1] == first[2], first
    if random_.random() < 0.3:
        time.sleep(random_.random() * 0.05)
        assert _sums(connection) == first


def _sums(connection: Any) -> tuple[int, int, int]:
    (money,) = connection.execute("SELECT sum(money) FROM account").fetchone()
    (transfers,) = connection.execute("SELECT count(*) FROM transfer").fetchone()
    (counted,) = connection.execute("SELECT sum(n) FROM counter").fetchone()
    return int(money), transfers, int(counted)


def _search(connection: Any, random_: random.Random, name: str) -> None:
    query = [random_.random() for _ in range(8)]
    rows = connection.execute(
        "SELECT id, e <=> ? AS d FROM account ORDER BY d LIMIT 20", (query,)
    ).fetchall()
    assert len({row[0] for row in rows}) == 20, rows
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)


def _tidy(connection: Any, random_: random.Random, name: str) -> None:
    connection.execute(random_.choice(("FLUSH", "OPTIMIZE", "OPTIMIZE TABLE account FULL")))


def threads(place: str, seconds: float, count: int, seed: int) -> Counter[str]:
    """Let some threads work side by side; raises what one of them raised."""
    counts: Counter[str] = Counter()
    failed: list[BaseException] = []

    def one(number: int) -> None:
        try:
            work(place, seconds, seed + number, counts)
        except BaseException as error:
            failed.append(error)

    running = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failed:
        raise failed[0]
    return counts


def stress(seconds: float, thread_count: int, process_count: int) -> Counter[str]:
    """Run threads in this process and in others; returns what was done here."""
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "database")
        prepare(place)
        others = [
            subprocess.Popen(
                [
                    *(sys.executable, __file__, "--seconds", str(seconds)),
                    *("--place", place, "--threads", "1", "--seed", str(1000 * number)),
                ]
            )
            for number in range(1, process_count)
        ]
        counts = threads(place, seconds, thread_count, 0)
        for process in others:
            assert process.wait() == 0, "another process failed"
        with vsql.connect(place) as connection:
            _look(connection, random.Random(0), "last")
            problems = connection.execute("CHECK DATABASE").fetchall()
            assert not problems, problems
    return counts


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--threads", type=int, default=8)
    arguments.add_argument("--processes", type=int, default=4)
    arguments.add_argument("--place")
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    if given.place is not None:
        threads(given.place, given.seconds, given.threads, given.seed)
        return
    counts = stress(given.seconds, given.threads, given.processes)
    print("  ".join(f"{name.strip('_')}: {count}" for name, count in counts.most_common()))


if __name__ == "__main__":
    main()
