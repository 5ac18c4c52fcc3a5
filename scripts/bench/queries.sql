-- What a city is that questions are asked of.

-- name: count_cases
SELECT count(*), count(*) FILTER (WHERE originator_version = 1) FROM city.events
WHERE originator_id >= 'order:' AND originator_id < 'order;'

-- name: vacuum
VACUUM (ANALYZE) city.events, city.commits

-- name: size
SELECT pg_database_size(current_database())
