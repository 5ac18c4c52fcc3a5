-- The notices of a city's orders: one row a notice. `_N` stands for the version of the table.

-- name: create
CREATE TABLE projections.notices_N (
    order_id uuid NOT NULL,
    no bigint NOT NULL,
    number text COLLATE "C" NOT NULL,
    paper_number text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    ground text COLLATE "C" NOT NULL,
    unit text COLLATE "C" NOT NULL,
    clock text COLLATE "C" NOT NULL,
    clock_key text COLLATE "C" NOT NULL,
    episode bigint,
    state text COLLATE "C" NOT NULL,
    is_open boolean NOT NULL,
    turn bigint NOT NULL,
    issued_at timestamptz NOT NULL,
    served_at timestamptz,
    reply_due timestamptz,
    replied_at timestamptz,
    accepted_at timestamptz,
    arrive_by timestamptz,
    arrived_at timestamptz,
    site_recorded_at timestamptz,
    closed_at timestamptz,
    reminder text COLLATE "C" NOT NULL,
    instruction bigint,
    special_report bigint,
    escalated_to bigint,
    version bigint NOT NULL,
    position bigint NOT NULL
)

-- name: index
ALTER TABLE projections.notices_N ADD PRIMARY KEY (order_id, no);
CREATE INDEX ON projections.notices_N (unit, issued_at) WHERE is_open;
CREATE INDEX ON projections.notices_N (reply_due) WHERE reply_due IS NOT NULL

-- name: drop
DROP TABLE IF EXISTS projections.notices_N

-- name: delete
DELETE FROM projections.notices_N WHERE order_id = ANY ($1::uuid[])

-- name: copy
COPY projections.notices_N FROM STDIN (FORMAT BINARY)

-- name: reached
SELECT order_id FROM projections.notices_N WHERE reply_due >= $1::timestamptz

-- name: differences
SELECT count(*) FROM (
    (SELECT * FROM projections.notices_N EXCEPT ALL SELECT * FROM projections.notices_M)
    UNION ALL
    (SELECT * FROM projections.notices_M EXCEPT ALL SELECT * FROM projections.notices_N)
) AS d

-- name: list
SELECT * FROM projections.notices_N
WHERE ($1::text[] IS NULL OR unit = ANY ($1::text[]))
    AND ($2::text[] IS NULL OR state = ANY ($2::text[]))
    AND (NOT $3::boolean OR is_open)
    AND ($4::uuid IS NULL OR (order_id, no) > ($4::uuid, $5::bigint))
ORDER BY order_id, no LIMIT $6::bigint

-- name: of_order
SELECT * FROM projections.notices_N WHERE order_id = $1::uuid ORDER BY no
