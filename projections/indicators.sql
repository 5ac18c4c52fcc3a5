-- The facts that a city's indicators count: one row a fact. `_N` stands for the version of the table.

-- name: create
CREATE TABLE projections.indicators_N (
    order_id uuid NOT NULL,
    no bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    unit text COLLATE "C" NOT NULL,
    hit boolean NOT NULL,
    also boolean NOT NULL,
    seconds bigint,
    exempt boolean NOT NULL,
    provisional boolean NOT NULL,
    demand_type text COLLATE "C" NOT NULL,
    category text NOT NULL,
    district text NOT NULL
)

-- name: index
ALTER TABLE projections.indicators_N ADD PRIMARY KEY (order_id, no);
CREATE INDEX ON projections.indicators_N (at)
    INCLUDE (kind, unit, hit, also, exempt, provisional, demand_type, district, seconds);
CREATE INDEX ON projections.indicators_N (at) INCLUDE (kind, unit, exempt, demand_type, district, order_id)
    WHERE kind IN ('redo', 'closed');
CREATE INDEX ON projections.indicators_N (unit, at)

-- name: drop
DROP TABLE IF EXISTS projections.indicators_N

-- name: delete
DELETE FROM projections.indicators_N WHERE order_id = ANY ($1::uuid[])

-- name: delete_rows
DELETE FROM projections.indicators_N AS r
USING unnest($1::uuid[], $2::bigint[]) AS w(order_id, no)
WHERE r.order_id = w.order_id AND r.no = w.no

-- name: of_orders
SELECT * FROM projections.indicators_N WHERE order_id = ANY ($1::uuid[])

-- name: copy
COPY projections.indicators_N FROM STDIN (FORMAT BINARY)

-- name: reached
-- Another calendar day moves no due instant before it, nor makes one known that was presumed.
SELECT order_id FROM projections.indicators_N
WHERE kind IN ('dispatch', 'sign', 'transfer', 'co_reply', 'handle', 'overdue_item', 'notice', 'follow_up')
    AND at >= $1::timestamptz

-- name: differences
SELECT count(*) FROM (
    (SELECT * FROM projections.indicators_N EXCEPT ALL SELECT * FROM projections.indicators_M)
    UNION ALL
    (SELECT * FROM projections.indicators_M EXCEPT ALL SELECT * FROM projections.indicators_N)
) AS d

-- name: of_order
SELECT * FROM projections.indicators_N WHERE order_id = $1::uuid ORDER BY no

-- name: tally
-- Counts by kind and by one of unit, type or area; a period is [from, until).
SELECT kind,
    CASE $3::text WHEN 'unit' THEN unit WHEN 'type' THEN demand_type WHEN 'area' THEN district ELSE '' END AS part,
    exempt, count(*), count(*) FILTER (WHERE hit), count(*) FILTER (WHERE also), count(*) FILTER (WHERE hit AND also),
    count(seconds), coalesce(sum(seconds), 0)::bigint
FROM projections.indicators_N
WHERE at >= $1::timestamptz AND at < $2::timestamptz
    AND NOT provisional
    AND ($4::text[] IS NULL OR unit = ANY ($4::text[]))
    AND ($5::text IS NULL OR demand_type = $5::text)
    AND ($6::text IS NULL OR district = $6::text)
GROUP BY 1, 2, 3

-- name: redone
-- Orders done again, and orders closed or done again: an order counts once however often (I16).
SELECT CASE $3::text WHEN 'unit' THEN unit WHEN 'type' THEN demand_type WHEN 'area' THEN district ELSE '' END AS part,
    count(DISTINCT order_id) FILTER (WHERE kind = 'redo'), count(DISTINCT order_id)
FROM projections.indicators_N
WHERE at >= $1::timestamptz AND at < $2::timestamptz AND kind IN ('redo', 'closed') AND NOT exempt
    AND ($4::text[] IS NULL OR unit = ANY ($4::text[]))
    AND ($5::text IS NULL OR demand_type = $5::text)
    AND ($6::text IS NULL OR district = $6::text)
GROUP BY 1

-- name: behind
-- The orders behind a figure.
SELECT * FROM projections.indicators_N
WHERE kind = $1::text AND at >= $2::timestamptz AND at < $3::timestamptz
    AND ($4::text[] IS NULL OR unit = ANY ($4::text[]))
    AND ($5::boolean IS NULL OR hit = $5::boolean)
    AND ($6::timestamptz IS NULL OR (at, order_id, no) > ($6::timestamptz, $7::uuid, $8::bigint))
ORDER BY at, order_id, no LIMIT $9::bigint
