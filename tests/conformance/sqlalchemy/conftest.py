"""SQLAlchemy's own test plugin, over the vsql dialect."""

import pytest
from sqlalchemy.dialects import registry

# The suite rebuilds URLs as name+driver: both spellings must be known.
registry.register("vsql", "vsql.dialect", "VsqlDialect")
registry.register("vsql.vsql", "vsql.dialect", "VsqlDialect")
registry.register("vsql.aio", "vsql.dialect.aio", "AsyncVsqlDialect")
pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

# The plugin's hooks, whatever their names; its assertions are rewritten only if named before.
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403  # hooks, after names
