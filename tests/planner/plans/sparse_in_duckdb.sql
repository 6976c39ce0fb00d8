SELECT a.id, a.w <=> b.w AS d FROM s a JOIN s b ON a.w = b.w WHERE a.w > '{7:1}/1000' ORDER BY a.w
----
DuckDB
  sql: SELECT a.id, VSQL_SPARSEVEC_COSINE_DISTANCE(a.w, b.w) AS d FROM vsql_input_1 AS a JOIN vsql_input_1 AS b ON a.w = b.w WHERE VSQL_SPARSEVEC_SORT_KEY(a.w) > VSQL_SPARSEVEC_SORT_KEY(CAST('{''dimension'': 1000, ''indices'': [6], ''values'': [1.0]}' AS STRUCT(dimension INT, indices INT[], "values" REAL[]))) ORDER BY VSQL_SPARSEVEC_SORT_KEY(a.w)
  vsql_input_1:
    Scan s (id, w)
