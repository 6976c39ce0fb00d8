"""The planner: trees and facts in, physical plans out. It never touches bytes."""

if __name__ != "vsql.planner":
    raise ImportError("import vsql.planner, not planner")
