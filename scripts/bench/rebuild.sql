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
DROP TABLE IF EXISTS projections.orders_1, projections.clocks_1, projections.notices_1, projections.duties_1,
    projections.indicators_1, projections.search_1;
TRUNCATE projections.versions, projections.active

-- name: written
SELECT regexp_replace(relname, '_1$', ''), n_tup_ins + n_tup_upd + n_tup_del
FROM pg_catalog.pg_stat_user_tables WHERE schemaname = %s AND relname ~ '_1$' ORDER BY relname
