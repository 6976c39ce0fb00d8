"""The executor: plans and a snapshot in, Arrow out. One operator, one file."""

if __name__ != "vsql.executor":
    raise ImportError("import vsql.executor, not executor")
