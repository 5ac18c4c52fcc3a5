-- What a superuser does behind a ledger's back, and how it is put back.

-- name: keep
CREATE SCHEMA IF NOT EXISTS tampered;
DROP TABLE IF EXISTS tampered.events, tampered.commits, tampered.head, tampered.heads, tampered.cosignatures, tampered.tiles, tampered.tree;
CREATE TABLE tampered.events AS SELECT * FROM city.events;
CREATE TABLE tampered.commits AS SELECT * FROM city.commits;
CREATE TABLE tampered.head AS SELECT * FROM city.head;
CREATE TABLE tampered.heads AS SELECT * FROM city.heads;
CREATE TABLE tampered.cosignatures AS SELECT * FROM city.cosignatures;
CREATE TABLE tampered.tiles AS SELECT * FROM projections.tiles;
CREATE TABLE tampered.tree AS SELECT * FROM projections.tree

-- name: put_back
DELETE FROM city.events AS e WHERE NOT EXISTS (SELECT FROM tampered.events AS k WHERE k = e);
INSERT INTO city.events SELECT k.* FROM tampered.events AS k WHERE NOT EXISTS (SELECT FROM city.events AS e WHERE e.position = k.position);
DELETE FROM city.commits AS e WHERE NOT EXISTS (SELECT FROM tampered.commits AS k WHERE k = e);
INSERT INTO city.commits SELECT k.* FROM tampered.commits AS k WHERE NOT EXISTS (SELECT FROM city.commits AS e WHERE e.first_position = k.first_position);
UPDATE city.head SET pos = k.pos, recorded_at = k.recorded_at FROM tampered.head AS k;
DELETE FROM city.heads;
INSERT INTO city.heads SELECT * FROM tampered.heads;
DELETE FROM city.cosignatures;
INSERT INTO city.cosignatures SELECT * FROM tampered.cosignatures;
DELETE FROM projections.tiles;
INSERT INTO projections.tiles SELECT * FROM tampered.tiles;
UPDATE projections.tree SET size = k.size FROM tampered.tree AS k

-- name: forget
DROP SCHEMA tampered CASCADE

-- name: value
SELECT COLUMN FROM TABLE WHERE KEY = %(at)s

-- name: set_value
UPDATE TABLE SET COLUMN = %(value)s WHERE KEY = %(at)s

-- name: take_event
DELETE FROM city.events WHERE position = %(at)s

-- name: take_commit
DELETE FROM city.commits WHERE first_position = %(at)s

-- name: put_twice
-- An event once more, as the newest of its stream, in a commit that is told to be a copy too.
INSERT INTO city.commits
SELECT (SELECT pos + 1 FROM city.head), 1, c.command_id || '+', c.digest, h.recorded_at, c.occurred_at, c.origin, c.actor,
    c.on_behalf_of, c.reason, '', c.correlation_id, c.causation_id, c.trace_id, c.salt
FROM city.events AS e JOIN city.commits AS c ON c.first_position = e.commit CROSS JOIN city.head AS h
WHERE e.position = %(at)s;
INSERT INTO city.events
SELECT h.pos + 1, e.originator_id, (SELECT max(originator_version) + 1 FROM city.events AS o WHERE o.originator_id = e.originator_id),
    e.topic, e.state, e.salt, e.leaf, h.pos + 1, h.recorded_at, e.occurred_at
FROM city.events AS e CROSS JOIN city.head AS h WHERE e.position = %(at)s;
UPDATE city.head SET pos = pos + 1

-- name: move_event
UPDATE city.events SET position = %(to)s WHERE position = %(at)s

-- name: commits
SELECT first_position, n FROM city.commits ORDER BY first_position

-- name: cut
DELETE FROM city.events WHERE position >= %(at)s;
DELETE FROM city.commits WHERE first_position >= %(at)s;
DELETE FROM city.heads WHERE size >= %(at)s;
UPDATE city.head SET pos = %(at)s - 1, recorded_at = (SELECT recorded_at FROM city.events WHERE position = %(at)s - 1)

-- name: move_head
UPDATE city.head SET pos = pos + %(by)s

-- name: move_time
UPDATE city.head SET recorded_at = recorded_at + make_interval(secs => %(by)s)

-- name: sizes
SELECT size FROM city.heads ORDER BY size

-- name: flip_tile
UPDATE projections.tiles SET hashes = set_bit(hashes, %(bit)s, 1 - get_bit(hashes, %(bit)s))
WHERE (level, number) = (SELECT level, number FROM projections.tiles ORDER BY level, number OFFSET %(at)s LIMIT 1)

-- name: count_tiles
SELECT count(*) FROM projections.tiles

-- name: rewrite
UPDATE city.events SET state = %(state)s, leaf = %(leaf)s WHERE position = %(at)s

-- name: sign_again
UPDATE city.heads SET root = %(root)s, note = %(note)s WHERE size = %(size)s

-- name: forget_tiles
DELETE FROM projections.tiles;
UPDATE projections.tree SET size = 0
