-- When each order of a city next has to be looked at by a sweep: one row an order. `_N` stands for the version.

-- name: create
CREATE TABLE projections.agenda_N (
    order_id uuid NOT NULL,
    no bigint NOT NULL,
    act_at timestamptz,
    left_at timestamptz,
    last_due timestamptz
)

-- name: index
ALTER TABLE projections.agenda_N ADD PRIMARY KEY (order_id, no);
CREATE INDEX ON projections.agenda_N (act_at, order_id) WHERE act_at IS NOT NULL;
CREATE INDEX ON projections.agenda_N (left_at, order_id) WHERE left_at IS NOT NULL;
CREATE INDEX ON projections.agenda_N (last_due) WHERE last_due IS NOT NULL

-- name: drop
DROP TABLE IF EXISTS projections.agenda_N

-- name: delete
DELETE FROM projections.agenda_N WHERE order_id = ANY ($1::uuid[])

-- name: delete_rows
DELETE FROM projections.agenda_N AS r
USING unnest($1::uuid[], $2::bigint[]) AS w(order_id, no)
WHERE r.order_id = w.order_id AND r.no = w.no

-- name: of_orders
SELECT * FROM projections.agenda_N WHERE order_id = ANY ($1::uuid[])

-- name: copy
COPY projections.agenda_N FROM STDIN (FORMAT BINARY)

-- name: reached
-- Another calendar day moves no due instant before it, and no reminder that is counted back from one.
SELECT order_id FROM projections.agenda_N WHERE last_due >= $1::timestamptz

-- name: reached_by_outages
-- An outage moves evaluation windows that would end inside it: never fewer rows than that.
SELECT r.order_id
FROM unnest($1::timestamptz[], $2::timestamptz[]) AS o(from_at, until)
JOIN projections.agenda_N AS r ON r.last_due > o.from_at

-- name: differences
SELECT count(*) FROM (
    (SELECT * FROM projections.agenda_N EXCEPT ALL SELECT * FROM projections.agenda_M)
    UNION ALL
    (SELECT * FROM projections.agenda_M EXCEPT ALL SELECT * FROM projections.agenda_N)
) AS d

-- name: due
SELECT act_at, order_id FROM projections.agenda_N
WHERE act_at <= $1::timestamptz
    AND ($2::timestamptz IS NULL OR (act_at, order_id) > ($2::timestamptz, $3::uuid))
ORDER BY act_at, order_id LIMIT $4::bigint

-- name: left
SELECT left_at, order_id FROM projections.agenda_N
WHERE left_at <= $1::timestamptz
    AND ($2::timestamptz IS NULL OR (left_at, order_id) > ($2::timestamptz, $3::uuid))
ORDER BY left_at, order_id LIMIT $4::bigint
