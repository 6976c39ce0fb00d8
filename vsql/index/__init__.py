"""Index kinds: structures that find the rows of one segment, by nearness or by key.

`registry` knows the kinds by name; everything heavy (faiss) loads with the first build,
load or search.
"""
