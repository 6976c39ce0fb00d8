SELECT id FROM t WHERE n * n * n > NULL OR n = -CAST(NULL AS INTEGER) OR n = 3
----
Scan t
  output: id
  filter: NULL OR NULL OR n = 3  (columns, keeps about 49.38%)
t: 0 of 1 segments pruned
