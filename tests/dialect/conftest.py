"""The dialect's two drivers by name, whether or not this tree is the one that is installed."""

from sqlalchemy.dialects import registry

registry.register("vsql", "vsql.dialect", "VsqlDialect")
registry.register("vsql.vsql", "vsql.dialect", "VsqlDialect")
registry.register("vsql.aio", "vsql.dialect.aio", "AsyncVsqlDialect")
