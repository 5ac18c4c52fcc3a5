-- What the door asks about whose an order is; everything else that it reads is in `recorder.sql`.

-- name: orders_of_subject
-- An order's id begins with the time it was drawn at: by id, backwards, is the newest first.
SELECT k.stream FROM city.keys AS k
WHERE k.holder = $1::text AND k.holder <> '' AND k.stream LIKE 'order:%' AND ($2::text = '' OR k.stream < $2::text)
ORDER BY k.stream DESC LIMIT $3::bigint
