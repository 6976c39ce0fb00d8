SELECT id FROM t WHERE n = 3 AND e <-> '[1, 2, 3, 4]' < 2.5 ORDER BY e <-> '[1, 2, 3, 4]' LIMIT 3
----
TopK 3 of t by e <-> '[1, 2, 3, 4]'
  output: id
  filter: n = 3  (index, keeps about 10.00%)
  range: distance < 2.5
t: 0 of 1 segments pruned
segment 1: 200 rows, about 20 match, top 3
