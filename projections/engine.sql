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

-- name: keeps_leases
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass(format('%I.versions', $1::text)) AND attname = 'token'
) AND to_regclass(format('%I.progress', $1::text)) IS NOT NULL

-- name: keep_leases
-- `token` counts holders: what an earlier one still has under way carries a smaller one and moves nothing.
ALTER TABLE projections.versions
    ADD COLUMN IF NOT EXISTS holder text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS token bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS held_until timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN IF NOT EXISTS tries bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS tried_at timestamptz,
    ADD COLUMN IF NOT EXISTS rate double precision NOT NULL DEFAULT 0;
CREATE OR REPLACE VIEW projections.progress AS
SELECT v.name, v.version, v.state, a.version IS NOT NULL AS active, v.position, h.pos - v.position AS lag,
    CASE WHEN n.recorded_at IS NULL THEN 0 ELSE extract(epoch FROM clock_timestamp() - n.recorded_at)::double precision END
        AS lag_seconds,
    v.rate, v.blocked_at, v.error, v.tries, v.tried_at, v.holder, v.held_until, v.moved_at, v.form
FROM projections.versions AS v
CROSS JOIN city.head AS h
LEFT JOIN projections.active AS a ON a.name = v.name AND a.version = v.version
LEFT JOIN city.events AS n ON n.position = v.position + 1
WHERE v.state <> 'dropped'

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

-- name: take
-- A lease is taken where it is free, run out, or one's own. The lock keeps others off until the page is committed; the
-- lease keeps them off from then on, so that one worker has the cases at hand.
WITH free AS (
    SELECT v.name, v.version FROM projections.versions AS v
    JOIN unnest($1::text[], $2::bigint[]) AS w(name, version) ON v.name = w.name AND v.version = w.version
    WHERE v.position = $3::bigint AND v.state = 'following'
        AND ((v.holder = $4::text AND v.holder <> '') OR v.held_until < clock_timestamp())
    FOR UPDATE OF v SKIP LOCKED
)
UPDATE projections.versions AS v
SET holder = $4::text, token = v.token + CASE WHEN v.holder = $4::text AND v.holder <> '' THEN 0 ELSE 1 END
FROM free WHERE v.name = free.name AND v.version = free.version
RETURNING v.name, v.version, v.token

-- name: keep
-- Whoever compares or switches a table holds its row, for minutes perhaps: the others are not to wait for that one.
WITH own AS (
    SELECT name, version FROM projections.versions
    WHERE holder = $1::text AND state = 'following' AND held_until > '-infinity'
    FOR UPDATE SKIP LOCKED
)
UPDATE projections.versions AS v SET held_until = clock_timestamp() + make_interval(secs => $2::double precision)
FROM own WHERE v.name = own.name AND v.version = own.version

-- name: release
UPDATE projections.versions SET held_until = '-infinity' WHERE holder = $1::text AND held_until > '-infinity'

-- name: lock_to_build
-- What runs beside COPY: the driver writes the values in, as for COPY itself, which takes no parameters.
SELECT 1 FROM projections.versions WHERE name = %(name)s AND version = %(version)s AND state = 'building' FOR SHARE

-- name: lock
-- All tables of a projection, in one order: who drops and who switches wait for each other. Which one is active is to be
-- asked afterwards, by a statement that sees what the other one did.
SELECT version FROM projections.versions WHERE name = $1::text AND state <> 'dropped' ORDER BY version FOR UPDATE

-- name: move
UPDATE projections.versions AS v
SET position = $5::bigint, blocked_at = NULL, error = '', tries = 0, tried_at = NULL, moved_at = clock_timestamp(),
    held_until = CASE WHEN $6::double precision > 0 THEN clock_timestamp() + make_interval(secs => $6::double precision)
        ELSE '-infinity' END,
    rate = CASE WHEN rate = 0 THEN $7::double precision ELSE 0.7 * rate + 0.3 * $7::double precision END
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS w(name, version, token)
WHERE v.name = w.name AND v.version = w.version AND v.token = w.token AND v.position = $4::bigint

-- name: built
UPDATE projections.versions SET position = $3::bigint, state = 'following', moved_at = clock_timestamp()
WHERE name = $1::text AND version = $2::bigint AND state = 'building'

-- name: block
UPDATE projections.versions
SET blocked_at = $4::bigint, error = $5::text, tries = tries + 1, tried_at = clock_timestamp()
WHERE name = $1::text AND version = $2::bigint AND position = $3::bigint

-- name: retire
UPDATE projections.versions SET state = 'retired' WHERE name = $1::text AND version = $2::bigint

-- name: retire_others
-- What was kept to go back to.
UPDATE projections.versions AS v SET state = 'retired'
WHERE v.name = $1::text AND v.state = 'following'
    AND v.version NOT IN (SELECT a.version FROM projections.active AS a WHERE a.name = $1::text)

-- name: leftovers
-- What an interrupted rebuild left, and what was switched away from.
SELECT version FROM projections.versions WHERE name = $1::text AND state IN ('building', 'retired')
FOR UPDATE SKIP LOCKED

-- name: dropped
-- The row stays: a version's number is never given again, or a rebuild that was overtaken would write into its heir's.
UPDATE projections.versions SET state = 'dropped' WHERE name = $1::text AND version = $2::bigint

-- name: no_time_limit
SET LOCAL statement_timeout = 0

-- name: much_memory
SET LOCAL maintenance_work_mem = '256MB'

-- name: analyze
ANALYZE projections.TABLE_N

-- name: differing
-- Rows that one of two tables has and the other has not; the first is the one that is read.
(SELECT true, to_jsonb(r) FROM (SELECT * FROM projections.TABLE_N EXCEPT ALL SELECT * FROM projections.TABLE_M) AS r
    LIMIT $1::bigint)
UNION ALL
(SELECT false, to_jsonb(r) FROM (SELECT * FROM projections.TABLE_M EXCEPT ALL SELECT * FROM projections.TABLE_N) AS r
    LIMIT $1::bigint)

-- name: awake
SELECT 1

-- name: short_wait
SET LOCAL lock_timeout = '1s'

-- name: progress
SELECT name, version, active, state, position, lag, lag_seconds, rate, blocked_at, error, tries, form, holder,
    held_until > clock_timestamp(), moved_at
FROM projections.progress ORDER BY name, version

-- name: whole_commits
-- Where a page that may reach up to $2 ends, so that no commit is cut in two: with the last commit that fits, or with the
-- first one if it alone is longer.
SELECT CASE
    WHEN first_position + n - 1 <= $2::bigint THEN $2::bigint
    WHEN first_position - 1 > $1::bigint THEN first_position - 1
    ELSE first_position + n - 1
END
FROM city.commits WHERE first_position <= $2::bigint ORDER BY first_position DESC LIMIT 1

-- name: cases_from
-- Version 1 of a stream is its birth: one row a case, in the order of case ids.
SELECT originator_id FROM city.events
WHERE originator_id > $1::text AND originator_id < $2::text AND originator_version = 1 AND position <= $3::bigint
ORDER BY originator_id LIMIT $4::bigint

-- name: read_page
SELECT e.position, e.originator_version, e.recorded_at, e.occurred_at, e.originator_id, e.topic, e.state,
    c.origin, c.actor, c.numbers
FROM city.events AS e
JOIN city.commits AS c ON c.first_position = e.commit
WHERE e.position > $1::bigint AND e.position <= $2::bigint
    AND split_part(e.originator_id, ':', 1) = ANY ($3::text[])
ORDER BY e.position

-- name: read_cases
SELECT e.position, e.originator_version, e.recorded_at, e.occurred_at, e.originator_id, e.topic, e.state,
    c.origin, c.actor, c.numbers
FROM unnest($1::text[]) AS w(stream)
JOIN city.events AS e ON e.originator_id = w.stream AND e.position + 0 <= $2::bigint
JOIN city.commits AS c ON c.first_position = e.commit
ORDER BY e.originator_id, e.originator_version

-- name: read_topics
-- What some kind of streams says of some matters, in the order of the ledger.
SELECT e.position, e.originator_version, e.recorded_at, e.occurred_at, e.originator_id, e.topic, e.state,
    c.origin, c.actor, c.numbers
FROM city.events AS e
JOIN city.commits AS c ON c.first_position = e.commit
WHERE e.originator_id >= $1::text AND e.originator_id < $2::text AND e.topic = ANY ($3::text[])
    AND e.position + 0 <= $4::bigint
ORDER BY e.position

-- name: read_institution
SELECT e.originator_id, e.position, e.originator_version, e.topic, e.state, e.recorded_at, e.occurred_at, c.origin, c.actor,
    c.on_behalf_of, c.reason, c.numbers, c.command_id, c.correlation_id, c.causation_id
FROM city.events AS e
JOIN city.commits AS c ON c.first_position = e.commit
WHERE e.originator_id = %(stream)s AND e.position + 0 <= %(head)s
ORDER BY e.originator_version

-- name: range_end
SELECT originator_id FROM city.events
WHERE originator_id > %(first)s AND originator_id < %(last)s AND originator_version = 1
ORDER BY originator_id OFFSET %(size)s LIMIT 1

-- name: copy_range
-- In the order of the streams' key, which is that of an index: `+ 0` keeps the planner from walking along positions.
COPY (
    SELECT e.position, e.originator_version, e.recorded_at, coalesce(e.occurred_at, '-infinity'), e.originator_id,
        e.topic, e.state, c.origin, c.actor, c.numbers
    FROM city.events AS e
    JOIN city.commits AS c ON c.first_position = e.commit
    WHERE e.originator_id >= %(first)s AND e.originator_id < %(last)s AND e.position + 0 <= %(head)s
    ORDER BY e.originator_id, e.originator_version
) TO STDOUT (FORMAT BINARY)
