SELECT count(*) FROM t WHERE n = 3
----
Count t
  filter: n = 3  (index, keeps about 10.00%)
t: 0 of 1 segments pruned
