SELECT section, count(*) FROM (SELECT section FROM t ORDER BY e <-> '[1,2,3,4]' LIMIT 20) s GROUP BY section
----
DuckDB
  sql: SELECT section, COUNT(*) AS "count" FROM (SELECT section FROM vsql_input_1 AS t ORDER BY "vsql_ordinal") AS s GROUP BY section
  vsql_input_1:
    TopK 20 of t by e <-> '[1,2,3,4]'
      output: section, vsql_distance
segment 1: 200 rows, about 200 match, top 20
