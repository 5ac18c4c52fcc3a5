-- The orders of a city: one row an order. `_N` stands for the version of the table.

-- name: create
CREATE TABLE projections.orders_N (
    id uuid NOT NULL,
    stream text COLLATE "C" NOT NULL,
    number text COLLATE "C" NOT NULL,
    old_number text COLLATE "C" NOT NULL,
    title text NOT NULL,
    category text NOT NULL,
    place text NOT NULL,
    district text NOT NULL,
    channel text COLLATE "C" NOT NULL,
    demand_type text COLLATE "C" NOT NULL,
    urgency text COLLATE "C" NOT NULL,
    complexity text COLLATE "C" NOT NULL,
    of_class text COLLATE "C" NOT NULL,
    tags text[] NOT NULL,
    confidentiality text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    closure_kind text COLLATE "C" NOT NULL,
    is_open boolean NOT NULL,
    unit text COLLATE "C" NOT NULL,
    leads boolean NOT NULL,
    round bigint NOT NULL,
    episodes bigint NOT NULL,
    urged bigint NOT NULL,
    registered_at timestamptz NOT NULL,
    dispatched_at timestamptz,
    replied_at timestamptz,
    closed_at timestamptz,
    filed_at timestamptz,
    handle_due timestamptz,
    due timestamptz,
    due_clock text COLLATE "C" NOT NULL,
    due_unit text COLLATE "C" NOT NULL,
    overdue_from timestamptz,
    provisional boolean NOT NULL,
    policy text COLLATE "C" NOT NULL,
    policy_digest text COLLATE "C" NOT NULL,
    assumed_policy boolean NOT NULL,
    imported boolean NOT NULL,
    backfilled boolean NOT NULL,
    anonymous boolean NOT NULL,
    derived text[] NOT NULL,
    master uuid,
    previous uuid,
    version bigint NOT NULL,
    position bigint NOT NULL
)

-- name: index
ALTER TABLE projections.orders_N ADD PRIMARY KEY (id);
CREATE INDEX ON projections.orders_N (number);
CREATE INDEX ON projections.orders_N (old_number) WHERE old_number <> '';
CREATE INDEX ON projections.orders_N (state, id);
CREATE INDEX ON projections.orders_N (unit, id);
CREATE INDEX ON projections.orders_N (due, id) WHERE due IS NOT NULL;
CREATE INDEX ON projections.orders_N (handle_due) WHERE handle_due IS NOT NULL;
CREATE INDEX ON projections.orders_N (overdue_from) WHERE overdue_from IS NOT NULL

-- name: drop
DROP TABLE IF EXISTS projections.orders_N

-- name: delete
DELETE FROM projections.orders_N WHERE id = ANY ($1::uuid[])

-- name: copy
COPY projections.orders_N FROM STDIN (FORMAT BINARY)

-- name: reached
-- Another calendar day moves no due instant before it; an outage moves only windows, which are not shown here.
SELECT id FROM projections.orders_N WHERE due >= $1::timestamptz
UNION SELECT id FROM projections.orders_N WHERE handle_due >= $1::timestamptz
UNION SELECT id FROM projections.orders_N WHERE overdue_from >= $1::timestamptz

-- name: differences
SELECT count(*) FROM (
    (SELECT * FROM projections.orders_N EXCEPT ALL SELECT * FROM projections.orders_M)
    UNION ALL
    (SELECT * FROM projections.orders_M EXCEPT ALL SELECT * FROM projections.orders_N)
) AS d

-- name: list
SELECT * FROM projections.orders_N
WHERE ($1::text[] IS NULL OR state = ANY ($1::text[]))
    AND ($2::text[] IS NULL OR unit = ANY ($2::text[]))
    AND ($3::timestamptz IS NULL OR overdue_from < $3::timestamptz)
    AND ($4::uuid IS NULL OR id > $4::uuid)
ORDER BY id LIMIT $5::bigint

-- name: list_by_due
SELECT * FROM projections.orders_N
WHERE due IS NOT NULL
    AND ($1::text[] IS NULL OR due_unit = ANY ($1::text[]))
    AND ($2::timestamptz IS NULL OR (due, id) > ($2::timestamptz, $3::uuid))
ORDER BY due, id LIMIT $4::bigint

-- name: by_number
SELECT * FROM projections.orders_N WHERE number = $1::text
UNION SELECT * FROM projections.orders_N WHERE old_number = $1::text AND old_number <> ''
ORDER BY 1 LIMIT $2::bigint

-- name: by_id
SELECT * FROM projections.orders_N WHERE id BETWEEN $1::uuid AND $2::uuid ORDER BY id LIMIT $3::bigint

-- name: by_ids
SELECT * FROM projections.orders_N WHERE id = ANY ($1::uuid[]) ORDER BY id

-- name: count_by_state
SELECT state, count(*) FROM projections.orders_N GROUP BY state

-- name: count_by_unit
SELECT unit, count(*), count(*) FILTER (WHERE is_open), count(*) FILTER (WHERE overdue_from < $1::timestamptz)
FROM projections.orders_N GROUP BY unit
