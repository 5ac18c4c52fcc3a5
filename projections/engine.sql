-- What the engine keeps about its tables, and how it reads the ledger.

-- name: exists
SELECT to_regclass(format('%I.active', $1::text)) IS NOT NULL

-- name: create
CREATE TABLE IF NOT EXISTS projections.versions (
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    form bigint NOT NULL,
    position bigint NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('building', 'following', 'retired', 'dropped')),
    blocked_at bigint,
    error text NOT NULL DEFAULT '',
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, version)
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS projections.active (
    name text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL
)

-- name: begin_version
INSERT INTO projections.versions (name, version, form, position, state)
SELECT $1::text, coalesce(max(version), 0) + 1, $2::bigint, 0, 'building' FROM projections.versions WHERE name = $1::text
RETURNING version

-- name: begin_first
-- Whoever comes second waits here for the first, and makes nothing.
INSERT INTO projections.versions (name, version, form, position, state) VALUES ($1::text, 1, $2::bigint, 0, 'following')
ON CONFLICT DO NOTHING RETURNING version

-- name: activate
INSERT INTO projections.active (name, version) VALUES ($1::text, $2::bigint)
ON CONFLICT (name) DO UPDATE SET version = excluded.version

-- name: versions
SELECT v.name, v.version, v.form, v.position, v.state, a.version IS NOT NULL, v.blocked_at, v.error, v.moved_at
FROM projections.versions AS v
LEFT JOIN projections.active AS a ON a.name = v.name AND a.version = v.version
WHERE v.state <> 'dropped'

-- name: active
SELECT v.version, v.form, v.position FROM projections.active AS a
JOIN projections.versions AS v ON v.name = a.name AND v.version = a.version
WHERE a.name = $1::text

-- name: lock_to_follow
-- The lock is the lease: it ends with the transaction that moves the checkpoint, or with the session of a dead holder.
SELECT 1 FROM projections.versions
WHERE name = $1::text AND version = $2::bigint AND position = $3::bigint AND state = 'following'
FOR UPDATE SKIP LOCKED

-- name: lock_to_build
SELECT 1 FROM projections.versions WHERE name = $1::text AND version = $2::bigint AND state = 'building' FOR SHARE

-- name: lock
SELECT position FROM projections.versions WHERE name = $1::text AND version = $2::bigint FOR UPDATE

-- name: move
UPDATE projections.versions
SET position = $4::bigint, blocked_at = NULL, error = '', moved_at = clock_timestamp()
WHERE name = $1::text AND version = $2::bigint AND position = $3::bigint

-- name: built
UPDATE projections.versions SET position = $3::bigint, state = 'following', moved_at = clock_timestamp()
WHERE name = $1::text AND version = $2::bigint AND state = 'building'

-- name: block
UPDATE projections.versions SET blocked_at = $4::bigint, error = $5::text
WHERE name = $1::text AND version = $2::bigint AND position = $3::bigint

-- name: retire
UPDATE projections.versions SET state = 'retired' WHERE name = $1::text AND version = $2::bigint

-- name: leftovers
-- What an interrupted rebuild left, and what was switched away from.
SELECT version FROM projections.versions WHERE name = $1::text AND state IN ('building', 'retired')
FOR UPDATE SKIP LOCKED

-- name: dropped
-- The row stays: a version's number is never given again, or a rebuild that was overtaken would write into its heir's.
UPDATE projections.versions SET state = 'dropped' WHERE name = $1::text AND version = $2::bigint

-- name: no_time_limit
SET LOCAL statement_timeout = 0

-- name: short_wait
SET LOCAL lock_timeout = '1s'

-- name: recorded_at
SELECT position, recorded_at FROM city.events WHERE position = ANY ($1::bigint[])

-- name: whole_commits
-- Where a page that may reach up to $2 ends, so that no commit is cut in two: with the last commit that fits, or with the
-- first one if it alone is longer.
SELECT CASE
    WHEN first_position + n - 1 <= $2::bigint THEN $2::bigint
    WHEN first_position - 1 > $1::bigint THEN first_position - 1
    ELSE first_position + n - 1
END
FROM city.commits WHERE first_position <= $2::bigint ORDER BY first_position DESC LIMIT 1

-- name: touched
SELECT DISTINCT originator_id FROM city.events
WHERE position > $1::bigint AND position <= $2::bigint
    AND originator_id COLLATE "C" >= $3::text AND originator_id COLLATE "C" < $4::text

-- name: cases_from
-- Version 1 of a stream is its birth: one row a case, in the order of case ids.
SELECT originator_id FROM city.events
WHERE originator_id > $1::text AND originator_id < $2::text AND originator_version = 1 AND position <= $3::bigint
ORDER BY originator_id LIMIT $4::bigint

-- name: read_cases
SELECT e.originator_id, e.position, e.originator_version, e.topic, e.state, e.recorded_at, e.occurred_at, c.origin, c.actor,
    c.on_behalf_of, c.reason, c.numbers, c.command_id, c.correlation_id, c.causation_id
FROM unnest($1::text[]) AS w(stream)
JOIN city.events AS e ON e.originator_id = w.stream AND e.position <= $2::bigint
JOIN city.commits AS c ON c.first_position = e.commit
ORDER BY e.originator_id, e.originator_version
