"""SQLAlchemy's dialect suite, unchanged."""

from sqlalchemy.testing.suite import *  # noqa: F403  # the suite's tests, whatever their names
