"""The ground floor: words that every room uses (errors, types, schema, settings, protocols)."""
