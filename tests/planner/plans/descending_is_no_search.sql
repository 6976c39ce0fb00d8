SELECT id FROM t ORDER BY e <=> '[1,2,3,4]' DESC LIMIT 5
----
DuckDB
  sql: SELECT id FROM vsql_input_1 AS t ORDER BY "t"."vsql_distance_1" DESC NULLS FIRST LIMIT 5
  vsql_input_1:
    Scan t (id, e <=> '[1,2,3,4]')
