SELECT id, rrf(e <-> '[1, 2, 3, 4]', e <=> '[4, 3, 2, 1]', k => 20) AS s FROM t WHERE n = 3 ORDER BY s LIMIT 3
----
Fusion 3 of t by rrf of 2 searches, k => 20
  output: id, s
  filter: n = 3  (index, keeps about 10.00%)
  search by e <-> '[1, 2, 3, 4]'
  search by e <=> '[4, 3, 2, 1]'
t: 0 of 1 segments pruned
segment 1: 200 rows, about 20 match, top 10
segment 1: 200 rows, about 20 match, top 10
