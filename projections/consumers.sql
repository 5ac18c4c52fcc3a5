-- How far each consumer has been told, who tells it now, and what could not be told.

-- name: create
CREATE TABLE IF NOT EXISTS projections.consumers (
    consumer text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    holder text COLLATE "C" NOT NULL DEFAULT '',
    token bigint NOT NULL DEFAULT 0,
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    tries bigint NOT NULL DEFAULT 0,
    failing_since timestamptz,
    retry_at timestamptz NOT NULL DEFAULT '-infinity',
    error text NOT NULL DEFAULT '',
    delivered bigint NOT NULL DEFAULT 0,
    delivered_at timestamptz,
    run_from bigint NOT NULL DEFAULT 0,
    run_events bigint NOT NULL DEFAULT 0,
    run_digest text COLLATE "C" NOT NULL DEFAULT '',
    run_since timestamptz,
    closing text
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS projections.dead_letters (
    consumer text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    type text COLLATE "C" NOT NULL,
    error text NOT NULL,
    tries bigint NOT NULL,
    failing_since timestamptz NOT NULL,
    dead_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, position)
)

-- name: begin
INSERT INTO projections.consumers (consumer, position) VALUES ($1::text, $2::bigint) ON CONFLICT DO NOTHING

-- name: take
-- A lease is taken where it is free, run out, or one's own; `token` counts holders, and what an earlier one still has
-- under way carries a smaller one and moves nothing.
UPDATE projections.consumers
SET token = token + CASE WHEN holder = $2::text THEN 0 ELSE 1 END, holder = $2::text,
    held_until = clock_timestamp() + make_interval(secs => $3::double precision)
WHERE consumer = $1::text AND (holder = $2::text OR held_until < clock_timestamp()) AND retry_at <= clock_timestamp()
RETURNING position, token, tries, failing_since, run_from, run_events, run_digest, run_since, closing, clock_timestamp()

-- name: move
UPDATE projections.consumers
SET position = $3::bigint, held_until = clock_timestamp() + make_interval(secs => $4::double precision)
WHERE consumer = $1::text AND token = $2::bigint AND position < $3::bigint

-- name: delivered
WITH moved AS (
    UPDATE projections.consumers
    SET position = $3::bigint, held_until = clock_timestamp() + make_interval(secs => $4::double precision),
        tries = 0, failing_since = NULL, error = '', delivered = delivered + 1, delivered_at = clock_timestamp(),
        run_from = CASE WHEN run_events = 0 THEN $3::bigint ELSE run_from END, run_events = run_events + 1,
        run_digest = $5::text, run_since = coalesce(run_since, clock_timestamp())
    WHERE consumer = $1::text AND token = $2::bigint AND position < $3::bigint
    RETURNING consumer
), no_longer AS (
    DELETE FROM projections.dead_letters AS d USING moved WHERE d.consumer = moved.consumer AND d.position = $3::bigint
)
SELECT count(*) FROM moved

-- name: failed
UPDATE projections.consumers
SET tries = tries + 1, failing_since = coalesce(failing_since, clock_timestamp()), error = $3::text,
    retry_at = clock_timestamp() + make_interval(secs => $4::double precision)
WHERE consumer = $1::text AND token = $2::bigint

-- name: given_up
WITH moved AS (
    UPDATE projections.consumers SET position = $3::bigint, tries = 0, error = $5::text
    WHERE consumer = $1::text AND token = $2::bigint AND position < $3::bigint
    RETURNING consumer, failing_since
)
INSERT INTO projections.dead_letters AS d (consumer, position, type, error, tries, failing_since)
SELECT consumer, $3::bigint, $4::text, $5::text, $6::bigint, coalesce(failing_since, clock_timestamp()) FROM moved
ON CONFLICT (consumer, position) DO UPDATE SET error = excluded.error, tries = excluded.tries, dead_at = excluded.dead_at

-- name: closing
UPDATE projections.consumers
SET closing = $3::text, run_from = 0, run_events = 0, run_digest = '', run_since = NULL
WHERE consumer = $1::text AND token = $2::bigint AND closing IS NULL

-- name: closed
UPDATE projections.consumers SET closing = NULL WHERE consumer = $1::text AND token = $2::bigint

-- name: release
UPDATE projections.consumers SET held_until = '-infinity' WHERE holder = $1::text

-- name: replay
UPDATE projections.consumers
SET position = $2::bigint, token = token + 1, holder = '', held_until = '-infinity', tries = 0, failing_since = NULL,
    retry_at = '-infinity', error = ''
WHERE consumer = $1::text

-- name: standing
SELECT c.consumer, c.position, h.pos - c.position,
    CASE WHEN c.held_until > clock_timestamp() THEN c.holder ELSE '' END, c.tries, c.failing_since, nullif(c.retry_at, '-infinity'), c.error,
    c.delivered, c.delivered_at, (SELECT count(*) FROM projections.dead_letters AS d WHERE d.consumer = c.consumer)
FROM projections.consumers AS c CROSS JOIN city.head AS h ORDER BY c.consumer

-- name: dead
SELECT consumer, position, type, error, tries, failing_since, dead_at FROM projections.dead_letters
WHERE consumer = $1::text OR $1::text = '' ORDER BY consumer, position LIMIT $2::bigint
