-- The clocks of a city: one row a clock. `_N` stands for the version of the table.

-- name: create
CREATE TABLE projections.clocks_N (
    order_id uuid NOT NULL,
    no bigint NOT NULL,
    number text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    unit text COLLATE "C" NOT NULL,
    of_class text COLLATE "C" NOT NULL,
    pack text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    start_position bigint NOT NULL,
    limit_words text NOT NULL,
    due timestamptz,
    provisional boolean NOT NULL,
    grace timestamptz,
    late_after timestamptz,
    duty boolean NOT NULL,
    moves bigint NOT NULL,
    stopped_at timestamptz,
    stop_position bigint,
    cancelled_at timestamptz,
    cancel_position bigint,
    cancelled_by text NOT NULL,
    note text NOT NULL,
    during_outage boolean NOT NULL
)

-- name: index
ALTER TABLE projections.clocks_N ADD PRIMARY KEY (order_id, no);
CREATE INDEX ON projections.clocks_N (late_after, order_id, no)
    WHERE late_after IS NOT NULL AND stopped_at IS NULL AND cancelled_at IS NULL;
CREATE INDEX ON projections.clocks_N (unit, late_after, order_id, no)
    WHERE late_after IS NOT NULL AND stopped_at IS NULL AND cancelled_at IS NULL;
CREATE INDEX ON projections.clocks_N (greatest(due, grace), order_id, no)

-- name: drop
DROP TABLE IF EXISTS projections.clocks_N

-- name: delete
DELETE FROM projections.clocks_N WHERE order_id = ANY ($1::uuid[])

-- name: delete_rows
DELETE FROM projections.clocks_N AS c
USING unnest($1::uuid[], $2::bigint[]) AS w(order_id, no)
WHERE c.order_id = w.order_id AND c.no = w.no

-- name: of_orders
SELECT * FROM projections.clocks_N WHERE order_id = ANY ($1::uuid[])

-- name: copy
COPY projections.clocks_N FROM STDIN (FORMAT BINARY)

-- name: reached
-- Another calendar day moves no due instant before it.
SELECT order_id FROM projections.clocks_N WHERE greatest(due, grace) >= $1::timestamptz

-- name: reached_by_outages
-- An outage marks what falls due inside it, its last instant included, and moves the evaluation window on.
SELECT c.order_id
FROM unnest($1::timestamptz[], $2::timestamptz[]) AS o(from_at, until)
JOIN projections.clocks_N AS c ON greatest(c.due, c.grace) > o.from_at AND c.due > o.from_at AND c.due <= o.until

-- name: reached_by_units
-- Who decides about an extension stands above whoever asked for it.
SELECT order_id FROM projections.clocks_N WHERE name = 'extension_decision'

-- name: differences
SELECT count(*) FROM (
    (SELECT * FROM projections.clocks_N EXCEPT ALL SELECT * FROM projections.clocks_M)
    UNION ALL
    (SELECT * FROM projections.clocks_M EXCEPT ALL SELECT * FROM projections.clocks_N)
) AS d

-- name: of_order
SELECT * FROM projections.clocks_N WHERE order_id = $1::uuid ORDER BY no

-- name: list
-- The words are those of domain.clocks.Status, found in the same order; a window's lapse is nobody's breach.
SELECT * FROM (
    SELECT c.*, CASE
        WHEN due IS NULL THEN CASE WHEN cancelled_at IS NULL THEN 'measured' ELSE 'cancelled' END
        WHEN stopped_at > due THEN 'late'
        WHEN stopped_at IS NOT NULL THEN 'on_time'
        WHEN cancelled_at > due THEN CASE WHEN late_after IS NULL THEN 'lapsed' ELSE 'cancelled_late' END
        WHEN cancelled_at IS NOT NULL THEN 'cancelled'
        WHEN due >= $1::timestamptz THEN 'running'
        WHEN late_after IS NULL THEN 'lapsed'
        WHEN late_after >= $1::timestamptz THEN 'pending_extension'
        ELSE 'overdue'
    END AS status
    FROM projections.clocks_N AS c
    WHERE greatest(due, grace) >= coalesce($5::timestamptz, '-infinity')
        AND ($2::text[] IS NULL OR unit = ANY ($2::text[]))
        AND ($3::text[] IS NULL OR name = ANY ($3::text[]))
        AND ($5::timestamptz IS NULL OR due >= $5::timestamptz)
        AND ($6::timestamptz IS NULL OR due < $6::timestamptz)
        AND ($8::timestamptz IS NULL OR (greatest(due, grace), order_id, no) > ($8::timestamptz, $9::uuid, $10::bigint))
) AS s
WHERE ($4::text[] IS NULL OR status = ANY ($4::text[]))
    AND (NOT $7::boolean OR duty AND status IN ('late', 'cancelled_late', 'overdue'))
ORDER BY greatest(due, grace), order_id, no LIMIT $11::bigint

-- name: count_by_unit
-- The words are those of domain.clocks.Status, found in the same order; windows are not counted.
SELECT unit, status, count(*) FROM (
    SELECT unit, CASE
        WHEN due IS NULL THEN CASE WHEN cancelled_at IS NULL THEN 'measured' ELSE 'cancelled' END
        WHEN stopped_at > due THEN 'late'
        WHEN stopped_at IS NOT NULL THEN 'on_time'
        WHEN cancelled_at > due THEN CASE WHEN late_after IS NULL THEN 'lapsed' ELSE 'cancelled_late' END
        WHEN cancelled_at IS NOT NULL THEN 'cancelled'
        WHEN due >= $1::timestamptz THEN 'running'
        WHEN late_after IS NULL THEN 'lapsed'
        WHEN late_after >= $1::timestamptz THEN 'pending_extension'
        ELSE 'overdue'
    END AS status
    FROM projections.clocks_N WHERE duty
) AS c
GROUP BY unit, status

-- name: overdue
SELECT * FROM projections.clocks_N
WHERE late_after IS NOT NULL AND stopped_at IS NULL AND cancelled_at IS NULL
    AND late_after < $1::timestamptz
    AND ($2::timestamptz IS NULL OR (late_after, order_id, no) > ($2::timestamptz, $3::uuid, $4::bigint))
ORDER BY late_after, order_id, no LIMIT $5::bigint

-- name: overdue_of_units
-- One walk along the index for each unit, as far as the page needs.
SELECT o.* FROM unnest($1::text[]) AS w(unit)
CROSS JOIN LATERAL (
    SELECT * FROM projections.clocks_N AS i
    WHERE i.unit = w.unit AND i.late_after IS NOT NULL AND i.stopped_at IS NULL AND i.cancelled_at IS NULL
        AND i.late_after < $2::timestamptz
        AND ($3::timestamptz IS NULL OR (i.late_after, i.order_id, i.no) > ($3::timestamptz, $4::uuid, $5::bigint))
    ORDER BY i.late_after, i.order_id, i.no LIMIT $6::bigint
) AS o
ORDER BY o.late_after, o.order_id, o.no LIMIT $6::bigint

-- name: visits
-- Orders whose return visit came to be possible between two instants.
SELECT DISTINCT order_id FROM projections.clocks_N
WHERE name = 'revisit' AND starts_at >= $1::timestamptz AND starts_at < $2::timestamptz ORDER BY order_id
