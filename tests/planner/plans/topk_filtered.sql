SELECT id FROM t WHERE section = 's1' AND n < 3 ORDER BY e <-> '[1,2,3,4]' LIMIT 5 OFFSET 2
----
TopK 5, offset 2 of t by e <-> '[1,2,3,4]'
  output: id
  filter: n < 3  (index, keeps about 30.00%)
  filter: section = 's1'  (columns, keeps about 25.00%)
t: 0 of 1 segments pruned
segment 1: 200 rows, about 15 match, top 5
