-- Tables that the library's own runner keeps, in the shape of ours.

-- name: sample
SELECT e.originator_id, e.originator_version, e.topic, e.state, e.recorded_at, e.occurred_at, c.origin, c.actor, c.numbers
FROM city.events AS e
JOIN city.commits AS c ON c.first_position = e.commit
WHERE e.originator_id >= 'order:' AND e.originator_id < 'order;'
ORDER BY e.position LIMIT $1::bigint

-- name: create
CREATE TABLE IF NOT EXISTS projections.stock_orders (LIKE projections.orders_1 INCLUDING ALL);
CREATE TABLE IF NOT EXISTS projections.stock_clocks (LIKE projections.clocks_1 INCLUDING ALL);
TRUNCATE projections.stock_orders, projections.stock_clocks

-- name: delete_order
DELETE FROM projections.stock_orders WHERE id = $1::uuid

-- name: insert_order
INSERT INTO projections.stock_orders VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
    $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42,
    $43, $44, $45
)

-- name: delete_clocks
DELETE FROM projections.stock_clocks WHERE order_id = $1::uuid

-- name: insert_clock
INSERT INTO projections.stock_clocks VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
    $23, $24
)
