-- The appeals against a city's figures: one row an appeal. `_N` stands for the version of the table.

-- name: create
CREATE TABLE projections.appeals_N (
    order_id uuid NOT NULL,
    no bigint NOT NULL,
    number text COLLATE "C" NOT NULL,
    title text NOT NULL,
    unit text COLLATE "C" NOT NULL,
    indicator text COLLATE "C" NOT NULL,
    ground text COLLATE "C" NOT NULL,
    report uuid,
    published_at timestamptz NOT NULL,
    issuer text COLLATE "C" NOT NULL,
    filed_at timestamptz NOT NULL,
    filed_by text COLLATE "C" NOT NULL,
    late boolean NOT NULL,
    due timestamptz,
    provisional boolean NOT NULL,
    decided_at timestamptz,
    upheld boolean,
    exclusion text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL
)

-- name: index
ALTER TABLE projections.appeals_N ADD PRIMARY KEY (order_id, no);
CREATE INDEX ON projections.appeals_N (filed_at, order_id, no);
CREATE INDEX ON projections.appeals_N (due) WHERE due IS NOT NULL

-- name: drop
DROP TABLE IF EXISTS projections.appeals_N

-- name: delete
DELETE FROM projections.appeals_N WHERE order_id = ANY ($1::uuid[])

-- name: copy
COPY projections.appeals_N FROM STDIN (FORMAT BINARY)

-- name: reached
SELECT order_id FROM projections.appeals_N WHERE due >= $1::timestamptz

-- name: differences
SELECT count(*) FROM (
    (SELECT * FROM projections.appeals_N EXCEPT ALL SELECT * FROM projections.appeals_M)
    UNION ALL
    (SELECT * FROM projections.appeals_M EXCEPT ALL SELECT * FROM projections.appeals_N)
) AS d

-- name: list
-- What was filed first comes first: that is decided first.
SELECT * FROM projections.appeals_N
WHERE ($1::text[] IS NULL OR unit = ANY ($1::text[]))
    AND ($2::text[] IS NULL OR CASE WHEN decided_at IS NULL THEN 'open' WHEN upheld THEN 'upheld' ELSE 'rejected' END
        = ANY ($2::text[]))
    AND ($3::text[] IS NULL OR indicator = ANY ($3::text[]))
    AND ($4::uuid IS NULL OR order_id = $4::uuid)
    AND ($5::timestamptz IS NULL OR (filed_at, order_id, no) > ($5::timestamptz, $6::uuid, $7::bigint))
ORDER BY filed_at, order_id, no LIMIT $8::bigint
