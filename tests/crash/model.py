"""What the crash test's transactions do, to the database and to a plain Python model alike."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Operation = dict[str, Any]
CREATE = "CREATE TABLE IF NOT EXISTS t (id BIGINT PRIMARY KEY, v TEXT NOT NULL, e VECTOR(4))"
SETTINGS = {"seal_rows": 60, "segment_rows": 400, "retention": "0"}


@dataclass
class Model:
    """The rows of table t by id, and the names of the other tables with their row counts."""

    rows: dict[int, str] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)

    def copy(self) -> "Model":
        return Model(dict(self.rows), dict(self.others))

    def apply(self, operation: Operation) -> None:
        """Do what an operation does to the database."""
        match operation["kind"]:
            case "upsert" | "insert":
                self.rows.update(dict.fromkeys(operation["ids"], operation["value"]))
            case "delete":
                for id_ in [i for i in self.rows if i % operation["of"] == operation["rest"]]:
                    del self.rows[id_]
            case "update":
                for id_ in [i for i in self.rows if i % operation["of"] == operation["rest"]]:
                    self.rows[id_] = operation["value"]
            case "create":
                self.others[operation["name"]] = operation["rows"]
            case "drop":
                del self.others[operation["name"]]
            case _:
                pass


def random_transaction(model: Model, random_: random.Random, number: int) -> list[Operation]:
    """Return the operations of one transaction, as they fit the model."""
    seen = model.copy()
    operations: list[Operation] = []
    for _ in range(random_.choice((1, 1, 1, 2, 4))):
        operation = _random_operation(seen, random_, number)
        seen.apply(operation)
        operations.append(operation)
    return operations


def _random_operation(model: Model, random_: random.Random, number: int) -> Operation:
    kind = random_.choices(
        ("insert", "upsert", "delete", "update", "create", "drop", "flush", "optimize", "index"),
        (10, 6, 4, 4, 1, 1, 2, 1, 1),
    )[0]
    value = f"v{number}"
    if kind == "insert":
        first = max(model.rows, default=0) + 1
        count = random_.choice((1, 1, 5, 30, 150))
        return {"kind": kind, "ids": list(range(first, first + count)), "value": value}
    if kind == "upsert":
        highest = max(model.rows, default=0) + 5
        ids = sorted({random_.randint(1, highest) for _ in range(random_.choice((1, 10, 80)))})
        return {"kind": kind, "ids": ids, "value": value}
    if kind in ("delete", "update"):
        of = random_.choice((7, 13, 40))
        return {"kind": kind, "of": of, "rest": random_.randrange(of), "value": value}
    if kind == "create":
        return {"kind": kind, "name": f"x{number}_{len(model.others)}", "rows": 5}
    if kind == "drop" and model.others:
        return {"kind": kind, "name": random_.choice(sorted(model.others))}
    return {"kind": kind if kind != "drop" else "flush"}


def statements(operation: Operation) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Yield the SQL of an operation with its sets of parameters."""
    match operation["kind"]:
        case "insert" | "upsert":
            word = operation["kind"].upper()
            rows = [(i, operation["value"], [i % 7, 1, 2, i % 3]) for i in operation["ids"]]
            yield f"{word} INTO t (id, v, e) VALUES (?, ?, ?)", rows
        case "delete":
            yield "DELETE FROM t WHERE id % ? = ?", [(operation["of"], operation["rest"])]
        case "update":
            row = (operation["value"], operation["of"], operation["rest"])
            yield "UPDATE t SET v = ? WHERE id % ? = ?", [row]
        case "create":
            name = operation["name"]
            yield f"CREATE TABLE {name} (a INT)", [()]
            yield f"INSERT INTO {name} VALUES (?)", [(n,) for n in range(operation["rows"])]
        case "drop":
            yield f"DROP TABLE {operation['name']}", [()]
        case "flush":
            yield "FLUSH", [()]
        case "optimize":
            yield "OPTIMIZE", [()]
        case "index":
            yield "DROP INDEX IF EXISTS t_e", [()]
            yield "CREATE INDEX t_e ON t USING HNSW (e)", [()]


def state_of(connection: Any) -> Model:
    """Return what a database holds, as a model."""
    names = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
    rows = dict(connection.execute("SELECT id, v FROM t").fetchall()) if "t" in names else {}
    others = {
        name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        for name in names
        if name != "t"
    }
    return Model(rows, others)


def encode(operations: list[Operation]) -> str:
    return json.dumps(operations)
