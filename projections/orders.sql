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
CREATE INDEX ON projections.orders_N (id) WHERE is_open AND urgency = 'emergency_life';
CREATE INDEX ON projections.orders_N (unit, state, id) INCLUDE (is_open, overdue_from);
CREATE INDEX ON projections.orders_N (due, id) WHERE due IS NOT NULL;
CREATE INDEX ON projections.orders_N (due_unit, due, id) WHERE due IS NOT NULL;
CREATE INDEX ON projections.orders_N (handle_due) WHERE handle_due IS NOT NULL;
CREATE INDEX ON projections.orders_N (id) INCLUDE (overdue_from) WHERE overdue_from IS NOT NULL;
CREATE INDEX ON projections.orders_N (unit, id) INCLUDE (overdue_from) WHERE overdue_from IS NOT NULL

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

-- name: reached_by_units
-- Who decides about an extension stands above whoever asked for it.
SELECT id FROM projections.orders_N WHERE due_clock = 'extension_decision'

-- name: differences
SELECT count(*) FROM (
    (SELECT * FROM projections.orders_N EXCEPT ALL SELECT * FROM projections.orders_M)
    UNION ALL
    (SELECT * FROM projections.orders_M EXCEPT ALL SELECT * FROM projections.orders_N)
) AS d

-- name: list
-- What is late is few among many, and lies at the end of a walk by id: it has an index of its own.
SELECT * FROM projections.orders_N
WHERE ($1::text[] IS NULL OR state = ANY ($1::text[]))
    AND ($2::timestamptz IS NULL OR overdue_from < $2::timestamptz)
    AND ($3::uuid IS NULL OR id > $3::uuid)
ORDER BY id LIMIT $4::bigint

-- name: list_of_states
-- One walk along the index for each state, as far as the page needs; so for units below. All at once, the order would
-- be found by sorting whatever they have.
SELECT o.* FROM unnest($1::text[]) AS w(state)
CROSS JOIN LATERAL (
    SELECT * FROM projections.orders_N AS i
    WHERE i.state = w.state AND ($2::uuid IS NULL OR i.id > $2::uuid)
    ORDER BY i.id LIMIT $3::bigint
) AS o
ORDER BY o.id LIMIT $3::bigint

-- name: has_unit
SELECT unit FROM projections.orders_N WHERE unit = $1 LIMIT 1

-- name: list_of_units
SELECT o.* FROM unnest($1::text[]) AS w(unit) CROSS JOIN unnest($2::text[]) AS v(state)
CROSS JOIN LATERAL (
    SELECT * FROM projections.orders_N AS i
    WHERE i.unit = w.unit AND i.state = v.state AND ($3::uuid IS NULL OR i.id > $3::uuid)
    ORDER BY i.id LIMIT $4::bigint
) AS o
ORDER BY o.id LIMIT $4::bigint

-- name: overdue_of_units
SELECT o.* FROM unnest($1::text[]) AS w(unit)
CROSS JOIN LATERAL (
    SELECT * FROM projections.orders_N AS i
    WHERE i.unit = w.unit AND i.overdue_from < $3::timestamptz
        AND ($2::text[] IS NULL OR i.state = ANY ($2::text[]))
        AND ($4::uuid IS NULL OR i.id > $4::uuid)
    ORDER BY i.id LIMIT $5::bigint
) AS o
ORDER BY o.id LIMIT $5::bigint

-- name: list_by_due
SELECT * FROM projections.orders_N
WHERE due IS NOT NULL AND ($1::timestamptz IS NULL OR (due, id) > ($1::timestamptz, $2::uuid))
ORDER BY due, id LIMIT $3::bigint

-- name: list_by_due_of_units
SELECT o.* FROM unnest($1::text[]) AS w(unit)
CROSS JOIN LATERAL (
    SELECT * FROM projections.orders_N AS i
    WHERE i.due_unit = w.unit AND i.due IS NOT NULL
        AND ($2::timestamptz IS NULL OR (i.due, i.id) > ($2::timestamptz, $3::uuid))
    ORDER BY i.due, i.id LIMIT $4::bigint
) AS o
ORDER BY o.due, o.id LIMIT $4::bigint

-- name: archived_before
SELECT * FROM projections.orders_N
WHERE state = 'archived' AND closed_at < $1::timestamptz AND ($2::uuid IS NULL OR id > $2::uuid)
ORDER BY id LIMIT $3::bigint

-- name: by_number
SELECT * FROM projections.orders_N WHERE number = $1::text
UNION SELECT * FROM projections.orders_N WHERE old_number = $1::text AND old_number <> ''
ORDER BY 1 LIMIT $2::bigint

-- name: of_numbers
SELECT * FROM projections.orders_N WHERE number = ANY ($1::text[]) ORDER BY number, id

-- name: open_emergencies
SELECT * FROM projections.orders_N WHERE is_open AND urgency = 'emergency_life' ORDER BY id

-- name: by_id
SELECT * FROM projections.orders_N WHERE id BETWEEN $1::uuid AND $2::uuid ORDER BY id LIMIT $3::bigint

-- name: by_ids
SELECT * FROM projections.orders_N WHERE id = ANY ($1::uuid[]) ORDER BY id

-- name: count_by_state
SELECT state, count(*) FROM projections.orders_N GROUP BY state

-- name: count_by_unit
SELECT unit, count(*), count(*) FILTER (WHERE is_open), count(*) FILTER (WHERE overdue_from < $1::timestamptz)
FROM projections.orders_N GROUP BY unit

-- name: registered_before
SELECT id FROM projections.orders_N WHERE registered_at < $1::timestamptz ORDER BY id

-- name: linked
SELECT id FROM projections.orders_N
WHERE registered_at >= $1::timestamptz AND (master IS NOT NULL OR previous IS NOT NULL) ORDER BY id
