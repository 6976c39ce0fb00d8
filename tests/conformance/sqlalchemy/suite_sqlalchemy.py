"""SQLAlchemy's dialect suite, unchanged."""

from sqlalchemy.testing.suite import *  # noqa: F403
