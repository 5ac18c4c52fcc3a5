-- The tree over a city's leaves, in tiles, and the heads that were signed of it.

-- name: create
CREATE TABLE IF NOT EXISTS projections.tree (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    size bigint NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE IF NOT EXISTS projections.tiles (
    level smallint NOT NULL,
    number bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (level, number)
);
ALTER TABLE projections.tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
INSERT INTO projections.tree (size) VALUES (0) ON CONFLICT DO NOTHING

-- name: exists
SELECT to_regclass(format('%I.tree', $1::text)) IS NOT NULL

-- name: has_heads
SELECT to_regclass(format('%I.heads', $1::text)) IS NOT NULL

-- name: size
SELECT size FROM projections.tree

-- name: lock
-- Whoever holds this row grows the tree and signs; whoever waits sees what was grown.
SELECT size FROM projections.tree FOR UPDATE

-- name: leaves
SELECT position, leaf FROM city.events WHERE position > $1::bigint ORDER BY position LIMIT $2::bigint

-- name: tiles
SELECT t.level, t.number, t.hashes FROM projections.tiles AS t
JOIN unnest($1::bigint[], $2::bigint[]) AS w(level, number) ON t.level = w.level AND t.number = w.number

-- name: put_tiles
INSERT INTO projections.tiles (level, number, hashes)
SELECT l, n, h FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS u(l, n, h)
ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes

-- name: grown
UPDATE projections.tree SET size = $1::bigint

-- name: forget
DELETE FROM projections.tiles;
UPDATE projections.tree SET size = 0

-- name: now
SELECT clock_timestamp()

-- name: last_head
SELECT note FROM city.heads ORDER BY size DESC LIMIT 1

-- name: heads
SELECT note FROM city.heads WHERE size > $1::bigint ORDER BY size LIMIT $2::bigint

-- name: newest_heads
SELECT note FROM city.heads ORDER BY size DESC LIMIT $1::bigint

-- name: all_heads
SELECT size, root, note FROM city.heads ORDER BY size

-- name: all_cosignatures
SELECT size, witness, line FROM city.cosignatures ORDER BY size, witness

-- name: head_from
SELECT note FROM city.heads WHERE size >= $1::bigint ORDER BY size LIMIT 1

-- name: add_head
INSERT INTO city.heads (size, root, note) VALUES ($1::bigint, $2::bytea, $3::text)

-- name: cosignatures
SELECT line FROM city.cosignatures WHERE size = $1::bigint ORDER BY made_at, line

-- name: add_cosignature
INSERT INTO city.cosignatures (size, witness, line) VALUES ($1::bigint, $2::text, $3::text) ON CONFLICT DO NOTHING
