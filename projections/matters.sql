-- The matters of a city that are no orders: one row a matter. `_N` stands for the version of the table.

-- name: create
CREATE TABLE projections.matters_N (
    id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    is_open boolean NOT NULL,
    number text COLLATE "C" NOT NULL,
    title text NOT NULL,
    units text[] NOT NULL,
    orders bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    opened_by text COLLATE "C" NOT NULL,
    published_at timestamptz,
    notice_state text COLLATE "C" NOT NULL,
    duties bigint NOT NULL,
    done bigint NOT NULL,
    waits_for text[] NOT NULL,
    due timestamptz,
    referred_at timestamptz,
    closed_at timestamptz,
    version bigint NOT NULL,
    position bigint NOT NULL
)

-- name: index
ALTER TABLE projections.matters_N ADD PRIMARY KEY (id);
CREATE INDEX ON projections.matters_N (opened_at, id);
CREATE INDEX ON projections.matters_N (due) WHERE due IS NOT NULL

-- name: drop
DROP TABLE IF EXISTS projections.matters_N

-- name: delete
DELETE FROM projections.matters_N WHERE id = ANY ($1::uuid[])

-- name: copy
COPY projections.matters_N FROM STDIN (FORMAT BINARY)

-- name: reached
-- The time to answer a notice to a unit is counted in working days.
SELECT id, 'matter'::text FROM projections.matters_N WHERE due >= $1::timestamptz

-- name: differences
SELECT count(*) FROM (
    (SELECT * FROM projections.matters_N EXCEPT ALL SELECT * FROM projections.matters_M)
    UNION ALL
    (SELECT * FROM projections.matters_M EXCEPT ALL SELECT * FROM projections.matters_N)
) AS d

-- name: list
-- The newest first.
SELECT * FROM projections.matters_N
WHERE ($1::text[] IS NULL OR units && $1::text[] OR waits_for && $1::text[])
    AND ($2::text[] IS NULL OR kind = ANY ($2::text[]))
    AND (NOT $3::boolean OR is_open)
    AND (NOT $4::boolean OR due < $5::timestamptz)
    AND ($6::timestamptz IS NULL OR opened_at >= $6::timestamptz)
    AND ($7::timestamptz IS NULL OR opened_at < $7::timestamptz)
    AND (NOT $11::boolean OR kind NOT IN ('referral', 'shift') AND state NOT IN ('drafted', 'approved', 'rejected'))
    AND (NOT $12::boolean OR referred_at IS NOT NULL)
    AND ($8::timestamptz IS NULL OR (opened_at, id) < ($8::timestamptz, $9::uuid))
ORDER BY opened_at DESC, id DESC LIMIT $10::bigint
