-- How a city leaves as a file and comes back from one. `city.` stands for its quoted schema; the tables are recorder.sql's.

-- name: begin_export
-- One view of everything, however long it takes and whoever writes meanwhile.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: commit
COMMIT

-- name: head
SELECT l.id, l.hash, l.form, h.pos, h.recorded_at FROM city.ledger AS l CROSS JOIN city.head AS h

-- name: keys
SELECT id, stream, holder, wrap, wrapped FROM city.keys ORDER BY stream, holder

-- name: subjects
SELECT mac, subject, number FROM city.subjects ORDER BY mac

-- name: commits
SELECT first_position, n, command_id, digest, recorded_at, occurred_at, origin, actor, on_behalf_of, reason, numbers,
    correlation_id, causation_id, trace_id, salt
FROM city.commits WHERE first_position > $1::bigint ORDER BY first_position LIMIT $2::bigint

-- name: events
SELECT position, originator_id, originator_version, topic, state, salt, leaf, occurred_at
FROM city.events WHERE position > $1::bigint AND position <= $2::bigint ORDER BY position

-- name: patient
-- A city is restored in one transaction, or not at all.
SET LOCAL statement_timeout = 0

-- name: clear
-- A schema that somebody made beforehand may be there, with nothing in it; one with anything in it refuses this.
DROP SCHEMA city

-- name: clear_projections
DROP SCHEMA projections

-- name: restore_head
INSERT INTO city.head (pos, recorded_at) VALUES ($1::bigint, $2::timestamptz)

-- name: restore_events
INSERT INTO city.events (position, originator_id, originator_version, topic, state, salt, leaf, commit, recorded_at,
    occurred_at)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::bytea[],
    $8::bigint[], $9::timestamptz[], $10::timestamptz[])

-- name: restore_commits
INSERT INTO city.commits (first_position, n, command_id, digest, recorded_at, occurred_at, origin, actor, on_behalf_of,
    reason, numbers, correlation_id, causation_id, trace_id, salt)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[], $5::timestamptz[], $6::timestamptz[],
    $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bytea[])

-- name: drop_shredded_keys
-- What was destroyed stays destroyed: keys of an erased place, unless they are younger than its erasing. A key has no
-- date; the first event that it seals has.
DELETE FROM city.keys AS k
USING unnest($1::bigint[], $2::text[], $3::text[]) AS s(position, stream, subject)
WHERE k.stream <> '' AND s.stream || s.subject <> ''
    AND (s.stream = '' OR k.stream = s.stream)
    AND (s.subject = '' OR k.holder IN (s.subject, s.subject || ':texts'))
    AND (s.position > (SELECT pos FROM city.head) OR EXISTS (
        SELECT FROM city.events AS e
        WHERE e.originator_id = k.stream AND e.position <= s.position AND strpos(e.state, k.id) > 0
    ))

-- name: drop_shredded_subjects
DELETE FROM city.subjects WHERE subject::text = ANY ($1::text[])
