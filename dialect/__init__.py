"""The SQLAlchemy dialect's room; the dialect itself stands in it later."""

if __name__ != "vsql.dialect":
    raise ImportError("import vsql.dialect, not dialect")
