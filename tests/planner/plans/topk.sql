SELECT id, e <=> '[1,2,3,4]' AS d FROM t ORDER BY d LIMIT 5
----
TopK 5 of t by e <=> '[1,2,3,4]'
  output: id, d
segment 1: 200 rows, about 200 match, top 5
