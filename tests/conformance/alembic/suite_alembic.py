"""Alembic's suite for dialects, unchanged."""

from alembic.testing.suite import *  # noqa: F403  # the suite's tests, whatever their names
