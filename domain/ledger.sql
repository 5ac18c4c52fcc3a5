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
