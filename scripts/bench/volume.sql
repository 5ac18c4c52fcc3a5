-- How copies of cases come into a ledger.

-- name: commits
SELECT c.first_position, c.n, c.command_id, c.digest, c.recorded_at, c.occurred_at, c.origin, c.actor, c.on_behalf_of,
    c.reason, c.numbers, c.correlation_id, c.causation_id, c.trace_id, c.salt
FROM city.commits AS c ORDER BY c.first_position

-- name: events
SELECT e.position, e.originator_id, e.originator_version, e.topic, e.state, e.salt, e.leaf, e.commit, e.recorded_at,
    e.occurred_at
FROM city.events AS e ORDER BY e.position

-- name: lock
SELECT pos, recorded_at FROM city.head FOR UPDATE

-- name: copy_events
COPY city.events (position, originator_id, originator_version, topic, state, salt, leaf, commit, recorded_at, occurred_at)
FROM STDIN (FORMAT BINARY)

-- name: copy_commits
COPY city.commits (first_position, n, command_id, digest, recorded_at, occurred_at, origin, actor, on_behalf_of, reason,
    numbers, correlation_id, causation_id, trace_id, salt)
FROM STDIN (FORMAT BINARY)

-- name: move_head
UPDATE city.head SET pos = $1::bigint, recorded_at = $2::timestamptz

-- name: analyze
ANALYZE city.events, city.commits
