SELECT id FROM t WHERE NOT n < 8 LIMIT 3
----
Scan t, limit 3
  output: id
  filter: n >= 8  (index, keeps about 20.00%)
t: 0 of 1 segments pruned
