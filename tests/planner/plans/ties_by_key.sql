SELECT id, e <=> '[1, 2, 3, 4]' AS d FROM t ORDER BY d, id LIMIT 3
----
TopK 3 of t by e <=> '[1, 2, 3, 4]'
  output: id, d
segment 1: 200 rows, about 200 match, top 3
