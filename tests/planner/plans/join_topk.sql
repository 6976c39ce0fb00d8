SELECT a.id, b.section FROM t a JOIN t b ON b.id = a.n WHERE a.section = 's1' AND b.n = 4 ORDER BY a.e <-> '[1, 2, 3, 4]' LIMIT 3
----
DuckDB
  sql: SELECT a.id, b.section FROM vsql_input_1 AS "a" JOIN vsql_input_2 AS b ON b.id = a.n WHERE b.n = 4 ORDER BY "a"."vsql_ordinal" LIMIT 3
  vsql_input_1:
    TopK $vsql_depth of t by e <-> '[1, 2, 3, 4]'
      output: id, section, n, vsql_distance
      filter: n IN ($vsql_subquery_1)  (index, keeps about 10.00%)
      filter: section = 's1'  (columns, keeps about 25.00%)
      :vsql_subquery_1 is
        Scan t
          output: id
          filter: n = 4  (index, keeps about 10.00%)
  vsql_input_2:
    Scan t (id, section, n)
t: 0 of 1 segments pruned
segment 1: 200 rows, about 5 match, top 10
