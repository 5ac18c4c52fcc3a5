-- What the orders of a city are found by. `_N` stands for the version of the table.

-- name: create
CREATE TABLE projections.search_N (
    order_id uuid NOT NULL,
    registered_at timestamptz NOT NULL,
    text text NOT NULL,
    grams text[] NOT NULL
)

-- name: index
ALTER TABLE projections.search_N ADD PRIMARY KEY (order_id);
CREATE INDEX ON projections.search_N USING gin (grams) WITH (fastupdate = off)

-- name: drop
DROP TABLE IF EXISTS projections.search_N

-- name: delete
DELETE FROM projections.search_N WHERE order_id = ANY ($1::uuid[])

-- name: delete_rows
DELETE FROM projections.search_N AS r
USING unnest($1::uuid[], $2::bigint[]) AS w(order_id, no)
WHERE r.order_id = w.order_id

-- name: of_orders
SELECT * FROM projections.search_N WHERE order_id = ANY ($1::uuid[])

-- name: copy
COPY projections.search_N FROM STDIN (FORMAT BINARY)

-- name: reached
-- No calendar changes what an order is called.
SELECT order_id FROM projections.search_N WHERE false AND registered_at >= $1::timestamptz

-- name: differences
SELECT count(*) FROM (
    (SELECT * FROM projections.search_N EXCEPT ALL SELECT * FROM projections.search_M)
    UNION ALL
    (SELECT * FROM projections.search_M EXCEPT ALL SELECT * FROM projections.search_N)
) AS d

-- name: nothing
SELECT 1

-- name: find_among_newest
-- What most orders have is found among the last few; the index of pairs would first gather all that have it.
SELECT n.order_id FROM (
    SELECT * FROM projections.search_N
    WHERE $3::uuid IS NULL OR order_id < $3::uuid
    ORDER BY order_id DESC LIMIT $5::bigint
) AS n
WHERE n.grams @> $1::text[] AND n.text LIKE ALL ($2::text[])
ORDER BY n.order_id DESC LIMIT $4::bigint

-- name: find
-- The index finds what has every pair; the words themselves then stand in the text. The newest first.
WITH found AS MATERIALIZED (
    SELECT order_id FROM projections.search_N
    WHERE grams @> $1::text[]
        AND text LIKE ALL ($2::text[])
        AND ($3::uuid IS NULL OR order_id < $3::uuid)
)
SELECT order_id FROM found ORDER BY order_id DESC LIMIT $4::bigint
