"""The driver: PEP 249 connections and cursors. `vsql.connect` is the way in."""
