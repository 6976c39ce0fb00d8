"""Kills a writing process again and again, and checks that nothing it was promised is lost.

    python tests/crash/harness.py [--kills N] [--seconds S] [--seed N]

After each SIGKILL the database is opened again and compared with the log of acknowledged commits:
every one of them is there, the transaction that was under way is there in whole or not at all,
CHECK DATABASE finds nothing, and after VACUUM no file is left that the catalog does not know.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from model import SETTINGS, Model, state_of

import vsql
from vsql.catalog.catalog import Catalog
from vsql.catalog.collect import files_known

HERE = Path(__file__).parent


class Lost(AssertionError):
    """The database is not what was acknowledged."""


def run(kills: int, seconds: float, seed: int, *, say: bool = True) -> int:
    """Kill and check; returns the number of kills. Raises Lost."""
    random_ = random.Random(seed)
    started = time.monotonic()
    done = transactions = 0
    with tempfile.TemporaryDirectory() as folder:
        place, log = Path(folder) / "database", Path(folder) / "log"
        model = Model()
        while done < kills and time.monotonic() - started < seconds:
            log.write_bytes(b"")
            _kill_writer(place, log, seed * 100_000 + done, random_)
            committed, pending = _acknowledged(log)
            for operations in committed:
                for operation in operations:
                    model.apply(operation)
            transactions += len(committed)
            model = _checked(place, model, pending)
            done += 1
            if say and done % 20 == 0:
                spent = time.monotonic() - started
                print(f"{done} kills, {transactions} commits, {spent:.0f} s", flush=True)
    if say:
        print(f"{done} kills, {transactions} acknowledged commits, none lost, none half-done")
    return done


def _kill_writer(place: Path, log: Path, seed: int, random_: random.Random) -> None:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "writer.py"), str(place), str(log), str(seed)],
        stderr=subprocess.PIPE,
    )
    while b"ready" not in log.read_bytes():
        if process.poll() is not None:
            raise Lost(f"the writer failed: {process.stderr.read().decode()[-2000:]}")
        if random_.random() < 0.0005:
            break
        time.sleep(0.002)
    time.sleep(random_.choice((0.0, 0.01, 0.1, 0.5, 2.0)) * random_.random())
    if process.poll() is not None:
        raise Lost(f"the writer failed: {process.stderr.read().decode()[-2000:]}")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()


def _acknowledged(log: Path) -> tuple[list[list[dict]], list[dict] | None]:
    committed: list[list[dict]] = []
    pending: list[dict] | None = None
    for line in log.read_text().splitlines():
        if line.startswith("begin "):
            try:
                pending = json.loads(line[6:])
            except ValueError:
                pending = None
        elif line == "done" and pending is not None:
            committed.append(pending)
            pending = None
    return committed, pending


def _checked(place: Path, model: Model, pending: list[dict] | None) -> Model:
    """Return the model that the database holds; raises Lost where it is neither of both."""
    connection = vsql.connect(str(place), autocommit=True, background="off", **SETTINGS)
    try:
        found = state_of(connection)
        problems = connection.execute("CHECK DATABASE").fetchall()
        if problems:
            raise Lost(f"CHECK DATABASE: {problems}")
        after = model.copy()
        for operation in pending or ():
            after.apply(operation)
        if found not in (model, after):
            raise Lost(_difference(found, model, after))
        _check_search(connection, found)
        connection.execute("VACUUM")
    finally:
        connection.close()
    _check_files(place)
    return found


def _check_search(connection: Any, found: Model) -> None:
    if not found.rows:
        return
    rows = connection.execute("SELECT id FROM t ORDER BY e <-> '[1,1,2,1]' LIMIT 5").fetchall()
    if len(rows) != min(5, len(found.rows)) or any(row[0] not in found.rows for row in rows):
        raise Lost(f"a search found {rows}")


def _check_files(place: Path) -> None:
    catalog = Catalog.open(place, read_only=True, busy_timeout_ms=1000)
    try:
        known = files_known(catalog)
    finally:
        catalog.close()
    there = {
        str(path.relative_to(place))
        for folder in ("segments", "indexes")
        for path in (place / folder).rglob("*")
        if path.is_file()
    }
    if there != known:
        raise Lost(f"orphans: {sorted(there - known)}, missing: {sorted(known - there)}")


def _difference(found: Model, model: Model, after: Model) -> str:
    missing = sorted(set(model.rows) - set(found.rows))[:10]
    extra = sorted(set(found.rows) - set(model.rows) - set(after.rows))[:10]
    other = [i for i in found.rows if found.rows[i] not in (model.rows.get(i), after.rows.get(i))]
    return (
        f"neither the state before nor after the last transaction: missing {missing}, "
        f"extra {extra}, changed {other[:10]}, tables {found.others} / {model.others}"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=300)
    arguments.add_argument("--seconds", type=float, default=600)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    if run(given.kills, given.seconds, given.seed) < given.kills:
        print("stopped by the clock")


if __name__ == "__main__":
    main()
