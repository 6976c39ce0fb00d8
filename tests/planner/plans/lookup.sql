SELECT section FROM t WHERE id = 5
----
Lookup t by primary key = 5
  output: section
