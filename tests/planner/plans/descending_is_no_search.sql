SELECT id FROM t ORDER BY e <=> '[1,2,3,4]' DESC LIMIT 5
----
DuckDB
  sql: SELECT id FROM vsql_input_1 AS t ORDER BY CAST(ARRAY_COSINE_DISTANCE(e, CAST('[1.0,2.0,3.0,4.0]' AS REAL[4])) AS DOUBLE) DESC NULLS FIRST LIMIT 5
  vsql_input_1:
    Scan t (id, e)
