SELECT id FROM t ORDER BY e <=> (SELECT e FROM t WHERE id = 7) LIMIT 5
----
TopK 5 of t by e <=> $vsql_subquery_1
  output: id
  :vsql_subquery_1 is
    Lookup t by primary key = 7
      output: e
segment 1: 200 rows, about 200 match, top 5
