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
    excluded text COLLATE "C" NOT NULL,
    provisional boolean NOT NULL,
    settles timestamptz,
    in_outage boolean NOT NULL,
    assumed boolean NOT NULL,
    demand_type text COLLATE "C" NOT NULL,
    category text NOT NULL,
    district text NOT NULL
)

-- name: index
ALTER TABLE projections.indicators_N ADD PRIMARY KEY (order_id, no);
CREATE INDEX ON projections.indicators_N (at)
    INCLUDE (kind, unit, hit, also, exempt, excluded, provisional, settles, assumed, demand_type, district, seconds);
CREATE INDEX ON projections.indicators_N (at)
    INCLUDE (kind, unit, exempt, excluded, assumed, demand_type, district, order_id, seconds)
    WHERE kind IN ('redo', 'closing', 'closed', 'age');
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
-- Another calendar day moves no due instant before it, nor makes one known that was presumed. One of 24:00 stands a
-- millisecond before it.
SELECT order_id, CASE kind WHEN 'unit_notice' THEN 'matter' ELSE 'order' END FROM projections.indicators_N
WHERE kind IN ('dispatch', 'sign', 'transfer', 'co_reply', 'handle', 'overdue', 'notice', 'follow_up', 'unit_notice')
    AND at >= $1::timestamptz - interval '1 millisecond'

-- name: reached_by_outages
-- An outage marks what falls due inside it, its last instant included; a due instant of 24:00 stands a millisecond before it.
SELECT f.order_id, CASE f.kind WHEN 'unit_notice' THEN 'matter' ELSE 'order' END
FROM unnest($1::timestamptz[], $2::timestamptz[]) AS o(from_at, until)
JOIN projections.indicators_N AS f ON f.at >= o.from_at - interval '1 millisecond' AND f.at <= o.until
    AND f.kind IN ('dispatch', 'sign', 'transfer', 'co_reply', 'handle', 'response', 'overdue', 'notice', 'follow_up', 'unit_notice')

-- name: reached_by_units
-- An upheld appeal of an heir takes out what its predecessor did: which cases have one, no row of theirs says before.
SELECT split_part(originator_id, ':', 2)::uuid FROM city.events
WHERE originator_id > 'order:' AND originator_id < 'order;' AND topic = 'order.appeal_decided'

-- name: differences
SELECT count(*) FROM (
    (SELECT * FROM projections.indicators_N EXCEPT ALL SELECT * FROM projections.indicators_M)
    UNION ALL
    (SELECT * FROM projections.indicators_M EXCEPT ALL SELECT * FROM projections.indicators_N)
) AS d

-- name: of_order
SELECT * FROM projections.indicators_N WHERE order_id = $1::uuid ORDER BY no

-- name: tally
-- Counts by kind and by one of unit, type or area; a period is [from, until). What an extension keeps undecided counts
-- when that is over (8.9).
SELECT CASE $3::text WHEN 'unit' THEN unit WHEN 'type' THEN demand_type WHEN 'area' THEN district ELSE '' END AS part,
    kind, hit, also, exempt, excluded, count(*), count(seconds), coalesce(sum(seconds), 0)::bigint
FROM projections.indicators_N
WHERE at >= $1::timestamptz AND at < $2::timestamptz
    AND NOT provisional
    AND (settles IS NULL OR settles < $2::timestamptz)
    AND ($4::text[] IS NULL OR unit = ANY ($4::text[]))
    AND ($5::text IS NULL OR demand_type = $5::text)
    AND ($6::text IS NULL OR district = $6::text)
    AND ($7::boolean OR NOT assumed)
GROUP BY 1, 2, 3, 4, 5, 6

-- name: redone
-- Orders done again, and orders closed or done again: an order counts once however often (I16).
SELECT CASE $3::text WHEN 'unit' THEN unit WHEN 'type' THEN demand_type WHEN 'area' THEN district ELSE '' END AS part,
    count(DISTINCT order_id) FILTER (WHERE kind = 'redo'), count(DISTINCT order_id)
FROM projections.indicators_N
WHERE at >= $1::timestamptz AND at < $2::timestamptz AND kind IN ('redo', 'closing') AND NOT exempt
    AND NOT 'I16' = ANY (string_to_array(excluded, ','))
    AND ($4::text[] IS NULL OR unit = ANY ($4::text[]))
    AND ($5::text IS NULL OR demand_type = $5::text)
    AND ($6::text IS NULL OR district = $6::text)
    AND ($7::boolean OR NOT assumed)
GROUP BY 1

-- name: medians
-- Of each part the two values in the middle, which are one where there is an odd number of them (I25).
SELECT part, kind, count(*), (array_agg(seconds ORDER BY seconds))[(count(*) + 1) / 2],
    (array_agg(seconds ORDER BY seconds))[count(*) / 2 + 1]
FROM (
    SELECT CASE $3::text WHEN 'unit' THEN unit WHEN 'type' THEN demand_type WHEN 'area' THEN district ELSE '' END AS part,
        kind, seconds
    FROM projections.indicators_N
    WHERE at >= $1::timestamptz AND at < $2::timestamptz AND kind IN ('closed', 'age') AND seconds IS NOT NULL
        AND NOT 'I25' = ANY (string_to_array(excluded, ','))
        AND ($4::text[] IS NULL OR unit = ANY ($4::text[]))
        AND ($5::text IS NULL OR demand_type = $5::text)
        AND ($6::text IS NULL OR district = $6::text)
        AND ($7::boolean OR NOT assumed)
) AS f
GROUP BY 1, 2

-- name: behind
-- The facts that are counted by any of some terms ($8 kind, $9 hit, $10 also; null: whichever) and by none of others
-- ($11, $12, $13), the earliest first. Once ($16): of an order only the earliest, and ($17) none of one that the others take.
SELECT * FROM projections.indicators_N AS r
WHERE r.at >= $1::timestamptz AND r.at < $2::timestamptz
    AND NOT r.provisional
    AND (r.settles IS NULL OR r.settles < $2::timestamptz)
    AND ($3::text[] IS NULL OR r.unit = ANY ($3::text[]))
    AND ($4::text IS NULL OR r.demand_type = $4::text)
    AND ($5::text IS NULL OR r.district = $5::text)
    AND ($6::boolean OR NOT r.assumed)
    AND NOT ($7::boolean AND r.exempt)
    AND EXISTS (
        SELECT FROM unnest($8::text[], $9::boolean[], $10::boolean[]) AS w(kind, hit, also)
        WHERE r.kind = w.kind AND r.hit = coalesce(w.hit, r.hit) AND r.also = coalesce(w.also, r.also)
    )
    AND NOT EXISTS (
        SELECT FROM unnest($11::text[], $12::boolean[], $13::boolean[]) AS w(kind, hit, also)
        WHERE r.kind = w.kind AND r.hit = coalesce(w.hit, r.hit) AND r.also = coalesce(w.also, r.also)
    )
    AND NOT $14::text = ANY (string_to_array(r.excluded, ','))
    AND NOT ($15::boolean AND r.seconds IS NULL)
    AND NOT ($16::boolean AND EXISTS (
        SELECT FROM projections.indicators_N AS e
        WHERE e.order_id = r.order_id AND e.at >= $1::timestamptz AND e.at < $2::timestamptz
            AND ((e.kind = ANY ($8::text[]) AND (e.at, e.no) < (r.at, r.no)) OR ($17::boolean AND e.kind = ANY ($11::text[])))
            AND NOT e.exempt AND NOT $14::text = ANY (string_to_array(e.excluded, ','))
            AND ($3::text[] IS NULL OR e.unit = ANY ($3::text[]))
            AND ($4::text IS NULL OR e.demand_type = $4::text)
            AND ($5::text IS NULL OR e.district = $5::text)
            AND ($6::boolean OR NOT e.assumed)
    ))
    AND ($18::timestamptz IS NULL OR (r.at, r.order_id, r.no) > ($18::timestamptz, $19::uuid, $20::bigint))
ORDER BY r.at, r.order_id, r.no LIMIT $21::bigint

-- name: left_out
-- What upheld appeals took out of the figures of a period, and whose breaches fell into an outage (8.11).
SELECT * FROM projections.indicators_N
WHERE at >= $1::timestamptz AND at < $2::timestamptz AND (excluded <> '' OR (in_outage AND NOT hit))
ORDER BY at, order_id, no LIMIT $3::bigint

-- name: of_units
-- Every fact of some units in a period: what one of them changes is counted again without it.
SELECT * FROM projections.indicators_N WHERE at >= $1::timestamptz AND at < $2::timestamptz AND unit = ANY ($3::text[])
ORDER BY at, order_id, no

-- name: returned
-- Orders that units gave back so often, with consent; each at its dispatch.
SELECT order_id, count(*), max(at) FROM projections.indicators_N
WHERE kind = 'given_back' AND also AND NOT assumed AND at >= $1::timestamptz
GROUP BY order_id HAVING count(*) >= $2::bigint ORDER BY order_id

-- name: crowded
SELECT unit, category, count(DISTINCT order_id), max(at) FROM projections.indicators_N
WHERE kind = 'dispatched' AND NOT assumed AND at >= $1::timestamptz AND unit <> ''
GROUP BY unit, category HAVING count(DISTINCT order_id) >= $2::bigint ORDER BY unit, category

-- name: rated
SELECT unit, count(*), count(*) FILTER (WHERE hit), max(at) FROM projections.indicators_N
WHERE kind = 'evaluated' AND NOT exempt AND NOT assumed AND NOT 'I9' = ANY (string_to_array(excluded, ',')) AND at >= $1::timestamptz AND unit <> ''
GROUP BY unit HAVING count(*) >= $2::bigint ORDER BY unit

-- name: duplicates
SELECT order_id FROM projections.indicators_N WHERE kind = 'registered' AND hit AND NOT assumed AND at >= $1::timestamptz ORDER BY order_id
