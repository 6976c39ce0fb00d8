SELECT id FROM s WHERE id > 3 ORDER BY w <#> '{7:1}/1000' LIMIT 5
----
TopK 5 of s by w <#> '{7:1}/1000'
  output: id
  filter: id > 3  (index, keeps about 84.21%)
s: 0 of 1 segments pruned
segment 1: 20 rows, about 17 match, top 5
