SELECT id FROM t WHERE n BETWEEN 1 AND NULL AND coalesce(n, NULL) IS NULL
----
Scan t
  output: id
  filter: n BETWEEN 1 AND NULL  (columns, keeps about 23.33%)
  filter: COALESCE(n, NULL) IS NULL  (DuckDB, keeps about 0.50%)
t: 0 of 1 segments pruned
