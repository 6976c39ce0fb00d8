SELECT upper(section) FROM t ORDER BY e <=> '[1,2,3,4]' LIMIT 5
----
DuckDB
  sql: SELECT UPPER(section) AS "upper" FROM vsql_input_1 AS t ORDER BY "vsql_ordinal"
  vsql_input_1:
    TopK 5 of t by e <=> '[1,2,3,4]'
      output: section, vsql_distance
segment 1: 200 rows, about 200 match, top 5
