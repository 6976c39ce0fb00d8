SELECT id FROM t WHERE lower(section) = 's1' ORDER BY e <=> '[1,2,3,4]' LIMIT 5
----
TopK 5 of t by e <=> '[1,2,3,4]'
  output: id
  filter: LOWER(section) = 's1'  (DuckDB, keeps about 0.50%)
t: 0 of 1 segments pruned
segment 1: 200 rows, about 1 match, top 5
