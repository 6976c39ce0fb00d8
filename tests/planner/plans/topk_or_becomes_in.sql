SELECT id FROM t WHERE section = 's1' OR section = 's2' ORDER BY e <-> '[1,2,3,4]' LIMIT 5
----
TopK 5 of t by e <-> '[1,2,3,4]'
  output: id
  filter: section IN ('s1', 's2')  (columns, keeps about 50.00%)
t: 0 of 1 segments pruned
segment 1: 200 rows, about 100 match, top 5
