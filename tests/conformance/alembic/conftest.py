"""SQLAlchemy's own test plugin, over the vsql dialect."""

import pytest
from sqlalchemy.dialects import registry

registry.register("vsql", "vsql.dialect", "VsqlDialect")
registry.register("vsql.vsql", "vsql.dialect", "VsqlDialect")
pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403

import vsql.dialect.migrations  # noqa: E402, F401
