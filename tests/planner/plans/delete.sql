DELETE FROM t WHERE n = 3
----
Delete from t
  filter: n = 3  (index, keeps about 10.00%)
t: 0 of 1 segments pruned
