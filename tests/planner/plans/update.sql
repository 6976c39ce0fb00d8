UPDATE t SET n = n + 1 WHERE section LIKE 's%'
----
Update t (n)
  filter: section LIKE 's%'  (columns, keeps about 5.00%)
