"""What pgvector's users write, here and on a real PostgreSQL: the same rows, the same SQLSTATEs.

This comparison is what "pgvector-compatible" means; docs/pgvector.md says what differs and why.
"""

from collections.abc import Iterator
from typing import Any

import pytest

import vsql
from tests.differential.comparison import on_postgres, on_vsql
from vsql.driver.connection import Connection

SETUP = (
    "CREATE TABLE items (id integer PRIMARY KEY, name text, e vector(3), h halfvec(3), b bit(8))",
    "INSERT INTO items VALUES"
    " (1, 'a', '[1,2,3]', '[1,2,3]', '10101010'),"
    " (2, 'b', '[4,5,6]', '[0.1,5,6]', '11111111'),"
    " (3, 'a', NULL, NULL, NULL),"
    " (4, NULL, '[-1,0.5,2.25]', '[-1,0.5,2.25]', '00000000'),"
    " (5, 'b', '[1,2,3]', '[1,2,3]', '10101010'),"
    " (6, 'c', '[0,0,0]', '[0,0,0]', '00001111')",
    "CREATE TABLE other (id integer PRIMARY KEY, f vector(3), g vector(2))",
    "INSERT INTO other VALUES (1, '[1,1,1]', '[1,1]'), (2, '[4,5,6]', '[4,5]'), (9, NULL, NULL)",
    "CREATE TABLE empty (id integer, e vector(3))",
    "CREATE TABLE texts (id integer, s text, a real[], d double precision[])",
    "INSERT INTO texts VALUES (1, '[1,2,3]', '{1,2,3}', '{1.5,2.5,3.5}'), (2, NULL, NULL, NULL)",
)

V = "'[1,2,3]'::vector"
W = "'[4,-5,0.5]'::vector"
H = "'[1,2,3]'::halfvec"

# Expressions without a table: `SELECT <expression>` must give the same value.
EXPRESSIONS = (
    *(f"{V} {operator} {W}" for operator in ("<->", "<#>", "<=>", "<+>", "+", "-", "*", "||")),
    *(f"{H} {operator} '[4,-5,0.5]'::halfvec" for operator in ("<->", "<#>", "<=>", "<+>")),
    *(f"{H} {operator} '[4,-5,0.5]'::halfvec" for operator in ("+", "-", "*", "||")),
    *(f"{V} {operator} {W}" for operator in ("=", "<>", "!=", "<", "<=", ">", ">=")),
    *(f"{V} {operator} {V}" for operator in ("=", "<>", "<", "<=", ">", ">=")),
    *(f"{V} {operator} '[1,2]'::vector" for operator in ("=", "<>", "<", "<=", ">", ">=")),
    *(f"{H} {operator} '[1,2,4]'::halfvec" for operator in ("=", "<>", "<", "<=", ">", ">=")),
    *(f"{V} {operator} '[1,1,1]'" for operator in ("<->", "+", "=", "<", "||")),
    *(f"'[1,1,1]' {operator} {V}" for operator in ("<->", "-", "=", "<", "||")),
    *(f"{V} {operator} NULL" for operator in ("<->", "<#>", "<=>", "<+>", "+", "||", "=", "<")),
    *(
        f"{name}({V}, {W})"
        for name in ("l2_distance", "inner_product", "cosine_distance", "l1_distance")
    ),
    *(
        f"{name}({H}, '[4,-5,0.5]'::halfvec)"
        for name in ("l2_distance", "inner_product", "cosine_distance", "l1_distance")
    ),
    f"l2_distance({V}, NULL)",
    f"inner_product({V}, '[1,1,1]')",
    f"vector_dims({V})",
    f"vector_dims({H})",
    "vector_dims(NULL::vector)",
    f"vector_norm({V})",
    "vector_norm('[3e20,4e20]'::vector)",
    f"l2_norm({H})",
    f"l2_normalize({V})",
    f"l2_normalize({H})",
    "l2_normalize('[0,0]'::vector)",
    "l2_normalize('[3e38,3e38]'::vector)",
    *(f"subvector({V}, {start}, 2)" for start in (-1, 0, 1, 2, 3, 4)),
    f"subvector({V}, 1, 3)",
    f"subvector({V}, 2, 100)",
    f"subvector({V}, 1, 0)",
    f"subvector({V}, 1, -1)",
    f"subvector({V}, NULL, 1)",
    f"subvector({H}, 2, 2)",
    f"binary_quantize({V} - '[2,2,2]')::text",
    f"binary_quantize({H})::text",
    "binary_quantize('[1,-1,0,0.1,-0.1,2,3,4]'::vector)",
    "binary_quantize('[1,-1,0]'::vector) <~> B'111'",
    "'[1,2,3]'::vector::text",
    "'[1,2,3]'::vector(3)::text",
    "'  [ 1 , 2.50 ,-3e2 ]  '::vector::text",
    "'[+1,.5,5.]'::vector::text",
    "'[1e6,123456,1234567,1e-4,1e-5,-0,0.1]'::vector::text",
    "'[3.4e38,-3.4e38,1e-40]'::vector::text",
    "'[16777216,16777217,0.30000001]'::vector::text",
    "'[0.1,1234,65504,6e-8]'::halfvec::text",
    "'[1,2,3]'::halfvec::vector::text",
    "'[0.1,2,3]'::vector::halfvec::text",
    "'[1e5]'::vector::halfvec",
    "'[1,2,3]'::vector::real[]",
    "'[1,2,3]'::vector::real[]::text IS NOT NULL",
    "ARRAY[1,2,3]::vector",
    "ARRAY[1.5,2.5]::vector",
    "ARRAY[1,2,3]::vector(3)",
    "ARRAY[1,2,3]::real[]::halfvec",
    "ARRAY[1.0,NULL]::vector",
    "'{1,2,3}'::real[]::vector",
    "'{}'::real[]::vector",
    "'{1,NULL}'::real[]::vector",
    "'{NaN}'::real[]::vector",
    "'{Infinity}'::double precision[]::vector",
    "'{1e39}'::double precision[]::vector",
    "ARRAY[1,2]::vector(3)",
    "CAST('[1,2,3]' AS vector(3))",
    "CAST('[1,2,3]' AS vector(2))",
    "'[1,2,3]'::vector(2)",
    "'[1,2,3]'::vector::vector(2)",
    "'[1,2,3]'::halfvec(2)",
    "NULL::vector(3)",
    "vector '[1,2,3]'",
    "''::vector",
    "'[]'::vector",
    "'[ ]'::vector",
    "'[1,2'::vector",
    "'1,2]'::vector",
    "'[1,,2]'::vector",
    "'[1,]'::vector",
    "'[1 2]'::vector",
    "'[1,2]x'::vector",
    "'[1,a]'::vector",
    "'[1_0]'::vector",
    "'[NaN]'::vector",
    "'[1,Infinity]'::vector",
    "'[-inf]'::vector",
    "'[4e38]'::vector",
    "'[1e400]'::vector",
    "'[65520]'::halfvec",
    "'[NaN]'::halfvec",
    "'{1,2}'::vector",
    "'[3e38]'::vector + '[3e38]'",
    "'[-3e38]'::vector - '[3e38]'",
    "'[1e30]'::vector * '[1e30]'",
    "'[1e-30]'::vector * '[1e-30]'",
    "'[60000]'::halfvec + '[60000]'",
    "'[1,2]'::vector + '[1,2,3]'",
    "'[1,2]'::vector - '[1]'",
    "'[1,2]'::vector * '[1,2,3]'",
    *(f"'[1,2]'::vector {operator} '[1,2,3]'" for operator in ("<->", "<#>", "<=>", "<+>")),
    "'[1,2]'::halfvec <-> '[1,2,3]'::halfvec",
    "'[0,0]'::vector <=> '[1,1]'",
    "'[0,0]'::vector <=> '[0,0]'",
    "'[1,1]'::vector <=> '[2,2]'",
    "'[1,1]'::vector <=> '[-1,-1]'",
    "'[3e38]'::vector <-> '[-3e38]'",
    "'[3e38]'::vector <#> '[3e38]'",
    f"{V} + 1",
    f"{V} * 2",
    f"{V} / {V}",
    f"{V} % {V}",
    f"- {V}",
    f"{V} <-> 1",
    f"{V} <-> true",
    f"l2_distance({V})",
    "vector_dims(1)",
    "vector_norm('[1,2]'::vector, 1)",
    f"no_such_function({V})",
    f"{V} <~> {V}",
    f"{V}::integer",
    f"{V}::integer[]",
    f"{V}::bit(3)",
    "1::vector",
    "true::vector",
    "B'1010' <~> B'0110'",
    "B'1010' <%> B'0110'",
    "B'0000' <%> B'0000'",
    "B'0000' <~> B'0000'",
    "'101'::bit(3) <~> '011'::bit(3)",
    "hamming_distance(B'1010', B'0110')",
    "jaccard_distance(B'1110', B'0110')",
    "B'101' <~> B'1010'",
    "B'101' <%> B'1010'",
    "'1011'::bit(3)::text",
    "'1'::bit(3)::text",
    "'12'::bit(2)",
    "B'101'::text",
    "B'10' || B'01' = B'1001'",
    "B'10' < B'11'",
    f"coalesce(NULL, {V})",
    "coalesce(NULL::vector, '[9,9,9]')",
    f"CASE WHEN true THEN {V} ELSE '[0,0,0]' END",
    f"nullif({V}, '[1,2,3]')",
    f"nullif({V}, '[1,2,4]')",
    f"greatest({V}, {W})",
    f"least({V}, {W})",
    f"{V} IN ('[1,2,3]', '[4,5,6]')",
    f"{V} NOT IN ('[1,2,3]', '[4,5,6]')",
    f"{V} IN ('[1,2]')",
    f"{V} IN ('[1,2', '[4]')",
    f"{V} BETWEEN '[1,2,2]' AND '[1,2,4]'",
    f"{V} IS DISTINCT FROM '[1,2,3]'",
    f"{V} IS NOT DISTINCT FROM NULL",
    f"{V} IS NULL",
    f"({V} + {W}) * '[2,2,2]' - {V}",
    f"({V} <-> {W}) + ({V} <=> {W}) * 2",
    f"1 - ({V} <=> {W})",
    f"({V} <#> {W}) * -1",
    f"round(({V} <-> {W})::numeric, 3)",
    f"sqrt(vector_norm({V}) * vector_norm({V}))",
    f"vector_dims(subvector({V}, 1, 2) || {W})",
    f"vector_add({V}, {W})",
    f"vector_sub({V}, {W})",
    f"vector_mul({V}, {W})",
    f"vector_concat({V}, {W})",
    "'[-0]'::vector = '[0]'",
    "'[-0]'::vector::text",
    "'[1,2,3]'::vector(0)",
    "'[1,2,3]'::vector(-1)",
    "'[1,2,3]'::vector(99999)",
)

Q = "'[3,1,2]'"

# Queries over the tables: rows in order where there is ORDER BY, otherwise as a bag.
QUERIES = (
    "SELECT * FROM items ORDER BY id",
    "SELECT e, h, b FROM items",
    "SELECT i.e, i.h, i.b FROM items i JOIN other o ON o.id = i.id ORDER BY i.id",
    *(
        f"SELECT id, e {operator} {Q} AS d FROM items ORDER BY d, id"
        for operator in ("<->", "<#>", "<=>", "<+>")
    ),
    *(
        f"SELECT id, h {operator} {Q} AS d FROM items ORDER BY d, id"
        for operator in ("<->", "<#>", "<=>", "<+>")
    ),
    *(
        f"SELECT id, b {operator} '11110000' AS d FROM items ORDER BY d, id"
        for operator in ("<~>", "<%>")
    ),
    f"SELECT id FROM items ORDER BY e <-> {Q} LIMIT 1",
    f"SELECT id FROM items ORDER BY e <-> {Q}, id LIMIT 3",
    f"SELECT id FROM items ORDER BY e <-> {Q}, id LIMIT 3 OFFSET 2",
    f"SELECT id FROM items ORDER BY e <-> {Q}, id LIMIT 10 OFFSET 5",
    f"SELECT id FROM items ORDER BY e <-> {Q}, id OFFSET 100",
    f"SELECT id FROM items ORDER BY e <-> {Q}, id LIMIT 0",
    f"SELECT id FROM items ORDER BY e <-> {Q} DESC, id LIMIT 3",
    f"SELECT id FROM items ORDER BY e <-> {Q} NULLS FIRST, id LIMIT 3",
    f"SELECT id FROM items ORDER BY e <-> {Q} DESC NULLS LAST, id LIMIT 3",
    f"SELECT id FROM items WHERE id <> 6 ORDER BY e <=> {Q}, id LIMIT 5",
    f"SELECT id FROM items ORDER BY e <=> {Q}, id",
    f"SELECT id, 1 - (e <=> {Q}) AS s FROM items WHERE id < 4 ORDER BY s DESC, id",
    f"SELECT id, (e <#> {Q}) * -1 AS ip FROM items ORDER BY ip DESC NULLS LAST, id",
    f"SELECT id FROM items WHERE e <-> {Q} < 3 ORDER BY id",
    f"SELECT id FROM items WHERE e <-> {Q} < 3 AND name = 'a' ORDER BY id",
    f"SELECT id FROM items WHERE NOT (e <-> {Q} < 3) ORDER BY id",
    f"SELECT id FROM items WHERE e <-> {Q} BETWEEN 1 AND 5 ORDER BY id",
    f"SELECT id FROM items WHERE l2_distance(e, {Q}) > 2 ORDER BY id",
    "SELECT id FROM items WHERE vector_norm(e) > 3 ORDER BY id",
    "SELECT id FROM items WHERE vector_dims(e) = 3 ORDER BY id",
    "SELECT id FROM items WHERE inner_product(e, e) > 14 ORDER BY id",
    "SELECT id FROM items WHERE e = '[1,2,3]' ORDER BY id",
    "SELECT id FROM items WHERE '[1,2,3]' = e ORDER BY id",
    "SELECT id FROM items WHERE e <> '[1,2,3]' ORDER BY id",
    "SELECT id FROM items WHERE e < '[1,2,3]' ORDER BY id",
    "SELECT id FROM items WHERE e >= '[1,2]' ORDER BY id",
    "SELECT id FROM items WHERE h = '[1,2,3]' ORDER BY id",
    "SELECT id FROM items WHERE b = '10101010' ORDER BY id",
    "SELECT id FROM items WHERE b <> B'10101010' ORDER BY id",
    "SELECT id FROM items WHERE b <~> '10101011' <= 1 ORDER BY id",
    "SELECT id FROM items WHERE e IN ('[1,2,3]', '[0,0,0]') ORDER BY id",
    "SELECT id FROM items WHERE e NOT IN ('[1,2,3]', '[0,0,0]') ORDER BY id",
    "SELECT id FROM items WHERE e IN (SELECT f FROM other) ORDER BY id",
    "SELECT id FROM items WHERE e = ANY (SELECT f FROM other) ORDER BY id",
    "SELECT id FROM items WHERE e IS NULL ORDER BY id",
    "SELECT id FROM items WHERE e IS NOT NULL AND h IS NOT NULL ORDER BY id",
    "SELECT id FROM items WHERE e IS DISTINCT FROM '[1,2,3]' ORDER BY id",
    "SELECT id FROM items WHERE e + e = '[2,4,6]' ORDER BY id",
    "SELECT id FROM items WHERE e::text = '[1,2,3]' ORDER BY id",
    "SELECT id FROM items WHERE e::text LIKE '%,0%' ORDER BY id",
    "SELECT id FROM items WHERE e = '[1,2' ORDER BY id",
    "SELECT id FROM items WHERE e <-> '[1,2]' < 1",
    "SELECT id FROM items WHERE b <~> '101' < 1",
    "SELECT id FROM items ORDER BY e <-> '[1,2]' LIMIT 1",
    "SELECT id FROM items ORDER BY e <-> '[1,x,2]' LIMIT 1",
    "SELECT id FROM items ORDER BY e <-> '[1,NaN,2]' LIMIT 1",
    "SELECT id FROM items ORDER BY e <-> '[]' LIMIT 1",
    "SELECT id FROM items ORDER BY b <~> '1010' LIMIT 1",
    "SELECT id FROM items ORDER BY b <~> '1010101x' LIMIT 1",
    "SELECT id FROM items ORDER BY e <~> '101' LIMIT 1",
    "SELECT id FROM items ORDER BY name <-> '[1,2,3]' LIMIT 1",
    "SELECT id FROM items ORDER BY nosuch <-> '[1,2,3]' LIMIT 1",
    "SELECT id FROM items ORDER BY e, id",
    "SELECT id FROM items ORDER BY e DESC, id",
    "SELECT id FROM items ORDER BY e NULLS FIRST, id",
    "SELECT id FROM items ORDER BY b, id",
    "SELECT DISTINCT e FROM items",
    "SELECT DISTINCT h FROM items",
    "SELECT DISTINCT b FROM items",
    "SELECT count(DISTINCT e), count(e), count(*) FROM items",
    "SELECT e, count(*) FROM items GROUP BY e",
    "SELECT e, h, count(*) FROM items GROUP BY e, h",
    "SELECT e, count(*) FROM items GROUP BY e HAVING count(*) > 1",
    "SELECT DISTINCT ON (e) e, id FROM items ORDER BY e, id",
    "SELECT avg(e), sum(e) FROM items",
    "SELECT avg(h), sum(h) FROM items",
    "SELECT name, avg(e), sum(e), count(*) FROM items GROUP BY name ORDER BY name",
    "SELECT avg(e), sum(e) FROM empty",
    "SELECT avg(e) FROM items WHERE e IS NULL",
    "SELECT avg(e + '[1,1,1]') FROM items",
    "SELECT avg(e) + '[1,1,1]' FROM items",
    "SELECT avg(e) <-> '[1,1,1]' FROM items",
    "SELECT l2_normalize(avg(e)) FROM items",
    "SELECT avg(DISTINCT e), sum(DISTINCT e) FROM items",
    "SELECT sum(e) FILTER (WHERE id < 3), avg(e) FILTER (WHERE id > 100) FROM items",
    "SELECT id, sum(e) OVER (ORDER BY id), avg(e) OVER (PARTITION BY name) FROM items ORDER BY id",
    "SELECT id, sum(e) FILTER (WHERE id > 1) OVER (ORDER BY id) FROM items ORDER BY id",
    "SELECT avg(v) FROM (VALUES ('[1,2]'::vector), ('[1,2,3]'::vector)) t(v)",
    "SELECT sum(v) FROM (VALUES ('[3e38]'::vector), ('[3e38]'::vector)) t(v)",
    "SELECT sum(v) FROM (VALUES ('[1,2]'::vector), ('[3,4]')) t(v)",
    "SELECT vector_dims(v) FROM (VALUES ('[1,2]'::vector), ('[1,2,3]')) t(v)",
    "SELECT name, avg(e) AS c FROM items GROUP BY name ORDER BY avg(e) <-> '[1,1,1]', name",
    f"SELECT id, min(e <-> {Q}) FROM items GROUP BY id ORDER BY id",
    f"SELECT name, min(e <-> {Q}), avg(e <-> {Q}) FROM items GROUP BY name ORDER BY name",
    "SELECT id, e + h::vector FROM items ORDER BY id",
    "SELECT id, (e || e)::text, subvector(e, 2, 2) FROM items ORDER BY id",
    "SELECT id, l2_normalize(e), l2_normalize(h), vector_norm(e) FROM items ORDER BY id",
    "SELECT id, binary_quantize(e)::text FROM items ORDER BY id",
    "SELECT id, e::real[], e::halfvec, e::text, h::text, b::text FROM items ORDER BY id",
    "SELECT id, s::vector, a::vector, d::vector FROM texts ORDER BY id",
    "SELECT id, s::vector(2) FROM texts ORDER BY id",
    "SELECT id, a::vector(2) FROM texts ORDER BY id",
    "SELECT id, coalesce(e, '[7,7,7]') FROM items ORDER BY id",
    "SELECT id, CASE WHEN id < 3 THEN e ELSE '[7,7,7]' END FROM items ORDER BY id",
    "SELECT i.id, o.id, i.e <-> o.f FROM items i, other o ORDER BY i.id, o.id",
    "SELECT i.id, o.id FROM items i JOIN other o ON i.e = o.f",
    "SELECT i.id, o.id FROM items i LEFT JOIN other o ON i.e <-> o.f < 4 ORDER BY i.id, o.id",
    "SELECT i.id, i.e <-> o.g FROM items i, other o ORDER BY i.id",
    "SELECT e <-> (SELECT e FROM items WHERE id = 1) AS d, id FROM items ORDER BY d, id",
    "SELECT id FROM items WHERE id <> 1"
    " ORDER BY e <-> (SELECT e FROM items WHERE id = 1), id LIMIT 3",
    "WITH q AS (SELECT avg(e) AS m FROM items)"
    " SELECT i.id, i.e <-> q.m FROM items i, q ORDER BY i.id",
    "WITH near AS (SELECT id, e FROM items ORDER BY e <-> '[1,1,1]', id LIMIT 3)"
    " SELECT id, e + e, vector_norm(e) FROM near ORDER BY id",
    "WITH near AS (SELECT *, e <-> '[1,1,1]' AS d FROM items)"
    " SELECT id, e, h, b FROM near WHERE d < 6 ORDER BY d, id",
    "SELECT s.v <-> '[1,1,1]' FROM (SELECT e AS v FROM items WHERE id < 3) s",
    "SELECT (SELECT e FROM items WHERE id = 1) + '[1,1,1]'",
    "SELECT o.id, n.id, n.d FROM other o CROSS JOIN LATERAL"
    " (SELECT id, e <-> o.f AS d FROM items ORDER BY e <-> o.f, id LIMIT 2) n"
    " WHERE o.f IS NOT NULL ORDER BY o.id, n.d, n.id",
    "SELECT id, e FROM items UNION SELECT id, f FROM other",
    "SELECT e FROM items INTERSECT SELECT f FROM other",
    "SELECT e FROM items EXCEPT SELECT f FROM other",
    "SELECT id FROM (SELECT id, b FROM items ORDER BY b <~> '11110000', id LIMIT 4) s ORDER BY id",
    "SELECT id, row_number() OVER (ORDER BY e <-> '[1,1,1]', id) FROM items ORDER BY id",
    "SELECT id, lag(e) OVER (ORDER BY id) FROM items ORDER BY id",
    "SELECT array_agg(id ORDER BY e <-> '[1,1,1]', id) FROM items",
    "SELECT EXISTS (SELECT 1 FROM items WHERE e = '[4,5,6]')",
    "SELECT id FROM items WHERE binary_quantize(e) = B'111' ORDER BY id",
    "SELECT id FROM items"
    " ORDER BY binary_quantize(e)::bit(3) <~> binary_quantize('[1,-1,1]'::vector), id LIMIT 3",
    "SELECT i.id FROM (SELECT * FROM items WHERE e IS NOT NULL"
    " ORDER BY binary_quantize(e)::bit(3) <~> '101', id LIMIT 4) i ORDER BY i.e <=> '[1,-1,1]', id"
    " LIMIT 2",
    "SELECT unnest(e::real[]) FROM items WHERE id = 2",
    "SELECT id FROM items ORDER BY subvector(e, 1, 2)::vector(2) <-> '[1,2]', id LIMIT 3",
    "SELECT id FROM items ORDER BY e::halfvec(3) <-> '[3,1,2]', id LIMIT 3",
)

# What only vsql takes, or takes otherwise.
MORE = (
    "SELECT '[1,2]' <-> '[3,4]'",
    "SELECT vector_dims('[1,2]')",
    "SELECT '[1,2,3]'::vector <-> ARRAY[1,2,3]",
    "SELECT vector_dims(ARRAY[1,2])",
    "SELECT max(e)::text FROM items",
)

# Statements that write: the last one reads, or fails.
SCRIPTS = (
    ("INSERT INTO items (id, e) VALUES (7, '[1,2]')",),
    ("INSERT INTO items (id, e) VALUES (7, '[1,2,3,4]')",),
    ("INSERT INTO items (id, e) VALUES (7, '[1,2,x]')",),
    ("INSERT INTO items (id, e) VALUES (7, '[1,NaN,2]')",),
    ("INSERT INTO items (id, e) VALUES (7, '[1,Infinity,2]')",),
    ("INSERT INTO items (id, e) VALUES (7, '[1,4e38,2]')",),
    ("INSERT INTO items (id, e) VALUES (7, '[]')",),
    ("INSERT INTO items (id, h) VALUES (7, '[1,70000,2]')",),
    ("INSERT INTO items (id, b) VALUES (7, '1010')",),
    ("INSERT INTO items (id, b) VALUES (7, '1010101x')",),
    ("INSERT INTO items (id, b) VALUES (7, B'10101011')", "SELECT b FROM items WHERE id = 7"),
    ("INSERT INTO items (id, e) VALUES (7, ARRAY[1,2,3])", "SELECT e FROM items WHERE id = 7"),
    ("INSERT INTO items (id, e) VALUES (7, ARRAY[1,2])",),
    ("INSERT INTO items (id, e) VALUES (7, '[1,2,3]'::vector)", "SELECT e FROM items WHERE id = 7"),
    ("INSERT INTO items (id, e) VALUES (7, '[1,2]'::vector)",),
    (
        "INSERT INTO items (id, e) VALUES (7, '[1,2,3]'::vector + '[1,1,1]')",
        "SELECT e FROM items WHERE id = 7",
    ),
    ("INSERT INTO items (id, e) VALUES (7, 5)",),
    ("INSERT INTO items (id, e) VALUES (1, '[1,2,3]')",),
    (
        "INSERT INTO items (id, e) VALUES (1, '[9,9,9]')"
        " ON CONFLICT (id) DO UPDATE SET e = EXCLUDED.e",
        "SELECT e FROM items WHERE id = 1",
    ),
    (
        "INSERT INTO items (id, e) VALUES (1, '[9,9,9]')"
        " ON CONFLICT (id) DO UPDATE SET e = items.e + EXCLUDED.e",
        "SELECT e FROM items WHERE id = 1",
    ),
    (
        "INSERT INTO items (id, e) VALUES (1, '[9,9,9]') ON CONFLICT DO NOTHING",
        "SELECT e FROM items WHERE id = 1",
    ),
    (
        "INSERT INTO items (id, e) SELECT id + 100, f FROM other",
        "SELECT id, e FROM items ORDER BY id",
    ),
    (
        "INSERT INTO items (id, e) SELECT id + 100, f * '[2,2,2]' FROM other",
        "SELECT id, e FROM items ORDER BY id",
    ),
    ("INSERT INTO items (id, e) SELECT id + 100, g FROM other",),
    (
        "INSERT INTO items (id, b) SELECT id + 100, b FROM items WHERE b IS NOT NULL",
        "SELECT id, b FROM items ORDER BY id",
    ),
    (
        "INSERT INTO items (id, h) SELECT id + 100, e FROM items",
        "SELECT id, h FROM items ORDER BY id",
    ),
    ("INSERT INTO items (id, e) VALUES (7, '[1,2,3]') RETURNING id, e, vector_norm(e)",),
    ("UPDATE items SET e = '[7,7,7]' WHERE id = 1 RETURNING e",),
    ("UPDATE items SET e = e + '[1,1,1]'", "SELECT id, e FROM items ORDER BY id"),
    ("UPDATE items SET e = l2_normalize(e), h = e", "SELECT id, e, h FROM items ORDER BY id"),
    (
        "UPDATE items SET e = NULL WHERE e = '[1,2,3]'",
        "SELECT id FROM items WHERE e IS NULL ORDER BY id",
    ),
    ("UPDATE items SET e = '[1,2]'",),
    ("UPDATE items SET e = subvector(e, 1, 2)",),
    ("UPDATE items SET b = B'11110000' WHERE id = 1", "SELECT b FROM items WHERE id = 1"),
    (
        "UPDATE items SET e = o.f FROM other o WHERE o.id = items.id",
        "SELECT id, e FROM items ORDER BY id",
    ),
    ("DELETE FROM items WHERE e <-> '[1,2,3]' < 1", "SELECT id FROM items ORDER BY id"),
    ("DELETE FROM items WHERE e = '[1,2,3]'", "SELECT id FROM items ORDER BY id"),
    ("CREATE TABLE t (e vector(3))", "INSERT INTO t VALUES ('[1,2,3]')", "SELECT * FROM t"),
    ("CREATE TABLE t (e vector(0))",),
    ("CREATE TABLE t (e vector(99999))",),
    ("CREATE TABLE t (e vector(3, 4))",),
    ("CREATE TABLE t (e vector(x))",),
    ("CREATE TABLE t (e bit(0))",),
    ("CREATE TABLE t (e bit(4))",),
    (
        "CREATE TABLE t (e halfvec(2), f halfvec(2) DEFAULT '[1,2]')",
        "INSERT INTO t (e) VALUES ('[3,4]')",
        "SELECT * FROM t",
    ),
    ("CREATE TABLE t (e vector(2) NOT NULL)", "INSERT INTO t VALUES (NULL)"),
    (
        "CREATE TABLE t (id int, e vector(2), CHECK (vector_norm(e) < 10))",
        "INSERT INTO t VALUES (1, '[30,40]')",
    ),
    (
        "CREATE TABLE t (id int, e vector(2), CHECK (vector_dims(e) = 2))",
        "INSERT INTO t VALUES (1, '[30,40]')",
        "SELECT * FROM t",
    ),
    (
        "CREATE TABLE t"
        " (e vector(2), n double precision GENERATED ALWAYS AS (vector_norm(e)) STORED)",
        "INSERT INTO t (e) VALUES ('[3,4]')",
        "SELECT * FROM t",
    ),
    (
        "ALTER TABLE other ADD COLUMN v vector(2)",
        "UPDATE other SET v = '[1,2]' WHERE id = 1",
        "SELECT id, v FROM other ORDER BY id",
    ),
    ("CREATE TABLE t AS SELECT id, e + e AS d, b FROM items", "SELECT * FROM t ORDER BY id"),
    (
        "CREATE VIEW w AS SELECT id, e FROM items WHERE e IS NOT NULL",
        "SELECT id, e <-> '[1,1,1]' AS d FROM w ORDER BY d, id LIMIT 2",
    ),
    *(
        (
            f"CREATE INDEX ON items USING hnsw (e {kind})",
            f"SELECT id FROM items ORDER BY e {operator} {Q}, id LIMIT 3",
        )
        for kind, operator in (
            ("vector_l2_ops", "<->"),
            ("vector_ip_ops", "<#>"),
            ("vector_l1_ops", "<+>"),
        )
    ),
    (
        "CREATE INDEX ON items USING hnsw (e vector_cosine_ops) WITH (m = 8, ef_construction = 32)",
        f"SELECT id FROM items WHERE id <> 6 ORDER BY e <=> {Q}, id LIMIT 3",
    ),
    (
        "CREATE INDEX named ON items USING ivfflat (e vector_l2_ops) WITH (lists = 1)",
        f"SELECT id FROM items ORDER BY e <-> {Q}, id LIMIT 3",
    ),
    (
        "CREATE INDEX ON items USING hnsw (h halfvec_l2_ops)",
        f"SELECT id FROM items ORDER BY h <-> {Q}, id LIMIT 3",
    ),
    (
        "CREATE INDEX ON items USING hnsw (b bit_hamming_ops)",
        "SELECT id FROM items ORDER BY b <~> '11110000', id LIMIT 3",
    ),
    ("CREATE INDEX ON items USING hnsw (e)",),
    ("CREATE INDEX ON items USING hnsw (e nosuch_ops)",),
    ("CREATE INDEX ON items USING hnsw (e halfvec_l2_ops)",),
    ("CREATE INDEX ON items USING hnsw (e bit_hamming_ops)",),
    ("CREATE INDEX ON items USING hnsw (name vector_l2_ops)",),
    ("CREATE INDEX ON items USING hnsw (nosuch vector_l2_ops)",),
    ("CREATE INDEX ON nosuch USING hnsw (e vector_l2_ops)",),
    ("CREATE INDEX ON items USING nosuch (e vector_l2_ops)",),
    ("CREATE INDEX ON items USING hnsw (e vector_l2_ops) WITH (m = 1)",),
    ("CREATE INDEX ON items USING hnsw (e vector_l2_ops) WITH (m = 1000)",),
    ("CREATE INDEX ON items USING hnsw (e vector_l2_ops) WITH (nosuch = 1)",),
    ("CREATE INDEX ON items USING ivfflat (e vector_l2_ops) WITH (lists = 0)",),
    (
        "CREATE INDEX n ON items USING hnsw (e vector_l2_ops)",
        "CREATE INDEX n ON items USING hnsw (e vector_l2_ops)",
    ),
    (
        "CREATE INDEX IF NOT EXISTS n ON items USING hnsw (e vector_l2_ops)",
        "DROP INDEX n",
        "DROP INDEX n",
    ),
    ("CREATE INDEX CONCURRENTLY n ON items USING hnsw (e vector_l2_ops)",),
    ("SET hnsw.ef_search = 100", f"SELECT id FROM items ORDER BY e <-> {Q}, id LIMIT 3"),
    ("SET LOCAL ivfflat.probes = 10", f"SELECT id FROM items ORDER BY e <-> {Q}, id LIMIT 3"),
    ("SET hnsw.ef_search = 0",),
    (
        "SET hnsw.iterative_scan = strict_order",
        f"SELECT id FROM items ORDER BY e <-> {Q}, id LIMIT 3",
    ),
    ("CREATE EXTENSION IF NOT EXISTS vector", "SELECT 1"),
    (
        "PREPARE p (vector) AS SELECT id FROM items ORDER BY e <-> $1, id LIMIT 2",
        "EXECUTE p ('[1,1,1]')",
    ),
)


# What differs, by its last statement; docs/pgvector.md has a line for each reason.
DIFFERENT: dict[str, str] = {
    "SELECT '[1,2,3]'::vector::integer[]": "a vector is cast to an array of any number type",
    "SELECT '[1,2,3]'::vector(-1)": "the parser refuses a sign there: 42601 for 22023",
    "CREATE TABLE t (e vector(x))": "the parser refuses a word there: 42601 for 22P02",
    f"SELECT id FROM items ORDER BY e <+> {Q}, id LIMIT 3": "no index kind for L1 yet",
    "SELECT id FROM items ORDER BY b <~> '11110000', id LIMIT 3": "a graph over bits is BIN_HNSW",
    "CREATE INDEX ON items USING hnsw (e)": "the default operator class is cosine",
    "CREATE INDEX ON items USING ivfflat (e vector_l2_ops) WITH (lists = 0)": "0 means: choose",
    "CREATE INDEX CONCURRENTLY n ON items USING hnsw (e vector_l2_ops)": "DDL is transactional",
    "CREATE TABLE t (e bit(4))": "the length of BIT is a multiple of 8",
    "SELECT '[1,2]' <-> '[3,4]'": "text beside text is read as vectors",
    "SELECT vector_dims('[1,2]')": "text is read as a vector",
    "SELECT '[1,2,3]'::vector <-> ARRAY[1,2,3]": "an array beside a vector is read as one",
    "SELECT vector_dims(ARRAY[1,2])": "an array is read as a vector",
    "SELECT max(e)::text FROM items": "vectors have an order, so also max() and min()",
}


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with vsql.connect(":memory:") as connection:
        for statement in SETUP:
            connection.execute(statement)
        connection.commit()
        yield connection


@pytest.fixture(scope="module")
def tables(postgres: Any) -> Any:
    for statement in SETUP:
        postgres.execute(statement)
    postgres.commit()
    return postgres


CASES = (
    *((f"SELECT {expression}",) for expression in EXPRESSIONS),
    *((query,) for query in (*QUERIES, *MORE)),
    *SCRIPTS,
)


SAME = tuple(script for script in CASES if script[-1] not in DIFFERENT)
EXTENSIONS = tuple(script for script in CASES if script[-1] in DIFFERENT)


@pytest.mark.parametrize("script", SAME, ids=["; ".join(script) for script in SAME])
def test_same(script: tuple[str, ...], connection: Connection, tables: Any) -> None:
    assert on_vsql(connection, script) == on_postgres(tables, script)


@pytest.mark.parametrize("script", EXTENSIONS, ids=["; ".join(script) for script in EXTENSIONS])
def test_different(script: tuple[str, ...], connection: Connection, tables: Any) -> None:
    """A difference that is gone must leave the list, and the documentation."""
    assert on_vsql(connection, script) != on_postgres(tables, script)


def test_differences_are_tried() -> None:
    assert set(DIFFERENT) == {script[-1] for script in EXTENSIONS}
