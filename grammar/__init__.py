"""The grammar: text to sqlglot trees and typed statements. It knows nothing of storage."""

if __name__ != "vsql.grammar":
    raise ImportError("import vsql.grammar, not grammar")
