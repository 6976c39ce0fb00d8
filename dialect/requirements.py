"""What SQLAlchemy's dialect suite may ask of vsql; what is closed has its reason beside it."""

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

_FOREIGN_KEYS = "vsql enforces no foreign keys and keeps none"


def _closed(reason: str) -> Any:
    """Return a requirement that does not hold; the reason stands where it is closed."""
    assert reason
    return exclusions.closed()


class Requirements(SuiteRequirements):
    """Closed are only those that truly can't hold."""

    # Their DDL is accepted and left out, so that tables with relationships can be made.
    foreign_keys = property(lambda self: exclusions.open())
    foreign_key_constraint_reflection = property(lambda self: _closed(_FOREIGN_KEYS))
    self_referential_foreign_keys = property(lambda self: exclusions.open())
    implicitly_named_constraints = property(lambda self: exclusions.open())
    supports_distinct_on = property(lambda self: exclusions.open())
    schemas = property(lambda self: exclusions.open())
    views = property(lambda self: exclusions.open())
    temp_table_names = property(lambda self: exclusions.open())
    temporary_tables = property(lambda self: exclusions.open())
    comment_reflection = property(lambda self: exclusions.open())
    check_constraint_reflection = property(lambda self: exclusions.open())
    unique_constraint_reflection = property(lambda self: exclusions.open())
    reflects_indexes_w_sorting = property(
        lambda self: _closed("a sorted index is walked both ways, its direction is not kept")
    )
    sequences = property(lambda self: _closed("identity columns, no sequences"))
    identity_columns = property(
        lambda self: _closed("identity columns begin with 1: START WITH is not known")
    )
    computed_columns = property(lambda self: exclusions.open())
    computed_columns_stored = property(lambda self: exclusions.open())
    computed_columns_reflect_persisted = property(lambda self: exclusions.open())
    unique_constraints_reflect_as_index = property(lambda self: exclusions.open())
    computed_columns_default_persisted = property(lambda self: exclusions.open())
    reflect_table_options = property(lambda self: exclusions.open())
    implements_get_lastrowid = property(lambda self: _closed("RETURNING gives keys, no row ids"))
    server_side_cursors = property(
        lambda self: _closed("the suite knows them by its own drivers' names; test_aio.py has them")
    )
    reflects_pk_names = property(lambda self: exclusions.open())
    computed_columns_virtual = property(lambda self: _closed("generated columns are stored"))
    window_functions = property(lambda self: exclusions.open())
    ctes = property(lambda self: exclusions.open())
    intersect = property(lambda self: exclusions.open())
    except_ = property(lambda self: exclusions.open())
    savepoints = property(lambda self: exclusions.open())
    json_type = property(lambda self: exclusions.open())
    array_type = property(lambda self: exclusions.open())
    uuid_data_type = property(lambda self: exclusions.open())
    datetime_timezone = property(lambda self: exclusions.open())
    datetime_microseconds = property(lambda self: exclusions.open())
    timestamp_microseconds = property(lambda self: exclusions.open())
    time_microseconds = property(lambda self: exclusions.open())
    date_historic = property(lambda self: exclusions.open())
    datetime_historic = property(lambda self: exclusions.open())
    tuple_in = property(lambda self: exclusions.open())
    autocommit = property(lambda self: exclusions.open())
    fetch_first = property(lambda self: exclusions.open())
    order_by_col_from_union = property(lambda self: exclusions.open())
    nullsordering = property(lambda self: exclusions.open())
    regexp_match = property(lambda self: exclusions.open())
    isolation_level = property(
        lambda self: _closed("one level, snapshot; AUTOCOMMIT is tested under its own name")
    )
