-- What the rebuild of tables is measured beside.

-- name: count_cases
SELECT count(*), count(DISTINCT originator_id) FROM city.events
WHERE originator_id >= 'order:' AND originator_id < 'order;'

-- name: copy_out
COPY (
    SELECT * FROM city.events
    WHERE originator_id >= 'order:' AND originator_id < 'order;'
    ORDER BY originator_id, originator_version
) TO STDOUT (FORMAT BINARY)

-- name: forget
DROP TABLE IF EXISTS projections.orders_1, projections.clocks_1;
TRUNCATE projections.versions, projections.active
