-- The tables of one city's ledger, and every statement that reads or writes them.
-- `city.` and `projections.` stand for two quoted schemas; the loader puts their names in.

-- name: create_owner
CREATE ROLE huiyin_owner LOGIN

-- name: create_app
CREATE ROLE huiyin_app LOGIN

-- name: let_owner_create
-- The answer is the statement to run: a database's name is an identifier, which no parameter can be.
SELECT format('GRANT CREATE ON DATABASE %I TO huiyin_owner', current_database())
WHERE NOT has_database_privilege('huiyin_owner', current_database(), 'CREATE')

-- name: has_role
SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1

-- name: schema_exists
SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1

-- name: create
-- Run by the owner, once a city. The application may add and read; only `head` moves, only keys and subjects go.
CREATE SCHEMA city;
CREATE SCHEMA projections;

CREATE TABLE city.ledger (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id text NOT NULL,
    hash text NOT NULL CHECK (hash IN ('sha256', 'sm3')),
    form text NOT NULL
);

CREATE TABLE city.head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    pos bigint NOT NULL,
    recorded_at timestamptz NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE city.events (
    position bigint PRIMARY KEY,
    originator_id text COLLATE "C" NOT NULL,
    originator_version bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
    state text NOT NULL,
    salt bytea NOT NULL,
    leaf bytea NOT NULL,
    commit bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    occurred_at timestamptz,
    UNIQUE (originator_id, originator_version)
);

CREATE TABLE city.commits (
    first_position bigint PRIMARY KEY,
    n integer NOT NULL,
    command_id text COLLATE "C" NOT NULL UNIQUE,
    digest bytea NOT NULL,
    recorded_at timestamptz NOT NULL,
    occurred_at timestamptz,
    origin text COLLATE "C" NOT NULL CHECK (origin IN ('live', 'backfill', 'import')),
    actor text NOT NULL,
    on_behalf_of text NOT NULL,
    reason text NOT NULL,
    numbers text NOT NULL,
    correlation_id text NOT NULL,
    causation_id text NOT NULL,
    trace_id text NOT NULL,
    salt bytea NOT NULL
);

CREATE TABLE city.keys (
    id text COLLATE "C" PRIMARY KEY,
    stream text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL,
    wrap text COLLATE "C" NOT NULL,
    wrapped bytea NOT NULL,
    UNIQUE (stream, holder)
);
CREATE INDEX keys_of_holder ON city.keys (holder) WHERE holder <> '';

CREATE TABLE city.subjects (
    mac bytea PRIMARY KEY,
    subject uuid NOT NULL,
    number bytea NOT NULL
);
CREATE INDEX subjects_of_subject ON city.subjects (subject);

REVOKE ALL ON ALL TABLES IN SCHEMA city FROM PUBLIC;
GRANT USAGE ON SCHEMA city TO huiyin_app;
GRANT SELECT ON city.ledger TO huiyin_app;
GRANT SELECT, UPDATE ON city.head TO huiyin_app;
GRANT SELECT, INSERT ON city.events, city.commits TO huiyin_app;
GRANT SELECT, INSERT, DELETE ON city.keys, city.subjects TO huiyin_app;
GRANT USAGE, CREATE ON SCHEMA projections TO huiyin_app;

-- name: create_heads
-- Run by the owner. What was signed of a ledger is added and read, never changed.
CREATE TABLE IF NOT EXISTS city.heads (
    size bigint PRIMARY KEY,
    root bytea NOT NULL,
    note text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE IF NOT EXISTS city.cosignatures (
    size bigint NOT NULL,
    witness text COLLATE "C" NOT NULL,
    line text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (size, witness)
);
REVOKE ALL ON city.heads, city.cosignatures FROM PUBLIC;
GRANT SELECT, INSERT ON city.heads, city.cosignatures TO huiyin_app

-- name: create_head
INSERT INTO city.head (pos, recorded_at) VALUES (0, date_trunc('milliseconds', clock_timestamp()))

-- name: create_ledger
INSERT INTO city.ledger (id, hash, form) VALUES ($1, $2, $3)

-- name: imprint
SELECT id, hash, form FROM city.ledger

-- name: secrets
SELECT id, stream, holder, wrap, wrapped FROM city.keys WHERE stream = ''

-- name: begin
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE

-- name: commit
COMMIT

-- name: rollback
ROLLBACK

-- name: lock_head
-- Whoever holds this row writes; whoever waits for it sees, when its turn comes, all that was written before. The clock
-- is asked outside of what is locked: within, it would be read before the wait.
SELECT h.pos, h.recorded_at, date_trunc('milliseconds', clock_timestamp())
FROM (SELECT pos, recorded_at FROM city.head FOR UPDATE) AS h

-- name: last_of_streams
SELECT s.id, e.originator_version, e.leaf
FROM unnest($1::text[]) AS s(id)
CROSS JOIN LATERAL (
    SELECT originator_version, leaf FROM city.events
    WHERE originator_id = s.id ORDER BY originator_version DESC LIMIT 1
) AS e

-- name: known_commands
SELECT command_id, digest, first_position, n FROM city.commits WHERE command_id = ANY ($1::text[])

-- name: keys_there
SELECT id, stream, holder FROM city.keys WHERE id = ANY ($1::text[])
UNION ALL
SELECT k.id, k.stream, k.holder
FROM unnest($2::text[], $3::text[]) AS w(stream, holder)
JOIN city.keys AS k ON k.stream = w.stream AND k.holder = w.holder

-- name: subjects_there
SELECT mac, subject FROM city.subjects WHERE mac = ANY ($1::bytea[])

-- name: move_head
UPDATE city.head SET pos = $1::bigint, recorded_at = $2::timestamptz

-- name: move_head_from
-- Where somebody else has moved the head, or the turn came too late, nothing is divided by, and the transaction ends. The
-- instant tells a head that was turned back and has come as far again. The clock is asked outside of what waits for the lock.
WITH moved AS (
    UPDATE city.head SET pos = $3::bigint, recorded_at = $4::timestamptz
    WHERE pos = $1::bigint AND recorded_at = $2::timestamptz
    RETURNING pos
)
SELECT 1 / count(*), date_trunc('milliseconds', clock_timestamp())
FROM (SELECT FROM moved WHERE clock_timestamp() <= $5::timestamptz) AS in_time

-- name: insert_events
INSERT INTO city.events (position, originator_id, originator_version, topic, state, salt, leaf, commit, recorded_at, occurred_at)
SELECT p, o, v, t, s, a, l, c, $1::timestamptz, h
FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::bigint[],
    $10::timestamptz[]) AS u(p, o, v, t, s, a, l, c, h)

-- name: insert_commits
-- A column of which nothing is said comes empty, as most do.
INSERT INTO city.commits (first_position, n, command_id, digest, recorded_at, occurred_at, origin, actor, on_behalf_of,
    reason, numbers, correlation_id, causation_id, trace_id, salt)
SELECT f, n, i, d, $1::timestamptz, h, o, a, coalesce(b, ''), coalesce(r, ''), coalesce(m, ''), coalesce(k, ''),
    coalesce(c, ''), coalesce(t, ''), s
FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::bytea[], $6::timestamptz[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bytea[])
    AS u(f, n, i, d, h, o, a, b, r, m, k, c, t, s)

-- name: insert_keys
INSERT INTO city.keys (id, stream, holder, wrap, wrapped)
SELECT i, s, h, r, w FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[]) AS u(i, s, h, r, w)

-- name: insert_subjects
INSERT INTO city.subjects (mac, subject, number)
SELECT m, s::uuid, n FROM unnest($1::bytea[], $2::text[], $3::bytea[]) AS u(m, s, n)

-- name: delete_keys
DELETE FROM city.keys WHERE id = ANY ($1::text[])

-- name: delete_keys_of_streams
DELETE FROM city.keys WHERE stream = ANY ($1::text[]) AND stream <> ''

-- name: delete_keys_of_subjects
DELETE FROM city.keys WHERE holder = ANY ($1::text[]) AND holder <> '' AND stream <> ''

-- name: delete_keys_of_places
DELETE FROM city.keys AS k USING unnest($1::text[], $2::text[]) AS w(stream, holder)
WHERE k.stream = w.stream AND k.holder = w.holder AND k.stream <> ''

-- name: delete_subjects
DELETE FROM city.subjects WHERE subject = ANY ($1::text[]::uuid[])

-- name: delete_subjects_left
-- An informant is not found again. Somebody who has an ordinary case too stays found: that case names them anyway.
DELETE FROM city.subjects AS s
WHERE s.subject = ANY ($1::text[]::uuid[]) AND NOT EXISTS (
    SELECT FROM city.keys AS k WHERE k.holder = s.subject::text AND k.holder <> '' AND k.wrap = 'master'
)

-- name: read_streams
-- The clock is read last, by `read_head`: an instant at or after every event that this returns.
SELECT w.i, e.position, e.originator_version, e.topic, e.state, e.recorded_at, e.occurred_at, c.origin, c.actor,
    c.on_behalf_of, c.reason, c.numbers, c.command_id, c.correlation_id, c.causation_id
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS w(stream, after, i)
JOIN city.events AS e ON e.originator_id = w.stream AND e.originator_version > w.after
JOIN city.commits AS c ON c.first_position = e.commit
ORDER BY w.i, e.originator_version

-- name: read_keys
SELECT id, stream, holder, wrap, wrapped FROM city.keys WHERE stream = ANY ($1::text[]) AND stream <> ''

-- name: read_keys_by_id
SELECT id, stream, holder, wrap, wrapped FROM city.keys WHERE id = ANY ($1::text[]) AND stream <> ''

-- name: read_head
SELECT pos, CASE WHEN recorded_at BETWEEN '1000-01-01' AND '9999-12-30' OR recorded_at IS NULL THEN recorded_at ELSE '1000-01-01' END,
    date_trunc('milliseconds', clock_timestamp()) FROM city.head

-- name: read_position
SELECT pos FROM city.head

-- name: read_page
SELECT e.originator_id, e.position, e.originator_version, e.topic, e.state, e.recorded_at, e.occurred_at, c.origin, c.actor,
    c.on_behalf_of, c.reason, c.numbers, c.command_id, c.correlation_id, c.causation_id
FROM city.events AS e JOIN city.commits AS c ON c.first_position = e.commit
WHERE e.position > $1::bigint AND e.position <= $2::bigint
ORDER BY e.position LIMIT $3::bigint

-- name: may_be_owner
SELECT pg_has_role(session_user, 'huiyin_owner', 'MEMBER')

-- name: beyond_head
-- What lies behind the head was never acknowledged, or the head was turned back. What lies before the first position was
-- never written here: whoever reads a stream would read it, and whoever reads by position would not.
SELECT e.position, e.originator_id FROM city.events AS e WHERE e.position > (SELECT pos FROM city.head)
UNION ALL
SELECT e.position, e.originator_id FROM city.events AS e WHERE e.position < 1
UNION ALL
SELECT c.first_position, '' FROM city.commits AS c WHERE c.first_position > (SELECT pos FROM city.head)
ORDER BY 1 LIMIT 100

-- name: commits_of_nothing
-- A commit begins with its first event. One without it proves nothing, and would answer for a command nobody carried out.
SELECT c.first_position, c.command_id FROM city.commits AS c
WHERE c.first_position <= (SELECT pos FROM city.head) AND NOT EXISTS (
    SELECT FROM city.events AS e WHERE e.position = c.first_position AND e.commit = c.first_position
)
ORDER BY 1 LIMIT 100

-- name: keys_there_again
-- Keys that an erasing destroyed, and that are there. A key has no date; the first event that it seals has.
WITH s AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]) AS u(position, stream, subject)),
there AS (
    SELECT k.id, k.stream, s.position FROM s JOIN city.keys AS k ON k.stream = s.stream
    WHERE s.stream <> '' AND (s.subject = '' OR k.holder IN (s.subject, s.subject || ':texts'))
    UNION ALL
    SELECT k.id, k.stream, s.position FROM s
    JOIN city.keys AS k ON k.holder IN (s.subject, s.subject || ':texts') AND k.holder <> ''
    WHERE s.stream = '' AND s.subject <> '' AND k.stream <> ''
)
SELECT t.id, t.stream, min(t.position) FROM there AS t
WHERE EXISTS (
    SELECT FROM city.events AS e
    WHERE e.originator_id = t.stream AND e.position <= t.position AND strpos(e.state, t.id) > 0
)
GROUP BY t.id, t.stream ORDER BY 3, 1

-- name: subjects_page
SELECT mac, subject, number FROM city.subjects WHERE mac > $1::bytea ORDER BY mac LIMIT $2::bigint

-- name: first_of_subject
SELECT coalesce(min(e.position), 0) FROM city.keys AS k JOIN city.events AS e ON e.originator_id = k.stream
WHERE k.holder = $1::text AND k.holder <> ''

-- name: witness_page
-- An instant that no clock says (infinity, before our era) comes as another, so that its leaf is found not to follow.
SELECT e.position, e.originator_id, e.originator_version, e.topic, e.state, e.salt, e.leaf, e.commit,
    CASE WHEN e.recorded_at BETWEEN '1000-01-01' AND '9999-12-30' OR e.recorded_at IS NULL THEN e.recorded_at ELSE '1000-01-01' END,
    CASE WHEN e.occurred_at BETWEEN '1000-01-01' AND '9999-12-30' OR e.occurred_at IS NULL THEN e.occurred_at ELSE '1000-01-01' END,
    c.first_position, c.n, c.command_id, c.digest,
    CASE WHEN c.recorded_at BETWEEN '1000-01-01' AND '9999-12-30' OR c.recorded_at IS NULL THEN c.recorded_at ELSE '1000-01-01' END,
    CASE WHEN c.occurred_at BETWEEN '1000-01-01' AND '9999-12-30' OR c.occurred_at IS NULL THEN c.occurred_at ELSE '1000-01-01' END,
    c.origin, c.actor, c.on_behalf_of, c.reason, c.numbers, c.correlation_id, c.causation_id, c.trace_id, c.salt,
    b.originator_version, b.leaf
FROM city.events AS e
JOIN city.commits AS c ON c.first_position = e.commit
LEFT JOIN city.events AS b ON b.originator_id = e.originator_id AND b.originator_version = e.originator_version - 1
WHERE e.position > $1::bigint AND e.position <= $2::bigint
ORDER BY e.position

-- name: witness_stream
SELECT e.position, e.originator_id, e.originator_version, e.topic, e.state, e.salt, e.leaf, e.commit,
    CASE WHEN e.recorded_at BETWEEN '1000-01-01' AND '9999-12-30' OR e.recorded_at IS NULL THEN e.recorded_at ELSE '1000-01-01' END,
    CASE WHEN e.occurred_at BETWEEN '1000-01-01' AND '9999-12-30' OR e.occurred_at IS NULL THEN e.occurred_at ELSE '1000-01-01' END,
    c.first_position, c.n, c.command_id, c.digest,
    CASE WHEN c.recorded_at BETWEEN '1000-01-01' AND '9999-12-30' OR c.recorded_at IS NULL THEN c.recorded_at ELSE '1000-01-01' END,
    CASE WHEN c.occurred_at BETWEEN '1000-01-01' AND '9999-12-30' OR c.occurred_at IS NULL THEN c.occurred_at ELSE '1000-01-01' END,
    c.origin, c.actor, c.on_behalf_of, c.reason, c.numbers, c.correlation_id, c.causation_id, c.trace_id, c.salt,
    b.originator_version, b.leaf
FROM city.events AS e
JOIN city.commits AS c ON c.first_position = e.commit
LEFT JOIN city.events AS b ON b.originator_id = e.originator_id AND b.originator_version = e.originator_version - 1
WHERE e.originator_id = $1
ORDER BY e.originator_version

-- name: stored_of_stream
SELECT position, originator_version, topic, state FROM city.events
WHERE originator_id = $1 AND originator_version > $2::bigint AND originator_version <= $3::bigint
ORDER BY originator_version LIMIT $4::bigint

-- name: stored_of_stream_backwards
SELECT position, originator_version, topic, state FROM city.events
WHERE originator_id = $1 AND originator_version > $2::bigint AND originator_version <= $3::bigint
ORDER BY originator_version DESC LIMIT $4::bigint

-- name: stored_page
SELECT position, originator_id, originator_version, topic, state FROM city.events
WHERE position > $1::bigint AND position <= $2::bigint AND ($3::text[] = '{}' OR topic = ANY ($3::text[]))
ORDER BY position LIMIT $4::bigint

-- name: commands_between
SELECT command_id FROM city.commits WHERE command_id >= $1 AND command_id < $2 ORDER BY command_id
