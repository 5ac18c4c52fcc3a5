-- What the door asks about whose an order is; everything else that it reads is in `recorder.sql`.

-- name: orders_of_subject
-- An order's id begins with the time it was drawn at: by id, backwards, is the newest first.
SELECT k.stream FROM city.keys AS k
WHERE k.holder = $1::text AND k.holder <> '' AND k.stream LIKE 'order:%' AND ($2::text = '' OR k.stream < $2::text)
ORDER BY k.stream DESC LIMIT $3::bigint

-- name: streams_of
-- The newest streams of a kind: ids begin with the time they were drawn at.
SELECT e.originator_id FROM city.events AS e
WHERE e.originator_id >= $1::text || ':' AND e.originator_id < $1::text || ';' AND e.originator_version = 1
ORDER BY e.originator_id DESC LIMIT $2::bigint

-- name: searched
-- Entries between two positions, by what happened, who did it and when; the words '' and '{}' ask for nothing.
SELECT e.originator_id, e.position, e.originator_version, e.topic, e.state, e.recorded_at, e.occurred_at, c.origin, c.actor,
    c.on_behalf_of, c.reason, c.numbers, c.command_id, c.correlation_id, c.causation_id
FROM city.events AS e JOIN city.commits AS c ON c.first_position = e.commit
WHERE e.position > $1::bigint AND e.position <= $2::bigint
    AND ($3::text[] = '{}' OR e.topic = ANY ($3::text[]))
    AND ($4::text = '' OR c.actor::jsonb ->> 'user' = $4::text)
    AND ($5::text = '' OR c.actor::jsonb ->> 'role' = $5::text)
    AND ($6::text[] = '{}' OR coalesce(c.actor::jsonb ->> 'unit', '') = ANY ($6::text[]))
    AND ($7::text = '' OR coalesce(e.occurred_at, e.recorded_at) >= nullif($7::text, '')::timestamptz)
    AND ($8::text = '' OR coalesce(e.occurred_at, e.recorded_at) < nullif($8::text, '')::timestamptz)
ORDER BY e.position LIMIT $9::bigint

-- name: looks_at
-- Who looked at records, from a day's journal on: journals are named by their day, so that older ones are not read.
SELECT e.originator_id, e.position, e.originator_version, e.topic, e.state, e.recorded_at, e.occurred_at, c.origin, c.actor,
    c.on_behalf_of, c.reason, c.numbers, c.command_id, c.correlation_id, c.causation_id
FROM city.events AS e JOIN city.commits AS c ON c.first_position = e.commit
WHERE e.originator_id >= $1::text AND e.originator_id < 'access;'
    AND e.state::jsonb ->> 'stream' = ANY ($2::text[]) AND e.position > $3::bigint
ORDER BY e.position LIMIT $4::bigint
