"""SQLAlchemy's suite has a plugin of its own: it runs in a process of its own."""

collect_ignore = ["sqlalchemy"]
