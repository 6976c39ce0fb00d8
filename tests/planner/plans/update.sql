UPDATE t SET n = n + 1 WHERE section LIKE 's%'
----
Update t (n)
  filter: section LIKE 's%'  (columns, keeps about 100.00%)
t: 0 of 1 segments pruned
