"""Expressions that give something else each time that they are computed."""

from sqlglot import exp

WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge)

VOLATILE_FUNCTIONS = frozenset(
    (
        # Those that duckdb_functions() does not call consistent.
        *("current_connection_id", "current_database", "current_date", "current_query"),
        *("current_query_id", "current_schema", "current_schemas", "current_setting"),
        *("current_transaction_id", "currval", "error", "gen_random_uuid", "get_current_time"),
        *("get_current_timestamp", "getvariable", "in_search_path", "nextval", "now", "random"),
        *("setseed", "setval", "sleep_ms", "stats", "today", "transaction_timestamp"),
        *("txid_current", "uuid", "uuidv4", "uuidv7", "vector_type", "write_log"),
        # PostgreSQL's other names of clocks.
        *("clock_timestamp", "current_time", "current_timestamp", "localtime", "localtimestamp"),
        "statement_timestamp",
    )
)


def is_volatile(tree: exp.Expr) -> bool:
    """Whether a query gives other rows when it runs again over the same data, or changes them."""
    if tree.find(exp.TableSample, *WRITES) is not None:
        return True
    return any(not VOLATILE_FUNCTIONS.isdisjoint(_names(f)) for f in tree.find_all(exp.Func))


def _names(function: exp.Func) -> set[str]:
    names = [function.name] if isinstance(function, exp.Anonymous) else function.sql_names()
    return {name.lower() for name in names}
