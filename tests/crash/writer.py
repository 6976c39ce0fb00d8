"""A process that writes random transactions until it is killed, and tells which were acknowledged.

    python writer.py DATABASE LOG SEED

Each line of the log is `begin <operations>` before a transaction, and `done` once its commit came
back. The log is written without buffering, so what was acknowledged is in it when the process dies.
"""

import random
import sys
from typing import Any

from model import CREATE, SETTINGS, Operation, encode, random_transaction, state_of, statements

import vsql


def main() -> None:
    place, log, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    random_ = random.Random(seed)
    connection = vsql.connect(place, **SETTINGS)
    connection.execute(CREATE)
    connection.commit()
    model = state_of(connection)
    connection.rollback()
    with open(log, "ab", buffering=0) as file:
        file.write(b"ready\n")
        for number in range(1_000_000):
            operations = random_transaction(model, random_, seed * 1000 + number)
            file.write(f"begin {encode(operations)}\n".encode())
            while not _run(connection, operations):
                pass
            file.write(b"done\n")
            for operation in operations:
                model.apply(operation)


def _run(connection: Any, operations: list[Operation]) -> bool:
    """Run a transaction; False where the background work overtook it, and it must run again."""
    try:
        for operation in operations:
            for sql, rows in statements(operation):
                connection.executemany(sql, rows)
        connection.commit()
    except vsql.OperationalError as error:
        connection.rollback()
        if error.sqlstate != "40001":
            raise
        return False
    return True


if __name__ == "__main__":
    main()
