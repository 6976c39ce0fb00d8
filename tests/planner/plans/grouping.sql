SELECT * FROM (SELECT id, n, e <-> '[1, 2, 3, 4]' AS d, row_number() OVER (PARTITION BY n ORDER BY e <-> '[1, 2, 3, 4]') AS place FROM t) AS x WHERE place <= 2 ORDER BY d LIMIT 5
----
DuckDB
  sql: SELECT * FROM (SELECT id, n, "t"."vsql_distance" AS d, ROW_NUMBER() OVER (PARTITION BY n ORDER BY "t"."vsql_distance") AS place FROM vsql_input_1 AS "t") AS x WHERE place <= 2 ORDER BY d LIMIT 5
  vsql_input_1:
    TopK $vsql_depth of t by e <-> '[1, 2, 3, 4]'
      output: id, n, vsql_distance
segment 1: 200 rows, about 200 match, top 10
