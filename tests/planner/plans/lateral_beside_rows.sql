SELECT q.id, x.n, x.d FROM t q LEFT JOIN LATERAL (SELECT n, e <-> q.e AS d FROM t WHERE section = 's1' ORDER BY d LIMIT 3) x ON true WHERE q.n = 2 ORDER BY q.id, x.d DESC LIMIT 9
----
Batch of searches, one per row of t, by e, limit 9
  output: id, n, d
  order: id, d descending, NULL first
  left join: rows that find nothing stay
  TopK 3 of t by e <-> query
    output: n, d
    filter: section = 's1'  (columns, keeps about 25.00%)
  Scan t
    output: id, e
    filter: n = 2  (index, keeps about 10.00%)
t: 0 of 1 segments pruned
t: 0 of 1 segments pruned
segment 1: 200 rows, about 50 match, top 3
