"""What Alembic's suite may ask of vsql; what is closed has its reason beside it."""

from typing import Any

from alembic.testing.requirements import SuiteRequirements
from sqlalchemy.testing import exclusions

from vsql.dialect.requirements import Requirements as Dialect

# vsql enforces no foreign keys and keeps none: there is nothing to compare.
_no_foreign_keys: Any = property(lambda self: exclusions.closed())


class Requirements(Dialect, SuiteRequirements):
    """The dialect's, where Alembic's suite does not ask more closely."""

    autocommit_isolation = property(lambda self: exclusions.open())
    fk_names = foreign_key_name_reflection = _no_foreign_keys
    fk_ondelete_restrict = fk_onupdate_restrict = _no_foreign_keys
