WITH near AS (SELECT id FROM t ORDER BY e <-> '[1,2,3,4]' LIMIT 3) SELECT * FROM near JOIN t USING (id)
----
DuckDB
  sql: WITH near AS (SELECT id FROM vsql_input_1 AS t ORDER BY "vsql_ordinal") SELECT * FROM near JOIN vsql_input_2 AS t USING (id)
  vsql_input_1:
    TopK 3 of t by e <-> '[1,2,3,4]'
      output: id, vsql_distance
  vsql_input_2:
    Scan t (id, section, n, meta, e)
segment 1: 200 rows, about 200 match, top 3
