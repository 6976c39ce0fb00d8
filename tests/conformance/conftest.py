"""These suites bring plug-ins of their own: each runs in a process of its own."""

collect_ignore = ["alembic", "langchain", "sqlalchemy"]
