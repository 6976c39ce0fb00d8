SELECT id, n, e <-> '[1, 2, 3, 4]' AS d FROM t WHERE n < 5 QUALIFY row_number() OVER (PARTITION BY n ORDER BY e <-> '[1, 2, 3, 4]') <= 2 ORDER BY d LIMIT 5
----
DuckDB
  sql: SELECT id, n, "t"."vsql_distance" AS d FROM vsql_input_1 AS "t" QUALIFY ROW_NUMBER() OVER (PARTITION BY n ORDER BY "t"."vsql_distance") <= 2 ORDER BY "t"."vsql_ordinal" LIMIT 5
  vsql_input_1:
    TopK $vsql_depth of t by e <-> '[1, 2, 3, 4]'
      output: id, n, vsql_distance
      filter: n < 5  (index, keeps about 50.00%)
t: 0 of 1 segments pruned
segment 1: 200 rows, about 100 match, top 10
