"""The bytes: immutable segment files read through memory maps, and rows that are still growing."""
