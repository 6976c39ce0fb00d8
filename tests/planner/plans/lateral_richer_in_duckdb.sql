SELECT q.id + 1, x.n FROM t q CROSS JOIN LATERAL (SELECT n FROM t ORDER BY e <-> q.e LIMIT 3) x
----
DuckDB
  sql: SELECT q.id + 1 AS "?column?", x.n FROM vsql_input_1 AS "q" JOIN (SELECT n, "t"."vsql_inner_row" FROM vsql_input_2 AS t) AS x ON "q"."vsql_outer_row" = "x"."vsql_inner_row"
  vsql_input_1:
    Scan t (id, n, e)
  vsql_input_2:
    Batch of searches, one per row of t, by e
      TopK 3 of t by e <-> query
        output: n, vsql_distance
segment 1: 200 rows, about 200 match, top 3
