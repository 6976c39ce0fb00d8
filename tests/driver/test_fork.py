"""A forked child opens its own connections; its parent's are refused, and unharmed."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import vsql

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    # The worker's thread is alive when the parent forks: that is the case to test.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def _in_child(check: Callable[[], None]) -> int:
    """Run a function in a forked child, and return its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            check()
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_childs_use_of_its_parents_connection_is_refused(tmp_path: Path) -> None:
    parent = vsql.connect(str(tmp_path / "db"), autocommit=True)
    parent.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    cursor = parent.execute("SELECT 1")

    def check() -> None:
        for use in (
            lambda: parent.execute("SELECT 1"),
            lambda: cursor.execute("INSERT INTO t VALUES (1)"),
            cursor.fetchone,
            parent.commit,
            parent.rollback,
            parent.cursor,
            parent.close,
        ):
            with pytest.raises(vsql.InterfaceError, match="process that opened it") as caught:
                use()
            assert "connect again" in str(caught.value)

    assert _in_child(check) == 0
    assert cursor.fetchone() == (1,)
    parent.execute("INSERT INTO t VALUES (1)")
    parent.close()


def test_a_child_connects_anew(tmp_path: Path) -> None:
    place = str(tmp_path / "db")
    parent = vsql.connect(place, autocommit=True)
    parent.execute("CREATE TABLE t (id INT PRIMARY KEY, e VECTOR(2))")
    parent.execute("INSERT INTO t VALUES (1, '[1,0]')")
    parent.execute("SELECT sum(id) FROM t").fetchall()
    # Many rows: OpenMP starts its threads, which the child does not have.
    rows = [(number, [number, 1]) for number in range(10, 20_010)]
    parent.executemany("INSERT INTO t VALUES (?, ?)", rows)
    nearest = "SELECT id FROM t ORDER BY e <-> ? LIMIT 1"
    assert parent.execute(nearest, ([1, 0],)).fetchone() == (1,)

    def check() -> None:
        with vsql.connect(place, autocommit=True) as own:
            own.execute("INSERT INTO t VALUES (2, '[0,1]')")
            assert own.execute("SELECT count(id) FROM t").fetchone() == (20_002,)
            assert own.execute(nearest, ([0, 1],)).fetchone() == (2,)
            assert own.execute("SELECT pg_backend_pid()").fetchone() == (os.getpid(),)

    assert _in_child(check) == 0
    assert parent.execute("SELECT count(*) FROM t").fetchone() == (20_002,)
    parent.execute("INSERT INTO t VALUES (3, '[1,1]')")
    assert parent.execute(nearest, ([1, 1],)).fetchone() == (3,)
    parent.close()
