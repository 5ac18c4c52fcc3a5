-- What lies before a sweep. `_N` stands for the version of the tables.

-- name: open_clocks
SELECT count(*) FILTER (WHERE stopped_at IS NULL AND cancelled_at IS NULL AND due IS NOT NULL), count(DISTINCT order_id)
FROM projections.clocks_N

-- name: moment
-- The instant by which something has come about by itself in about so many orders.
SELECT act_at FROM projections.agenda_N WHERE act_at IS NOT NULL ORDER BY act_at, order_id OFFSET %s LIMIT 1
