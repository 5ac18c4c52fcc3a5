-- Rows that a tree reads, without what nobody reads here.

-- name: fill
INSERT INTO city.events (position, originator_id, originator_version, topic, state, salt, leaf, commit, recorded_at)
SELECT n, 'order:' || n, 1, 'bench', '{}', '\x00', sha256(n::text::bytea), n, clock_timestamp()
FROM generate_series(1, %(count)s) AS n

-- name: read
SELECT position, leaf FROM city.events WHERE position > %(after)s ORDER BY position LIMIT %(limit)s
